//! Texts of errors, in which names of the file occur.

/// Characters of a text. Names may be of any length.
const MAX_LENGTH: usize = 400;

/// Returns a text cut to a length that can be read, without control characters.
pub fn shown(text: &str) -> String {
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut shown: String = text.chars().map(printable).take(MAX_LENGTH).collect();
    if text.chars().nth(MAX_LENGTH).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn long_texts_are_cut_and_control_characters_replaced() {
        assert_eq!(shown("a\nb"), "a b");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), 401);
    }
}
