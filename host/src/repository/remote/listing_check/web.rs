//! Folder listing of a web server over WebDAV (RFC 4918, `PROPFIND`).

use object_store::path::Path;
use url::Url;

use super::Entries;
use super::document::{Element, ExpectedRoot, read};
use super::listing_request::ListingRequest;

const EXPECTED: ExpectedRoot = ExpectedRoot { name: "multistatus", namespace: Some("DAV:") };

/// Checks a listing. Fails with the reason if it is not the requested one.
pub(super) fn check(request: &ListingRequest, xml: &[u8]) -> Result<Entries, String> {
    let folder = Path::from_url_path(request.url.path()).map_err(|error| error.to_string())?;
    let root = request.url.join("/").map_err(|error| error.to_string())?;
    let (mut entries, mut href, mut is_folder, mut is_listed) =
        (Entries::default(), None, false, false);
    read(xml, &EXPECTED, |Element { path, text, span }| {
        match path {
            "response/href" => href = text,
            "response/propstat/prop/resourcetype/collection" => is_folder = true,
            "response" => {
                let (href, is_folder) = (href.take(), std::mem::take(&mut is_folder));
                let place = href.as_deref().and_then(|href| place(&root, href, is_folder));
                match place {
                    Some(place) if is_folder => is_listed |= place == folder,
                    Some(place) if place.prefix_matches(&folder) => {}
                    // The name of a folder is not used.
                    None if is_folder => {}
                    _ => entries.skip(href.as_deref().unwrap_or_default(), span),
                }
            }
            _ => {}
        }
        Ok(())
    })?;

    is_listed
        .then_some(entries)
        .ok_or_else(|| format!("it does not list the folder /{folder} itself"))
}

/// Returns the path of a reference, as `object_store` resolves it; `None` if it is not a path.
fn place(root: &Url, href: &str, is_folder: bool) -> Option<Path> {
    let url = root.join(href).ok()?;
    // The name of a file does not end in a slash.
    let is_file = !url.path().ends_with('/');
    Path::from_url_path(url.path()).ok().filter(|_| is_file || is_folder)
}
