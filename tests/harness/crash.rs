//! Killing a server at random moments while it is asked to keep things, and looking at what it has
//! kept.
//!
//! ```ignore
//! let ready = |server| server.until_ready("session-words", 1);
//! Crashes::new(setup).each(&mut workers, ready, |server, worker| …, |server, workers| …);
//! ```

use std::path::Path;
use std::time::Duration;

use super::server::{Server, Setup};

/// Rounds of killing a server and starting it again.
pub(crate) struct Crashes {
    setup: Setup,
    rounds: u32,
}

/// Enough rounds to find most faults in a few seconds; `WARDIAN_CRASH_ROUNDS=100` for a thorough
/// run.
const ROUNDS: u32 = 15;

/// Concurrent workers.
const WORKERS: usize = 4;

/// The server is killed within this many milliseconds.
const LONGEST: u64 = 300;

impl Crashes {
    /// Rounds with one setup, which keep the same state directory.
    pub(crate) fn new(setup: Setup) -> Self {
        let said =
            std::env::var("WARDIAN_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
        Crashes { setup, rounds: said.unwrap_or(ROUNDS) }
    }

    /// In each round: starts the server, waits until it is `ready`, runs `work` for every worker
    /// until the server is killed, starts it again and runs `look`.
    pub(crate) fn each<W: Send>(
        self,
        workers: &mut [W],
        ready: impl Fn(&Server),
        work: impl Fn(&Server, &mut W) + Sync,
        mut look: impl FnMut(&Server, &mut [W]),
    ) -> Setup {
        let Crashes { mut setup, rounds } = self;
        for round in 0..rounds {
            let server = setup.start();
            ready(&server);
            std::thread::scope(|scope| {
                for worker in workers.iter_mut() {
                    let (server, work) = (&server, &work);
                    scope.spawn(move || work(server, worker));
                }
                // This is a random moment and not a wait for a state.
                std::thread::sleep(Duration::from_millis(moment(round)));
                server.kill_now();
            });
            let server = server.kill().start();
            ready(&server);
            look(&server, workers);
            // In some rounds the server stops in an orderly way before the next start.
            setup = if round % 3 == 2 { server.stop() } else { server.kill() };
        }
        setup
    }

    /// Makes one worker for each thread.
    pub(crate) fn workers<W>(make: impl Fn(usize) -> W) -> Vec<W> {
        (0..WORKERS).map(make).collect()
    }
}

/// Returns a pseudo-random number of milliseconds, different in each round.
fn moment(round: u32) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (u64::from(now.subsec_nanos()) ^ u64::from(round).wrapping_mul(0x9e37_79b9)) % LONGEST
}

/// Asserts that a database file is intact.
#[track_caller]
pub(crate) fn check_store(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{}", file.display());
}
