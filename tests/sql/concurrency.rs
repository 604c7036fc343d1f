//! Concurrent statements: no change is lost.

use super::{ACCOUNTS, SUM, query, results, serve, step, steps};
use crate::harness::Server;

/// Makes `each` transfers from each of `clients` clients at the same time. Returns the names of
/// acknowledged transfers.
pub(super) fn transfer(server: &Server, clients: usize, each: usize, round: usize) -> Vec<String> {
    let one = |client: usize| -> Vec<String> {
        let made = (0..each).map(|number| (format!("{round}-{client}-{number}"), number));
        let kept =
            made.filter(|(name, number)| try_transfer(server, name, client, *number) == Some(true));
        kept.map(|(name, _)| name).collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients).map(|client| scope.spawn(move || one(client))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Makes one transfer. Returns true if it was acknowledged; `None` if the server does not answer
/// any more.
pub(super) fn try_transfer(
    server: &Server,
    name: &str,
    client: usize,
    number: usize,
) -> Option<bool> {
    let (from, to) = (1 + (client + number) % 4, 1 + (client + number * 3 + 1) % 4);
    let taken = [step("transfer", &[name, &from.to_string(), &to.to_string(), "7"])];
    let answer =
        server.call("POST", "/v2/models/sql-steps/infer").json(&steps(&taken)).try_send().ok()?;
    Some(answer.status == 200 && results(&answer) == ["ok"])
}

#[test]
fn concurrent_updates_lose_nothing() {
    let server = serve(ACCOUNTS);
    let kept = transfer(&server, 16, 25, 0);
    assert_eq!(kept.len(), 16 * 25);
    assert_eq!(query(&server, "select count(*) from transfers"), "i:400");
    assert_eq!(query(&server, "select sum(balance) from accounts"), SUM);
}

#[test]
fn readers_see_whole_transfers_only() {
    let server = serve(ACCOUNTS);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| transfer(&server, 4, 25, 0).len());
        while !writing.is_finished() {
            assert_eq!(query(&server, "select sum(balance) from accounts"), SUM);
        }
        assert_eq!(writing.join().unwrap(), 100);
    });
}
