//! Listing page of Azure Blob Storage (`List Blobs`).

use super::Entries;
use super::document::{Element, ExpectedRoot, printable, read};
use super::listing_request::ListingRequest;

const EXPECTED: ExpectedRoot = ExpectedRoot { name: "EnumerationResults", namespace: None };

/// Checks a page. Fails with the reason if it is not a page of the requested listing.
pub(super) fn check(request: &ListingRequest, xml: &[u8]) -> Result<Entries, String> {
    let (mut entries, mut key, mut blobs) = (Entries::default(), None, false);
    let (mut listed, mut next) = (None, None);
    let prefix = request.query("prefix").unwrap_or_default();
    let root = read(xml, &EXPECTED, |Element { path, text, span }| {
        match path {
            "Prefix" => listed = text,
            "NextMarker" => next = text,
            "Blobs" => blobs = true,
            "Blobs/Blob/Name" => key = text,
            "Blobs/Blob" => entries.check_entry(key.take().as_deref(), &prefix, span)?,
            _ => {}
        }
        Ok(())
    })?;

    let container = root.get("ContainerName").ok_or("it has no ContainerName")?;
    if !request.is_of_bucket(container) {
        return Err(format!("it lists the container '{}'", printable(container)));
    }

    if listed.unwrap_or_default() != prefix {
        return Err(format!("its <Prefix> is not '{}', as requested", printable(&prefix)));
    }

    let next = next.ok_or("it has no <NextMarker>")?;
    if !next.is_empty() && request.query("marker").as_deref() == Some(&*next) {
        return Err("its next page is itself".into());
    }

    if !blobs {
        return Err("it has no <Blobs>".into());
    }

    Ok(entries)
}
