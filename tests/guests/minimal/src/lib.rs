//! The smallest model: doubles numbers.
use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};

struct Double;

impl Model for Double {
    fn load() -> Result<Self, Error> {
        Ok(Double)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new().input::<f32>("x", [-1]).output::<f32>("y", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let x = request.input("x")?.view::<f32>()?;
        let y = x.iter().map(|value| value * 2.0);
        Ok(Response::new().output(Tensor::new("y", [x.len()], y)))
    }
}

wardian_sdk::export!(Double);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<Double>()
    }
}
