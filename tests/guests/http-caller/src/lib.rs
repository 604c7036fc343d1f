//! A model that sends the HTTP requests of its input, see `tests/guests/README.md`.

mod outgoing_request;

use wardian_sdk::{Error, Metadata, Model, ParameterValue, Request, Response, Tensor, config};

use outgoing_request::{HttpResponse, SendOptions, Target};

struct HttpCaller {
    /// The configured word at load time.
    word: String,
}

impl Model for HttpCaller {
    fn load() -> Result<Self, Error> {
        if let Some(text) = config::get("ask_in_load")? {
            let target = Target::parse(&text).ok_or_else(|| Error::failed("not a target"))?;
            outgoing_request::send(&target, &SendOptions::default()).map_err(Error::failed)?;
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
        let options = send_options(&request);
        let follow = request.parameter("follow").and_then(ParameterValue::as_boolean) == Some(true);
        let mut responses = Vec::new();
        for text in request.input("asks")?.strings()? {
            // The host's warm-up sends empty texts.
            let Some(target) = Target::parse(text) else { continue };
            let response =
                outgoing_request::send(&target, &options).unwrap_or_else(HttpResponse::failed);
            let next = response.location.as_deref().and_then(Target::get);
            responses.push(response);
            if let (true, Some(next)) = (follow, next) {
                responses.push(
                    outgoing_request::send(&next, &options).unwrap_or_else(HttpResponse::failed),
                );
            }
        }
        let words = [("word", configured_word()?), ("word_in_load", self.word.clone())];
        Ok(words
            .into_iter()
            .fold(to_response(&responses), |response, (name, word)| response.parameter(name, word)))
    }
}

fn configured_word() -> Result<String, Error> {
    Ok(config::get("word")?.unwrap_or_default())
}

fn send_options(request: &Request) -> SendOptions {
    let integer = |name| request.parameter(name).and_then(ParameterValue::as_integer);
    let header = request
        .parameter("header")
        .and_then(ParameterValue::as_text)
        .and_then(|text| text.split_once(": "));
    SendOptions {
        header: header.map(|(name, value)| (name.to_owned(), value.to_owned())),
        body: integer("body").map(|bytes| bytes as usize),
        leak_response: request.parameter("keep").and_then(ParameterValue::as_boolean) == Some(true),
        timeout_ms: integer("patience_ms").map(|milliseconds| milliseconds as u64),
    }
}

fn to_response(responses: &[HttpResponse]) -> Response {
    let count = responses.len();
    let texts =
        responses.iter().map(|response| response.text.chars().take(1000).collect::<String>());
    Response::new()
        .output(Tensor::new(
            "status",
            [count],
            responses.iter().map(|response| i32::from(response.status)),
        ))
        .output(Tensor::from_strings("text", [count], texts))
        .output(Tensor::new(
            "length",
            [count],
            responses.iter().map(|response| response.text.len() as i64),
        ))
}

wardian_sdk::export!(HttpCaller);
