//! Fields of OpenAI's API that cannot be honoured. They are accepted with their default.

use serde_json::Value;

use crate::api::json::{JsonError, Reader};

/// A field, the JSON of its accepted values besides `null`, and why there are no others.
type Refused = (&'static str, &'static [&'static str], &'static str);

const REFUSED: [Refused; 12] = [
    ("audio", &[], "answers are texts"),
    ("best_of", &["1"], "one answer is given"),
    ("echo", &["false"], "the prompt is not repeated"),
    ("function_call", &[r#""none""#, r#""auto""#], "no function is called"),
    ("logit_bias", &["{}"], "only the model knows its tokens"),
    ("logprobs", &["false"], "the probabilities of tokens are not known"),
    ("modalities", &[r#"["text"]"#], "answers are texts"),
    ("n", &["1"], "one answer is given"),
    ("response_format", &[r#"{"type": "text"}"#], "answers are plain texts"),
    ("suffix", &[r#""""#], "texts are continued at their end"),
    ("tool_choice", &[r#""none""#, r#""auto""#], "no tool is called"),
    ("top_logprobs", &["0"], "the probabilities of tokens are not known"),
];

/// Length of the longest value that is compared, in bytes.
const MAX_DEFAULT: usize = 64;

/// Reads a field that cannot be honoured. Returns false for every other field. Fails unless the
/// value is an accepted one.
pub(super) fn read(reader: &mut Reader<'_>, name: &str) -> Result<bool, JsonError> {
    let Some((_, accepted, why)) = REFUSED.into_iter().find(|(field, ..)| *field == name) else {
        return Ok(false);
    };

    let raw = reader.raw()?;
    if raw == "null" || accepted.iter().any(|accepted| is_equal(raw, accepted)) {
        return Ok(true);
    }

    let advice = accepted.first().map(|value| format!(", or give {value}")).unwrap_or_default();
    Err(reader.error(format!("{why}; leave the field out{advice}")))
}

fn is_equal(raw: &str, accepted: &str) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).ok();
    raw.len() <= MAX_DEFAULT && parse(raw).is_some_and(|value| parse(accepted) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_now(name: &str, value: &str) -> Result<bool, String> {
        let mut reader = Reader::new(value.as_bytes()).unwrap();
        read(&mut reader, name).map_err(|error| error.to_string())
    }

    #[test]
    fn only_defaults_are_accepted() {
        for (name, defaults, _) in REFUSED {
            assert_eq!(read_now(name, "null"), Ok(true), "{name}");
            for value in defaults {
                assert_eq!(read_now(name, &format!(" {value} ")), Ok(true), "{name} {value}");
            }
            for value in ["7", "true", r#""required""#, r#"{"type":"json_object"}"#, "[1]"] {
                assert!(read_now(name, value).is_err(), "{name} {value}");
            }
        }
        assert_eq!(read_now("response_format", "{\"type\":\n\"text\"}"), Ok(true));
        assert_eq!(read_now("temperature", "7"), Ok(false));
        assert!(read_now("n", "2").unwrap_err().starts_with("one answer is given; leave"));
    }
}
