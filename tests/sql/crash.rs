//! A killed server has kept what it acknowledged, and no transaction in part.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use super::concurrency::try_transfer;
use super::{ACCOUNTS, SUM, query, setup};
use crate::harness::{Crashes, Server, check_store};

/// A client that makes one transfer after another.
struct Client {
    number: usize,
    made: usize,
    acknowledged: BTreeSet<String>,
}

impl Client {
    fn transfer_on(&mut self, server: &Server) {
        loop {
            let name = format!("{}-{}", self.number, self.made);
            let Some(kept) = try_transfer(server, &name, self.number, self.made) else { return };
            self.made += 1;
            self.acknowledged.extend(kept.then_some(name));
        }
    }

    /// An interrupted transfer may have been committed; its name is not used again.
    fn go_on(&mut self) {
        self.made += 1;
    }
}

#[test]
fn acknowledged_transfers_survive_a_kill() {
    let setup = setup(ACCOUNTS);
    let file = setup.state().join("tenants/default/database.sqlite");
    let mut clients =
        Crashes::workers(|number| Client { number, made: 0, acknowledged: BTreeSet::new() });
    Crashes::new(setup).each(
        &mut clients,
        |server| server.until_ready("sql-steps", 1),
        |server, client| client.transfer_on(server),
        |server, clients| {
            check(&file, clients.iter().flat_map(|client| &client.acknowledged));
            assert_eq!(query(server, "select sum(balance) from accounts"), SUM);
            clients.iter_mut().for_each(Client::go_on);
        },
    );
    let acknowledged: Vec<_> = clients.iter().map(|client| client.acknowledged.len()).collect();
    println!("acknowledged: {acknowledged:?}");
    assert!(
        acknowledged.iter().all(|&count| count > 0),
        "hardly anything was acknowledged: {acknowledged:?}"
    );
}

fn check<'a>(file: &Path, acknowledged: impl Iterator<Item = &'a String>) {
    check_store(file);
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare("select name from transfers").unwrap();
    let kept: BTreeSet<String> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let lost: Vec<_> = acknowledged.filter(|name| !kept.contains(*name)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}
