//! Error texts for models and versions that do not exist, with suggestions.

use super::error::ApiError;
use crate::dataplane::DataPlane;
use crate::model::{TenantName, hint};

/// Versions listed in an error text.
const MAX_LISTED_VERSIONS: usize = 10;

impl ApiError {
    /// Adds the model and version to the error. If there is no such model or version, the text
    /// lists the tenant's nearest model names or its serving versions.
    pub(super) fn with_model_hints(
        mut self,
        dataplane: &DataPlane,
        tenant: &TenantName,
        model: &str,
        version: Option<&str>,
    ) -> Self {
        if self.code == "model_not_found" {
            self.text = not_found_text(dataplane, tenant, model, version);
        }
        self.with_model(model, version)
    }
}

fn not_found_text(
    dataplane: &DataPlane,
    tenant: &TenantName,
    model: &str,
    version: Option<&str>,
) -> String {
    let names = dataplane.models(tenant);
    if version.is_none() || !names.iter().any(|name| name.as_str() == model) {
        let names = names.iter().map(|name| name.as_str());
        return format!("there is no such model{}", hint("models", model, names));
    }

    let serving = dataplane.versions(tenant, model);
    let shown: Vec<_> = serving.iter().take(MAX_LISTED_VERSIONS).map(ToString::to_string).collect();

    match (shown.as_slice(), serving.len() > MAX_LISTED_VERSIONS) {
        ([], _) => "there is no such version, and no other version serves now".into(),
        ([only], _) => format!("no such version serves; version {only} does"),
        (_, false) => format!("no such version serves; versions {} do", shown.join(", ")),
        (_, true) => format!("no such version serves; versions {} and others do", shown.join(", ")),
    }
}
