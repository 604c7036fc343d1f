//! Suggestions for names that do not exist, and detection of misspelt names.

use super::printable_text::sanitize;

/// Limit of compared names, in bytes. The cost grows with the square of the length.
const MAX_COMPARED: usize = 64;
/// Limit of names that a wrong one is compared with; [`hint`] does not count more either.
pub const MAX_CANDIDATES: usize = 200;
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
            let first = quote_all(names.get(..MAX_LISTED).unwrap_or_default(), ", ");
            let more = if count > MAX_CANDIDATES { "more than " } else { "" };
            format!("; there are {more}{} {kind}, such as {first}", count.min(MAX_CANDIDATES))
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

/// True if `name` is probably a misspelling of `intended`: they differ only in case or by a few
/// typing errors. Stricter than [`nearest`], for callers that reject the name.
pub fn is_misspelt(name: &str, intended: &str) -> bool {
    if name.len() > MAX_COMPARED || intended.len() > MAX_COMPARED {
        return false;
    }

    let allowed = match intended.chars().count() {
        0..=3 => 0,
        4..=5 => 1,
        _ => 2,
    };

    strsim::osa_distance(&name.to_lowercase(), &intended.to_lowercase()) <= allowed
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
        let text = hint("models", "penguins", ["upper"; MAX_CANDIDATES + 1]);
        assert!(text.starts_with("; there are more than 200 models, such as 'upper'"), "{text}");
    }

    #[test]
    fn misspellings_are_near_and_other_words_are_not() {
        for (name, intended) in [
            ("actoin", "action"),
            ("Text", "text"),
            ("text_inptu", "text_input"),
            ("tex", "text"),
            ("ID", "id"),
        ] {
            assert!(is_misspelt(name, intended), "{name} {intended}");
        }

        for (name, intended) in [
            ("ids", "id"),
            ("y", "x"),
            ("stop", "text"),
            ("seed", "text"),
            ("temperature", "action"),
        ] {
            assert!(!is_misspelt(name, intended), "{name} {intended}");
        }

        assert!(!is_misspelt(&"x".repeat(10_000), &"x".repeat(256)));
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(wrong: String, names: Vec<String>) {
            prop_assert!(nearest(&wrong, names.iter().map(String::as_str)).len() <= MAX_SUGGESTED);
        }
    }
}
