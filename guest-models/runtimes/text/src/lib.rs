//! The runtime `text`: serves networks for texts, without any capability.
//!
//! `load` reads the network, and the tokenizer and the configuration that lie beside it, as Hugging
//! Face's libraries save them. A request has texts; its answer has what the network is for:
//! embeddings, labels of texts, or labels of their parts.

mod folder;
mod heads;
mod model;
mod network;
mod tokens;

pub use folder::Folder;
pub use model::{TextModel, open};

use model_file::SavedMetadata;
use wardian_sdk::{Batching, Error, Metadata, Model, Request, Response, artifacts};

impl Model for TextModel {
    fn load() -> Result<Self, Error> {
        let network = artifacts::read(&artifacts::model_file()?)?;
        open(network, &Folder::new(&artifacts::find), &SavedMetadata::read()?)
    }

    fn metadata(&self) -> Metadata {
        self.description()
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        self.answer(&request)
    }
}

impl Batching for TextModel {
    fn infer_batch(&self, requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        self.answer_all(&requests)
    }
}

wardian_sdk::export!(TextModel, batching);

wardian_sdk::runtime! {
    name: "text",
    formats: ["onnx-text"],
    extensions: [],
}
