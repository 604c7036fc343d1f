//! `GET …/stats`, as Triton's clients read it.

use serde_json::{Value, json};

use crate::harness::{Server, guest, puppet};

fn statistics(server: &Server, path: &str) -> Vec<Value> {
    let response = server.get(path);
    assert_eq!(response.status, 200, "{response}");
    response.json()["model_stats"].as_array().unwrap().clone()
}

#[test]
fn what_a_version_has_done_is_counted_until_it_goes() {
    let server = Server::with_models(|models| models.bare("steady", puppet("version=1"))).start();
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
    for path in ["/v2/models/steady/stats", "/v2/models/steady/versions/1/stats", "/v2/models/stats"] {
        let counted = &statistics(&server, path)[0];
        assert_eq!((&counted["name"], &counted["version"]), (&json!("steady"), &json!("1")), "{path}");
        assert_eq!((&counted["inference_count"], &counted["execution_count"]), (&json!(3), &json!(3)), "{path}");
        assert!(counted["last_inference"].as_u64().unwrap() > 1_700_000_000_000, "{path}");
        let stats = &counted["inference_stats"];
        assert_eq!((&stats["success"]["count"], &stats["fail"]["count"]), (&json!(3), &json!(1)), "{path}");
        assert!(stats["compute_infer"]["ns"].as_u64() > Some(0), "{path}");
    }
    assert_eq!(server.get("/v2/models/nobody/stats").status, 404);
}

#[test]
fn calls_of_a_model_that_batches_are_counted_whether_or_not_its_batches_make_them() {
    let server = Server::with_models(|models| models.bare("batching", guest("batcher"))).start();
    server.until_ready("batching", 1);
    let asked = |parameters: Value| {
        let word = json!({"name": "word", "datatype": "BYTES", "shape": [1], "data": ["good"]});
        server.infer("batching", &json!({"inputs": [word], "parameters": parameters})).ok();
    };
    asked(json!({}));
    // A request of a sequence is never grouped with others.
    asked(json!({"sequence_id": 1}));
    asked(json!({"sequence_id": 1}));
    server.generate("batching", &json!({"word": "good", "sequence_id": 2})).ok();
    let counted = &statistics(&server, "/v2/models/batching/stats")[0];
    assert_eq!((&counted["inference_count"], &counted["execution_count"]), (&json!(4), &json!(4)));
    assert_eq!(server.metric("wardian_batch_size_count{"), Some(4.0));
}
