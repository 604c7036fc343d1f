//! E-mail addresses in the usual form, which is a subset of the standard's.

use std::ops::Range;

/// The longest part before the `@`, and the longest domain (RFC 5321, section 4.5.3.1).
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;

pub(crate) fn at(text: &[u8], from: usize, place: usize) -> Option<Range<usize>> {
    if text[place] != b'@' {
        return None;
    }
    let local =
        text[from..place].iter().rev().take(MAX_LOCAL).take_while(|byte| is_local(**byte)).count();
    let domain = domain(&text[place + 1..])?;
    (local > 0).then(|| place - local..place + 1 + domain)
}

fn is_local(byte: u8) -> bool {
    // A non-ASCII byte usually belongs to a letter of another script, which an address may contain.
    byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte) || !byte.is_ascii()
}

/// Returns the length of the domain at the beginning of a text, if there is one: labels separated
/// by dots, the last one of letters.
fn domain(text: &[u8]) -> Option<usize> {
    let of_domain =
        |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte) || !byte.is_ascii();
    let mut length = text.iter().take(MAX_DOMAIN).take_while(of_domain).count();
    // Punctuation at the end of a sentence is not part of the address.
    while length > 0 && b".-".contains(&text[length - 1]) {
        length -= 1;
    }
    let dot = text[..length].iter().rposition(|byte| *byte == b'.')?;
    let last = &text[dot + 1..length];
    let letters =
        last.iter().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii() || *byte == b'-');
    (dot > 0 && last.len() >= 2 && (letters || last.starts_with(b"xn--"))).then_some(length)
}
