//! Batches under load, with each isolation and during a swap.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::batching::{BOTH, JOINED, SIDE_BY_SIDE, body, counted, serving};
use crate::harness::{Server, guest, until};

/// Clients that send requests without pause until they are stopped, each with words of its own.
struct ConcurrentClients {
    cease: AtomicBool,
    answers: AtomicU64,
    together: AtomicU64,
}

impl ConcurrentClients {
    const CLIENTS: usize = 32;

    /// Runs the clients while `meanwhile` runs, and until each client has had many responses.
    fn ask(server: &Server, meanwhile: impl FnOnce(&ConcurrentClients)) -> ConcurrentClients {
        let clients = ConcurrentClients {
            cease: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            together: AtomicU64::new(0),
        };
        std::thread::scope(|scope| {
            for client in 0..Self::CLIENTS {
                let clients = &clients;
                scope.spawn(move || clients.ask_without_pause(server, client));
            }
            meanwhile(&clients);
            clients.cease.store(true, Ordering::Relaxed);
        });
        clients
    }

    fn ask_without_pause(&self, server: &Server, client: usize) {
        for number in 0.. {
            if self.cease.load(Ordering::Relaxed) {
                return;
            }
            let word = format!("client {client} asks {number}");
            let answer = server.infer("model", &body(&word));
            assert_eq!(answer.output("word"), [word.as_str()], "{answer}");
            self.answers.fetch_add(1, Ordering::Relaxed);
            self.together.fetch_add(u64::from(answer.number("batch") > 1), Ordering::Relaxed);
        }
    }

    fn until_answered(&self, count: u64) {
        let before = self.answers.load(Ordering::Relaxed);
        until("many answers", || self.answers.load(Ordering::Relaxed) >= before + count);
    }
}

#[test]
fn under_load_batches_form_by_themselves() {
    for guest in BOTH {
        for isolation in ["request", "pooled"] {
            let server =
                serving(guest, &format!("isolation = '{isolation}'\n[limits]\ndeadline = '1m'"));
            let clients = ConcurrentClients::ask(&server, |clients| {
                clients.until_answered(1000);
                until("some that went together", || clients.together.load(Ordering::Relaxed) > 100);
            });
            let (requests, calls, failures) = counted(&server);
            assert_eq!(
                requests,
                clients.answers.load(Ordering::Relaxed) as f64,
                "{guest} {isolation}"
            );
            assert!(
                calls < requests && failures == 0.0,
                "{guest} {isolation}: {calls} calls for {requests}"
            );
            assert_eq!(server.metric("wardian_requests_total{"), Some(requests));
            assert!(server.metric("wardian_request_failures_total{").unwrap_or(0.0) == 0.0);
        }
    }
}

#[test]
fn a_swap_loses_no_request() {
    let server = Server::with_models(|models| {
        models.settings("model", "[limits]\ndeadline = '1m'");
        models.version("model", 1, guest(JOINED));
    })
    .start();
    server.until_ready("model", 1);
    ConcurrentClients::ask(&server, |clients| {
        for version in 2..8 {
            clients.until_answered(100);
            let name = if version % 2 == 0 { SIDE_BY_SIDE } else { JOINED };
            server.models().version("model", version, guest(name));
            server.until_ready("model", version);
        }
        clients.until_answered(100);
    });
    assert!(server.metric("wardian_request_failures_total{").unwrap_or(0.0) == 0.0);
    until("that the others have drained", || server.metric("wardian_batch_size_count{").is_some());
    server.stop();
}
