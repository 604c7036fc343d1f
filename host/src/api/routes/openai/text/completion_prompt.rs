//! The prompt of a completion.

use crate::api::json::{JsonError, Reader};

/// Reads a text, or a list of one text.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<String, JsonError> {
    let mut prompts = Vec::new();

    let mut push = |reader: &mut Reader<'_>| {
        if matches!(reader.peek(), Some(b'0'..=b'9' | b'-' | b'[')) {
            let text = "a text is wanted; numbers of tokens are not read, because only the model \
                        knows its tokens";
            return Err(reader.error(text));
        }
        if !prompts.is_empty() {
            return Err(reader.error("one prompt is answered in a request"));
        }
        prompts.push(reader.string()?.into_owned());
        Ok(())
    };

    match reader.peek() {
        Some(b'[') => reader.array(push)?,
        _ => push(reader)?,
    }

    prompts.pop().ok_or_else(|| reader.error("the list has no prompt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_now(text: &str) -> Result<String, String> {
        read(&mut Reader::new(text.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_is_one_text() {
        assert_eq!(read_now(r#""a""#), Ok("a".into()));
        assert_eq!(read_now(r#"["a"]"#), Ok("a".into()));

        for (text, says) in [
            (r#"["a", "b"]"#, "one prompt"),
            ("[]", "no prompt"),
            ("[1, 2]", "a text is wanted"),
            ("[[1, 2]]", "a text is wanted"),
            ("null", "expected a string"),
            ("{}", "expected a string"),
        ] {
            let error = read_now(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
