//! The messages of a chat, and the prompt that they make.

use crate::api::json::{JsonError, Reader, shorten, write_string};

/// A message of a chat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    role: &'static str,
    /// Name of the participant.
    name: Option<String>,
    content: String,
}

/// The roles, and what they are for a model: developers have taken the place of the system.
const ROLES: [(&str, &str); 6] = [
    ("system", "system"),
    ("developer", "system"),
    ("user", "user"),
    ("assistant", "assistant"),
    ("tool", "tool"),
    ("function", "function"),
];

/// Reads the list of messages. Fails if there is none.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Message>, JsonError> {
    let mut messages = Vec::new();

    reader.array(|reader| {
        let index = messages.len();
        let message = read_message(reader, index)?;
        messages.push(message);
        Ok(())
    })?;

    if messages.is_empty() {
        return Err(reader.error("there is no message"));
    }

    Ok(messages)
}

fn read_message(reader: &mut Reader<'_>, index: usize) -> Result<Message, JsonError> {
    let (mut role, mut name, mut content) = (None, None, None);

    let read = reader.object(|reader, key| match &*key {
        "role" => {
            let read = at(index, "role", read_role(reader));
            read.map(|read| role = Some(read))
        }
        "content" => {
            let read = at(index, "content", read_content(reader));
            read.map(|read| content = Some(read))
        }
        "name" if !reader.null()? => {
            let read = at(index, "name", reader.string());
            read.map(|read| name = Some(read.into_owned()))
        }
        "name" => Ok(()),
        _ => reader.skip(),
    });
    read?;

    let role = role.ok_or_else(|| reader.error(format!("[{index}].role is missing")))?;
    // The answer of an assistant that called a tool may have none.
    let content = content.unwrap_or_default();

    Ok(Message { role, name, content })
}

/// Adds the place in the list to an error.
fn at<T>(index: usize, key: &str, read: Result<T, JsonError>) -> Result<T, JsonError> {
    read.map_err(|error| error.in_context(format!("[{index}].{key}")))
}

fn read_role(reader: &mut Reader<'_>) -> Result<&'static str, JsonError> {
    let role = reader.string()?;
    let known = ROLES.into_iter().find(|(known, _)| *known == role);

    known.map(|(_, role)| role).ok_or_else(|| {
        let names = ROLES.map(|(name, _)| name).join(", ");
        reader.error(format!("there is no role '{}'; roles are {names}", shorten(&role)))
    })
}

/// Reads a text, a list of parts with texts, or `null`.
fn read_content(reader: &mut Reader<'_>) -> Result<String, JsonError> {
    match reader.peek() {
        Some(b'n') if reader.null()? => Ok(String::new()),
        Some(b'[') => {
            let mut content = String::new();
            reader.array(|reader| read_part(reader, &mut content))?;
            Ok(content)
        }
        Some(b'"') => Ok(reader.string()?.into_owned()),
        other => Err(reader.expected("a text or a list of parts", other)),
    }
}

fn read_part(reader: &mut Reader<'_>, content: &mut String) -> Result<(), JsonError> {
    let mut kind = String::new();
    let mut text = None;

    reader.object(|reader, key| match &*key {
        "type" => reader.string().map(|read| kind = read.into_owned()),
        "text" | "refusal" if !reader.null()? => {
            reader.string().map(|read| text = Some(read.into_owned()))
        }
        "text" | "refusal" => Ok(()),
        _ => reader.skip(),
    })?;

    match (kind.as_str(), text) {
        ("text" | "refusal", Some(text)) => {
            content.push_str(&text);
            Ok(())
        }
        ("text" | "refusal", None) => Err(reader.error("a part has no text")),
        (other, _) => {
            let other = shorten(other);
            Err(reader.error(format!("parts are texts, and not of type '{other}'")))
        }
    }
}

/// Returns the messages as JSON, for a model that takes them so.
pub(super) fn to_json(messages: &[Message]) -> Vec<u8> {
    let mut out = vec![b'['];

    for Message { role, name, content } in messages {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"role\":");
        write_string(&mut out, role);
        if let Some(name) = name {
            out.extend_from_slice(b",\"name\":");
            write_string(&mut out, name);
        }
        out.extend_from_slice(b",\"content\":");
        write_string(&mut out, content);
        out.push(b'}');
    }
    out.push(b']');

    out
}

/// Returns the prompt for a model that continues a text: a line for each message, and the role that
/// answers.
pub(super) fn to_prompt(messages: &[Message]) -> String {
    let mut prompt = String::new();

    for Message { role, content, .. } in messages {
        prompt.extend([role, ": ", content.as_str(), "\n"]);
    }
    prompt.push_str("assistant:");

    prompt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_now(text: &str) -> Result<Vec<Message>, String> {
        read(&mut Reader::new(text.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn messages_are_lines_of_the_prompt() {
        let text = r#"[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "a", "content": [{"type": "text", "text": "to "},
                {"text": "be", "type": "text"}]},
            {"role": "assistant", "content": null, "refusal": null, "audio": null,
                "annotations": [], "tool_calls": [{"id": "x"}]}]"#;
        let messages = read_now(text).unwrap();

        assert_eq!(to_prompt(&messages), "system: be brief\nuser: to be\nassistant: \nassistant:");
        assert_eq!(
            String::from_utf8(to_json(&messages)).unwrap(),
            r#"[{"role":"system","content":"be brief"},{"role":"user","name":"a","content":"to be"},{"role":"assistant","content":""}]"#
        );
    }

    #[test]
    fn wrong_messages_are_explained() {
        for (text, says) in [
            ("null", "expected an array"),
            ("[]", "there is no message"),
            ("[1]", "expected an object"),
            (r#"[{"content": "a"}]"#, "[0].role is missing"),
            (
                r#"[{"role": "user", "content": "a"}, {"role": "banana", "content": "a"}]"#,
                "[1].role: there is no role 'banana'",
            ),
            (r#"[{"role": 1}]"#, "[0].role: expected a string"),
            (r#"[{"role": "user", "content": 1}]"#, "[0].content: expected a text"),
            (r#"[{"role": "user", "content": [1]}]"#, "[0].content: expected an object"),
            (r#"[{"role": "user", "content": [{"type": "text"}]}]"#, "a part has no text"),
            (
                r#"[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]"#,
                "not of type 'image_url'",
            ),
        ] {
            let error = read_now(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
