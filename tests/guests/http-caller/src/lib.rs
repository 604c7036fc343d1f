//! A model that sends the HTTP requests of its input, see `tests/guests/README.md`.

mod call;

use wardian_sdk::{Error, Metadata, Model, ParameterValue, Request, Response, Tensor, config};

use call::{Answer, Ask, How};

struct HttpCaller {
    /// The configured word at load time.
    word: String,
}

impl Model for HttpCaller {
    fn load() -> Result<Self, Error> {
        if let Some(text) = config::get("ask_in_load")? {
            let ask = Ask::parse(&text).ok_or_else(|| Error::failed("not an ask"))?;
            call::send(&ask, &How::default()).map_err(Error::failed)?;
        }
        Ok(HttpCaller { word: configured_word()? })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .input::<String>("asks", [-1])
            .output::<i32>("status", [-1])
            .output::<String>("text", [-1])
            .output::<i64>("length", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let how = how(&request);
        let follow = request.parameter("follow").and_then(ParameterValue::as_boolean) == Some(true);
        let mut answers = Vec::new();
        for text in request.input("asks")?.strings()? {
            // The host's warm-up sends empty texts.
            let Some(ask) = Ask::parse(text) else { continue };
            let answer = call::send(&ask, &how).unwrap_or_else(Answer::failed);
            let next = answer.location.as_deref().and_then(Ask::get);
            answers.push(answer);
            if let (true, Some(next)) = (follow, next) {
                answers.push(call::send(&next, &how).unwrap_or_else(Answer::failed));
            }
        }
        let words = [("word", configured_word()?), ("word_in_load", self.word.clone())];
        Ok(words
            .into_iter()
            .fold(response(&answers), |response, (name, word)| response.parameter(name, word)))
    }
}

fn configured_word() -> Result<String, Error> {
    Ok(config::get("word")?.unwrap_or_default())
}

fn how(request: &Request) -> How {
    let integer = |name| request.parameter(name).and_then(ParameterValue::as_integer);
    let header = request
        .parameter("header")
        .and_then(ParameterValue::as_text)
        .and_then(|text| text.split_once(": "));
    How {
        header: header.map(|(name, value)| (name.to_owned(), value.to_owned())),
        body: integer("body").map(|bytes| bytes as usize),
        keep: request.parameter("keep").and_then(ParameterValue::as_boolean) == Some(true),
        patience_ms: integer("patience_ms").map(|milliseconds| milliseconds as u64),
    }
}

fn response(answers: &[Answer]) -> Response {
    let count = answers.len();
    let texts = answers.iter().map(|answer| answer.text.chars().take(1000).collect::<String>());
    Response::new()
        .output(Tensor::new(
            "status",
            [count],
            answers.iter().map(|answer| i32::from(answer.status)),
        ))
        .output(Tensor::from_strings("text", [count], texts))
        .output(Tensor::new(
            "length",
            [count],
            answers.iter().map(|answer| answer.text.len() as i64),
        ))
}

wardian_sdk::export!(HttpCaller);
