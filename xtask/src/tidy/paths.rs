//! The paths that a Rust file names: in `use` declarations and in code.

use super::lexer::Line;

/// A path such as `crate::model::Version`, with at least two segments unless it is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedPath {
    pub(super) segments: Vec<String>,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) usage: Usage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// Named in code.
    Code,
    /// Imported under this name.
    Import { name: String, exported: bool },
    /// All of its items are imported.
    Glob { exported: bool },
}

/// A name or a sign, with its line.
type Token = (String, usize);

/// Finds the paths of a file.
pub(super) fn find(lines: &[Line]) -> Vec<NamedPath> {
    let tokens = tokens(lines);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].0 == "use" {
            let exported = is_exported(&tokens[..at]);
            at = read_use(&tokens, at + 1, &[], exported, &mut paths);
        } else if is_name(&tokens[at].0) {
            at = read_path(&tokens, at, &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

fn tokens(lines: &[Line]) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let mut name = String::new();
        for character in line.code.chars().chain([' ']) {
            if character.is_alphanumeric() || character == '_' {
                name.push(character);
                continue;
            }
            if !name.is_empty() {
                tokens.push((std::mem::take(&mut name), number));
            }
            let joins = character == ':'
                && matches!(tokens.last(), Some((last, line)) if last == ":" && *line == number);
            if joins {
                tokens.pop();
                tokens.push(("::".into(), number));
            } else if !character.is_whitespace() {
                tokens.push((character.into(), number));
            }
        }
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|character: char| character.is_alphabetic() || character == '_')
}

/// True if `pub` stands before a `use`, alone or with a scope in parentheses.
fn is_exported(before: &[Token]) -> bool {
    let start =
        before.iter().rposition(|(token, _)| matches!(token.as_str(), ";" | "}" | "{" | "]"));
    before[start.map_or(0, |start| start + 1)..].iter().any(|(token, _)| token == "pub")
}

/// Reads one branch of a `use` tree, and returns the place behind it.
fn read_use(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    exported: bool,
    paths: &mut Vec<NamedPath>,
) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |(_, line)| *line);
    while let Some((token, _)) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|(token, _)| token != "}") {
                    at = read_use(tokens, at, &segments, exported, paths);
                    if tokens.get(at).is_some_and(|(token, _)| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "*" => {
                paths.push(NamedPath { segments, line, usage: Usage::Glob { exported } });
                return at + 1;
            }
            "as" => {
                let name = tokens.get(at + 1).map(|(name, _)| name.clone()).unwrap_or_default();
                push_import(segments, name, line, exported, paths);
                return at + 2;
            }
            token if is_name(token) => {
                segments.push(token.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    let name = segments.last().cloned().unwrap_or_default();
    push_import(segments, name, line, exported, paths);
    at
}

fn push_import(
    mut segments: Vec<String>,
    mut name: String,
    line: usize,
    exported: bool,
    paths: &mut Vec<NamedPath>,
) {
    // `a::{self}` imports `a`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
        if name == "self" {
            name = segments.last().cloned().unwrap_or_default();
        }
    }
    if !segments.is_empty() {
        paths.push(NamedPath { segments, line, usage: Usage::Import { name, exported } });
    }
}

/// Reads a path in code, if more than one name belongs to it, and returns the place behind it.
fn read_path(tokens: &[Token], start: usize, paths: &mut Vec<NamedPath>) -> usize {
    let mut segments = vec![tokens[start].0.clone()];
    let mut at = start + 1;
    while let [(separator, _), (name, _), ..] = &tokens[at..]
        && separator == "::"
        && is_name(name)
    {
        segments.push(name.clone());
        at += 2;
    }
    let continues = start > 0 && matches!(tokens[start - 1].0.as_str(), "." | "::");
    if segments.len() > 1 && !continues {
        paths.push(NamedPath { segments, line: tokens[start].1, usage: Usage::Code });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::lexer;

    fn shown(text: &str) -> Vec<String> {
        let show = |path: NamedPath| {
            let usage = match path.usage {
                Usage::Code => String::new(),
                Usage::Import { name, exported } => {
                    format!(" as {}{name}", if exported { "pub " } else { "" })
                }
                Usage::Glob { .. } => " glob".into(),
            };
            format!("{}{usage}", path.segments.join("::"))
        };
        find(&lexer::lines(text)).into_iter().map(show).collect()
    }

    #[test]
    fn a_use_tree_is_taken_apart() {
        let text = "use a::{self, b::{C, D as E}, f::*};\npub(crate) use crate::g;\n";
        assert_eq!(
            shown(text),
            ["a as a", "a::b::C as C", "a::b::D as E", "a::f glob", "crate::g as pub g"]
        );
    }

    #[test]
    fn paths_in_code_have_two_names_or_more() {
        let text = "fn a(b: c::D) -> e { self.f(); g::<H>(); super::i::j(); x.y::<z>() }";
        assert_eq!(shown(text), ["c::D", "super::i::j"]);
        assert_eq!(shown("// a::b\n\"c::d\""), [""; 0]);
    }
}
