//! Handwritten digits, by a network so wide that reading its weights is most of the work. The host
//! multiplies the matrices; a batch reads the weights once, which makes an item cheaper.

mod dense;
mod network;

use network::Network;
use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor, artifacts};

const PIXELS: usize = 64;
const DIGITS: usize = 10;

struct DigitsWide {
    network: Network,
}

impl Model for DigitsWide {
    fn load() -> Result<Self, Error> {
        let network = Network::parse(&artifacts::read("weights.bin")?)
            .or_failed("weights.bin is cut short")?;
        if (network.inputs(), network.outputs()) != (PIXELS, DIGITS) {
            return Err(Error::failed("weights.bin holds a network for something else"));
        }
        Ok(Self { network })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("The digit in an image of 8 by 8 pixels")
            .input::<f32>("image", [-1, PIXELS as i64])
            .output::<i64>("digit", [-1])
            .output::<f32>("probabilities", [-1, DIGITS as i64])
            .max_batch_size(64)
            .property("pixels", "row by row; 0 is paper, 16 the darkest ink")
            .property("framework", "scikit-learn 1.9.1 MLPClassifier")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let images = request.input("image")?.view::<f32>()?.to_vec();
        let count = images.len() / PIXELS;
        let probabilities = self.network.probabilities(&images)?;
        let digits = probabilities.chunks_exact(DIGITS).map(likeliest);
        Ok(Response::new().output(Tensor::new("digit", [count], digits)).output(Tensor::new(
            "probabilities",
            [count, DIGITS],
            probabilities.iter().copied(),
        )))
    }
}

fn likeliest(probabilities: &[f32]) -> i64 {
    let digits = (0..).zip(probabilities);
    digits.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(digit, _)| digit)
}

wardian_sdk::export!(DigitsWide);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<DigitsWide>()
    }

    #[test]
    fn a_truncated_file_is_refused() -> Result<(), Error> {
        let file = artifacts::read("weights.bin")?;
        assert!(Network::parse(&file).is_some());
        for length in [0, 3, 7, 100, file.len() - 1] {
            assert!(Network::parse(&file[..length]).is_none(), "{length} bytes");
        }
        Ok(())
    }
}
