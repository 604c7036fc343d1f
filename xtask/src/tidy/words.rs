//! Words that the glossary bans from names, doc comments and texts.

use super::Violation;
use super::lexer::Line;
use super::source::SourceFile;

/// The heading in the glossary above the list of words.
const HEADING: &str = "## Words that are not used";

/// A word with a private meaning, in lower case, and the words that take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BannedWord {
    word: String,
    instead: String,
}

/// Reads the list below the heading in the glossary: a line `"word": "instead"` for each.
pub(super) fn banned(glossary: &str) -> Vec<BannedWord> {
    let list = glossary.split_once(HEADING).map_or("", |(_, list)| list);
    let pair = |line: &str| {
        let mut quoted = line.split('"').skip(1).step_by(2);
        let word = quoted.next()?.to_lowercase();
        Some(BannedWord { word, instead: quoted.next()?.to_owned() })
    };
    list.lines().filter_map(pair).collect()
}

/// Finds the words in names of files, in identifiers, in doc comments, and in the string literals
/// of products.
pub(super) fn check(files: &[SourceFile], banned: &[BannedWord]) -> Vec<Violation> {
    files.iter().flat_map(|file| check_file(file, banned)).collect()
}

fn check_file(file: &SourceFile, banned: &[BannedWord]) -> Vec<Violation> {
    let in_path = find(&file.path, banned).map(|found| violation(file, 1, "the path", found));
    let mut violations: Vec<_> = in_path.into_iter().collect();
    // Tests may send any text.
    let is_product = !file.path.split('/').any(|part| part == "tests");
    let product_lines = file.product_lines().len();
    for (number, line) in (1..).zip(&file.lines) {
        let in_code = find(&line.code, banned);
        violations.extend(in_code.map(|found| violation(file, number, "a name", found)));
        let in_docs = find(doc_text(line), banned);
        violations.extend(in_docs.map(|found| violation(file, number, "a doc comment", found)));
        if is_product && number <= product_lines {
            let in_literals = find(&line.literals, banned);
            violations.extend(in_literals.map(|found| violation(file, number, "a text", found)));
        }
    }
    violations
}

fn doc_text(line: &Line) -> &str {
    let doc = line.comment.as_ref().filter(|comment| comment.kind.is_doc());
    doc.map_or("", |comment| &comment.text)
}

/// The first banned word in a text. `SnakeCase` and `snake_case` are taken apart, and a plural
/// counts as its word.
fn find<'b>(text: &str, banned: &'b [BannedWord]) -> Option<&'b BannedWord> {
    let words = words(text);
    banned.iter().find(|banned| {
        words.iter().any(|word| {
            *word == banned.word || word.strip_suffix('s').is_some_and(|word| word == banned.word)
        })
    })
}

/// The words of a text, in lower case.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower_case = false;
    for character in text.chars() {
        let begins = character.is_uppercase() && after_lower_case;
        if begins || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        after_lower_case = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn violation(file: &SourceFile, line: usize, place: &str, found: &BannedWord) -> Violation {
    Violation {
        path: file.path.clone(),
        line,
        rule: "words",
        text: format!("{place} holds '{}'; the word is: {}", found.word, found.instead),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<BannedWord> {
        let glossary = format!(
            "\"sundial\": \"no\"\n{HEADING}\n```json\n{{\n  \"gnomon\": \"threads\",\n}}\n"
        );
        banned(&glossary)
    }

    #[test]
    fn the_glossary_lists_the_words() {
        assert_eq!(list(), [BannedWord { word: "gnomon".into(), instead: "threads".into() }]);
        assert_eq!(banned("no list"), []);
    }

    #[test]
    fn a_word_is_found_in_paths_names_doc_comments_and_texts() {
        let lines = |path: &str, text: &str| -> Vec<usize> {
            let file = SourceFile::new(path, text);
            check(&[file], &list()).into_iter().map(|violation| violation.line).collect()
        };
        assert_eq!(lines("src/gnomon.rs", ""), [1]);
        assert_eq!(lines("a.rs", "fn a() {}\nstruct MyGnomons;\nlet of_gnomon = 1;\n"), [2, 3]);
        assert_eq!(lines("a.rs", "/// The gnomon.\nfn a() {}\n"), [1]);
        assert_eq!(lines("a.rs", "let a = \"the\\ngnomon\";\n"), [1]);
        assert_eq!(lines("tests/a.rs", "let a = \"the gnomon\";\n"), [0; 0]);
        assert_eq!(lines("a.rs", "// The gnomon.\nfn gnomonic() { \"gnomonic\" }\n"), [0; 0]);
    }
}
