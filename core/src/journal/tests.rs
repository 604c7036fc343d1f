use rusqlite::params;

use super::*;

/// A file in use.
struct Open {
    connection: Connection,
    journal: Journal,
}

impl Open {
    fn at(file: &Path) -> Self {
        check(file).unwrap();
        let connection = Connection::open(file).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        let journal = Journal::new(file, &connection).unwrap();
        Open { connection, journal }
    }

    fn write(&mut self, number: i64) {
        self.journal.begin(&self.connection);
        self.connection.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER)").unwrap();
        self.connection.execute("INSERT INTO t VALUES (?1)", params![number]).unwrap();
        self.journal.checkpoint_if_long(&self.connection);
    }

    fn numbers(&self) -> Vec<i64> {
        let mut rows = self.connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Ends like a server that is stopped.
    fn stop(mut self) {
        assert!(self.journal.end(&self.connection).unwrap());
    }

    /// Ends like a server that is killed.
    fn kill(self) {
        drop(self.connection);
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.sqlite");
    (folder, file)
}

fn is_refused(file: &Path) -> bool {
    matches!(check(file), Err(JournalError::Foreign { .. }))
}

#[test]
fn the_file_is_a_complete_backup_after_a_checkpoint() {
    let (folder, file) = folder();
    let mut open = Open::at(&file);
    (0..5).for_each(|number| open.write(number));
    open.stop();
    assert!(!journal_path(&file).exists());
    let copy = folder.path().join("copy.sqlite");
    fs::copy(&file, &copy).unwrap();

    assert_eq!(Open::at(&copy).numbers(), [0, 1, 2, 3, 4]);
}

#[test]
fn the_journal_of_a_killed_process_is_recovered_repeatedly() {
    let (_folder, file) = folder();
    for round in 0..5 {
        let mut open = Open::at(&file);
        assert_eq!(open.journal.is_begun, round > 0);
        open.write(round);

        if round == 2 {
            assert!(open.journal.checkpoint(&open.connection).unwrap());
            open.write(100 + round);
        }

        open.kill();
    }

    assert_eq!(Open::at(&file).numbers(), [0, 1, 2, 3, 4, 102]);
}

#[test]
fn a_backup_beside_the_journal_of_a_killed_server_is_refused() {
    let (folder, file) = folder();
    let mut open = Open::at(&file);
    open.write(1);
    open.stop();
    let stopped = folder.path().join("stopped");
    fs::copy(&file, &stopped).unwrap();

    let mut open = Open::at(&file);
    open.write(2);
    let copied = folder.path().join("copied");
    open.connection.execute("VACUUM INTO ?1", params![copied.to_str()]).unwrap();
    open.write(3);
    open.kill();
    check(&file).unwrap();

    for backup in [&stopped, &copied] {
        fs::copy(backup, &file).unwrap();
        assert!(is_refused(&file), "{}", backup.display());
    }

    fs::remove_file(journal_path(&file)).unwrap();

    assert_eq!(Open::at(&file).numbers(), [1, 2]);
}

#[test]
fn a_journal_in_the_middle_of_a_checkpoint_belongs_to_the_file() {
    let (_folder, file) = folder();
    let mut open = Open::at(&file);
    open.write(1);
    // A reader of the older state prevents a complete checkpoint.
    let reader = Connection::open(&file).unwrap();
    checkpoint_on_close(&reader, false).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    open.write(2);
    assert!(!open.journal.checkpoint(&open.connection).unwrap());
    open.write(3);
    check(&file).unwrap();
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    open.kill();

    assert_eq!(Open::at(&file).numbers(), [1, 2, 3]);
}

#[test]
fn the_journal_of_an_earlier_release_is_recovered() {
    let (_folder, file) = folder();
    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    checkpoint_on_close(&connection, false).unwrap();
    connection.execute_batch("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (7)").unwrap();
    drop(connection);
    assert!(length(&journal_path(&file)) > 0);

    assert_eq!(Open::at(&file).numbers(), [7]);
}

#[test]
fn damage_to_a_journal_is_reported() {
    let (folder, file) = folder();
    let mut open = Open::at(&file);
    (0..20).for_each(|number| open.write(number));
    open.kill();
    let journal = journal_path(&file);
    let whole = fs::read(&journal).unwrap();
    let sound = frames::read(&journal).unwrap();
    assert_eq!((sound.lost, sound.is_damaged), (0, false));

    fs::write(&journal, &whole[..whole.len() - 100]).unwrap();
    let torn = frames::read(&journal).unwrap();
    assert!(!torn.is_damaged && torn.committed < sound.committed, "{torn:?}");

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&journal, damaged).unwrap();
    let damaged = frames::read(&journal).unwrap();
    assert!(damaged.is_damaged && damaged.lost > 0, "{damaged:?}");
    check(&file).unwrap();
    assert!(folder.path().join("store.sqlite-wal.damaged").exists());

    fs::write(&journal, b"this was never a journal, whatever else it may be").unwrap();
    let told = check(&file).unwrap_err().to_string();

    assert!(
        told.contains("store.sqlite-wal cannot be read") && told.contains("delete the journal"),
        "{told}"
    );
}

#[test]
fn journals_of_unused_files_are_checkpointed() {
    let (folder, _) = folder();
    let file = folder.path().join("acme/store.sqlite");
    fs::create_dir(folder.path().join("acme")).unwrap();
    let mut open = Open::at(&file);
    open.write(1);
    open.kill();
    checkpoint_abandoned(folder.path(), "store.sqlite", Instant::now() + Duration::from_secs(60));
    assert_eq!(length(&journal_path(&file)), 0);

    assert_eq!(Open::at(&file).numbers(), [1]);
}

#[test]
fn a_long_journal_is_checkpointed() {
    let (_folder, file) = folder();
    let mut open = Open::at(&file);
    open.write(1);
    open.connection
        .execute_batch("CREATE TABLE b (x BLOB); INSERT INTO b VALUES (zeroblob(5000000))")
        .unwrap();
    open.write(2);
    assert_eq!(open.journal.length(), 0);
    open.write(3);
    open.kill();

    assert_eq!(Open::at(&file).numbers(), [1, 2, 3]);
}
