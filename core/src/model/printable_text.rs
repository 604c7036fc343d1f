//! Sanitizing of untrusted texts.

/// Replaces invisible characters and those that change how the text around them is shown. Cuts the
/// text to `max` bytes.
pub fn sanitize(text: &str, max: usize) -> String {
    replace_unprintable(text, max, &[])
}

/// Does the same for a text of several lines: line breaks and tabs stay.
pub fn sanitize_lines(text: &str, max: usize) -> String {
    replace_unprintable(text, max, &['\n', '\t'])
}

/// True for characters that must not reach a terminal, a log or an error text: control characters,
/// changes of the writing direction, and invisible characters.
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn replace_unprintable(text: &str, max: usize, kept: &[char]) -> String {
    let cut = text.floor_char_boundary(max);

    let shown = |char| {
        if is_unprintable(char) && !kept.contains(&char) {
            char::REPLACEMENT_CHARACTER
        } else {
            char
        }
    };

    text.get(..cut).unwrap_or_default().chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deceptive_characters_are_replaced() {
        for char in [
            '\0', '\n', '\u{1b}', '\u{9b}', '\u{200e}', '\u{200f}', '\u{61c}', '\u{feff}',
            '\u{2028}',
        ] {
            assert_eq!(sanitize(&format!("a{char}b"), 100), "a\u{fffd}b", "{char:?}");
        }

        for char in
            ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain('\u{200b}'..='\u{200d}')
        {
            assert!(is_unprintable(char), "{char:?}");
        }

        for text in ["grün", "日本語", "🌱", "a b", "'\"\\"] {
            assert_eq!(sanitize(text, 100), text);
        }

        assert_eq!(sanitize("äää", 3), "ä");
        assert_eq!(sanitize_lines("a\n\tb\r\u{202e}", 100), "a\n\tb\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn what_is_sanitized_is_printable_and_short(text: String, max in 0..64usize) {
            let clean = sanitize(&text, max);
            prop_assert!(!clean.chars().any(is_unprintable));
            prop_assert!(clean.chars().count() <= max);
        }
    }
}
