//! A client that reads a stream, as slowly as the test wants.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::client::{Call, Pending, Response};
use super::server::Server;
use super::tenant::Tenant;

/// A response of server-sent events. Dropping it closes the connection.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    /// Names are in lower case.
    headers: Vec<(String, String)>,
    /// Text of the next events that was read already.
    text: String,
}

impl Server {
    /// Sends a `generate_stream` request, and waits for the beginning of its response.
    pub(crate) fn stream(&self, model: &str, body: &Value) -> Events {
        self.begin_stream(model, body).events()
    }

    /// Like `stream`, without waiting for anything.
    pub(crate) fn begin_stream(&self, model: &str, body: &Value) -> Pending {
        generate(self.call("POST", &path(model, "generate_stream")), body).begin()
    }

    /// Sends a `generate` request, and waits for the whole response.
    pub(crate) fn generate(&self, model: &str, body: &Value) -> Response {
        generate(self.call("POST", &path(model, "generate")), body).send()
    }
}

impl Tenant<'_> {
    /// Sends a `generate_stream` request, and waits for the beginning of its response.
    pub(crate) fn stream(&self, model: &str, body: &Value) -> Events {
        self.begin_stream(model, body).events()
    }

    /// Like `stream`, without waiting for anything.
    pub(crate) fn begin_stream(&self, model: &str, body: &Value) -> Pending {
        generate(self.call("POST", &path(model, "generate_stream")), body).begin()
    }
}

fn path(model: &str, verb: &str) -> String {
    format!("/v2/models/{model}/{verb}")
}

fn generate(call: Call, body: &Value) -> Call {
    call.json(body)
}

impl Pending {
    /// Waits for the head of a stream.
    pub(crate) fn events(self) -> Events {
        let mut stream = BufReader::new(self.into_stream());
        let status = line(&mut stream);
        let head = std::iter::repeat_with(|| line(&mut stream)).take_while(|line| !line.is_empty());
        let pairs = head.filter_map(|line| {
            line.split_once(':').map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()))
        });
        let headers: Vec<_> = pairs.collect();
        assert!(status.contains(" 200 "), "{status}, {headers:?}, {:?}", rest(stream));
        Events { stream, headers, text: String::new() }
    }
}

impl Events {
    /// Returns the value of a header; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// Returns the next event or comment as sent; `None` after the last.
    pub(crate) fn next_block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest));
            }
            let chunk = self.chunk()?;
            self.text.push_str(&chunk);
        }
    }

    /// Returns the data of the next event, without comments; `None` after the last.
    pub(crate) fn next_event(&mut self) -> Option<Value> {
        loop {
            let block = self.next_block()?;
            if let Some(data) = block.strip_prefix("data: ") {
                return Some(
                    serde_json::from_str(data).unwrap_or_else(|_| panic!("no event: {block}")),
                );
            }
            assert_eq!(block, ":\n\n");
        }
    }

    /// Returns the text of the next event.
    #[track_caller]
    pub(crate) fn next_text(&mut self) -> String {
        let event = self.next_event().expect("there is another event");
        event["text_output"].as_str().unwrap_or_else(|| panic!("no text: {event}")).to_owned()
    }

    /// Returns the data of all remaining events.
    pub(crate) fn all(mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.next_event()).collect()
    }

    /// Returns the texts of all remaining events, and the code of the error that ends them.
    pub(crate) fn all_until_error(self) -> (Vec<Value>, String) {
        let mut events = self.all();
        let last = events.pop().unwrap_or(json!(null));
        let code = last["code"].as_str().unwrap_or_else(|| panic!("no error: {last}")).to_owned();
        (events, code)
    }

    /// Reads to the end. Returns true if the end is not the proper one.
    pub(crate) fn ends_cut(mut self) -> bool {
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all).is_err() || !all.ends_with(b"\r\n0\r\n\r\n")
    }

    /// Returns the next chunk of the body; `None` at its proper end.
    fn chunk(&mut self) -> Option<String> {
        let length = line(&mut self.stream);
        let length = usize::from_str_radix(&length, 16)
            .unwrap_or_else(|_| panic!("the body was cut: {length:?}"));
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn rest(mut stream: impl Read) -> String {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}
