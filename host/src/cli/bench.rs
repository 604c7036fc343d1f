//! `wardian bench`.

mod histogram;
mod load_generator;
mod summary;

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::infer::print_error;
use super::offline_loader::block_on;
use super::request::RequestArgs;
use super::request::client::HttpResponse;
use super::request::inputs::{self, Input};
use super::value_parsers::parse_duration;
use super::{Outcome, output};
use load_generator::LoadPlan;
use summary::Summary;

/// Options of `wardian bench`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wardian bench iris
  wardian bench digits --connections 64 --duration 30s
  wardian bench iris --rate 2000 --json

Without --input and --request, zeros are sent for every input.

Without --rate each connection sends its next request when it has the answer to the last. With --rate requests are
due at fixed times, and a request that had to wait for a free connection counts from when it was due.

Exit codes: 0 all answered, 1 no connection, 2 wrong usage, 3 the server answered some or all with an error.")]
pub(super) struct Bench {
    #[command(flatten)]
    request_args: RequestArgs,
    /// Connections, each with one request under way
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Duration of the measurement
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// Duration of the load before the measurement
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    warm_up: Duration,
    /// Requests due per second, over all connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<Outcome> {
        let (inputs, request) = self.request_args.read()?;

        let measured = block_on(async {
            match self.request_body(inputs, request).await? {
                Ok(body) => load_generator::run(self.load(body)).await.map(Ok),
                Err(response) => Ok(Err(response)),
            }
        })?;

        let summary = match measured {
            Ok(summary) => summary,
            Err(response) => return print_error(&response, self.json),
        };

        let seconds = self.duration.as_secs_f64();
        if self.json {
            output::print_json(&self.to_json(&summary, seconds))?;
        } else {
            let name = format!(
                "model      {} at {}, {} connections",
                self.request_args.model, self.request_args.url, self.connections
            );
            output::print(&[vec![name], summary.lines(seconds)].concat())?;
        }
        Ok(if summary.failures() == 0 { Outcome::Success } else { Outcome::Negative })
    }

    fn load(&self, body: Bytes) -> LoadPlan {
        LoadPlan {
            url: self.request_args.url.clone(),
            headers: self.request_args.headers.clone(),
            path: format!("{}/infer", self.request_args.path()),
            body,
            connections: self.connections,
            warm_up: self.warm_up,
            duration: self.duration,
            rate: self.rate,
        }
    }

    /// Returns the body of every request: the given one, or one of zeros. If the request for the
    /// model's metadata fails, returns the server's response instead.
    async fn request_body(
        &self,
        inputs: Vec<Input>,
        request: Option<Vec<u8>>,
    ) -> Result<Result<Bytes, HttpResponse>> {
        if let Some(body) = request {
            return Ok(Ok(body.into()));
        }

        let response = self.request_args.connect().await?.get(&self.request_args.path()).await?;
        if !response.status.is_success() {
            return Ok(Err(response));
        }

        let metadata =
            serde_json::from_slice(&response.body).context("the model's metadata is not JSON")?;

        let body = if inputs.is_empty() {
            serde_json::to_vec(&zero_request(&metadata))?
        } else {
            inputs::request_body(&inputs, &metadata)?
        };
        Ok(Ok(body.into()))
    }

    fn to_json(&self, summary: &Summary, seconds: f64) -> Value {
        let mut document = summary.to_json(seconds);
        document["model"] = json!(self.request_args.model.as_str());
        document["connections"] = json!(self.connections);
        document["rate"] = json!(self.rate);
        document
    }
}

/// Builds a request with a zero or an empty text for every element. A dimension of any size gets
/// one element.
fn zero_request(metadata: &Value) -> Value {
    let specs = metadata["inputs"].as_array().map_or(&[][..], Vec::as_slice);
    let tensor = |spec: &Value| {
        let dimensions = spec["shape"].as_array().into_iter().flatten();
        let shape: Vec<u64> =
            dimensions.map(|size| size.as_i64().map_or(1, |size| size.max(1) as u64)).collect();
        let element = match spec["datatype"].as_str() {
            Some("BYTES") => json!(""),
            Some("BOOL") => json!(false),
            _ => json!(0),
        };
        let data = vec![element; shape.iter().product::<u64>() as usize];
        json!({ "name": spec["name"], "datatype": spec["datatype"], "shape": shape, "data": data })
    };

    json!({ "inputs": specs.iter().map(tensor).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_fit_the_metadata() {
        let metadata = json!({"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "t", "datatype": "BYTES", "shape": [1]},
        ]});
        assert_eq!(
            zero_request(&metadata),
            json!({"inputs": [
                {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0, 0]},
                {"name": "t", "datatype": "BYTES", "shape": [1], "data": [""]},
            ]})
        );
    }
}
