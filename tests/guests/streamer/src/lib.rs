//! A model that streams valid and invalid parts; see `tests/guests/README.md`.

use std::time::{Duration, Instant};

use wardian_sdk::stream::{EmitError, emit};
use wardian_sdk::{Datatype, Error, Metadata, Model, Request, Response, Streaming, Tensor};

struct Streamer;

impl Model for Streamer {
    fn load() -> Result<Self, Error> {
        Ok(Streamer)
    }

    fn metadata(&self) -> Metadata {
        let metadata = Metadata::new()
            .optional_input::<String>("text_input", [-1])
            .output::<String>("text_output", [-1]);
        metadata.optional_output::<i64>("index", [1]).optional_output::<f64>("number", [1])
    }

    /// Returns the result of `emit` in a plain call.
    fn infer(&self, _request: Request) -> Result<Response, Error> {
        Ok(text(match emit(text("not to be seen")) {
            Ok(()) => "sent",
            Err(EmitError::Gone) => "gone",
            Err(EmitError::Limit(_)) => "limit",
            Err(EmitError::NotStreaming) => "not streaming",
        }))
    }
}

impl Streaming for Streamer {
    fn infer_stream(&self, request: Request) -> Result<(), Error> {
        let wanted = Wanted::of(&request);
        for index in 0..wanted.parts {
            wanted.pause(index);
            let sent = emit(wanted.part(index));
            if !wanted.stubborn {
                sent?;
            }
        }
        end(&wanted.then)
    }
}

/// The options of a request.
struct Wanted {
    text: String,
    parts: i64,
    size: usize,
    elements: usize,
    before: Duration,
    between: Duration,
    busy: bool,
    stubborn: bool,
    then: String,
}

impl Wanted {
    fn of(request: &Request) -> Self {
        let integer = |name| request.parameter(name).and_then(|value| value.as_integer());
        let word = |name| {
            request.parameter(name).and_then(|value| value.as_text()).unwrap_or_default().to_owned()
        };
        let milliseconds = |name| Duration::from_millis(integer(name).unwrap_or(0) as u64);
        let texts = request
            .find_input("text_input")
            .and_then(|text| text.strings().ok())
            .unwrap_or_default();
        Wanted {
            text: texts.join(" "),
            parts: integer("parts").unwrap_or(3),
            size: integer("size").unwrap_or(0) as usize,
            elements: integer("elements").unwrap_or(0) as usize,
            before: milliseconds("before_ms"),
            between: milliseconds("between_ms"),
            busy: word("how") == "busy",
            stubborn: word("how") == "stubborn",
            then: word("then"),
        }
    }

    fn pause(&self, index: i64) {
        let time = if index == 0 { self.before } else { self.between };
        match self.busy {
            true => compute(time),
            // Even a sleep of no time has a cost.
            false if time.is_zero() => {}
            false => std::thread::sleep(time),
        }
    }

    fn part(&self, index: i64) -> Response {
        if self.elements > 0 {
            let letters = std::iter::repeat_n("x", self.elements);
            return Response::new().output(Tensor::from_strings(
                "text_output",
                [self.elements],
                letters,
            ));
        }
        let mut said = format!("{}{index} ", self.text);
        said.extend(std::iter::repeat_n('x', self.size.saturating_sub(said.len())));
        text(&said)
            .output(Tensor::new("index", [1], [index]))
            .parameter("last", index + 1 == self.parts)
    }
}

/// Performs the word for the end of the stream.
fn end(then: &str) -> Result<(), Error> {
    match then {
        "" => Ok(()),
        "fail" => Err(Error::failed("the weights are corrupt")),
        "reject" => Err(Error::rejected("this input is not to my taste")),
        "trap" => std::process::abort(),
        "spin" => loop {
            compute(Duration::from_secs(1));
        },
        "sleep" => {
            std::thread::sleep(Duration::from_secs(600));
            Ok(())
        }
        bad => emit(bad_part(bad)).map_err(Error::from),
    }
}

fn bad_part(how: &str) -> Response {
    let mut part = text("bad");
    match how {
        "wrong-name" => part.outputs[0].name = "text_outptu".to_owned(),
        "wrong-datatype" => part.outputs[0].datatype = Datatype::Uint8,
        "wrong-shape" => part.outputs[0].shape = vec![1, 1],
        "torn" => part.outputs[0].data.truncate(5),
        "twice" => part.outputs.push(part.outputs[0].clone()),
        "not-utf8" => part.outputs[0].data[4] = 0xff,
        "nan" => part = part.output(Tensor::new("number", [1], [f64::NAN])),
        "empty" => part.outputs.clear(),
        "two" => {
            part = Response::new().output(Tensor::from_strings("text_output", [2], ["a", "b"]))
        }
        _ => {}
    }
    part
}

fn text(text: &str) -> Response {
    Response::new().output(Tensor::from_strings("text_output", [1], [text]))
}

/// Computes for this long by the clock.
fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::black_box(
            (0..1000u64).fold(1, |product: u64, factor| product.wrapping_mul(factor | 1)),
        );
    }
}

wardian_sdk::export!(Streamer, streaming);
