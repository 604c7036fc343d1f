//! Kills the server while it writes, again and again: acknowledged values are there, and the file
//! is intact.

use super::{ask, ask_one, operations, said, setup, start};
use crate::harness::{Crashes, Server, check_store};

/// A client that counts up in three ways, one after another, in a bucket of its own.
struct Writer {
    bucket: String,
    /// The last acknowledged count.
    count: i64,
}

impl Writer {
    fn write_on(&mut self, server: &Server) {
        loop {
            let (bucket, next) = (&self.bucket, self.count + 1);
            let all = [
                format!("set {bucket} value {next}"),
                format!("set-two {bucket} left {next} right {next}"),
                format!("increment {bucket} counted 1"),
            ];
            let all: Vec<_> = all.iter().map(String::as_str).collect();
            let call = server
                .call("POST", "/v2/models/key-value-operations/infer")
                .json(&operations(&all));
            let Ok(answer) = call.try_send() else { return };
            assert_eq!(said(&answer), ["ok", "ok", &next.to_string()]);
            self.count = next;
        }
    }

    /// Asserts that acknowledged operations are there, and that of an interrupted request only the
    /// first operations are.
    fn look(&mut self, server: &Server) {
        let keys =
            ["value", "left", "right", "counted"].map(|key| format!("get {} {key}", self.bucket));
        let values = ask(server, &keys.each_ref().map(String::as_str));
        let values: Vec<i64> = values.iter().map(|value| value.parse().unwrap_or(0)).collect();
        assert!(
            values.is_sorted_by(|first, next| first >= next) && values[1] == values[2],
            "{values:?}"
        );
        assert!(
            values.iter().all(|value| (self.count..=self.count + 1).contains(value)),
            "{values:?} {}",
            self.count
        );
        // An interrupted operation has happened or has not; from here on all counts agree again.
        self.count = values[0];
        let level = format!("set-two {0} left {1} right {1}", self.bucket, self.count);
        let counted = format!("set {} counted {}", self.bucket, self.count);
        assert_eq!(ask(server, &[&level, &counted]), ["ok", "ok"]);
    }
}

#[test]
fn acknowledged_values_survive_a_kill() {
    let setup = setup("[limits]\ndeadline = '10m'");
    let store = setup.state().join("tenants/default/store.sqlite");
    let mut writers = Crashes::workers(|number| Writer { bucket: format!("w{number}"), count: 0 });
    Crashes::new(setup).each(
        &mut writers,
        |server| server.until_ready("key-value-operations", 1),
        |server, writer| writer.write_on(server),
        |server, writers| {
            writers.iter_mut().for_each(|writer| writer.look(server));
            check_store(&store);
        },
    );
    println!("acknowledged: {:?}", writers.iter().map(|writer| writer.count).collect::<Vec<_>>());
}

#[test]
fn normal_durability_survives_a_kill() {
    let server = start(setup("").config("[data]\ndurability = 'normal'"));
    assert_eq!(ask_one(&server, "set b k kept"), "ok");
    let server = start(server.kill());
    assert_eq!(ask_one(&server, "get b k"), "kept");
}
