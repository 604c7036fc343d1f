//! Killing a server at random moments while it is asked to keep things, and looking at what it has
//! kept.
//!
//! ```ignore
//! Crashes::new(setup).each(|server| server.until_ready("keeper", 1), |server, worker| …, |server| …);
//! ```

use std::path::Path;
use std::time::Duration;

use super::server::{Server, Setup};

/// Rounds of killing and starting again.
pub(crate) struct Crashes {
    setup: Setup,
    rounds: u32,
}

/// As many as find most faults in a few seconds; `WARDIAN_CRASH_ROUNDS=100` for a thorough look.
const ROUNDS: u32 = 15;

/// How many ask at once.
const WORKERS: usize = 4;

/// The server is killed at some moment before this has passed.
const LONGEST: u64 = 300;

impl Crashes {
    /// Rounds with what was set up there; the same state throughout.
    pub(crate) fn new(setup: Setup) -> Self {
        let said =
            std::env::var("WARDIAN_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
        Crashes { setup, rounds: said.unwrap_or(ROUNDS) }
    }

    /// In each round starts the server, waits until it is `ready`, has every worker `work` until
    /// the server does not answer any more, which is soon because it is killed, starts it again and
    /// has it looked at.
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
                // This is no waiting for a state: the moment is the point.
                std::thread::sleep(Duration::from_millis(moment(round)));
                server.kill_now();
            });
            let server = server.kill().start();
            ready(&server);
            look(&server, workers);
            // In some rounds the next start finds what was left in an orderly way.
            setup = if round % 3 == 2 { server.stop() } else { server.kill() };
        }
        setup
    }

    /// So many workers of a kind.
    pub(crate) fn workers<W>(make: impl Fn(usize) -> W) -> Vec<W> {
        (0..WORKERS).map(make).collect()
    }
}

/// Milliseconds, another number each time. Where it falls within the work is left to chance anyway.
fn moment(round: u32) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (u64::from(now.subsec_nanos()) ^ u64::from(round).wrapping_mul(0x9e37_79b9)) % LONGEST
}

/// Asserts that a database is whole.
#[track_caller]
pub(crate) fn check_store(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{}", file.display());
}
