//! The version that an upload is for, under names that cannot leave the repository.

use super::UploadError;
use crate::model::{ModelName, Version};
use crate::repository::entry_meaning::is_model_folder;

/// A version of a model, under names that a scan accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTarget {
    /// The model.
    pub name: ModelName,
    /// The version.
    pub version: Version,
}

impl UploadTarget {
    /// Parses both names as they stand in a URL path after decoding. Fails with a text that
    /// describes valid names.
    pub fn parse(model: &str, version: &str) -> Result<Self, UploadError> {
        let name =
            ModelName::new(model).map_err(|error| UploadError::InvalidName(error.to_string()))?;
        if !is_model_folder(name.as_str()) {
            return Err(UploadError::InvalidName(format!(
                "'{name}' cannot be uploaded to: the repository does not read it as a model's folder; use another name"
            )));
        }

        let no_version = || {
            UploadError::InvalidName("a version is a number from 1, without leading zeros".into())
        };

        Ok(UploadTarget { name, version: Version::parse(version).ok_or_else(no_version)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_scanned_models_in_the_repository_are_accepted() {
        assert!(UploadTarget::parse("iris", "1").is_ok());
        assert!(UploadTarget::parse("house-price.v2", "18446744073709551615").is_ok());
        let long = "x".repeat(129);
        let bad = ["", ".", "..", ".iris", "a/b", "../a", "a\\b", "a\0", "a b", "é", "/etc", &long];
        let ignored = [
            "interceptors",
            "Interceptors",
            "stats",
            "lost+found",
            "a.tmp",
            "a.part",
            "a.swp",
            "iris.wasm",
            "iris.cwasm",
        ];

        for model in bad.into_iter().chain(ignored) {
            assert!(
                matches!(UploadTarget::parse(model, "1"), Err(UploadError::InvalidName(_))),
                "{model}"
            );
        }

        for version in
            ["", "0", "01", "-1", "+1", "1.0", "..", "1/..", "v1", "18446744073709551616"]
        {
            assert!(
                matches!(UploadTarget::parse("iris", version), Err(UploadError::InvalidName(_))),
                "{version}"
            );
        }
    }
}
