//! Hostile guests and callers. Each attempt ends in its own error, within its limit. Meanwhile a
//! neighbour gets every response, correct and in time. In the end the server holds what it held
//! before.

mod breaker;
mod host_work;
mod imports;
mod loads;
mod log;
mod neighbour;
mod quotas;
mod requests;
mod tables;
mod traces;

use crate::harness::{Models, Server, Setup, scripted};

/// A CPU limit that ends endless loops, and a deadline that a busy machine does not reach.
const SETTINGS: &str = "[instances]\nmax = 4\n[limits]\nmemory = '32MiB'\nresponse = '1MiB'\ncpu_time = '500ms'\n\
    deadline = '10m'\n[breaker]\nfaults = 0\n[warmup]\nrequests = 0";

/// A server with two tenants: `default`, with these models, and `good`, the neighbour. It has few
/// slots, so that little memory stays resident in them.
pub(crate) fn beside_a_neighbour(fill: impl FnOnce(&Models)) -> Setup {
    let setup = Server::with_models(fill).config(
        "[engine]\ninstances = 12\n[compile]\nload_deadline = '2s'\n[tenants.default]\n[tenants.good]\nrepository = 'good'",
    );
    let good = setup.repository("good");
    good.settings("scripted", "[limits]\ndeadline = '10m'\ncpu_time = '10m'");
    good.version("scripted", 1, scripted("version=7"));
    setup
}

/// Runs an attack while the neighbour sends requests, and asserts that nothing is left behind.
pub(crate) fn harms_no_other(server: &Server, attack: impl FnOnce()) {
    let before = traces::Traces::of(server);
    neighbour::keeps_being_answered(server, attack);
    before.are_all_that_is_left(server);
}
