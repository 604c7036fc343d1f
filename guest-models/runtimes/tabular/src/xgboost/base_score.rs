//! The sums that every row starts with.

use serde::Deserialize;
use wardian_sdk::{Error, OrError};

use super::document::shown;

/// A text is one number in files before 3.1, and an array of them since.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(f64),
    Each(Vec<f64>),
}

/// Reads `base_score`: a number for each output.
///
/// # Errors
/// Failed if the text is not of numbers, or of another number of them.
pub(super) fn read(text: &str, outputs: usize) -> Result<Vec<f32>, Error> {
    let plain = text.trim().replace('(', "[").replace(')', "]");
    let written = serde_json::from_str(&plain).or_failed(format_args!(
        "base_score {} is neither a number nor an array of them",
        shown(text)
    ))?;
    let scores = match written {
        Written::One(score) => vec![score as f32; outputs],
        Written::Each(scores) if scores.len() == 1 => {
            scores.iter().cycle().take(outputs).map(|score| *score as f32).collect()
        }
        Written::Each(scores) => scores.into_iter().map(|score| score as f32).collect::<Vec<_>>(),
    };
    if scores.len() != outputs {
        let found = scores.len();
        let text = format!("base_score has {found} numbers for a model of {outputs} outputs");
        return Err(Error::failed(text));
    }
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(Error::failed(format_args!("base_score {} is not finite", shown(text))));
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn one_number_is_for_all_outputs() {
        assert_eq!(read("2E-1", 3).ok(), Some(vec![0.2; 3]));
        assert_eq!(read("[5E-1]", 2).ok(), Some(vec![0.5; 2]));
        assert_eq!(read(" (1, -2.5) ", 2).ok(), Some(vec![1.0, -2.5]));
        assert_eq!(read("0.500000", 1).ok(), Some(vec![0.5]));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "x", "[1,2]", "[]", "[1", "1e300", "NaN", "{}", "\"1\""] {
            assert!(read(text, 3).is_err(), "{text}");
        }
    }
}
