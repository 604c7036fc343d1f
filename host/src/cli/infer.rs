//! `wardian infer`.

pub(super) mod client;
pub(super) mod inputs;
mod response_text;
mod stream;

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::http::StatusCode;
use clap::Args;
use serde_json::Value;

use super::offline_loader::block_on;
use super::request_args::RequestArgs;
use super::value_parsers::parse_duration;
use super::{Outcome, describe, output};
use client::HttpResponse;
use inputs::Input;

/// Options of `wardian infer`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wardian infer iris --input 'measurements=[5.1, 3.5, 1.4, 0.2]'
  wardian infer upper --input 'text=[\"hello\", \"world\"]'
  wardian infer digits --input image=@digit.json --json
  wardian infer chat --input 'text_input=\"Hello\"' --input max_tokens=50 --stream

Exit codes: 0 answered, 1 no connection or no sound answer, 2 wrong usage, 3 the server answered with an error.")]
pub(super) struct Infer {
    #[command(flatten)]
    request_args: RequestArgs,
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

        let response = block_on(async {
            let outcome = tokio::time::timeout(self.timeout, self.send(inputs, request)).await;
            outcome.unwrap_or_else(|_| {
                Err(anyhow!("the server did not answer within {:?}", self.timeout))
            })
        })?;
        self.print_response(&response)
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
                let metadata = serde_json::from_slice(&response.body)
                    .context("the model's metadata is not JSON")?;
                inputs::request_body(&inputs, &metadata)?
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

    fn print_response(&self, response: &HttpResponse) -> Result<Outcome> {
        if !response.status.is_success() {
            return print_error(response, self.json);
        }
        if self.json {
            print_raw(response)?;
        } else {
            output::print(&response_text::format_response(&response.body)?)?;
        }
        Ok(Outcome::Success)
    }
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
