//! Routes change with the version that answers them.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::add;
use crate::harness::{Server, until};

const SWAPS: u64 = 12;

fn settings(number: u64) -> String {
    format!(
        "[[routes]]\npath = '/steady/{{text}}'\n\
         outputs = {{ settings = {{ value = {number} }}, text = 'text' }}\n\
         [[routes]]\npath = '/of/{number}'\noutputs = 'version'\n"
    )
}

#[test]
fn no_request_is_lost_while_routes_are_replaced() {
    let server = Server::with_models(|models| add(models, "scripted", &settings(1))).start();
    server.until_ready("scripted", 1);

    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ask = || {
            let mut last = 0;
            let mut answers = 0;
            while !ended.load(Ordering::Relaxed) {
                let answer: Value = server.get("/steady/a").ok().json();
                let number = answer["settings"].as_u64().unwrap();
                assert!(number >= last, "the settings went from {last} back to {number}");
                assert_eq!(answer["text"], "a");
                last = number;
                answers += 1;
            }
            (last, answers)
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();

        for number in 2..=SWAPS {
            server.models().settings("scripted", &settings(number));
            until("the new routes", || server.get(&format!("/of/{number}")).status == 200);
            // The old routes are gone in the same moment.
            server.get(&format!("/of/{}", number - 1)).refused(404, "not_found");
        }
        ended.store(true, Ordering::Relaxed);
        for worker in workers {
            let (last, answers) = worker.join().unwrap();
            assert!(answers > 10 && last >= SWAPS - 1, "{answers} answers up to {last}");
        }
    });
    assert_eq!(server.metric("wardian_request_failures_total"), Some(0.0));
}

#[test]
fn routes_go_with_their_model() {
    let server = Server::with_models(|models| add(models, "scripted", &settings(1))).start();
    server.until_ready("scripted", 1);
    server.get("/of/1").ok();
    server.unload("scripted").ok();
    server.get("/of/1").refused(404, "not_found");
    server.load("scripted").ok();
    server.get("/of/1").ok();
    server.models().remove("scripted");
    until("that the route is gone", || server.get("/of/1").status == 404);
}
