//! `wardian infer`.

mod output_file;
mod response_text;
mod stream;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use axum::http::StatusCode;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::offline_loader::block_on;
use super::request::RequestArgs;
use super::request::client::HttpResponse;
use super::request::inputs::{self, Input};
use super::value_parsers::parse_duration;
use super::{Outcome, describe, output};
use output_file::OutputFile;
use table::Table;

/// Options of `wardian infer`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wardian infer iris --input 'measurements=[5.1, 3.5, 1.4, 0.2]'
  wardian infer upper --input 'text=[\"hello\", \"world\"]'
  wardian infer digits --input image=@digit.json --json
  wardian infer house-price --table houses.csv --output prices.csv
  wardian infer chat --input 'text_input=\"Hello\"' --input max_tokens=50 --stream

Exit codes: 0 answered, 1 no connection or no sound answer, 2 wrong usage, 3 the server answered with an error.")]
pub(super) struct Infer {
    #[command(flatten)]
    request_args: RequestArgs,
    /// A table for predictions: CSV with a header, JSON records, or a NumPy array of rows (.npy),
    /// by the ending of the file's name; or, with -, CSV or JSON from standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inputs", "request", "stream"])]
    table: Option<PathBuf>,
    /// Write the outputs to a file, by its ending as CSV, JSON records or a NumPy array (.npy), and
    /// print nothing; repeatable
    #[arg(long = "output", value_name = "[NAME=]FILE", value_parser = OutputFile::parse, conflicts_with_all = ["stream", "json"])]
    outputs: Vec<OutputFile>,
    /// Request a streamed response and print each part when it arrives. A name that is no input is
    /// sent as a parameter
    #[arg(long)]
    stream: bool,
    /// Timeout for the response, or for each part of it
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    /// Print the response unchanged
    #[arg(long)]
    json: bool,
}

impl Infer {
    pub(super) fn run(self) -> Result<Outcome> {
        // Faults in the arguments are reported before anything is sent.
        let (inputs, request) = self.request_args.read()?;
        if self.stream {
            return block_on(self.stream(inputs, request));
        }

        let table = self.table.as_deref().map(table::read).transpose()?;
        if let Some(path) = output_file::same_path(&self.outputs) {
            bail!("{} is given for two outputs", path.display());
        }

        let answer = block_on(async {
            let sent = async {
                match table {
                    Some(table) => self.predict(table).await,
                    None => self.send(inputs, request).await.map(Answer::Inference),
                }
            };
            let outcome = tokio::time::timeout(self.timeout, sent).await;
            outcome.unwrap_or_else(|_| {
                Err(anyhow!("the server did not answer within {:?}", self.timeout))
            })
        })?;
        self.finish(&answer)
    }

    /// Asks for the predictions of a table.
    async fn predict(&self, table: Table) -> Result<Answer> {
        let mut client = self.request_args.connect().await?;
        let path = self.request_args.path();

        // Names and datatypes of the outputs, for the files.
        let metadata = client.get(&path).await?;
        if !metadata.status.is_success() {
            return Ok(Answer::Inference(metadata));
        }
        let metadata = parse_metadata(&metadata)?;

        let Table { body, media_type } = table;
        let response = client.post_as(&format!("{path}/predict"), media_type, body).await?;
        Ok(Answer::Predictions(response, metadata))
    }

    /// Prints or writes an answer.
    fn finish(&self, answer: &Answer) -> Result<Outcome> {
        let (Answer::Inference(response) | Answer::Predictions(response, _)) = answer;
        if self.outputs.is_empty() || !response.status.is_success() {
            return self.print_response(response, matches!(answer, Answer::Predictions(..)));
        }

        let outputs = match answer {
            Answer::Inference(response) => response_text::outputs(&response.body)?,
            Answer::Predictions(response, metadata) => {
                let Predictions { predictions } = serde_json::from_slice(&response.body)
                    .context("the server's answer has no predictions")?;
                output_file::of_predictions(&predictions, metadata)?
            }
        };
        self.outputs.iter().try_for_each(|file| file.write(&outputs))?;

        Ok(Outcome::Success)
    }

    /// Sends the request. If the request for the model's metadata fails, returns that response.
    async fn send(&self, inputs: Vec<Input>, request: Option<Vec<u8>>) -> Result<HttpResponse> {
        let mut client = self.request_args.connect().await?;

        let path = self.request_args.path();
        let body = match request {
            Some(body) => body,
            None => {
                let response = client.get(&path).await?;
                if !response.status.is_success() {
                    return Ok(response);
                }
                inputs::request_body(&inputs, &parse_metadata(&response)?)?
            }
        };
        client.post(&format!("{path}/infer"), body).await
    }

    async fn stream(&self, inputs: Vec<Input>, request: Option<Vec<u8>>) -> Result<Outcome> {
        let mut client = self.request_args.connect().await?;
        let body = request.map_or_else(|| stream::request_body(inputs), Ok)?;
        stream::run(
            &mut client,
            &format!("{}/generate_stream", self.request_args.path()),
            body,
            self.json,
            self.timeout,
        )
        .await
    }

    fn print_response(&self, response: &HttpResponse, is_raw: bool) -> Result<Outcome> {
        if !response.status.is_success() {
            return print_error(response, self.json);
        }
        if self.json || is_raw {
            print_raw(response)?;
        } else {
            output::print(&response_text::format_response(&response.body)?)?;
        }
        Ok(Outcome::Success)
    }
}

/// The server's answer.
enum Answer {
    Inference(HttpResponse),
    /// With the model's metadata.
    Predictions(HttpResponse, Value),
}

#[derive(Deserialize)]
struct Predictions<'a> {
    #[serde(borrow)]
    predictions: Vec<&'a RawValue>,
}

fn parse_metadata(response: &HttpResponse) -> Result<Value> {
    serde_json::from_slice(&response.body).context("the model's metadata is not JSON")
}

/// Prints an error response and returns the command's outcome.
pub(super) fn print_error(response: &HttpResponse, json: bool) -> Result<Outcome> {
    match json {
        true => print_raw(response)?,
        false => {
            output::print_stderr(&format!("error: {}", error_text(response)));
            if response.status == StatusCode::UNAUTHORIZED {
                output::print_stderr("hint: send a key with --header 'Authorization: Bearer KEY'");
            }
        }
    }
    Ok(Outcome::Negative)
}

/// Prints the body. A line break follows unless it holds binary tensors.
fn print_raw(response: &HttpResponse) -> Result<()> {
    output::print_bytes(&response.body)?;
    let binary = response.headers.contains_key("inference-header-content-length");
    if binary { Ok(()) } else { output::print(&[String::new()]) }
}

/// The server's error text and code, or the start of a response in another format.
fn error_text(response: &HttpResponse) -> String {
    let status = response.status.as_u16();
    let json: Value = serde_json::from_slice(&response.body).unwrap_or_default();

    match (json["error"].as_str(), json["code"].as_str()) {
        (Some(text), Some(code)) => {
            format!("{} ({code}, HTTP {status})", describe::to_printable(text))
        }
        (Some(text), None) => format!("{} (HTTP {status})", describe::to_printable(text)),
        _ => {
            let start: String = String::from_utf8_lossy(&response.body).chars().take(200).collect();
            format!("HTTP {}: {}", response.status, describe::to_printable(&start))
        }
    }
}
