//! Words in the state of a session.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wardian_sdk::{
    Deferred, Error, Metadata, Model, Request, Response, Streaming, Tensor, config, session,
    stream, tasks,
};

/// Performs orders: `VERB ARGUMENT`, separated by semicolons.
pub(crate) struct Words;

impl Model for Words {
    fn load() -> Result<Self, Error> {
        Ok(Words)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new().output::<String>("state", [1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let text =
            |name| request.parameter(name).and_then(|value| value.as_text()).unwrap_or_default();
        orders(text("do"), ';').try_for_each(|(verb, argument)| obey(verb, argument))?;
        Ok(state(if session::id().is_some() { words()? } else { String::new() }))
    }
}

impl Streaming for Words {
    /// The last part is the response of a plain request.
    fn infer_stream(&self, request: Request) -> Result<(), Error> {
        Ok(stream::emit(self.infer(request)?)?)
    }
}

impl Deferred for Words {
    fn run_deferred(&self, name: &str, payload: Vec<u8>) -> Result<(), Error> {
        obey(name, &String::from_utf8_lossy(&payload))
    }
}

fn orders(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    let orders = text.split(separator).map(str::trim).filter(|order| !order.is_empty());
    orders.map(|order| order.split_once(' ').unwrap_or((order, "")))
}

fn obey(verb: &str, argument: &str) -> Result<(), Error> {
    let number = || argument.parse::<u64>().unwrap_or(0);
    match verb {
        "say" => say(argument),
        "fill" => session::set("x".repeat(number() as usize)),
        "clear" => session::clear(),
        "sleep" => {
            sleep(number());
            Ok(())
        }
        "nap" => {
            sleep(config::get("nap_ms")?.and_then(|nap| nap.parse().ok()).unwrap_or(0));
            Ok(())
        }
        "emit" => Ok(stream::emit(state("x".repeat(number() as usize)))?),
        "emit-endless" => loop {
            stream::emit(state("x".repeat(number() as usize)))?;
        },
        "spin" => loop {
            std::hint::black_box(());
        },
        "trap" => {
            say("trapped")?;
            std::process::abort()
        }
        "fail" => {
            say("failed")?;
            Err(Error::failed("told to fail"))
        }
        "reject" => Err(Error::rejected("told to reject")),
        // A failed call stores nothing, so the clock determines when it succeeds.
        "not-before" => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_millis() as u64);
            if now < number() { Err(Error::failed("too early")) } else { say("late") }
        }
        "defer" => {
            orders(argument, ',').try_for_each(|(verb, argument)| tasks::defer(verb, argument))
        }
        // The rest of the argument is the order of the task.
        "defer-defer" => tasks::defer("defer", argument),
        "defer-many" => (0..number()).try_for_each(|index| tasks::defer("say", index.to_string())),
        "defer-bytes" => tasks::defer("sleep", vec![b'0'; number() as usize]),
        "again" => tasks::defer("again", argument).and_then(|()| say("again")),
        other => Err(Error::rejected(format!("there is no verb {other:?}"))),
    }
}

fn state(text: String) -> Response {
    Response::new().output(Tensor::from_strings("state", [1], [text]))
}

fn sleep(milliseconds: u64) {
    wardian_sdk::info!("sleeps for {milliseconds} ms");
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn words() -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&session::get()?.unwrap_or_default()).into_owned())
}

fn say(word: &str) -> Result<(), Error> {
    let words = words()?;
    let separator = if words.is_empty() { "" } else { " " };
    session::set(format!("{words}{separator}{word}"))
}
