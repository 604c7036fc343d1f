//! Crashes: acknowledged state is there after the process was killed, and no task has more tries
//! than allowed.
//!
//! A session's state and the tasks of a request are stored in one transaction before the response.
//! The completion of a task is stored in one transaction with its changes. So a task may run more
//! than once, but its effect is in the state exactly once: the state of each session must be `w1 t1
//! w2 t2 …` up to the last answered request, or up to the one after it, whose response did not
//! arrive.

use super::{SOON, request, setup, state, tasks, words};
use crate::harness::{Crashes, Server, check_store, until};

/// A client with a session of its own.
struct Client {
    session: String,
    /// The number of answered requests.
    answered: u32,
    /// One more request was sent, and may have been answered.
    asked: u32,
}

impl Client {
    fn ask_on(&mut self, server: &Server) {
        loop {
            self.asked = self.answered + 1;
            let orders = format!("say w{0}; defer say t{0}", self.asked);
            let body = request(&self.session, self.asked == 1, &orders);
            let Ok(answer) =
                server.call("POST", "/v2/models/session-words/infer").json(&body).try_send()
            else {
                return;
            };
            answer.ok();
            self.answered = self.asked;
        }
    }

    /// Asserts that the state has the answered requests, and at most one more.
    fn look(&mut self, server: &Server) {
        let answer = super::ask(server, &self.session, "");
        if answer.status == 400 && self.answered == 0 {
            return;
        }
        let state = words(&answer);
        let expected = |requests: u32| {
            (1..=requests)
                .map(|number| format!("w{number} t{number}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let kept =
            [self.answered, self.asked].into_iter().find(|&requests| state == expected(requests));
        self.answered =
            kept.unwrap_or_else(|| panic!("{} answered, and there is: {state}", self.answered));
    }
}

/// The tries that a task may have.
const TRIES: usize = 3;

#[test]
fn acknowledged_state_is_kept_exactly_once() {
    let settings = format!(
        "{SOON}tries = {TRIES}\ndeadline = \"10m\"\n[limits]\ndeadline = \"60s\"\n[sessions]\nmax_size = \"10MiB\"\n"
    );
    let setup = setup(&settings);
    let store = setup.state().join("tenants/default/store.sqlite");
    let mut clients =
        Crashes::workers(|number| Client { session: format!("c{number}"), answered: 0, asked: 0 });
    let setup = Crashes::new(setup).each(
        &mut clients,
        |server| server.until_ready("session-words", 1),
        |server, client| client.ask_on(server),
        |server, clients| {
            clients.iter_mut().for_each(|client| client.look(server));
            check_store(&store);
            assert!(
                tasks(server).iter().all(|task| task["state"] != "failed"),
                "{:?}",
                tasks(server)
            );
        },
    );
    drop(setup);
}

#[test]
fn a_task_that_kills_the_process_is_dropped() {
    let mut setup = setup(&format!("{SOON}tries = {TRIES}\n[limits]\ndeadline = \"60s\"\n"));
    let mut runs = 0;
    for start in 0..TRIES + 2 {
        let server = setup.start();
        server.until_ready("session-words", 1);
        if start == 0 {
            server
                .infer("session-words", &request("s", true, "say a; defer sleep 59999, say b"))
                .ok();
        }
        if start < TRIES {
            until("that it runs", || tasks(&server)[0]["state"] == "running");
            until("that it says so", || server.log().contains("sleeps for 59999 ms"));
            assert_eq!(tasks(&server)[0]["tries"], start + 1);
        } else {
            // The request after it runs now.
            assert_eq!(state(&server, "s"), "a b");
            assert!(
                tasks(&server)[0]["error"].as_str().unwrap().contains("ended during the last try")
            );
        }
        runs += server.log().matches("sleeps for 59999 ms").count();
        setup = server.kill();
    }
    assert_eq!(runs, TRIES);
}
