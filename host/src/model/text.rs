//! Sanitizing of untrusted texts, and suggestions for misspelt names.

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

// === Suggestions ===

/// Limit of compared names, in bytes. The cost grows with the square of the length.
const MAX_COMPARED: usize = 48;
/// Limit of compared names; the rest is ignored.
const MAX_CANDIDATES: usize = 200;
/// Limit of suggested names.
const MAX_SUGGESTED: usize = 3;
/// Limit of names that are all listed if none is near.
const MAX_LISTED: usize = 6;

/// Returns a hint for an error text: the nearest names or, if none is near, the first names.
///
/// `kind` is the plural of the named thing, such as `models`.
pub fn hint<'a>(kind: &str, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let near = nearest(wrong, names.iter().copied());
    if !near.is_empty() {
        return format!("; did you mean {}?", quote_all(&near, " or "));
    }

    match names.len() {
        0 => format!("; there are no {kind}"),
        count if count <= MAX_LISTED => {
            format!("; there are the {kind} {}", quote_all(&names, ", "))
        }
        count => {
            let first = names.get(..MAX_LISTED).unwrap_or_default();
            format!("; there are {count} {kind}, such as {}", quote_all(first, ", "))
        }
    }
}

/// Returns the names nearest to `wrong`, nearest first; empty if none is near.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if wrong.is_empty() || wrong.len() > MAX_COMPARED {
        return Vec::new();
    }

    let lower = wrong.to_lowercase();
    let comparable =
        names.into_iter().filter(|name| name.len() <= MAX_COMPARED).take(MAX_CANDIDATES);

    let mut near: Vec<_> =
        comparable.filter_map(|name| Some((distance(&lower, name)?, name))).collect();
    near.sort_unstable();

    near.into_iter().take(MAX_SUGGESTED).map(|(_, name)| name).collect()
}

/// Returns the edit distance to a name; `None` if it is too large for a misspelling.
fn distance(wrong: &str, name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    let slips = strsim::osa_distance(wrong, &name);
    // With two letters, no error is allowed: nearly every other name would match.
    let allowed = wrong.chars().count() / 3;
    // People remember parts of names.
    let part = wrong.len() >= 3 && name.contains(wrong) || name.len() >= 3 && wrong.contains(&name);

    (slips <= allowed || part).then_some(slips)
}

fn quote_all(names: &[&str], separator: &str) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{}'", sanitize(name, 128))).collect();
    quoted.join(separator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_deceive_a_reader_is_replaced() {
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

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["iris", "irises", "house-price", "digits", "digits-wide"];
        assert_eq!(nearest("irsi", names), ["iris"]);
        assert_eq!(nearest("IRIS", names), ["iris", "irises"]);
        assert_eq!(nearest("house_price", names), ["house-price"]);
        assert_eq!(nearest("digit", names), ["digits", "digits-wide"]);
        assert_eq!(nearest("price", names), ["house-price"]);
        assert!(nearest("penguins", names).is_empty());
        assert!(nearest("", names).is_empty());
    }

    #[test]
    fn a_hint_lists_few_names_and_counts_many() {
        assert_eq!(hint("models", "irsi", ["iris", "upper"]), "; did you mean 'iris'?");
        assert_eq!(
            hint("models", "penguins", ["iris", "upper"]),
            "; there are the models 'iris', 'upper'"
        );
        assert_eq!(hint("models", "iris", []), "; there are no models");

        let many: Vec<_> = (0..20).map(|number| format!("{number}")).collect();
        let text = hint("models", "penguins", many.iter().map(String::as_str));

        assert_eq!(text, "; there are 20 models, such as '0', '1', '2', '3', '4', '5'");
    }

    proptest! {
        #[test]
        fn what_is_sanitized_is_printable_and_short(text: String, max in 0..64usize) {
            let clean = sanitize(&text, max);
            prop_assert!(!clean.chars().any(is_unprintable));
            prop_assert!(clean.chars().count() <= max);
        }

        #[test]
        fn no_name_makes_it_panic(wrong: String, names: Vec<String>) {
            prop_assert!(nearest(&wrong, names.iter().map(String::as_str)).len() <= MAX_SUGGESTED);
        }
    }
}
