//! A runtime for files that end in `.factor`: a whole number, by which it multiplies. Its script is
//! patched into its `.wasm`; see `tests/guests/README.md`.

use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor, artifacts};

/// A number to add, or `fail`.
#[used]
static SCRIPT: [u8; 256] = guest_script::blank();

struct Multiplier {
    factor: i64,
    offset: i64,
}

impl Model for Multiplier {
    fn load() -> Result<Self, Error> {
        let script = guest_script::read(&SCRIPT);
        if script == "fail" {
            return Err(Error::failed("this multiplier is broken"));
        }

        let name = artifacts::model_file()?;
        let file = String::from_utf8(artifacts::read(&name)?).or_failed(&name)?;
        let factor = file.trim().parse().or_failed(&name)?;
        wardian_sdk::info!("multiplier loads {name}");

        Ok(Multiplier { factor, offset: script.parse().unwrap_or(0) })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new().input::<i64>("x", [-1]).output::<i64>("y", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let x = request.input("x")?.view::<i64>()?;
        let y = x.iter().map(|value| value * self.factor + self.offset);
        Ok(Response::new().output(Tensor::new("y", [x.len()], y)))
    }
}

wardian_sdk::export!(Multiplier);

wardian_sdk::runtime! {
    name: "multiplier",
    formats: ["factor"],
    extensions: ["factor"],
}
