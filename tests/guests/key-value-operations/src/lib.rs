//! A model that performs key-value operations, see `tests/guests/README.md`.

// Native targets have no host.
#![cfg(target_arch = "wasm32")]

mod operation;

use wardian_sdk::{Error, Lifecycle, Metadata, Model, Request, Response, Tensor, config};

struct KeyValueOperations;

impl Model for KeyValueOperations {
    fn load() -> Result<Self, Error> {
        do_as_configured("in_load")?;
        Ok(KeyValueOperations)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new().input::<String>("do", [-1]).output::<String>("said", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let operations = request.input("do")?.strings()?;
        // The host's warm-up sends empty texts.
        let said = operations
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| said(operation::perform(text)));
        let said: Vec<_> = said.collect();
        Ok(Response::new().output(Tensor::from_strings("said", [said.len()], &said)))
    }
}

impl Lifecycle for KeyValueOperations {
    fn warm_up(&self) -> Result<(), Error> {
        do_as_configured("in_warm_up")
    }
}

fn do_as_configured(key: &str) -> Result<(), Error> {
    match config::get(key)? {
        Some(text) => operation::perform(&text).map(drop).map_err(Error::failed),
        None => Ok(()),
    }
}

fn said(outcome: Result<String, String>) -> String {
    outcome.unwrap_or_else(|refused| refused)
}

wardian_sdk::export!(KeyValueOperations, lifecycle);
