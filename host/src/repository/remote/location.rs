//! Opens the object store behind a URL.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::{Position, Url};

use super::listing_check::{CheckingConnector, NotAListing, Protocol, SkippedObjects};
use crate::model::sanitize;

/// A folder in a store.
pub(super) struct StoreLocation {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Prefix of the object names.
    pub(super) prefix: Path,
    /// Counts the objects that listings have skipped.
    pub(super) skipped: SkippedObjects,
}

impl StoreLocation {
    /// Opens the folder of a URL without connecting. Credentials, endpoints and regions come from
    /// the environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`). Fails with the missing settings.
    pub(super) fn open(url: &Url) -> Result<Self, String> {
        // The HTTP client uses the crypto provider of the process. Installing it fails if there is
        // one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (scheme, prefix) =
            ObjectStoreScheme::parse(url).map_err(|error| store_error_text(&error))?;
        let skipped = SkippedObjects::default();
        let store = store(scheme, url, &skipped).map_err(|error| store_error_text(&error))?;

        Ok(StoreLocation { store, prefix, skipped })
    }
}

/// Timeout of one request: the largest object over a slow line. A stalled transfer is detected much
/// sooner, while reading.
const REQUEST_TIMEOUT: &str = "1h";
/// Maximum wait for the next part of a response.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

fn store(
    scheme: ObjectStoreScheme,
    url: &Url,
    skipped: &SkippedObjects,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let longest = ClientConfigKey::Timeout;
    let connector = |protocol| CheckingConnector::new(protocol, skipped.clone());
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retries());
            let builder = builder.with_http_connector(connector(Protocol::S3));
            // Objects are deleted one by one, by a request that every such server knows.
            let builder = builder.with_config(AmazonS3ConfigKey::DisableBulkDelete, "true");
            Arc::new(
                builder.with_config(AmazonS3ConfigKey::Client(longest), REQUEST_TIMEOUT).build()?,
            )
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder =
                GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retries());
            let builder = builder.with_http_connector(connector(Protocol::S3));
            Arc::new(
                builder.with_config(GoogleConfigKey::Client(longest), REQUEST_TIMEOUT).build()?,
            )
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder =
                MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retries());
            let builder = builder.with_http_connector(connector(Protocol::Azure));
            Arc::new(builder.with_config(AzureConfigKey::Client(longest), REQUEST_TIMEOUT).build()?)
        }
        _ => {
            // An `http://` URL is explicit. The clouds' builders need `AWS_ALLOW_HTTP=true` and the
            // like.
            let allow = if url.scheme() == "http" { "true" } else { "false" };
            let builder =
                HttpBuilder::new().with_url(&url[..Position::BeforePath]).with_retry(retries());
            let builder = builder
                .with_config(longest, REQUEST_TIMEOUT)
                .with_config(ClientConfigKey::AllowHttp, allow);
            let builder = builder.with_http_connector(connector(Protocol::WebDav));
            Arc::new(builder.build()?)
        }
    })
}

/// Enough for a lost request. If the store is down, the next refresh tries again.
fn retries() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() }
}

/// Returns the text of an error and its causes for the operator: short, and without the query of
/// any URL, in which some stores put their signatures.
pub(super) fn store_error_text(error: &(dyn Error + 'static)) -> String {
    // The text of a refusal is complete and the same each time.
    if let Some(refusal) = refusal(error) {
        return sanitize(&refusal.to_string(), MAX_TEXT);
    }

    let mut text = error.to_string();
    let mut cause = error.source();

    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }

    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((place, _)) if place.contains("://") => place,
        _ => word,
    });

    sanitize(&words.collect::<Vec<_>>().join(" "), MAX_TEXT)
}

/// Returns the refusal that caused the error, if a response was not a listing.
fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e NotAListing> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(refusal);
        }
        cause = error.source();
    }

    None
}

/// Maximum length of an error text in bytes. Stores answer errors with pages of markup.
const MAX_TEXT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str) -> Result<Path, String> {
        StoreLocation::open(&Url::parse(url).unwrap()).map(|location| location.prefix)
    }

    #[test]
    fn urls_are_opened_as_folders() {
        assert_eq!(opened("s3://bucket/models/acme/"), Ok(Path::from("models/acme")));
        assert_eq!(opened("s3://bucket"), Ok(Path::default()));
        assert_eq!(opened("http://127.0.0.1:9/models"), Ok(Path::from("models")));
        assert_eq!(opened("https://example.com/models"), Ok(Path::from("models")));
    }

    #[test]
    fn signatures_in_urls_are_removed() {
        let error = std::io::Error::other("GET https://host/x?sig=secret&se=1 failed: why?");
        assert_eq!(store_error_text(&error), "GET https://host/x failed: why?");
    }
}
