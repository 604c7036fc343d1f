use proptest::prelude::*;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::super::cancel_token::CancelToken;
use super::super::guest_connection::{Access, GuestConnection};
use std::time::{Duration, Instant};

use crate::database::{DatabaseConfig, SqlError};
use crate::model::TenantName;
use crate::tenant::{CpuShare, FairScheduler, HostWorkMeter, Tenant};

fn connection() -> (tempfile::TempDir, GuestConnection) {
    let folder = tempfile::tempdir().unwrap();
    let tenant = Tenant::unlimited(TenantName::default_tenant());
    let meter = HostWorkMeter::new(FairScheduler::new(1), CpuShare::new(tenant.account().clone()));
    let path = folder.path().join("database.sqlite");
    let connection =
        GuestConnection::open(&path, Access::Write, &DatabaseConfig::default(), meter).unwrap();

    (folder, connection)
}

/// Runs a query. Returns its value, or the text of its error.
fn outcome(connection: &Connection, statement: &str, arguments: &[Value]) -> Result<Value, String> {
    let found = connection
        .query_row(statement, params_from_iter(arguments), |row| row.get_ref(0).map(owned));
    found.map_err(|error| error.to_string())
}

/// Converts to an owned value. Texts become marked blobs, since they may be invalid UTF-8.
fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Text(bytes) => Value::Blob([b"text:", bytes].concat()),
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Values with few distinct characters, so that searches find matches.
fn any_text() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ab]{0,6}".prop_map(Value::Text),
        "[aAé%_*?\\[\\]^-]{0,8}".prop_map(Value::Text),
        "[0-9a-f \u{e9}]{0,8}".prop_map(Value::Text),
        "[aé\u{0}\u{ffff}ß😀]{0,5}".prop_map(Value::Text),
        proptest::collection::vec(
            prop_oneof![Just(b'a'), Just(0), Just(0x80), Just(0xc3), Just(0xa9), any::<u8>()],
            0..6
        )
        .prop_map(Value::Blob),
        any::<i64>().prop_map(Value::Integer),
        (0_i64..200).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        (0..2000).prop_map(|number| Value::Real(f64::from(number) / 8.0)),
        Just(Value::Null),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1".to_owned()),
        Just("\"x\"".to_owned()),
        Just("[1]".to_owned())
    ];
    let json = leaf.prop_recursive(3, 20, 4, |inner| {
        proptest::collection::vec(("[ab]", inner), 0..4).prop_map(|members| {
            let members: Vec<_> =
                members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    });
    prop_oneof![9 => json.prop_map(Value::Text), 1 => any_text()]
}

fn agree(statements: &[&str], arguments: &[Value]) -> Result<(), TestCaseError> {
    let (_folder, connection) = connection();
    let untouched = Connection::open_in_memory().unwrap();
    for statement in statements {
        let ours = outcome(&connection.sqlite, statement, arguments);
        let theirs = outcome(&untouched, statement, arguments);
        prop_assert_eq!(ours, theirs, "{} with {:?}", statement, arguments);
    }

    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn results_are_those_of_sqlite_s_own(arguments in proptest::collection::vec(any_text(), 3)) {
        agree(&[
            "select instr(?1, ?2)", "select instr(cast(?1 as text), cast(?2 as text))", "select replace(?1, ?2, ?3)",
            "select trim(?1, ?2)", "select ltrim(?1, ?2)", "select rtrim(?1, ?2)",
            "select trim(cast(?1 as text), cast(?2 as text))", "select unhex(?1, ?2)", "select unhex(?1, 'xyz ' || ?2)",
            "select ?1 like ?2", "select ?1 like ?2 escape ?3", "select ?1 like ?2 escape 'a'",
            "select ?1 like ?2 escape '%'", "select ?1 glob ?2", "select like(?1, ?2)",
        ], &arguments)?;
    }

    #[test]
    fn longer_texts_are_found_as_sqlite_finds_them(text in "[ab]{0,300}", part in "[ab]{0,9}", other in "[c]{0,3}") {
        let pattern = format!("%{}%{}%", part.replace('b', "_"), &part);
        let arguments = [text, part, other, pattern].map(Value::Text);
        agree(&["select instr(?1, ?2)", "select replace(?1, ?2, ?3)", "select ?1 like ?4", "select ?1 glob '*[b-c]a*' || ?2 || '*'"], &arguments)?;
    }

    #[test]
    fn patches_are_those_of_sqlite_s_own(target in any_json(), patch in any_json()) {
        agree(&[
            "select json_patch(?1, ?2)", "select jsonb_patch(?1, ?2)", "select json_array(json_patch(?1, ?2))",
            "select json_patch(jsonb(?1), ?2)",
        ], &[target, patch])?;
    }
}

#[test]
fn a_patch_may_hold_a_text_that_is_not_utf8() {
    // Binary JSON: a text of three bytes, two of which are no character.
    let arguments = [Value::Text("null".into()), Value::Blob(b"\x37\x80\x80a".to_vec())];
    let statements = [
        "select json_patch(?1, ?2)",
        "select jsonb_patch(?1, ?2)",
        "select quote(json_patch(?1, ?2))",
    ];
    agree(&statements, &arguments).unwrap();
}

/// Runs a statement with a time limit. Returns the reason of its cancellation and the elapsed time.
fn watched(
    connection: &GuestConnection,
    allowed: Duration,
    statement: &str,
) -> (Option<SqlError>, Duration) {
    connection.authorizer.begin_statement();

    let started = Instant::now();
    connection.watchdog.begin(&CancelToken::default(), allowed, None).unwrap();

    let _ = connection.sqlite.query_row(statement, [], |_| Ok(()));
    (connection.watchdog.end(), started.elapsed())
}

#[test]
fn long_function_calls_end_with_their_statement() {
    let (_folder, connection) = connection();
    let (zeros, many) = ("hex(zeroblob(524280))", "hex(zeroblob(240000))");
    for statement in [
        // Patterns that almost match at each position of the text.
        &format!("select {zeros} glob '*[0-9]{}1'", "[0-9]".repeat(45)),
        &format!("select {zeros} like '%{}1%'", "0".repeat(240)),
        &format!("select {}", vec![format!("instr({zeros}, {many} || random())"); 30].join(", ")),
        &format!(
            "select {}",
            vec![format!("replace({zeros}, {many} || random(), 'x')"); 30].join(", ")
        ),
        &format!(
            "select {}",
            vec![format!("trim({zeros}, 'x' || random() || '0')"); 30].join(", ")
        ),
        &format!("select {}", vec![format!("unhex({zeros}, random())"); 30].join(", ")),
    ] {
        let (stopped, took) = watched(&connection, Duration::from_millis(100), statement);
        println!("{took:?}: {:.60}", statement);
        assert!(
            stopped.is_some() && took < Duration::from_millis(600),
            "{took:?}, {stopped:?}: {statement:.60}"
        );
    }
}
