//! The request of `infer` and `bench`: their common arguments, its inputs, and the HTTP client that
//! sends it.

pub(super) mod client;
pub(super) mod inputs;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use axum::http::Uri;
use clap::Args;

use super::value_parsers::{parse_model_name, parse_version};
use crate::model::{ModelName, Version};
use client::{Client, Header, parse_header, parse_url};
use inputs::{Input, InputArg};

/// The arguments of a request.
#[derive(Args)]
pub(super) struct RequestArgs {
    /// The model
    #[arg(value_name = "MODEL", value_parser = parse_model_name)]
    pub(super) model: ModelName,
    /// The server
    #[arg(long, value_name = "URL", env = "WARDIAN_URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub(super) url: Uri,
    /// The version of the model [default: the newest that serves]
    #[arg(long, value_name = "N", value_parser = parse_version)]
    version: Option<Version>,
    /// An input tensor as nested JSON arrays, or @ and a file with them; repeatable. The datatype
    /// is the model's, the shape is that of the nesting
    #[arg(long = "input", value_name = "NAME=JSON", value_parser = InputArg::parse, conflicts_with = "request")]
    inputs: Vec<InputArg>,
    /// A whole request body as the protocol has it, from a file or, with -, from standard input
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// A header to send, such as 'Authorization: Bearer …'; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(super) headers: Vec<Header>,
}

impl RequestArgs {
    /// Reads the inputs and the request body from their files.
    pub(super) fn read(&self) -> Result<(Vec<Input>, Option<Vec<u8>>)> {
        let inputs = self.inputs.iter().map(InputArg::read).collect::<Result<Vec<_>>>()?;
        Ok((inputs, self.request.as_deref().map(read_body).transpose()?))
    }

    /// Connects to the server.
    pub(super) async fn connect(&self) -> Result<Client> {
        Client::connect(&self.url, self.headers.clone()).await
    }

    /// The path of the model or version on the server.
    pub(super) fn path(&self) -> String {
        let version =
            self.version.map(|version| format!("/versions/{version}")).unwrap_or_default();
        format!("/v2/models/{}{version}", self.model)
    }
}

fn read_body(file: &Path) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    match file.to_str() {
        Some("-") => {
            std::io::stdin().read_to_end(&mut body).context("cannot read standard input")?
        }
        _ => std::fs::File::open(file)
            .and_then(|mut file| file.read_to_end(&mut body))
            .with_context(|| format!("cannot read {}", file.display()))?,
    };

    if body.is_empty() {
        bail!("the request in {} is empty", file.display());
    }
    Ok(body)
}
