//! `Tokenizer`: cuts texts into tokens.

use regex_lite::Regex;
use wardian_sdk::{Error, OrError};

use crate::kernel::Kernel;
use crate::node::Node;
use crate::operators::{Domain, Operator};
use crate::tensor::{ElementType, Shape, Tensor, Text, allocate};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Microsoft,
    name: "Tokenizer",
    versions: (1, 1),
    accepts: &[ElementType::Text],
    build: tokenizer,
};

/// The way in which tokens are found.
enum Cut {
    /// Each match of the expression is a token.
    Matches(Regex),
    /// Matches of the expressions, in turn, are between tokens.
    Separators(Vec<Regex>),
    /// Each character is a token.
    Characters,
}

fn tokenizer(node: &Node<'_>) -> Result<Kernel, Error> {
    let cut = Cut::read(node)?;
    if node.flag("mark", false) {
        return Err(Error::failed("the attribute \"mark\" is served as 0 only"));
    }
    let padding = Text::from(node.find_text("pad_value")?.or_failed("it has no pad_value")?);
    let least = usize::try_from(node.integer("mincharnum", 1)).or_failed("mincharnum")?;
    Ok(Kernel::new(ElementType::Text, move |arguments| {
        let input = arguments.get(0)?;
        let texts = input.values::<Text>()?;
        let tokens: Vec<_> = texts.iter().map(|text| cut.tokens(text, least)).collect();
        let width = tokens.iter().map(Vec::len).max().unwrap_or_default();

        let mut extents = input.shape().to_vec();
        extents.push(width);
        let shape = Shape::new(&extents)?;
        let mut padded = allocate(shape.elements())?;
        for tokens in tokens {
            let missing = width - tokens.len();
            padded.extend(tokens.into_iter().map(Text::from));
            padded.extend(std::iter::repeat_n(padding.clone(), missing));
        }
        Tensor::new(shape, padded)
    }))
}

impl Cut {
    fn read(node: &Node<'_>) -> Result<Self, Error> {
        let separators = node.texts("separators")?;
        match (node.find_text("tokenexp")?, &*separators) {
            (Some("."), []) => Ok(Self::Characters),
            (Some(pattern), []) => Ok(Self::Matches(expression(pattern)?)),
            (None, [only]) if only.is_empty() => Ok(Self::Characters),
            (None, [_, ..]) => {
                let expressions = separators.iter().map(|separator| expression(separator));
                Ok(Self::Separators(expressions.collect::<Result<_, _>>()?))
            }
            _ => Err(Error::failed("it needs either tokenexp or separators")),
        }
    }

    /// Returns the tokens of a text that have at least so many characters.
    fn tokens<'a>(&self, text: &'a str, least: usize) -> Vec<&'a str> {
        let mut tokens = match self {
            Self::Matches(expression) => expression.find_iter(text).map(|m| m.as_str()).collect(),
            Self::Characters => characters(text),
            Self::Separators(separators) => {
                separators.iter().fold(vec![text], |texts, separator| {
                    texts.into_iter().flat_map(|text| separator.split(text)).collect()
                })
            }
        };
        tokens.retain(|token| !token.is_empty() && token.chars().take(least).count() >= least);
        tokens
    }
}

/// Returns the characters, including line ends.
fn characters(text: &str) -> Vec<&str> {
    text.split("").filter(|character| !character.is_empty()).collect()
}

/// Compiles an expression.
///
/// # Errors
/// Failed if it is not valid, or if its matches may differ from those of other runtimes: these take
/// the longest match, and this one takes the first alternative.
fn expression(pattern: &str) -> Result<Regex, Error> {
    let is_ambiguous = ["|", "*?", "+?", "??", "}?"].iter().any(|part| pattern.contains(part));
    if is_ambiguous {
        return Err(Error::failed(format_args!(
            "the expression {pattern:?} is not served: alternatives and shortest matches are not"
        )));
    }
    Regex::new(pattern).or_failed(format_args!("the expression {pattern:?}"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Case, strings};
    use crate::tests::REGISTRY;

    fn tokenizer() -> Case {
        let case = Case::new(REGISTRY, "Tokenizer", 1).domain("com.microsoft");
        case.text("pad_value", "#").int("mark", 0).int("mincharnum", 1)
    }

    #[test]
    fn matches_are_tokens_and_rows_are_filled() {
        let case = tokenizer().text("tokenexp", "[a-zA-Z0-9_]+");
        let texts = strings(&[4], &["a b2\tc_3", "Zürich, x!", "", "   "]);
        let rows = ["a", "b2", "c_3", "Z", "rich", "x", "#", "#", "#", "#", "#", "#"];
        assert_eq!(case.output(&[texts]), strings(&[4, 3], &rows));
        let none = case.output(&[strings(&[2], &["", "!"])]);
        assert_eq!(none.shape()[..], [2, 0]);
    }

    #[test]
    fn characters_and_separators_are_tokens() {
        let case = tokenizer().text("tokenexp", ".");
        let got = case.output(&[strings(&[1, 2], &["aé", "b"])]);
        assert_eq!(got, strings(&[1, 2, 2], &["a", "é", "b", "#"]));
        let case = tokenizer().texts("separators", &[" ", "[.]"]);
        let got = case.output(&[strings(&[1], &["one two.three. "])]);
        assert_eq!(got, strings(&[1, 3], &["one", "two", "three"]));
    }

    #[test]
    fn expressions_that_may_differ_are_refused() {
        for pattern in ["a|ab", "a+?", "(", r"(?P<x>a"] {
            let text = tokenizer().text("tokenexp", pattern).error(&[strings(&[1], &["a"])]);
            assert!(text.contains("the expression"), "{text}");
        }
    }
}
