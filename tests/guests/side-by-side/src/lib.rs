//! A model that takes requests side by side, of any length. Each has a word, which may cause a
//! fault, and gets the number of requests in its call.

#[path = "../../batcher/src/behaviour.rs"]
mod behaviour;

use wardian_sdk::{Batching, Error, Metadata, Model, Request, Response, Tensor};

struct SideBySide;

impl Model for SideBySide {
    fn load() -> Result<Self, Error> {
        Ok(Self)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .input::<String>("word", [1])
            .optional_input::<f64>("x", [-1])
            .output::<String>("word", [1])
            .output::<i64>("batch", [1])
            .optional_output::<f64>("sum", [1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        answer(&request, 1)
    }
}

impl Batching for SideBySide {
    fn infer_batch(&self, requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        let count = requests.len();
        let answers = requests.iter().map(|request| answer(request, count));
        let told = if requests.iter().any(|request| word(request) == Ok("few")) {
            count - 1
        } else {
            count
        };
        answers.take(told).collect()
    }
}

fn word(request: &Request) -> Result<&str, String> {
    let words =
        request.input("word").and_then(Tensor::strings).map_err(|_| "no word".to_owned())?;
    Ok(words.first().copied().unwrap_or_default())
}

fn answer(request: &Request, count: usize) -> Result<Response, Error> {
    let word = word(request).map_err(Error::rejected)?;
    match word {
        "fail" => return Err(Error::failed("a word says to fail")),
        "reject" => return Err(Error::rejected("this word is not to my taste")),
        _ => behaviour::act(word, count - 1),
    }
    let told = if word == "lie" { vec![0, 0] } else { vec![count as i64] };
    let mut response = Response::new()
        .output(Tensor::from_strings("word", [1], [word]))
        .output(Tensor::new("batch", [told.len()], told));
    if let Some(x) = request.find_input("x") {
        response = response.output(Tensor::new("sum", [1], [x.view::<f64>()?.iter().sum::<f64>()]));
    }
    let tone = request.parameter("tone").and_then(|tone| tone.as_text());
    Ok(response.parameter("tone", tone.unwrap_or("none")))
}

wardian_sdk::export!(SideBySide, batching);
