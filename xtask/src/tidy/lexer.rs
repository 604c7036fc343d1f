//! Separates the code of a Rust file from its comments and literals.

/// A line of a Rust file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The code, with a space in place of each character of a comment or literal.
    pub(super) code: String,
    /// The content of string literals, with a space in place of each escape.
    pub(super) literals: String,
    /// The comment that begins on this line.
    pub(super) comment: Option<Comment>,
    /// Characters of the whole line.
    pub(super) width: usize,
}

/// A comment to the end of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) kind: CommentKind,
    /// The text after the slashes, trimmed.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommentKind {
    /// `///`
    Outer,
    /// `//!`
    Inner,
    /// `//`
    Plain,
}

impl CommentKind {
    pub(super) fn is_doc(self) -> bool {
        self != CommentKind::Plain
    }
}

#[derive(Clone, Copy)]
enum State {
    Code,
    /// The depth of nested block comments.
    Block(usize),
    Text,
    /// The number of `#` around a raw string.
    RawText(usize),
}

/// Separates a file into lines.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut state = State::Code;
    text.lines().map(|line| scan_line(line, &mut state)).collect()
}

fn scan_line(text: &str, state: &mut State) -> Line {
    let characters: Vec<char> = text.chars().collect();
    let mut line = Line { width: characters.len(), ..Line::default() };
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let is_literal = matches!(state, State::Text | State::RawText(_));
        let scanned = match state {
            State::Code if rest.starts_with(&['/', '/']) => {
                line.comment = Some(comment(rest));
                break;
            }
            State::Code => scan_code(&characters, at, state),
            State::Block(_) => scan_block(rest, state),
            State::Text => scan_text(rest, state),
            State::RawText(_) => scan_raw_text(rest, state),
        };
        match scanned {
            Scanned::Code => line.code.push(characters[at]),
            Scanned::Blank(count) => {
                (0..count).for_each(|_| line.code.push(' '));
                if is_literal {
                    line.literals.push(if count == 1 { characters[at] } else { ' ' });
                }
                at += count - 1;
            }
        }
        at += 1;
    }
    line
}

/// The meaning of the next characters.
enum Scanned {
    /// One character of code.
    Code,
    /// Characters of a comment or literal.
    Blank(usize),
}

fn scan_code(characters: &[char], at: usize, state: &mut State) -> Scanned {
    let rest = &characters[at..];
    let after_name = at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_');
    match rest {
        ['/', '*', ..] => {
            *state = State::Block(1);
            Scanned::Blank(2)
        }
        ['"', ..] => {
            *state = State::Text;
            Scanned::Blank(1)
        }
        ['r', following @ ..] if !after_name || matches!(characters[at - 1], 'b' | 'c') => {
            let hashes = following.iter().take_while(|character| **character == '#').count();
            if following.get(hashes) == Some(&'"') {
                *state = State::RawText(hashes);
                Scanned::Blank(hashes + 2)
            } else {
                Scanned::Code
            }
        }
        // An escape is skipped as far as its quote; a lifetime has no second quote.
        ['\'', '\\', escaped @ ..] => {
            let end = escaped.iter().skip(1).position(|character| *character == '\'');
            Scanned::Blank(end.map_or(2, |end| end + 4))
        }
        ['\'', _, '\'', ..] => Scanned::Blank(3),
        _ => Scanned::Code,
    }
}

fn scan_block(rest: &[char], state: &mut State) -> Scanned {
    let State::Block(depth) = state else { return Scanned::Code };
    match rest {
        ['/', '*', ..] => {
            *depth += 1;
            Scanned::Blank(2)
        }
        ['*', '/', ..] => {
            *depth -= 1;
            if *depth == 0 {
                *state = State::Code;
            }
            Scanned::Blank(2)
        }
        _ => Scanned::Blank(1),
    }
}

fn scan_text(rest: &[char], state: &mut State) -> Scanned {
    match rest {
        ['\\', _, ..] => Scanned::Blank(2),
        ['"', ..] => {
            *state = State::Code;
            Scanned::Blank(1)
        }
        _ => Scanned::Blank(1),
    }
}

fn scan_raw_text(rest: &[char], state: &mut State) -> Scanned {
    let State::RawText(hashes) = *state else { return Scanned::Code };
    let closes = rest.first() == Some(&'"')
        && rest.len() > hashes
        && rest[1..=hashes].iter().all(|character| *character == '#');
    if closes {
        *state = State::Code;
        return Scanned::Blank(hashes + 1);
    }
    Scanned::Blank(1)
}

fn comment(characters: &[char]) -> Comment {
    let text: String = characters.iter().collect();
    let (kind, text) = match text.as_bytes() {
        // Four slashes are a plain comment.
        [b'/', b'/', b'/', b'/', ..] => (CommentKind::Plain, &text[2..]),
        [b'/', b'/', b'/', ..] => (CommentKind::Outer, &text[3..]),
        [b'/', b'/', b'!', ..] => (CommentKind::Inner, &text[3..]),
        _ => (CommentKind::Plain, &text[2..]),
    };
    Comment { kind, text: text.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code.trim_end().to_owned()).collect()
    }

    #[test]
    fn literals_and_comments_are_not_code() {
        assert_eq!(
            code(r#"a("b // c", 'd', '\'', "\"e") // f"#),
            ["a(        ,    ,     ,      )"]
        );
        assert_eq!(code("a /* b /* c */ d\n e */ f"), ["a", "      f"]);
        assert_eq!(code("fn a<'b>(c: &'b str)"), ["fn a<'b>(c: &'b str)"]);
        let raw = "a(r#\"b \" c\n d\"#) e";
        assert_eq!(code(raw), ["a(", "    ) e"]);
        assert_eq!(code(r"'\u{1b}' a"), ["         a"]);
        assert_eq!(code("for r in x"), ["for r in x"]);
    }

    #[test]
    fn the_content_of_literals_is_kept() {
        let literals = |text: &str| -> Vec<String> {
            lines(text).into_iter().map(|line| line.literals).collect()
        };
        assert_eq!(literals(r#"a("b\nc", 'd', "e") // "f""#), ["b c\"e\""]);
        assert_eq!(literals("r#\"a\nb\"# + c"), ["a", "b "]);
    }

    #[test]
    fn comments_have_a_kind() {
        let kinds: Vec<_> = lines("//! a\n/// b\n// c\n//// d\n\"// e\"")
            .into_iter()
            .map(|line| line.comment.map(|comment| (comment.kind, comment.text)))
            .collect();
        let of = |kind, text: &str| Some((kind, text.to_owned()));
        assert_eq!(
            kinds,
            [
                of(CommentKind::Inner, "a"),
                of(CommentKind::Outer, "b"),
                of(CommentKind::Plain, "c"),
                of(CommentKind::Plain, "// d"),
                None
            ]
        );
    }
}
