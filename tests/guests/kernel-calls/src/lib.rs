//! A model that calls the kernels of the host, see `tests/guests/README.md`.

mod hostile;
mod right;
mod steady;

use wardian_sdk::kernels::PackedMatrix;
use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};

struct KernelCalls {
    /// Packed by `load`, and so part of the snapshot.
    weights: PackedMatrix,
}

impl Model for KernelCalls {
    fn load() -> Result<Self, Error> {
        Ok(KernelCalls { weights: right::weights()? })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new().input::<String>("steps", [-1]).output::<String>("results", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let steps = request.input("steps")?.strings()?;
        let results: Vec<String> = steps.iter().map(|step| self.take(step)).collect();
        Ok(Response::new().output(Tensor::from_strings("results", [results.len()], results)))
    }
}

impl KernelCalls {
    fn take(&self, step: &str) -> String {
        let (word, argument) = step.split_once(' ').unwrap_or((step, ""));
        match word {
            "matmul" => right::matmul(&self.weights),
            "integer-matmul" => right::integer_matmul(),
            "conv2d" => right::conv2d(),
            "softmax" => right::softmax(),
            "many" => steady::many(argument.parse().unwrap_or(0)),
            "endless" => steady::endless(),
            "straight" => steady::straight(),
            _ => hostile::take(word),
        }
    }
}

wardian_sdk::export!(KernelCalls);
