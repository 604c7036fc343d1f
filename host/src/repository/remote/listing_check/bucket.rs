//! Listing page of S3 (`ListObjectsV2`), and of Google Cloud Storage in its XML API.

use super::Entries;
use super::document::{Element, ExpectedRoot, printable, read};
use super::listing_request::ListingRequest;

const EXPECTED: ExpectedRoot = ExpectedRoot {
    name: "ListBucketResult",
    // The namespaces of the two stores differ, and some S3-compatible stores have none.
    namespace: None,
};

/// Header elements of a page.
#[derive(Default)]
struct Page {
    name: Option<String>,
    prefix: Option<String>,
    truncated: Option<String>,
    token: Option<String>,
    next: Option<String>,
}

/// Checks a page. Fails with the reason if it is not a page of the requested listing.
pub(super) fn check(request: &ListingRequest, xml: &[u8]) -> Result<Entries, String> {
    let (mut page, mut entries, mut key) = (Page::default(), Entries::default(), None);
    let prefix = request.query("prefix").unwrap_or_default();
    read(xml, &EXPECTED, |Element { path, text, span }| {
        match path {
            "Name" => page.name = text,
            "Prefix" => page.prefix = text,
            "IsTruncated" => page.truncated = text,
            "ContinuationToken" => page.token = text,
            "NextContinuationToken" => page.next = text,
            "Contents/Key" => key = text,
            "Contents" => entries.check_entry(key.take().as_deref(), &prefix, span)?,
            _ => {}
        }
        Ok(())
    })?;

    page.check(request, &prefix)?;

    Ok(entries)
}

impl Page {
    fn check(&self, request: &ListingRequest, prefix: &str) -> Result<(), String> {
        let name = self.name.as_deref().ok_or("it has no <Name>")?;
        // The alias of an access point stands for a bucket of another name.
        if !request.is_of_bucket(name) && !request.url.as_str().contains("-s3alias") {
            return Err(format!("it lists the bucket '{}'", printable(name)));
        }

        if self.prefix.as_deref().unwrap_or_default() != prefix {
            return Err(format!("its <Prefix> is not '{}', as requested", printable(prefix)));
        }

        let token = request.query("continuation-token");
        if self.token.is_some() && self.token != token {
            return Err("it is not the requested page".into());
        }

        let next = self.next.as_deref().filter(|next| !next.is_empty());
        match (self.truncated.as_deref(), next) {
            (Some("true"), None) => {
                Err("it is truncated, and has no <NextContinuationToken>".into())
            }
            (Some("true"), next) if next == token.as_deref() => {
                Err("its next page is itself".into())
            }
            (Some("true"), Some(_)) | (Some("false"), None) => Ok(()),
            (Some("false"), Some(_)) => Err("it is the last page, but names another".into()),
            _ => Err("it has no <IsTruncated> of true or false".into()),
        }
    }
}
