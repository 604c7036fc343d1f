//! Requests of other protocols and their answers: one folder for each protocol, one file for each
//! case, on one server with the example models.
//!
//! A case is a request, its status and its answer:
//!
//! ```text
//! POST /v2/models/upper/predict
//! content-type: text/csv
//!
//! text
//! cat
//! > 200
//! {"predictions": ["CAT"]}
//! ```
//!
//! The answer of a success is JSON with the same values, or one line for each event of a stream.
//! Ids and times of OpenAI's answers are left out. Each line after the status of an error is a part
//! of the body.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Response, Server, guest, guest_folder};

#[test]
fn predict() {
    run_cases("predict", 80);
}

#[test]
fn routes() {
    run_cases("routes", 50);
}

#[test]
fn tensorflow() {
    run_cases("tensorflow", 45);
}

#[test]
fn openai() {
    run_cases("openai", 70);
}

/// Three protocols have their keys in one answer.
#[test]
fn models_of_v1() {
    let server = serve();

    let model = server.get("/v1/models/iris").ok().json();
    let created = model["created"].as_u64().unwrap();
    assert!(created > 1_700_000_000, "{model}");
    let status = json!({ "version": "1", "state": "AVAILABLE", "status": { "error_code": "OK", "error_message": "" } });
    let expected = json!({
        "id": "iris", "object": "model", "created": created, "owned_by": "wardian",
        "name": "iris", "ready": true, "model_version_status": [status],
    });
    assert_eq!(model, expected);

    let list = server.get("/v1/models").ok().json();
    let names: Vec<_> =
        list["models"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].as_str().unwrap())
        .collect();
    assert_eq!(list["object"], "list");
    assert_eq!((names.len(), &names), (9, &ids));

    server.unload("iris").ok();
    server.until_state("iris", 1, "UNAVAILABLE");
    let model = server.get("/v1/models/iris").ok().json();
    assert_eq!(
        (&model["ready"], &model["model_version_status"][0]["state"]),
        (&json!(false), &json!("END"))
    );
    assert!(!server.get("/v1/models").text().contains("iris"));
}

/// Sends the request of every file in a folder, and compares the answers. There are at least
/// `least` cases.
fn run_cases(folder: &str, least: usize) {
    let server = serve();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/protocols").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= least, "there are {} cases", files.len());

    let faults: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let case = Case::parse(&fs::read_to_string(file).unwrap());
            let response = case.send(&server);
            let fault = case.fault(&response)?;
            Some(format!("{}: {fault}\n{response}", file.file_name().unwrap().to_string_lossy()))
        })
        .collect();
    assert!(faults.is_empty(), "{} of {}:\n\n{}", faults.len(), files.len(), faults.join("\n\n"));
}

const UPPER: &str = r#"
[[routes]]
path = "/upper"
query = ["x"]
inputs = { text = "x" }
outputs = { id = { value = "0" }, answer = "text" }

[[routes]]
method = "POST"
path = "/upper"
body = "json"
outputs = "text"

[[routes]]
method = "PUT"
path = "/upper"
body = "form"
inputs = { text = "word" }

[[routes]]
method = "PATCH"
path = "/upper"
body = "raw"
inputs = { text = "body" }
"#;

const CHAT: &str = r#"
[[routes]]
path = "/{sess_id}/{task_id}/{prompt}"
inputs = { text_input = "prompt" }
parameters = { sequence_id = "sess_id", sequence_start = "start", seed = "task_id", max_tokens = "tokens", temperature = "t" }
query = [{ tokens = 9, t = 0, start = false }]
"#;

const NOTES: &str = r#"
[capabilities]
sql = true

[[routes]]
method = "POST"
path = "/notes"
body = "json"
inputs = { action = { value = "create" } }
outputs = { id = "id", text = "text", done = "done" }
status = 201

[[routes]]
path = "/notes"
query = [{ skip = 0, limit = 100 }]
inputs = { action = { value = "list" } }
outputs = { id = "id", text = "text", done = "done" }
answer = "rows"

[[routes]]
method = "DELETE"
path = "/notes/{id}"
inputs = { action = { value = "delete" } }
answer = "empty"

[[routes]]
path = "/notes/first"
query = [{ limit = 1 }]
outputs = "text"
"#;

const HOUSE_PRICE: &str = r#"
labels = { stable = 1, canary = 2 }

[[routes]]
path = "/price/{lotsize}"
query = [
    "bedrooms",
    { bathrms = 1, stories = 1, driveway = 1, recroom = 0, fullbase = 0, gashw = 0, airco = 0, garagepl = 0, prefarea = 0 },
]

[[routes]]
method = "POST"
path = "/price"
body = "json"
answer = "columns"
"#;

fn serve() -> Server {
    let server = Server::with_models(|models| {
        models.bare("iris", guest("iris"));
        models.bare("minimal", guest("minimal"));
        models.bare("embedder", guest("embedder"));
        models.settings("notes", NOTES);
        models.settings("upper", UPPER);
        models.settings("chat", CHAT);
        models.settings("learner", "[capabilities]\nkey_value = true");
        models.settings("house-price", HOUSE_PRICE);
        for name in ["chat", "house-price", "language-id", "learner", "notes", "upper"] {
            models.copy_folder(&guest_folder(name), &format!("{name}/1"));
        }
    })
    .start();
    server.until_tried();
    server
}

struct Case {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    answer: String,
}

impl Case {
    fn parse(text: &str) -> Case {
        let (request, answer) = text.split_once("\n> ").expect("a case has an answer");
        let (status, answer) = answer.split_once('\n').unwrap_or((answer, ""));
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));

        let mut head = head.lines();
        let (method, path) = head.next().unwrap().split_once(' ').expect("a method and a path");
        let headers = head.map(|line| line.split_once(": ").expect("a header has a value"));

        Case {
            method: method.into(),
            path: path.into(),
            headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
            body: body.into(),
            status: status.trim().parse().expect("a status is a number"),
            answer: answer.trim().into(),
        }
    }

    fn send(&self, server: &Server) -> Response {
        let mut call = server.call(&self.method, &self.path);
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        call.body(self.body.as_bytes()).send()
    }

    /// Returns what is wrong with a response.
    fn fault(&self, response: &Response) -> Option<String> {
        if response.status != self.status {
            return Some(format!("status {} in place of {}", response.status, self.status));
        }
        if self.status >= 400 {
            let body = response.text();
            let missing = self.answer.lines().find(|part| !body.contains(part))?;
            return Some(format!("{missing:?} is no part of the answer"));
        }

        let is_stream =
            response.header("content-type").is_some_and(|media| media.starts_with("text/event"));
        if is_stream {
            let events = events(&response.text());
            let expected: Vec<_> = self.answer.lines().map(parse).collect();
            return (events != expected).then(|| format!("expected {expected:#?}"));
        }

        let expected: Value = serde_json::from_str(&self.answer).expect("an answer is JSON");
        (without_chance(response.json()) != expected).then(|| format!("expected {expected}"))
    }
}

/// Returns the data of the events of a stream.
fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(parse).collect()
}

/// Parses an event, which may be the word `[DONE]`.
fn parse(line: &str) -> Value {
    if line == "[DONE]" {
        return json!(line);
    }
    without_chance(serde_json::from_str(line).expect("an event is JSON"))
}

/// Removes what differs between two equal requests to OpenAI's API.
fn without_chance(mut answer: Value) -> Value {
    let is_of_openai = answer["id"].as_str().is_some_and(|id| id.contains("cmpl-"));
    if is_of_openai && let Some(answer) = answer.as_object_mut() {
        assert!(answer.remove("created").is_some_and(|created| created.is_u64()));
        answer.remove("id");
    }
    answer
}
