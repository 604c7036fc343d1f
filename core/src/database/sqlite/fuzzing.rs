//! Invariants of a database file under any statements of guests.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::types::Value as Found;

use super::super::{CpuMeter, DatabaseConfig, Fetch, Statement};
use super::cancel_token::CancelToken;
use super::guest_connection::{Access, GuestConnection};
use super::job::StatementJob;
use super::run::StatementLimits;
use crate::model::TenantName;
use crate::tenant::{CpuShare, FairScheduler, HostWorkMeter, Tenant, TenantSettings};

/// Short, so that endless statements end soon.
const ALLOWED: Duration = Duration::from_millis(20);

/// Runs each line as a statement of a guest, then the whole text as a migration. Checks that no
/// table of the host changes, no other file is created or attached, and no transaction stays open.
pub fn sql(text: &str) {
    let folder = Folder::new();
    let connection = folder.open();
    for statement in text.lines() {
        for fetch in [Fetch::Rows, Fetch::Count] {
            let statement = Statement { text: statement.to_owned(), parameters: Vec::new() };
            let job = StatementJob::new(statement, fetch, &CpuMeter::default());
            let _ = connection.run(&job, &folder.config, &limits(&job.cancel_token));
            assert!(connection.sqlite.is_autocommit(), "a statement left a transaction open");
        }
    }

    connection.execute_trusted("BEGIN").unwrap();

    let _ = connection.run_migration(text, &limits(&CancelToken::default()));
    assert!(
        !connection.sqlite.is_autocommit(),
        "a migration has ended the transaction it is part of"
    );
    connection.execute_trusted("COMMIT").unwrap();
    folder.check(&connection);
}

/// A meter for work that no tenant pays for.
fn meter() -> HostWorkMeter {
    let tenant = Tenant::new(TenantName::default_tenant(), TenantSettings::default());
    HostWorkMeter::new(FairScheduler::new(1), CpuShare::new(tenant.account().clone()))
}

fn limits(cancel_token: &CancelToken) -> StatementLimits<'_> {
    StatementLimits { cancel_token, allowed: ALLOWED, open_until: None }
}

/// A temporary folder with a database.
struct Folder {
    path: PathBuf,
    config: DatabaseConfig,
}

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("wardian-fuzz-sql-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder { path, config: DatabaseConfig::default() }
    }

    fn open(&self) -> GuestConnection {
        let connection = GuestConnection::open(
            &self.path.join("database.sqlite"),
            Access::Write,
            &self.config,
            meter(),
        )
        .unwrap();
        connection
            .execute_trusted(
                "PRAGMA synchronous = OFF;
                 INSERT INTO wardian_migrations (model, name, digest) VALUES ('m', 'own', 'd');
                 CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'); CREATE INDEX i ON t (a);
                 CREATE VIEW v AS SELECT a FROM t;",
            )
            .unwrap();
        connection
    }

    fn check(&self, connection: &GuestConnection) {
        let own = found(connection, "SELECT name FROM wardian_migrations");
        assert_eq!(own, [Found::Text("own".into())], "a table of the host's own has changed");

        // Besides the table, only the index of its primary key exists.
        let about = found(
            connection,
            "SELECT type FROM sqlite_schema WHERE lower(tbl_name) = 'wardian_migrations'",
        );

        assert_eq!(
            about,
            [Found::Text("table".into()), Found::Text("index".into())],
            "something was put on it"
        );

        let databases =
            found(connection, "SELECT name FROM pragma_database_list WHERE name <> 'temp'");
        assert_eq!(databases, [Found::Text("main".into())], "another database is attached");
        assert_eq!(found(connection, "PRAGMA integrity_check"), [Found::Text("ok".into())]);

        for entry in fs::read_dir(&self.path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.starts_with("database.sqlite"), "a file {name} has been made");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Returns the first column of the rows of a host statement.
fn found(connection: &GuestConnection, statement: &str) -> Vec<Found> {
    connection.authorizer.as_host(|| {
        let mut statement = connection.sqlite.prepare(statement).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    })
}
