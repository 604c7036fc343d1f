//! The page and its files, which are part of the program.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;

use crate::api::error::ApiError;
use crate::api::http::response_compression::StaticDocument;
use crate::api::state::ApiState;

/// The policy of the page: its own files, this server, no inline code, and no text as markup. The
/// policy for trusted types is that of `plots.js`, for the plots that the server draws.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types plots",
);

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Declares the files: their names and media types.
macro_rules! files {
    ($($name:literal $media:ident)*) => {
        &[$(($name, $media, include_bytes!(concat!("assets/", $name)))),*]
    };
}

/// Every file with its media type and content.
static FILES: &[(&str, &str, &[u8])] = files! {
    "activity.js" SCRIPT
    "app.js" SCRIPT
    "client.js" SCRIPT
    "credentials.js" SCRIPT
    "dom.js" SCRIPT
    "events.js" SCRIPT
    "fields.js" SCRIPT
    "format.js" SCRIPT
    "icon.svg" IMAGE
    "image.js" SCRIPT
    "index.html" HTML
    "live.js" SCRIPT
    "model.js" SCRIPT
    "models.js" SCRIPT
    "plots.js" SCRIPT
    "style.css" STYLE
    "table.js" SCRIPT
    "tenants.js" SCRIPT
    "try.js" SCRIPT
    "upload.js" SCRIPT
};

/// The page's file.
const PAGE: &str = "index.html";

/// The files with their compressed forms, by name.
static DOCUMENTS: LazyLock<HashMap<&str, (&str, StaticDocument)>> = LazyLock::new(|| {
    let documents =
        FILES.iter().map(|&(name, media, bytes)| (name, (media, StaticDocument::compress(bytes))));
    documents.collect()
});

/// Returns the page; `None` if the dashboard is turned off. It has relative links only, so it works
/// at `/` as well.
pub(in crate::api::routes) fn page_response(
    state: &ApiState,
    headers: &HeaderMap,
) -> Option<Response> {
    respond(state, PAGE, headers)
}

/// `GET /dashboard`.
pub(super) async fn page(
    State(state): State<Arc<ApiState>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    page_response(&state, &headers).ok_or_else(|| ApiError::no_such_path(uri.path()))
}

/// `GET /dashboard/{asset}`.
pub(super) async fn asset(
    State(state): State<Arc<ApiState>>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let found = path.ok().filter(|Path(name)| name != PAGE);
    let response = found.and_then(|Path(name)| respond(&state, &name, &headers));

    response.ok_or_else(|| ApiError::no_such_path(uri.path()))
}

/// Returns a file; `None` if it does not exist or the dashboard is turned off.
fn respond(state: &ApiState, name: &str, request: &HeaderMap) -> Option<Response> {
    // A browser asks again after an upgrade of the server.
    const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
    const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
    const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

    if !state.dashboard.is_enabled() {
        return None;
    }

    let (media, document) = DOCUMENTS.get(name)?;
    let mut response = document.respond(HeaderValue::from_static(media), request);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    headers.insert(CACHE_CONTROL, REVALIDATE);

    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_program() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/routes/dashboard/assets");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, FILES.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn files_name_only_files_that_exist() {
        for (file, _, bytes) in FILES {
            let text = std::str::from_utf8(bytes).unwrap();
            let imports =
                text.split("from \"./").skip(1).chain(text.split("=\"dashboard/").skip(1));

            for rest in imports {
                let (name, _) = rest.split_once('"').unwrap();
                assert!(FILES.iter().any(|(known, ..)| *known == name), "{file} names {name}");
            }
            assert!(!text.contains("innerHTML"), "{file}: texts must not be read as markup");
            assert!(!text.contains(" style=\""), "{file}: the policy forbids inline styles");
        }
    }

    #[test]
    fn the_page_stays_small() {
        let bytes: usize = FILES.iter().map(|(_, _, bytes)| bytes.len()).sum();
        assert!(bytes < 100_000, "{bytes} bytes");
    }
}
