//! Environment variables with the credentials of each store, and the error text if they are
//! missing.

use object_store::ObjectStoreScheme;
use url::Url;

/// The credential variables of one kind of store.
struct CredentialVariables {
    /// Name of the store in messages.
    store: &'static str,
    /// The variables. Any one of them is sufficient.
    variables: &'static [&'static str],
    /// The most common variables, for messages.
    usual: &'static str,
    /// The setting that allows anonymous access to a public bucket.
    public: &'static str,
}

const S3: CredentialVariables = CredentialVariables {
    store: "S3",
    variables: &[
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ],
    usual: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    public: "AWS_SKIP_SIGNATURE=true",
};

const GOOGLE: CredentialVariables = CredentialVariables {
    store: "Google Cloud Storage",
    variables: &[
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SKIP_SIGNATURE",
    ],
    usual: "GOOGLE_APPLICATION_CREDENTIALS (the path of a service account's key file)",
    public: "GOOGLE_SKIP_SIGNATURE=true",
};

const AZURE: CredentialVariables = CredentialVariables {
    store: "Azure Blob Storage",
    variables: &[
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CLIENT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_SKIP_SIGNATURE",
    ],
    usual: "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    public: "AZURE_SKIP_SIGNATURE=true",
};

/// Returns an error text that names the variables to set, if `why` may be caused by missing
/// credentials. Otherwise returns `why`.
pub(super) fn explain(url: &Url, why: String) -> String {
    explain_with(url, why, |variable| std::env::var_os(variable).is_some())
}

fn explain_with(url: &Url, why: String, is_set: impl Fn(&str) -> bool) -> String {
    let credentials = match ObjectStoreScheme::parse(url) {
        Ok((ObjectStoreScheme::AmazonS3, _)) => &S3,
        Ok((ObjectStoreScheme::GoogleCloudStorage, _)) => &GOOGLE,
        Ok((ObjectStoreScheme::MicrosoftAzure, _)) => &AZURE,
        _ => return why,
    };

    let CredentialVariables { store, variables, usual, public } = credentials;
    if variables.iter().any(|variable| is_set(variable)) || !mentions_credentials(&why) {
        return why;
    }

    format!(
        "there are no credentials for {store}: set {usual} in the environment of this server, or {public} if the bucket \
         is public ({why})"
    )
}

/// Returns true if missing credentials may have caused a store's error. Clients without credentials
/// query the cloud's metadata service.
fn mentions_credentials(why: &str) -> bool {
    let lower = why.to_lowercase();
    let signs = [
        "169.254.169.254",
        "metadata",
        "credential",
        "account must be",
        "401",
        "403",
        "denied",
        "token",
    ];

    signs.iter().any(|sign| lower.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str, why: &str, set: &[&str]) -> String {
        explain_with(&Url::parse(url).unwrap(), why.into(), |variable| set.contains(&variable))
    }

    #[test]
    fn missing_credentials_are_named() {
        let metadata = "Error performing PUT http://169.254.169.254/latest/api/token";
        for (url, usual, public) in [
            (
                "s3://bucket/models",
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                "AWS_SKIP_SIGNATURE=true",
            ),
            ("gs://bucket/models", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SKIP_SIGNATURE=true"),
            ("az://container/models", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_SKIP_SIGNATURE=true"),
        ] {
            let told = told(url, metadata, &[]);
            assert!(
                told.starts_with("there are no credentials for ") && told.contains(usual),
                "{told}"
            );
            assert!(told.contains(public) && told.contains(metadata), "{told}");
        }
    }

    #[test]
    fn other_errors_are_unchanged() {
        assert_eq!(told("s3://bucket", "403 Forbidden", &["AWS_ACCESS_KEY_ID"]), "403 Forbidden");
        assert_eq!(
            told("s3://bucket", "the name cannot be looked up", &[]),
            "the name cannot be looked up"
        );
        assert_eq!(told("https://example.com/models", "401 Unauthorized", &[]), "401 Unauthorized");
    }
}
