//! The grouping of requests, and their order.

use serde_json::{Value, json};

use crate::batching::{
    BOTH, JOINED, PATIENT, SIDE_BY_SIDE, body, counted, held_up, line_up, line_up_all, said,
    serving, with_parameter,
};
use crate::harness::Server;

#[test]
fn queued_requests_share_a_call() {
    for guest in BOTH {
        let (server, holder) = held_up(guest, PATIENT);
        let words = ["one", "two", "three", "four", "five"];
        let waiting = line_up_all(&server, words);
        holder.hang_up();
        for (word, pending) in words.into_iter().zip(waiting) {
            assert_eq!(said(&pending.answer()), (word.to_owned(), 5), "{guest}");
        }
        // The holder's call counts as well.
        assert_eq!(counted(&server), (6.0, 2.0, 0.0), "{guest}");
        assert_eq!(server.metric("wardian_requests_total{"), Some(5.0), "{guest}");
    }
}

#[test]
fn rows_are_counted_where_requests_are_joined() {
    let (server, holder) = held_up(JOINED, &format!("{PATIENT}[batching]\nmax_batch_size = 4"));
    let rows = |words: &[&str]| json!({ "inputs": [{ "name": "word", "datatype": "BYTES", "shape": [words.len()], "data": words }] });
    let asked = [
        &["a", "bb", "ccc"][..],
        &["d", "e"],
        &["f"],
        &["g", "h", "i", "j", "k", "l"],
        &["m", "n"],
    ];
    let waiting: Vec<_> =
        (0..).zip(asked).map(|(behind, words)| line_up(&server, behind, &rows(words))).collect();
    holder.hang_up();
    // The first goes with the third, because the second does not fit beside it. The fourth alone is
    // as large as a batch may be.
    for ((words, pending), batch) in asked.into_iter().zip(waiting).zip([4, 4, 4, 6, 4]) {
        let answer = pending.answer();
        assert_eq!(answer.output("word"), words);
        assert_eq!(answer.output("batch"), vec![json!(batch); words.len()], "{words:?}");
    }
}

#[test]
fn only_requests_equal_but_for_rows_are_joined() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let numbers = |word: &str, numbers: &[f64]| {
        let mut body = body(word);
        let x = json!({ "name": "x", "datatype": "FP64", "shape": [1, numbers.len()], "data": numbers });
        body["inputs"].as_array_mut().unwrap().push(x);
        body
    };
    let mut few_outputs = body("h");
    few_outputs["outputs"] = json!([{ "name": "word" }, { "name": "batch" }]);
    let asked: [(Value, i64); 8] = [
        (body("a"), 2),
        (with_parameter("b", "tone", json!("high")), 2),
        (with_parameter("c", "tone", json!("low")), 1),
        (numbers("d", &[1.0, 2.0]), 1),
        (numbers("e", &[4.0]), 1),
        (body("f"), 2),
        (with_parameter("g", "tone", json!("high")), 2),
        (few_outputs, 1),
    ];
    let waiting: Vec<_> =
        (0..).zip(&asked).map(|(behind, (body, _))| line_up(&server, behind, body)).collect();
    holder.hang_up();
    for ((body, batch), pending) in asked.iter().zip(waiting) {
        let answer = pending.answer();
        let word = body["inputs"][0]["data"][0].as_str().unwrap();
        assert_eq!(said(&answer), (word.to_owned(), *batch), "{answer}");
        let tone = body["parameters"]["tone"].as_str().unwrap_or("none");
        assert_eq!(answer.json()["parameters"]["tone"], tone, "{word}");
        if let Some(x) = body["inputs"].get(1) {
            let sum: f64 = x["data"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
            assert_eq!(answer.output("sum"), [json!(sum)], "{word}");
        }
    }
}

#[test]
fn side_by_side_takes_requests_of_any_shape() {
    let (server, holder) = held_up(SIDE_BY_SIDE, PATIENT);
    let request = |number: usize| {
        let mut body =
            with_parameter(&format!("word {number}"), "tone", json!(format!("tone {number}")));
        let x = json!({ "name": "x", "datatype": "FP64", "shape": [number], "data": vec![number; number] });
        body["inputs"].as_array_mut().unwrap().push(x);
        body
    };
    let waiting: Vec<_> =
        (0..6).map(|number| line_up(&server, number as u64, &request(number))).collect();
    holder.hang_up();
    for (number, pending) in waiting.into_iter().enumerate() {
        let answer = pending.answer();
        assert_eq!(said(&answer), (format!("word {number}"), 6));
        assert_eq!(answer.output("sum"), [json!((number * number) as f64)]);
        assert_eq!(answer.json()["parameters"]["tone"], format!("tone {number}"));
    }
}

#[test]
fn requests_are_ordered_by_priority() {
    let settings = format!("isolation = 'pooled'\n{PATIENT}[batching]\nmax_batch_size = 2");
    let (server, holder) = held_up(JOINED, &settings);
    let asked = [("a", 0), ("b", 3), ("c", 1), ("d", 1_000_000_000_000_u64), ("e", 1), ("f", 3)];
    let waiting: Vec<_> = (0..)
        .zip(asked)
        .map(|(behind, (word, priority))| {
            (word, line_up(&server, behind, &with_parameter(word, "priority", json!(priority))))
        })
        .collect();
    holder.hang_up();
    // The instance counts its calls one after another.
    let mut order: Vec<_> = waiting
        .into_iter()
        .map(|(word, pending)| (pending.answer().number("calls"), word))
        .collect();
    order.sort_unstable();
    assert_eq!(order, [(1, "c"), (1, "e"), (2, "b"), (2, "f"), (3, "a"), (3, "d")]);
    server
        .infer("model", &with_parameter("g", "priority", json!("high")))
        .refused(400, "invalid_input");
}

#[test]
fn the_batching_settings_are_shown() {
    let in_force = |server: &Server| {
        let shown = server.config_of("model")["wardian"]["batching"].clone();
        (shown["effective"].as_u64().unwrap(), shown["form"].clone())
    };
    for (guest, settings, effective, form) in [
        (JOINED, "", 64, json!("joined")),
        (JOINED, "[batching]\nmax_batch_size = 8", 8, json!("joined")),
        (JOINED, "[batching]\nmax_batch_size = 1000", 64, json!("joined")),
        (JOINED, "[batching]\nmax_batch_size = 1", 1, Value::Null),
        (SIDE_BY_SIDE, "", 32, json!("side by side")),
        (SIDE_BY_SIDE, "[batching]\nmax_batch_size = 100", 100, json!("side by side")),
        ("minimal", "[batching]\nmax_batch_size = 8", 1, Value::Null),
    ] {
        assert_eq!(in_force(&serving(guest, settings)), (effective, form), "{guest} {settings}");
    }
}
