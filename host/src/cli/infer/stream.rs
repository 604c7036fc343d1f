//! `wardian infer --stream`: prints a streamed response part by part.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::value::RawValue;

use super::{output, print_error};
use crate::cli::Outcome;
use crate::cli::describe::to_printable;
use crate::cli::request::client::{Client, ResponseStream};
use crate::cli::request::inputs::Input;
use crate::model::is_unprintable;

/// Sends a streaming request and prints each part on arrival. `patience` is the timeout for each
/// part.
pub(super) async fn run(
    client: &mut Client,
    path: &str,
    body: Vec<u8>,
    json: bool,
    patience: Duration,
) -> Result<Outcome> {
    let slow = |_| anyhow!("the server did not send anything for {patience:?}");
    let opened =
        tokio::time::timeout(patience, client.post_streaming(path, body)).await.map_err(slow)??;
    let mut pieces = match opened {
        Ok(pieces) => pieces,
        Err(answer) => return print_error(&answer, json),
    };

    let mut printer = Printer { json, within_line: false };
    while let Some(event) =
        tokio::time::timeout(patience, next_event(&mut pieces)).await.map_err(slow)??
    {
        if event.contains_key("error") {
            printer.print_error(&event)?;
            return Ok(Outcome::Negative);
        }
        printer.print(&event)?;
    }

    printer.finish()?;
    Ok(Outcome::Success)
}

/// Builds the request body. A name that is no input of the model becomes a parameter.
pub(super) fn request_body(inputs: Vec<Input>) -> Result<Vec<u8>> {
    let fields: Part = inputs.into_iter().map(Input::into_field).collect();
    Ok(serde_json::to_vec(&fields)?)
}

/// The values of a part by name, as the server wrote them.
type Part = BTreeMap<String, Box<RawValue>>;

/// Returns the data of the next event, and skips comments and empty lines.
async fn next_event(pieces: &mut ResponseStream) -> Result<Option<Part>> {
    while let Some(line) = pieces.next_line().await? {
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data)
                .map(Some)
                .context("the server sent an event that is not JSON");
        }
    }
    Ok(None)
}

struct Printer {
    json: bool,
    /// A text was printed without a line break.
    within_line: bool,
}

impl Printer {
    /// Prints a part. A single text continues the line of the last one; any other part is a line of
    /// JSON.
    fn print(&mut self, event: &Part) -> Result<()> {
        match text_of(event).filter(|_| !self.json) {
            Some(text) => {
                self.within_line = true;
                output::print_text(&printable(&text))
            }
            None => {
                self.finish()?;
                output::print(&[serde_json::to_string(event)?])
            }
        }
    }

    /// Prints an error that ends the response after some parts, when the status was sent long ago.
    fn print_error(&mut self, event: &Part) -> Result<()> {
        self.finish()?;
        if self.json {
            return output::print(&[serde_json::to_string(event)?]);
        }
        let field = |key: &str| {
            to_printable(&event.get(key).and_then(|value| text(value)).unwrap_or("unknown".into()))
        };
        output::print_stderr(&format!("error: {} ({})", field("error"), field("code")));
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.within_line, false) {
            output::print(&[String::new()])
        } else {
            Ok(())
        }
    }
}

/// The text of a part whose only output is a text.
fn text_of(event: &Part) -> Option<String> {
    let head = ["model_name", "model_version", "id"];
    let mut outputs = event.iter().filter(|(key, _)| !head.contains(&key.as_str()));
    match (outputs.next(), outputs.next()) {
        (Some((_, value)), None) => text(value),
        _ => None,
    }
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Makes a model's text safe for a terminal. Line breaks stay.
fn printable(text: &str) -> String {
    text.chars().map(|char| if is_unprintable(char) && char != '\n' { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn one_text_alone_is_shown_as_text() {
        let text = |event: Value| text_of(&serde_json::from_value(event).unwrap());
        let part =
            json!({ "model_name": "a", "model_version": "1", "id": "x", "text_output": "b" });
        assert_eq!(text(part).as_deref(), Some("b"));
        for other in [json!({ "a": "b", "c": "d" }), json!({ "a": 1 }), json!({})] {
            assert_eq!(text(other.clone()), None, "{other}");
        }
        assert_eq!(printable("a\u{1b}[2J\nb"), "a [2J\nb");
    }
}
