//! The form of comments: their width, their headings, and the words that a doc comment opens with.

use super::Violation;
use super::source::SourceFile;

/// Columns of a line with nothing but a comment.
const MAX_WIDTH: usize = 100;

/// A doc comment that opens with one of these puts a question where a statement belongs.
const OPENINGS: [&str; 10] =
    ["What", "Who", "Whose", "Whom", "Whether", "How", "Where", "Which", "When", "Why"];

/// The rule about openings.
const OPENING_RULE: &str = "doc-opening";

/// The headings of a doc comment.
const HEADINGS: [&str; 4] = ["# Errors", "# Panics", "# Safety", "# Examples"];

/// The rule about headings.
const HEADING_RULE: &str = "doc-heading";

/// Finds comments that are too wide, open with a question, or go on beside their heading.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    let check_file = |file| widths(file).chain(openings(file)).chain(headings(file));
    files.iter().flat_map(check_file).collect()
}

fn widths(file: &SourceFile) -> impl Iterator<Item = Violation> {
    let lines = (1..).zip(&file.lines);
    let wide = lines.filter(|(_, line)| {
        line.comment.is_some() && line.code.trim().is_empty() && line.width > MAX_WIDTH
    });
    wide.map(|(number, line)| Violation {
        path: file.path.clone(),
        line: number,
        rule: "comment-width",
        text: format!("the comment has {} columns; wrap it at {MAX_WIDTH}", line.width),
    })
}

fn openings(file: &SourceFile) -> impl Iterator<Item = Violation> {
    let kinds = file.lines.iter().map(|line| line.comment.as_ref().map(|comment| comment.kind));
    let before = [None].into_iter().chain(kinds);
    let opening = (1..).zip(&file.lines).zip(before).filter_map(|((number, line), before)| {
        let comment = line.comment.as_ref()?;
        let is_first = comment.kind.is_doc() && before != Some(comment.kind);
        let word = OPENINGS.into_iter().find(|word| opens_with(&comment.text, word))?;
        is_first.then_some((number, word))
    });
    opening.map(|(number, word)| Violation {
        path: file.path.clone(),
        line: number,
        rule: OPENING_RULE,
        text: format!("the doc comment opens with '{word}'; open it with its subject or its verb"),
    })
}

fn headings(file: &SourceFile) -> impl Iterator<Item = Violation> {
    let goes_on = |text: &str| {
        HEADINGS
            .iter()
            .any(|heading| text.strip_prefix(heading).is_some_and(|rest| !rest.is_empty()))
    };
    let lines = (1..).zip(&file.lines).filter(move |(_, line)| {
        line.comment.as_ref().is_some_and(|comment| comment.kind.is_doc() && goes_on(&comment.text))
    });
    lines.map(|(number, _)| Violation {
        path: file.path.clone(),
        line: number,
        rule: HEADING_RULE,
        text: "Markdown takes the whole line for the heading; break the line after it".into(),
    })
}

fn opens_with(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<(usize, &'static str)> {
        let violations = check(&[SourceFile::new("a.rs", text)]);
        violations.into_iter().map(|violation| (violation.line, violation.rule)).collect()
    }

    #[test]
    fn a_doc_comment_opens_with_a_statement() {
        assert_eq!(rules("//! What it is.\n"), [(1, OPENING_RULE)]);
        assert_eq!(rules("fn a() {}\n/// How many.\nfn b() {}\n"), [(2, OPENING_RULE)]);
        for text in ["// Why not.\n", "/// Returns it.\n/// When it is there.\n", "/// Whole.\n"] {
            assert_eq!(rules(text), [], "{text}");
        }
    }

    #[test]
    fn a_heading_has_a_line_of_its_own() {
        assert_eq!(rules("/// Reads.\n///\n/// # Errors If it ends.\n"), [(3, HEADING_RULE)]);
        assert_eq!(rules("/// Reads.\n///\n/// # Errors\n/// If it ends.\n"), []);
    }

    #[test]
    fn a_comment_line_has_a_hundred_columns_at_most() {
        assert_eq!(rules(&format!("// {}\n", "x".repeat(97))), []);
        assert_eq!(rules(&format!("// {}\n", "x".repeat(98))), [(1, "comment-width")]);
        assert_eq!(rules(&format!("let a = \"{}\"; // b\n", "x".repeat(98))), []);
    }
}
