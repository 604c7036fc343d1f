//! The text of a refused file.

use wardian_sdk::Error;

/// The most characters of a text, of which a part may be the file's own.
const LONGEST: usize = 600;

/// Adds the context to a fault, without control characters and with an end.
pub(crate) fn refusal(context: &str, fault: Error) -> Error {
    let text = fault.to_string();
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    let mut short: String = text.chars().take(LONGEST).map(plain).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    Error::failed(format_args!("{context}: {short}"))
}
