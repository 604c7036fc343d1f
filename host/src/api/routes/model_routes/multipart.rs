//! Forms with files, `multipart/form-data` (RFC 7578), as browsers and `curl -F` send them.

use std::convert::Infallible;
use std::future::{Future, ready};

use axum::body::Bytes;
use futures_util::FutureExt;
use futures_util::stream::once;
use multer::{Error, Field, Multipart};

/// A field of a form.
pub(super) struct FormPart {
    pub(super) name: String,
    /// True if the part names a file, even without a name.
    pub(super) is_file: bool,
    pub(super) bytes: Bytes,
}

/// Reads the parts of a form, at most `limit`. Fails with a text for the caller.
pub(super) fn read(body: &Bytes, boundary: &str, limit: usize) -> Result<Vec<FormPart>, String> {
    let whole = once(ready(Ok::<_, Infallible>(body.clone())));
    let mut form = Multipart::new(whole, boundary);
    let mut parts = Vec::new();

    while let Some(field) = finish(form.next_field())? {
        if parts.len() == limit {
            return Err(format!("the form has more than {limit} fields"));
        }
        parts.push(read_part(field)?);
    }

    Ok(parts)
}

fn read_part(field: Field<'_>) -> Result<FormPart, String> {
    let name = field.name().map(str::to_owned).ok_or("a field of the form has no name")?;
    let is_file = field.file_name().is_some();
    let bytes = finish(field.bytes())?;

    Ok(FormPart { name, is_file, bytes })
}

/// Runs a step of the reader, which has the whole form and so never waits for more.
fn finish<T>(step: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match step.now_or_never() {
        Some(Ok(done)) => Ok(done),
        Some(Err(Error::IncompleteFieldData { .. } | Error::IncompleteStream)) | None => {
            Err("the form is cut off, or its parts have another boundary".into())
        }
        Some(Err(_)) => Err("the form is malformed".into()),
    }
}
