//! Converts text to upper case, by the rules of Unicode.

use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};

struct Upper;

impl Model for Upper {
    fn load() -> Result<Self, Error> {
        Ok(Upper)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("Text to upper case")
            .input::<String>("text", [-1])
            .output::<String>("text", [-1])
            .max_batch_size(1024)
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let texts = request.input("text")?.strings()?;
        let upper = texts.iter().map(|text| text.to_uppercase());
        Ok(Response::new().output(Tensor::from_strings("text", [texts.len()], upper)))
    }
}

wardian_sdk::export!(Upper);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<Upper>()
    }

    #[test]
    fn non_utf8_text_is_rejected() {
        let inputs = vec![Tensor::from_strings("text", [1], [[0xff_u8]])];
        let request = Request { id: String::new(), parameters: vec![], inputs, outputs: vec![] };
        assert!(matches!(Upper.infer(request), Err(Error::Rejected(_))));
    }
}
