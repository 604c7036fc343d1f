//! `StringNormalizer`: changes the case of letters, and removes stop words.

use std::collections::BTreeSet;

use wardian_sdk::Error;

use crate::kernel::Kernel;
use crate::node::Node;
use crate::operators::{Domain, Operator};
use crate::tensor::{ElementType, Shape, Tensor, Text};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Onnx,
    name: "StringNormalizer",
    versions: (10, Domain::NEWEST),
    accepts: &[ElementType::Text],
    build: string_normalizer,
};

/// The change of letters.
#[derive(Clone, Copy)]
enum Case {
    Kept,
    Lower,
    Upper,
}

fn string_normalizer(node: &Node<'_>) -> Result<Kernel, Error> {
    let case = match node.text("case_change_action", "NONE")? {
        "NONE" => Case::Kept,
        "LOWER" => Case::Lower,
        "UPPER" => Case::Upper,
        other => {
            return Err(Error::failed(format_args!("the case_change_action {other:?} is unknown")));
        }
    };
    // The locale makes no difference: the letters of all languages are changed.
    node.find_text("locale")?;
    let is_case_sensitive = node.flag("is_case_sensitive", false);
    let compared = if is_case_sensitive { Case::Kept } else { Case::Lower };
    let stopwords = node.texts("stopwords")?;
    let stopwords: BTreeSet<Text> = stopwords.iter().map(|word| compared.apply(word)).collect();

    Ok(Kernel::new(ElementType::Text, move |arguments| {
        let input = arguments.get(0)?;
        let kept = input.values::<Text>()?.iter();
        let kept =
            kept.filter(|text| stopwords.is_empty() || !stopwords.contains(&compared.apply(text)));
        let mut texts: Vec<_> = kept.map(|text| case.apply(text)).collect();
        if texts.is_empty() {
            texts.push(Text::from(""));
        }
        let shape = match **input.shape() {
            [_] => Shape::new(&[texts.len()])?,
            [1, _] => Shape::new(&[1, texts.len()])?,
            ref other => {
                let text = format!("texts of shape {other:?} where [n] or [1, n] belongs");
                return Err(Error::rejected(text));
            }
        };
        Tensor::new(shape, texts)
    }))
}

impl Case {
    fn apply(self, text: &Text) -> Text {
        match self {
            Self::Kept => text.clone(),
            Self::Lower => text.to_lowercase().into(),
            Self::Upper => text.to_uppercase().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Case, strings};
    use crate::tests::REGISTRY;

    fn normalizer() -> Case {
        Case::new(REGISTRY, "StringNormalizer", 10)
    }

    #[test]
    fn letters_of_all_languages_change_their_case() {
        let case = normalizer().text("case_change_action", "LOWER");
        let got = case.output(&[strings(&[1, 3], &["ÄÖ", "ΟΔΟΣ", ""])]);
        assert_eq!(got, strings(&[1, 3], &["äö", "οδος", ""]));
        let case = normalizer().text("case_change_action", "UPPER");
        assert_eq!(case.output(&[strings(&[1], &["ß"])]), strings(&[1], &["SS"]));
    }

    #[test]
    fn stop_words_are_left_out() {
        let words = || [strings(&[3], &["The", "cat", "the"])];
        let case = |sensitive| {
            normalizer().texts("stopwords", &["the"]).int("is_case_sensitive", sensitive)
        };
        assert_eq!(case(0).output(&words()), strings(&[1], &["cat"]));
        assert_eq!(case(1).output(&words()), strings(&[2], &["The", "cat"]));
        assert_eq!(case(0).output(&[strings(&[1, 1], &["THE"])]), strings(&[1, 1], &[""]));
    }
}
