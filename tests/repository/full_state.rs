//! A full state disk: data is refused with a clear error, can be read and deleted, and is stored
//! again once there is room. Other models and tenants keep serving.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::full_disk::Disk;
use crate::harness::{Response, Server, guest, scripted, sql_steps, until};

/// A server whose state lies on a small disk, with a tenant `default` and a tenant `other`.
struct SmallState {
    server: Server,
    disk: Disk,
}

impl SmallState {
    /// Starts the server with these models and settings of the session model. Returns `None` if
    /// mounting is not permitted.
    fn start(session_words_settings: &str) -> Option<SmallState> {
        let setup = Server::with_models(|models| {
            models.settings("session-words", session_words_settings);
            models.version("session-words", 1, guest("session-words"));
            models.settings("sql-steps", "[capabilities]\nsql = true\n[breaker]\nfaults = 0\n");
            let migration = "migrate 1 create table notes (text text); \
                             insert into notes values ('one'), ('two'), ('three')";
            models.version("sql-steps", 1, sql_steps(migration));
        });
        let disk = Disk::mount(setup.state(), 96)?;
        let config = "[tenants.default.quota]\ndata = '1GiB'\n[tenants.other]\nrepository = 'o'\n";
        let setup = setup.config(config);
        setup.repository("o").version("scripted", 1, scripted("version=1"));

        let server = setup.start();
        server.until_ready("session-words", 1);
        server.until_ready("sql-steps", 1);
        server.tenant("other").until_ready("scripted", 1);

        Some(SmallState { server, disk })
    }

    fn put(&self, key: &str, size: usize) -> Response {
        self.server.call("PUT", &format!("/v2/keyvalue/b/{key}")).body(vec![7; size]).send()
    }

    fn delete(&self, path: &str) -> Response {
        self.server.call("DELETE", path).send()
    }

    /// Runs orders of the session model in a session.
    fn keep(&self, session: &str, start: bool, orders: &str) -> Response {
        let parameters = json!({ "sequence_id": session, "sequence_start": start, "do": orders });
        self.server.infer("session-words", &json!({ "inputs": [], "parameters": parameters }))
    }

    /// Returns the state of a session.
    fn state(&self, session: &str) -> String {
        self.keep(session, false, "").output("state")[0].as_str().unwrap().to_owned()
    }

    fn tasks(&self) -> Vec<Value> {
        self.server.get("/v2/tasks").ok().json()["tasks"].as_array().unwrap().clone()
    }

    /// Runs one statement and returns its result.
    fn sql(&self, word: &str, statement: &str) -> String {
        let step = format!("{word}\u{1f}{statement}");
        let input = json!({ "name": "steps", "datatype": "BYTES", "shape": [1], "data": [step] });
        let response = self.server.infer("sql-steps", &json!({ "inputs": [input] }));

        response.output("results")[0].as_str().unwrap().to_owned()
    }

    /// Asserts that models without data, and the other tenant, are served.
    fn assert_others_serve(&self) {
        let body = json!({ "inputs": [], "parameters": { "do": "" } });
        self.server.infer("session-words", &body).ok();
        self.server.tenant("other").behave("scripted", "ok").ok();
    }

    fn make_room(&self, ballast: PathBuf) {
        fs::remove_file(ballast).unwrap();
        until("that there is room again", || self.put("room", 100_000).status < 300);
    }
}

#[test]
fn values_can_be_deleted_on_a_full_disk() {
    let Some(test) = SmallState::start("") else { return };
    (0..40).for_each(|number| drop(test.put(&number.to_string(), 100_000)));
    let ballast = test.disk.fill();

    test.put("more", 100).refused(503, "store_unavailable");
    test.server.until_logged("the disk of the state directory is full");
    test.assert_others_serve();
    // At worst the journal cannot be checkpointed, and only its reserved space is left.
    for number in 0..16 {
        assert_eq!(test.delete(&format!("/v2/keyvalue/b/{number}")).status, 200, "{number}");
    }
    let keys = test.server.get("/v2/keyvalue/b").ok().json()["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 24);

    test.make_room(ballast);
    drop(test.server);
    drop(test.disk);
}

#[test]
fn sessions_are_refused_and_can_be_deleted_on_a_full_disk() {
    let Some(test) = SmallState::start("") else { return };
    for session in ["a", "b", "c"] {
        test.keep(session, true, "say one; fill 50000; say one").ok();
    }
    test.keep("a", true, "say one").ok();
    let ballast = test.disk.fill();

    test.keep("a", false, "say two").refused(503, "store_unavailable");
    test.keep("d", true, "say one").refused(503, "store_unavailable");
    test.server.until_logged("the disk of the state directory is full");
    test.assert_others_serve();

    // One session is deleted, and one is ended by its caller.
    assert_eq!(test.delete("/v2/models/session-words/sessions/b").status, 200);
    let end = json!({ "sequence_id": "c", "sequence_end": true, "do": "" });
    test.server.infer("session-words", &json!({ "inputs": [], "parameters": end })).ok();
    let sessions =
        test.server.get("/v2/models/session-words/sessions").ok().json()["sessions"].clone();
    let ids: Vec<_> = sessions.as_array().unwrap().iter().map(|session| &session["id"]).collect();
    assert_eq!(ids, ["a"]);

    test.make_room(ballast);
    assert_eq!(test.state("a"), "one");
    test.keep("d", true, "say one").ok();
    drop(test.server);
    drop(test.disk);
}

#[test]
fn deferred_tasks_wait_for_room_and_can_be_cancelled_on_a_full_disk() {
    let settings = "[deferred]\npause = \"1h\"\n[limits]\ndeadline = \"30s\"\n";
    let Some(test) = SmallState::start(settings) else { return };
    test.keep("a", true, "defer fail").ok();
    until("that the task has failed once", || test.tasks()[0]["tries"] == 1);
    test.keep("b", true, "say now; defer sleep 2000, say later").ok();
    until("that the second task runs", || {
        test.tasks().iter().any(|task| task["state"] == "running")
    });
    let ballast = test.disk.fill();

    let body = json!({ "inputs": [], "parameters": { "do": "defer sleep 1" } });
    test.server.infer("session-words", &body).refused(503, "store_unavailable");
    test.server.until_logged("cannot write the end of a try");
    test.assert_others_serve();
    let id = test.tasks()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(test.delete(&format!("/v2/tasks/{id}")).status, 200);
    assert_eq!(test.tasks().len(), 2, "{:?}", test.tasks());

    test.make_room(ballast);
    assert_eq!(test.state("b"), "now later");
    assert_eq!(test.tasks(), [] as [Value; 0]);
    drop(test.server);
    drop(test.disk);
}

#[test]
fn statements_are_refused_and_rows_can_be_deleted_on_a_full_disk() {
    let Some(test) = SmallState::start("") else { return };
    assert_eq!(test.sql("execute", "insert into notes values ('four')"), "1");
    let ballast = test.disk.fill();

    let refused = test.sql("execute", "insert into notes values ('five')");
    assert!(refused.starts_with("unavailable") && refused.contains("disk is full"), "{refused}");
    test.server.until_logged("a tenant's database cannot be written");
    test.assert_others_serve();
    assert_eq!(test.sql("query", "select count(*) from notes"), "i:4");
    assert_eq!(test.sql("execute", "delete from notes where text = 'two'"), "1");
    assert_eq!(test.sql("execute", "delete from notes where text = 'three'"), "1");
    assert_eq!(test.sql("query", "select text from notes order by rowid"), "t:one;t:four");

    test.make_room(ballast);
    until("that rows are stored again", || {
        test.sql("execute", "insert into notes values ('six')") == "1"
    });
    drop(test.server);
    drop(test.disk);
}
