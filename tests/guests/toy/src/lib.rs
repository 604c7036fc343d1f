//! A runtime for files that end in `.toy`: a whole number, by which it multiplies. Its script is
//! patched into its `.wasm`; see `tests/guests/README.md`.

use std::hint::black_box;

use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor, artifacts};

/// 16 bytes as a marker, followed by a number to add or by `fail`, padded with spaces.
#[used]
static SCRIPT: [u8; LENGTH] = blank_script();

const LENGTH: usize = 256;
const MARKER_LENGTH: usize = 16;

const fn blank_script() -> [u8; LENGTH] {
    let marker = *b"@@SCRIPT-START@@";
    let mut script = [b' '; LENGTH];
    let mut index = 0;
    while index < MARKER_LENGTH {
        script[index] = marker[index];
        index += 1;
    }
    script
}

struct Toy {
    factor: i64,
    offset: i64,
}

impl Model for Toy {
    fn load() -> Result<Self, Error> {
        // Without the black box the compiler would use the blank script of the build.
        let script = String::from_utf8_lossy(&black_box(&SCRIPT)[MARKER_LENGTH..]).into_owned();
        if script.trim() == "fail" {
            return Err(Error::failed("this toy is broken"));
        }

        let name = artifacts::model_file()?;
        let file = String::from_utf8(artifacts::read(&name)?).or_failed(&name)?;
        let factor = file.trim().parse().or_failed(&name)?;
        wardian_sdk::info!("toy loads {name}");
        Ok(Toy { factor, offset: script.trim().parse().unwrap_or(0) })
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

wardian_sdk::export!(Toy);

wardian_sdk::runtime! {
    name: "toy",
    formats: ["toy"],
    extensions: ["toy"],
}
