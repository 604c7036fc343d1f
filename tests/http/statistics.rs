//! `GET …/stats`, as Triton's clients read it.

use serde_json::{Value, json};

use crate::harness::{Response, Server, guest, scripted, scripted_interceptor};

fn statistics(server: &Server, path: &str) -> Vec<Value> {
    let response = server.get(path);
    assert_eq!(response.status, 200, "{response}");
    response.json()["model_stats"].as_array().unwrap().clone()
}

#[test]
fn statistics_count_until_a_version_is_retired() {
    let server = Server::with_models(|models| models.bare("steady", scripted("version=1"))).start();
    server.until_ready("steady", 1);
    let before = &statistics(&server, "/v2/models/steady/stats")[0];
    assert_eq!(
        (&before["inference_count"], &before["last_inference"]),
        (&json!(0), &json!(0)),
        "warm-up is no traffic"
    );
    for _ in 0..3 {
        server.infer("steady", &json!({"inputs": []})).ok();
    }
    assert_eq!(server.behave("steady", "reject").status, 422);
    for path in
        ["/v2/models/steady/stats", "/v2/models/steady/versions/1/stats", "/v2/models/stats"]
    {
        let counted = &statistics(&server, path)[0];
        assert_eq!(
            (&counted["name"], &counted["version"]),
            (&json!("steady"), &json!("1")),
            "{path}"
        );
        assert_eq!(
            (&counted["inference_count"], &counted["execution_count"]),
            (&json!(3), &json!(3)),
            "{path}"
        );
        assert!(counted["last_inference"].as_u64().unwrap() > 1_700_000_000_000, "{path}");
        let stats = &counted["inference_stats"];
        assert_eq!(
            (&stats["success"]["count"], &stats["fail"]["count"]),
            (&json!(3), &json!(1)),
            "{path}"
        );
        assert!(stats["compute_infer"]["ns"].as_u64() > Some(0), "{path}");
    }
    assert_eq!(server.get("/v2/models/nobody/stats").status, 404);
}

#[test]
fn batched_and_single_calls_are_counted() {
    let server = Server::with_models(|models| models.bare("batching", guest("batcher"))).start();
    server.until_ready("batching", 1);
    let asked = |parameters: Value| {
        let word = json!({"name": "word", "datatype": "BYTES", "shape": [1], "data": ["good"]});
        server.infer("batching", &json!({"inputs": [word], "parameters": parameters})).ok();
    };
    asked(json!({}));
    // A request of a sequence is never batched with others.
    asked(json!({"sequence_id": 1}));
    asked(json!({"sequence_id": 1}));
    server.generate("batching", &json!({"word": "good", "sequence_id": 2})).ok();
    let counted = &statistics(&server, "/v2/models/batching/stats")[0];
    assert_eq!((&counted["inference_count"], &counted["execution_count"]), (&json!(4), &json!(4)));
    assert_eq!(server.metric("wardian_batch_size_count{"), Some(4.0));
}

/// A request for the batcher with this many rows.
fn rows(count: usize) -> Value {
    let word =
        json!({"name": "word", "datatype": "BYTES", "shape": [count], "data": vec!["good"; count]});
    json!({ "inputs": [word] })
}

#[test]
fn rows_are_inferences_and_calls_are_executions() {
    let server = Server::with_models(|models| models.bare("batching", guest("batcher"))).start();
    server.until_ready("batching", 1);
    for count in [8, 8, 3] {
        server.infer("batching", &rows(count)).ok();
    }
    server.generate("batching", &json!({"word": ["a", "b"]})).ok();
    let counted = &statistics(&server, "/v2/models/batching/stats")[0];
    assert_eq!((&counted["inference_count"], &counted["execution_count"]), (&json!(21), &json!(4)));
    assert_eq!(counted["inference_stats"]["success"]["count"], 4);
    let sizes = counted["batch_stats"].as_array().unwrap().iter();
    let sizes: Vec<_> = sizes
        .map(|size| (size["batch_size"].as_u64(), size["compute_infer"]["count"].as_u64()))
        .collect();
    assert_eq!(sizes, [(Some(2), Some(1)), (Some(3), Some(1)), (Some(8), Some(2))]);
}

#[test]
fn refusals_and_late_errors_count_as_failures() {
    let server = Server::with_models(|models| {
        models.settings("model", "[limits]\nrequest = '1KiB'");
        models.version("model", 1, scripted("version=1"));
    });
    let server = server.start();
    server.until_ready("model", 1);
    let call = |verb: &str| server.call("POST", &format!("/v2/models/model/{verb}"));
    let mut failures = 0;
    let mut fails = |reason: &str, what: &str, answer: Response| {
        assert!(answer.status >= 400, "{what}: {answer}");
        failures += 1;
        let metric = format!(
            "wardian_request_failures_total{{tenant=\"default\",model=\"model\",version=\"1\",reason=\"{reason}\"}}"
        );
        let stats = &statistics(&server, "/v2/models/model/stats")[0]["inference_stats"];
        assert_eq!(stats["fail"]["count"], failures, "{what}");
        assert_eq!(stats["success"]["count"], 0, "{what}");
        assert!(stats["fail"]["ns"].as_u64() > Some(0), "{what}");
        assert_eq!(server.metric("wardian_requests_total{"), Some(0.0), "{what}");
        server.metric(&metric).unwrap_or_default()
    };
    let mut counted = 0.0;
    for verb in ["infer", "generate", "generate_stream"] {
        for (what, call) in [
            ("malformed JSON", call(verb).body("{")),
            ("no UTF-8", call(verb).body(b"\xff".to_vec())),
            ("a header that is wrong", call(verb).header("wardian-deadline-ms", "soon").body("{}")),
            ("an unknown coding", call(verb).header("content-encoding", "br").body("{}")),
            (
                "a body that is not compressed",
                call(verb).header("content-encoding", "gzip").body("{}"),
            ),
            ("a large body", call(verb).body(" ".repeat(2000))),
            ("a wrong content type", call(verb).header("content-type", "text/csv").body("x")),
        ] {
            counted += 1.0;
            assert_eq!(fails("caller", &format!("{verb}: {what}"), call.send()), counted);
        }
    }
    let binary = call("infer").header("inference-header-content-length", "x").body("{}");
    assert_eq!(fails("caller", "a wrong length", binary.send()), counted + 1.0);
    let [nan, flat] =
        [json!({"inputs": [], "parameters": {"behave": "nan"}}), json!({"behave": "nan"})];
    for (verb, body, seen) in
        [("infer", &nan, 1.0), ("generate", &flat, 2.0), ("generate_stream", &flat, 3.0)]
    {
        assert_eq!(fails("output", verb, call(verb).json(body).send()), seen);
    }
}

#[test]
fn a_response_an_interceptor_rejects_is_no_success() {
    let server = Server::with_models(|models| {
        models.bare("model", scripted("version=1"));
        models.bare(
            "interceptors/scripted-interceptor",
            scripted_interceptor("name=scripted-interceptor;after=no-outputs"),
        );
    });
    let server = server.start();
    server.until_ready("model", 1);
    for _ in 0..2 {
        server.behave("model", "ok").refused(500, "interceptor_failed");
    }
    let stats = &statistics(&server, "/v2/models/model/stats")[0]["inference_stats"];
    assert_eq!((&stats["success"]["count"], &stats["fail"]["count"]), (&json!(0), &json!(2)));
}
