//! Values that lack their quotes in a TOML file, such as `weight = two` or `deadline = 60s`.
//!
//! The TOML parser reports these as an invalid boolean or number. With quotes added, the file can
//! be parsed, and the code that reads the key reports the accepted values.

/// A TOML file with missing quotes added.
pub(super) struct QuotedText {
    pub(super) text: String,
    pub(super) values: Vec<UnquotedValue>,
}

/// A value without quotes.
pub(super) struct UnquotedValue {
    /// Start of its line in the quoted text, in bytes.
    pub(super) start: usize,
    /// End of its line.
    pub(super) end: usize,
    /// The suggested replacement, with the reason.
    pub(super) advice: String,
}

/// Adds the quotes that are missing on the lines at these offsets. Returns `None` if one of the
/// lines has another fault.
pub(super) fn quote(text: &str, faults: impl IntoIterator<Item = usize>) -> Option<QuotedText> {
    let mut lines: Vec<usize> = faults.into_iter().map(|offset| line_start(text, offset)).collect();
    lines.sort_unstable();
    lines.dedup();

    let mut quoted = QuotedText {
        text: String::with_capacity(text.len() + 2 * lines.len()),
        values: Vec::new(),
    };
    let mut copied = 0;
    for start in lines {
        let line = text.get(start..)?.lines().next()?;
        let (key, value) = split_unquoted(line)?;

        quoted.text.push_str(text.get(copied..start)?);
        let place = quoted.text.len();
        quoted.text.push_str(&format!("{key} = \"{value}\""));
        let advice = format!("{key}: a text needs quotes; write {key} = \"{value}\"");
        quoted.values.push(UnquotedValue { start: place, end: quoted.text.len(), advice });

        copied = start + line.len();
    }
    quoted.text.push_str(text.get(copied..)?);
    Some(quoted)
}

fn line_start(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset.min(text.len())).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Splits a line into key and value, if the value is not quoted, a list or a table.
fn split_unquoted(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once('=')?;
    let value = rest.split('#').next().unwrap_or(rest).trim();
    let key = key.trim();
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let sound = !key.is_empty() && key.chars().all(plain) && !value.is_empty();
    let opens = value.starts_with(['[', '{']) || value.contains(['"', '\'', '\\', ']', '}']);

    (sound && !opens && !value.chars().any(char::is_control)).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lacks_quotes_is_quoted() {
        let quoted = quote("a = 1\nweight = two # many\nb = 60s\n", [15, 30]).unwrap();
        assert_eq!(quoted.text, "a = 1\nweight = \"two\"\nb = \"60s\"\n");
        let advice: Vec<_> = quoted.values.iter().map(|value| value.advice.as_str()).collect();
        let weight = "weight: a text needs quotes; write weight = \"two\"";
        assert_eq!(advice, [weight, "b: a text needs quotes; write b = \"60s\""]);
        for line in ["a", "a =", "= b", "a = 'b", "a = [b", "a = {b", "a b = c", "[a", "a = b]", ""]
        {
            assert!(quote(line, [0]).is_none(), "{line}");
        }
    }
}
