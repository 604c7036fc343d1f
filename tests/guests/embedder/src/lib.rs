//! A model that embeds texts: a vector of the length 1 for each, of the numbers of its vowels, its
//! other letters and its other characters.
use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};

struct Embedder;

/// Tokens of each text, which are characters. Only a caller who asks for them by name gets them.
const TOKENS: &str = "prompt_tokens";

impl Model for Embedder {
    fn load() -> Result<Self, Error> {
        Ok(Embedder)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .input::<String>("text", [-1])
            .output::<f32>("embedding", [-1, 3])
            .optional_output::<i64>(TOKENS, [-1])
            .property("normalized", true)
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let texts = request.input("text")?.strings()?;
        let vectors = texts.iter().flat_map(|text| embed(text));
        let embedding = Tensor::new("embedding", [texts.len(), 3], vectors);
        let response = Response::new().output(embedding);

        if !request.outputs.iter().any(|name| name == TOKENS) {
            return Ok(response);
        }
        let tokens = texts.iter().map(|text| text.chars().count() as i64);
        Ok(response.output(Tensor::new(TOKENS, [texts.len()], tokens)))
    }
}

fn embed(text: &str) -> [f32; 3] {
    let mut counts = [0.0f32; 3];
    for character in text.chars() {
        let kind = match character {
            'a' | 'e' | 'i' | 'o' | 'u' => 0,
            letter if letter.is_alphabetic() => 1,
            _ => 2,
        };
        counts[kind] += 1.0;
    }
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
    counts.map(|count| count / length.max(f32::MIN_POSITIVE))
}

wardian_sdk::export!(Embedder);
