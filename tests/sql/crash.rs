//! Killed at any moment, it has kept what it has acknowledged, and nothing by halves.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;

use super::together::transfer;
use super::{ACCOUNTS, SUM, query, setup};

/// How often it is killed; `WARDIAN_CRASH_ROUNDS` says otherwise.
const ROUNDS: usize = 20;

#[test]
fn nothing_acknowledged_is_lost_when_it_is_killed() {
    let rounds = std::env::var("WARDIAN_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let mut setup = setup(ACCOUNTS);
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds {
        let server = setup.start();
        server.until_ready("ledger", 1);
        // Not the same moment twice; how far it comes until then is chance.
        let moment = Duration::from_millis(20 + (round as u64 * 37) % 200);
        let kept = std::thread::scope(|scope| {
            let clients = scope.spawn(|| transfer(&server, 4, 100, round));
            std::thread::sleep(moment);
            server.kill_now();
            clients.join().unwrap()
        });
        acknowledged.extend(kept);
        setup = server.kill();
        check(&setup.state().join("tenants/default/database.sqlite"), &acknowledged);
    }
    assert!(acknowledged.len() > rounds, "hardly anything was acknowledged: {}", acknowledged.len());
    let server = setup.start();
    server.until_ready("ledger", 1);
    assert_eq!(query(&server, "select sum(balance) from accounts"), SUM);
}

fn check(file: &std::path::Path, acknowledged: &BTreeSet<String>) {
    let connection = Connection::open(file).unwrap();
    let text = |query: &str| connection.query_row(query, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("pragma integrity_check"), "ok");
    assert_eq!(text("select cast(sum(balance) as text) from accounts"), "4000");
    let mut statement = connection.prepare("select name from transfers").unwrap();
    let kept: BTreeSet<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}
