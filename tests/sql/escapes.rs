//! No statement leads out of the tenant's own tables.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{ACCOUNTS, begins, execute, execute_as, query, query_as, serve, serve_two, setup};

#[test]
fn statements_outside_the_database_are_denied() {
    let server = serve(ACCOUNTS);
    let other = server.directory().join("elsewhere.sqlite");
    let other = other.display();
    for statement in [
        &format!("attach '{other}' as other"),
        &format!("attach 'file:{other}?mode=rwc' as other"),
        "attach ':memory:' as other",
        "attach '' as other",
        "detach main",
        "vacuum",
        &format!("vacuum into '{other}'"),
        "select load_extension('x')",
        "select fts3_tokenizer('x')",
        "select sqlite_compileoption_get(0)",
        "create virtual table t using fts5(x)",
        "create virtual table t using rtree(a, b, c)",
        "create temp table t (x)",
        "create temporary view t as select 1",
        "create table temp.t (x)",
        "begin",
        "commit",
        "end",
        "rollback",
        "savepoint s",
        "release wardian_validation",
        "rollback to wardian_validation",
    ] {
        for said in [execute(&server, statement), query(&server, statement)] {
            assert!(said.starts_with("denied: "), "{statement}: {said}");
        }
    }
    assert!(!Path::new(&other.to_string()).exists());
    assert_eq!(query(&server, "select sum(balance) from accounts"), "i:4000");
}

#[test]
fn only_describing_pragmas_are_permitted() {
    let server = serve(ACCOUNTS);
    for pragma in [
        "writable_schema = 1",
        "writable_schema = reset",
        "journal_mode = off",
        "journal_mode",
        "synchronous = off",
        "max_page_count = 1000000",
        "page_size = 512",
        "mmap_size = 100000000",
        "temp_store_directory = '/tmp'",
        "data_store_directory = '/tmp'",
        "temp_store = file",
        "cache_size = 1000000",
        "hard_heap_limit = 1",
        "soft_heap_limit = 1",
        "threads = 8",
        "trusted_schema = on",
        "foreign_keys = off",
        "locking_mode = exclusive",
        "query_only = off",
        "database_list",
        "user_version = 5",
        "incremental_vacuum",
        "wal_checkpoint(truncate)",
        "integrity_check",
        "optimize",
        "secure_delete = on",
        "encoding = 'UTF-16'",
        "case_sensitive_like = on",
        "busy_timeout = 100000",
        "schema_version = 5",
        "cell_size_check = off",
        "nonsense",
    ] {
        begins(&query(&server, &format!("pragma {pragma}")), "denied: PRAGMA ");
        begins(&execute(&server, &format!("pragma main.{pragma}")), "denied: PRAGMA ");
    }
    assert_eq!(query(&server, "select name from pragma_table_info('accounts')"), "t:id;t:balance");
    begins(&query(&server, "select * from pragma_database_list"), "denied: PRAGMA ");
    begins(&query(&server, "pragma table_info(accounts)"), "i:0,t:id,");
}

#[test]
fn the_hosts_own_tables_are_out_of_reach() {
    let server = serve(ACCOUNTS);
    for statement in [
        "select * from wardian_migrations",
        "select * from main.WARDIAN_MIGRATIONS",
        "select (select count(*) from \"wardian_migrations\")",
        "delete from wardian_migrations",
        "update wardian_migrations set digest = ''",
        "insert into wardian_migrations (model, name, digest) values ('a', 'b', 'c')",
        "replace into wardian_migrations (model, name, digest) values ('a', 'b', 'c')",
        "drop table wardian_migrations",
        "alter table wardian_migrations rename to mine",
        "alter table wardian_migrations add column x",
        "create index i on wardian_migrations (name)",
        "create trigger t after insert on wardian_migrations begin select 1; end",
        "create table wardian_mine (x)",
        "create view wardian_view as select 1",
        "create table mine as select * from wardian_migrations",
        "analyze wardian_migrations",
        // The text equals the host's own statement, which must not make it permitted.
        "SELECT name, digest FROM wardian_migrations WHERE model = $1",
    ] {
        begins(&execute(&server, statement), "denied: ");
    }
    // A view of a forbidden table can be created; it cannot be read.
    begins(&execute(&server, "create view peek as select * from wardian_migrations"), "0");
    begins(&query(&server, "select * from peek"), "denied: ");
    begins(&execute(&server, "alter table accounts rename to wardian_accounts"), "0");
    begins(&query(&server, "select * from wardian_accounts"), "denied: ");
}

#[test]
fn the_schema_cannot_be_written_by_hand() {
    let server = serve(ACCOUNTS);
    for statement in [
        "update sqlite_master set sql = 'create table accounts (x)'",
        "delete from sqlite_schema",
        "insert into sqlite_master values ('table', 'x', 'x', 2, 'create table x (y)')",
        "drop table sqlite_master",
        "create table sqlite_mine (x)",
        "create trigger t after insert on sqlite_master begin select 1; end",
    ] {
        let said = execute(&server, statement);
        assert!(
            said.starts_with("invalid: ") || said.starts_with("denied: "),
            "{statement}: {said}"
        );
    }
    assert_eq!(query(&server, "select sum(balance) from accounts"), "i:4000");
}

#[test]
fn tenants_have_separate_databases() {
    let server = serve_two("");
    let (one, two) = (server.tenant("one"), server.tenant("two"));
    assert_eq!(execute_as(&one, "create table secrets as select 'of one' as text"), "0");
    begins(&query_as(&two, "select * from secrets"), "invalid: no such table");
    let file = |name: &str| -> PathBuf {
        server.state().join("tenants").join(name).join("database.sqlite")
    };
    assert!(file("one").exists());
    for place in [file("one").display().to_string(), "../one/database.sqlite".into()] {
        begins(&execute_as(&two, &format!("attach '{place}' as one")), "denied: ");
    }
    assert_eq!(query_as(&one, "select text from secrets"), "t:of one");
    // The state directory is readable by its owner only.
    let folder = std::fs::metadata(file("one").parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[test]
fn errors_reveal_nothing_of_the_host() {
    let setup = setup("");
    let file = setup.state().join("tenants/default/database.sqlite");
    std::fs::create_dir_all(&file).unwrap();
    let server = setup.start();
    server.until_ready("sql-steps", 1);
    let told = "unavailable: it cannot be opened; the host's log has the details";
    assert_eq!([query(&server, "select 1"), execute(&server, "select 1")], [told, told]);
    server.until_logged("cannot open a database");
    std::fs::remove_dir(&file).unwrap();
    assert_eq!(query(&server, "select 1"), "i:1");
    // A file that is not a SQLite database stops only its tenant.
    let server = server.stop();
    std::fs::write(&file, [b'x'; 8192]).unwrap();
    let server = server.start();
    server.until_ready("sql-steps", 1);
    begins(&query(&server, "select 1"), "unavailable: ");
}

#[test]
fn no_table_becomes_the_hosts_own() {
    let server = serve("");
    assert_eq!(execute(&server, "create table t (x)"), "0");
    for name in ["wardian_migrations", "WARDIAN_Migrations"] {
        begins(
            &execute(&server, &format!("alter table t rename to {name}")),
            "invalid: there is already another table",
        );
    }
    super::add(server.models(), "sql-steps", 2, super::ACCOUNTS);
    server.until_ready("sql-steps", 2);
    assert_eq!(query(&server, "select sum(balance) from accounts"), super::SUM);
}
