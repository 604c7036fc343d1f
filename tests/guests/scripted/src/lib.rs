//! A model whose script is patched into its `.wasm`; see `script.rs`, and `tests/guests/README.md`
//! for the words.

mod answer;
mod behaviour;
mod metadata;
mod script;

use std::sync::atomic::{AtomicU64, Ordering};

use script::Script;
use wardian_sdk::{Error, Lifecycle, Metadata, Model, Request, Response};

struct Scripted {
    script: Script,
    /// Kept so that a test can measure it.
    ballast: Vec<u8>,
    calls: AtomicU64,
}

impl Model for Scripted {
    fn load() -> Result<Self, Error> {
        let script = Script::read();
        wardian_sdk::info!("scripted loads version {}", script.version());
        behaviour::act(script.word("load"))?;
        let ballast = behaviour::fill(script.number("ballast").unwrap_or(0) << 20);
        Ok(Self { script, ballast, calls: AtomicU64::new(0) })
    }

    fn metadata(&self) -> Metadata {
        metadata::describe(&self.script)
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let asked = request.parameter("behave").and_then(|value| value.as_text());
        let word = asked.unwrap_or(self.script.word("infer"));
        behaviour::act(word)?;
        let honest = answer::honest(&request, self.script.version(), calls, self.ballast.len())?;
        Ok(answer::distort(honest, word))
    }
}

impl Lifecycle for Scripted {
    fn warm_up(&self) -> Result<(), Error> {
        behaviour::act(self.script.word("warm"))
    }

    fn unload(&self) {
        wardian_sdk::info!("scripted unloads version {}", self.script.version());
        // `unload` cannot return an error.
        let _ = behaviour::act(self.script.word("unload"));
    }
}

wardian_sdk::export!(Scripted, lifecycle);
