//! Errors about a model or version that does not exist, with what the caller may have meant.

use super::error::ApiError;
use crate::dataplane::DataPlane;
use crate::model::{TenantName, hint};

/// As many versions as a person reads.
const MAX_VERSIONS: usize = 10;

impl ApiError {
    /// Says which of the tenant's models and versions the error is about. If there is none of that
    /// name, the text lists the nearest names of this tenant, or the versions that serve.
    pub(super) fn about_model(
        mut self,
        dataplane: &DataPlane,
        tenant: &TenantName,
        model: &str,
        version: Option<&str>,
    ) -> Self {
        if self.code == "model_not_found" {
            self.text = not_found(dataplane, tenant, model, version);
        }
        self.about(model, version)
    }
}

fn not_found(
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
    let shown: Vec<_> = serving.iter().take(MAX_VERSIONS).map(ToString::to_string).collect();
    match (shown.as_slice(), serving.len() > MAX_VERSIONS) {
        ([], _) => "there is no such version, and no other version serves now".into(),
        ([only], _) => format!("no such version serves; version {only} does"),
        (_, false) => format!("no such version serves; versions {} do", shown.join(", ")),
        (_, true) => format!("no such version serves; versions {} and others do", shown.join(", ")),
    }
}
