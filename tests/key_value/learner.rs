//! The example that learns: what one instance has learned is available to all.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{Server, guest, guest_folder};

/// The tumours of the golden request, and their outcomes.
fn tumours() -> Vec<(Vec<Value>, Value)> {
    let golden = std::fs::read(guest_folder("learner").join("golden.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let data = |input: usize| {
        golden["cases"][0]["request"]["inputs"][input]["data"].as_array().unwrap().clone()
    };
    let (measurements, outcomes) = (data(0), data(1));
    measurements.chunks(30).map(<[Value]>::to_vec).zip(outcomes).collect()
}

fn request(rows: &[(Vec<Value>, Value)], learn: bool) -> Value {
    let measurements: Vec<_> = rows.iter().flat_map(|(row, _)| row.clone()).collect();
    let outcomes: Vec<_> = rows.iter().map(|(_, outcome)| outcome).collect();
    let mut inputs = vec![
        json!({ "name": "measurements", "datatype": "FP64", "shape": [rows.len(), 30], "data": measurements }),
    ];
    if learn {
        inputs.push(json!({ "name": "malignant", "datatype": "BOOL", "shape": [rows.len()], "data": outcomes }));
    }
    json!({ "inputs": inputs })
}

/// Returns the number of rows learned from, and the number of these rows that it predicts
/// correctly.
fn knowledge(server: &Server, rows: &[(Vec<Value>, Value)]) -> (i64, usize) {
    let answer = server.infer("learner", &request(rows, false));
    let probabilities = answer.output("probability");
    let right = probabilities.iter().zip(rows).filter(|(probability, (_, outcome))| {
        (probability.as_f64().unwrap() > 0.5) == outcome.as_bool().unwrap()
    });
    (answer.number("learned"), right.count())
}

#[test]
fn learned_weights_survive_swaps_and_restarts() {
    let server = Server::with_models(|models| {
        models.settings("learner", "[capabilities]\nkey_value = true");
        models.copy_folder(&guest_folder("learner"), "learner/1");
    });
    let server = server.start();
    server.until_ready("learner", 1);
    let rows = tumours();
    let benign = rows.iter().filter(|(_, outcome)| *outcome == json!(false)).count();
    assert_eq!(knowledge(&server, &rows), (0, benign));
    thread::scope(|scope| {
        for part in rows.chunks(15) {
            let server = &server;
            scope.spawn(move || {
                for row in part {
                    server.infer("learner", &request(std::slice::from_ref(row), true)).ok();
                }
            });
        }
    });
    let learned = knowledge(&server, &rows);
    assert!(learned.0 == 120 && learned.1 >= 110, "{learned:?}");
    // Golden requests begin with an empty store, and so does every other trial.
    server.models().copy_folder(&guest_folder("learner"), "learner/2");
    server.models().version("learner", 2, guest("learner"));
    server.until_ready("learner", 2);
    assert_eq!(knowledge(&server, &rows), learned);
    let server = server.stop().start();
    server.until_ready("learner", 2);
    assert_eq!(knowledge(&server, &rows), learned);
}
