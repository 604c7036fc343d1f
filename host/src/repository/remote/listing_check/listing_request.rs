//! Listing requests of the protocols.

use object_store::client::HttpRequest;
use object_store::path::Path;
use url::{Url, form_urlencoded};

use super::Protocol;

/// A listing request.
pub(super) struct ListingRequest {
    pub(super) protocol: Protocol,
    pub(super) url: Url,
}

impl ListingRequest {
    /// Returns the request if it is for a listing; `None` for any other request.
    pub(super) fn parse(protocol: Protocol, request: &HttpRequest) -> Option<Self> {
        let url = Url::parse(&request.uri().to_string()).ok()?;
        let parsed = ListingRequest { protocol, url };

        let is_listing = match protocol {
            Protocol::S3 => parsed.query("list-type").as_deref() == Some("2"),
            Protocol::Azure => parsed.query("comp").as_deref() == Some("list"),
            Protocol::WebDav => request.method().as_str() == "PROPFIND",
        };

        is_listing.then_some(parsed)
    }

    /// Returns the value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.url.query().unwrap_or_default().as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Returns true if the request addresses the bucket or container of that name: in the last part
    /// of the path, or the first of the host.
    pub(super) fn is_of_bucket(&self, name: &str) -> bool {
        let path = Path::from_url_path(self.url.path()).unwrap_or_default();
        let in_host = self.url.host_str().unwrap_or_default().strip_prefix(name);
        path.filename() == Some(name) || in_host.is_some_and(|rest| rest.starts_with('.'))
    }
}
