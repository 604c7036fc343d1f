//! Removes personal data from texts before a model gets them: e-mail addresses, telephone numbers,
//! IBANs and payment card numbers, anywhere in a BYTES tensor.

mod card;
mod email;
mod iban;
mod phone;
mod scan;

use std::borrow::Cow;

use wardian_sdk::interceptor::{Context, Interceptor, Rejection};
use wardian_sdk::{Datatype, Request, Tensor};

#[derive(Default)]
struct Redact;

impl Interceptor for Redact {
    fn before_call(&self, _context: &Context, mut request: Request) -> Result<Request, Rejection> {
        let texts = request.inputs.iter_mut().filter(|input| input.datatype == Datatype::Bytes);
        texts.for_each(redact_tensor);
        Ok(request)
    }
}

/// Redacts each element. The host has already refused malformed tensors.
fn redact_tensor(tensor: &mut Tensor) {
    let Ok(elements) = tensor.blobs() else { return };
    let redacted: Vec<_> = elements.into_iter().map(redact).collect();
    if redacted.iter().any(|element| matches!(element, Cow::Owned(_))) {
        tensor.data = Tensor::from_strings("", [redacted.len()], &redacted).data;
    }
}

/// Returns a text without personal data. It need not be UTF-8, because all patterns are ASCII.
fn redact(text: &[u8]) -> Cow<'_, [u8]> {
    // Addresses come first, because they may contain digits; then numbers with a checksum;
    // telephone numbers have none and come last.
    let text = scan::replace(Cow::Borrowed(text), b"[e-mail]", email::at);
    let text = scan::replace(text, b"[IBAN]", iban::at);
    let text = scan::replace(text, b"[card]", card::at);
    scan::replace(text, b"[phone]", phone::at)
}

wardian_sdk::export_interceptor!(Redact);

#[cfg(test)]
mod tests;
