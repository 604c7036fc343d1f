//! Changes of a repository are served, in whichever way they are made and noticed.

mod files;
mod folders;
mod full_disk;
mod full_state;
mod links;
mod live_config;
mod misplaced;
mod policies;
mod pruning;
mod root;

use crate::harness::{Models, Server, Setup};

/// Runs a test with each way of noticing changes. The interval of full rescans is too long to help.
fn however_watched(fill: impl Fn(&Models), test: impl Fn(Server)) {
    for watch in ["events", "poll"] {
        eprintln!("--- watched by {watch} ---");
        test(watched_by(watch, &fill).start());
    }
}

fn watched_by(watch: &str, fill: impl Fn(&Models)) -> Setup {
    let config = format!("watch = '{watch}'\npoll_interval = '50ms'\nrescan_interval = '1h'\n");
    Server::with_models(fill).config(&config)
}
