//! Texts of a file, in errors.

/// The most characters of a text that an error repeats.
const MAX: usize = 60;

/// Returns a text in quotes, cut if it is long.
pub(in crate::xgboost) fn shown(text: &str) -> String {
    let start: String = text.chars().take(MAX).collect();
    if start.len() == text.len() { format!("{text:?}") } else { format!("{start:?}..") }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert_eq!(shown(&"é".repeat(60)).len(), 122);
        assert_eq!(shown(&"é".repeat(61)), format!("{:?}..", "é".repeat(60)));
    }
}
