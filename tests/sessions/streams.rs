//! Streams in sessions: state and tasks when a stream ends well, and when it does not.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Value, json};
use wardian::config::Config;
use wardian::engine::Budget;
use wardian::files::ConfinedFile;
use wardian::model::{
    CallerInfo, InferRequest, ModelName, ModelSettings, Parameter, ParameterValue, TenantName,
    Version,
};
use wardian::repository::{Candidate, Digest};
use wardian::servable::{ServableHandle, TaskChains};
use wardian::server::{Storage, build_loader};
use wardian::telemetry::Telemetry;
use wardian::tenant::{Tenant, Tenants};

use super::{begin, started, state, tasks};
use crate::harness::{Server, guest, guest_folder, until};

/// A streaming request with orders for the session model, in a session.
fn orders(start: bool, orders: &str) -> Value {
    json!({ "sequence_id": "s", "sequence_start": start, "do": orders })
}

#[test]
fn chat_remembers_and_summarises_streamed_text() {
    let server =
        Server::with_models(|models| models.copy_folder(&guest_folder("chat"), "chat/1")).start();
    server.until_ready("chat", 1);
    let say = |prompt: &str, session: Value| {
        let mut asked = json!({ "text_input": prompt, "max_tokens": 20, "temperature": 0 });
        asked.as_object_mut().unwrap().extend(session.as_object().unwrap().clone());
        server.stream("chat", &asked).all()
    };
    let text = |events: &[Value]| {
        events.iter().filter_map(|event| event["text_output"].as_str()).collect::<String>()
    };
    let first = say("The weather", json!({ "sequence_id": "anna", "sequence_start": true }));
    assert_eq!(first.last().unwrap()["summary"], "");
    let done = "wardian_tasks_total{tenant=\"default\",model=\"chat\",outcome=\"done\"}";
    until("that the summary is made", || server.metric(done) == Some(1.0));
    let second = say(" is", json!({ "sequence_id": "anna" }));
    let summary = second.last().unwrap()["summary"].as_str().unwrap();
    assert!(summary.split(", ").any(|word| word == "weather"), "{summary}");
    // The reply continues the conversation, which a request without a session must send as a whole.
    let said = format!("The weather{} is", text(&first));
    assert_eq!(text(&second), text(&say(&said, json!({}))));
    assert_ne!(text(&second), text(&say(" is", json!({}))));
}

#[test]
fn tasks_run_between_stream_and_next_request() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    let events = server
        .stream("session-words", &orders(true, "say a; emit 5; defer sleep 100, say b"))
        .all();
    let states: Vec<_> = events.iter().map(|event| &event["state"]).collect();
    assert_eq!(states, ["xxxxx", "a"]);
    assert_eq!(state(&server, "s"), "a b");
    let whole = server.generate("session-words", &orders(false, "say c; defer sleep 100, say d"));
    assert_eq!(whole.ok().json()["state"], "a b c");
    assert_eq!(state(&server, "s"), "a b c d");
}

#[test]
fn a_disconnect_during_a_stream_keeps_nothing() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    begin(&server, "s", "say a").ok();
    let mut events =
        server.stream("session-words", &orders(false, "say b; defer say c; emit 5; sleep 600000"));
    assert_eq!(events.next_event().unwrap()["state"], "xxxxx");
    drop(events);
    assert_eq!(state(&server, "s"), "a");
    assert!(tasks(&server).is_empty());
}

#[test]
fn an_unread_stream_keeps_nothing() {
    let streaming = "[streaming]\ntotal = '2GiB'\ndeadline = '2s'\ncpu_time = '10m'\n";
    let server = started(&format!("[limits]\ndeadline = \"30s\"\n{streaming}"));
    begin(&server, "s", "say a").ok();
    let events =
        server.stream("session-words", &orders(false, "say b; defer say c; emit-endless 1000000"));
    // The session is released at the deadline, whatever is still on its way to the client.
    assert_eq!(state(&server, "s"), "a");
    assert!(tasks(&server).is_empty());
    drop(events);
}

#[test]
fn tasks_of_running_streams_finish_before_stop() {
    let server = started("");
    let mut events = server
        .stream("session-words", &orders(true, "say a; emit 5; sleep 1500; defer sleep 20, say b"));
    events.next_event().unwrap();
    server.terminate();
    server.until_logged("draining");
    assert_eq!(events.all().len(), 1);
    assert_eq!(server.until_ended().code(), Some(0));
    assert!(server.log().contains("sleeps for 20 ms"), "{}", server.log());
    let server = server.kill().start();
    server.until_ready("session-words", 1);
    assert_eq!(state(&server, "s"), "a b");
}

/// HTTP does not show the order of these events, so this test reads the parts in process.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_begin_when_the_last_part_has_left() {
    // One model streams, the other answers as a whole.
    for (model, orders) in
        [("session-words", "emit 5; defer say a"), ("session-migration", "defer say a")]
    {
        let folder = tempfile::tempdir().unwrap();
        let (servable, mut chains) = serving(folder.path(), model).await;
        let value = ParameterValue::Text(orders.into());
        let request = InferRequest {
            parameters: vec![Parameter { name: "do".into(), value }],
            ..InferRequest::default()
        };
        let budget = Budget::new(Instant::now(), Duration::from_secs(60), Duration::from_secs(60));
        let mut parts = servable.infer_stream(request, budget, CallerInfo::default());
        while let Some(part) = parts.next().await {
            part.unwrap();
        }
        let mut chain = chains.recv().await.unwrap();
        let mut may_begin = pin!(chain.wait_for_response());
        assert!(may_begin.as_mut().now_or_never().is_none(), "{model}");
        drop(parts);
        may_begin.await;
    }
}

/// A version without a server around it, and the channel of its tasks.
async fn serving(folder: &Path, model: &str) -> (ServableHandle, TaskChains) {
    let config = Config { state: folder.join("state"), ..Config::default() };
    let telemetry = Telemetry::default();
    let storage = Storage::build(&config, &config.state, &telemetry).unwrap();
    let program = env!("CARGO_BIN_EXE_wardian").into();
    let loader = build_loader(&config, program, &storage, &Tenants::default(), &telemetry).unwrap();
    let component = guest(model);
    let (path, digest) = (folder.join("model.wasm"), Digest::sha256(&component));
    std::fs::write(&path, &component).unwrap();
    let candidate = Candidate {
        name: ModelName::new(model).unwrap(),
        version: Version::new(1).unwrap(),
        component: ConfinedFile::from_path(&path).unwrap().into(),
        component_digest: digest,
        component_size: component.len() as u64,
        changed_at: (0, 0),
        sidecars: Vec::new(),
        golden: None,
        settings: Arc::new(ModelSettings::default()),
        live: Arc::default(),
        digest,
    };
    let tenant = Tenant::unlimited(TenantName::default_tenant());
    let validated = loader.load_with_progress(&tenant, &candidate, &|_stage| {}).await.unwrap();
    (validated.commit().await.unwrap().0, storage.task_chains)
}
