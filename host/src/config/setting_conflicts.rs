//! Conflicts between settings of the host.

use std::net::SocketAddr;

use super::Config;

/// Returns all conflicts, each with a remedy.
pub(super) fn find(config: &Config) -> Vec<String> {
    [exposed_without_keys(config), open_to_every_page(config), interval_conflict(config)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the conflict of a server that other machines can reach without a key.
pub(super) fn exposed_without_keys(
    Config { listen, grpc_listen, insecure, tenancy, .. }: &Config,
) -> Option<String> {
    let addresses = [("listen", Some(listen)), ("grpc_listen", grpc_listen.as_ref())];
    let is_reached = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    let reached = addresses
        .into_iter()
        .find_map(|(key, address)| address.filter(|at| is_reached(at)).map(|at| (key, at)));

    let (key, address) = reached.filter(|_| !insecure && !tenancy.requires_keys())?;
    Some(format!(
        "{key}: other machines could reach {address}, and no keys are configured; configure one (`wardian key new` \
         makes it), listen on 127.0.0.1 or [::1], or say --insecure (insecure = true) if every \
         client that can reach it may use it"
    ))
}

/// Returns the conflict of a server without keys that every web page may use.
pub(super) fn open_to_every_page(
    Config { cors, insecure, tenancy, .. }: &Config,
) -> Option<String> {
    let open = cors.origins.is_none() && !insecure && !tenancy.requires_keys();
    open.then(|| {
        "cors.origins: without keys, every web page in a browser that reaches this server could use it; list the \
         origins of the pages, configure a key (`wardian key new` makes it), or say --insecure (insecure = true)"
            .to_owned()
    })
}

/// Returns the conflict of a configuration that has lost its keys, which would silently open the
/// server.
pub(super) fn lost_keys(Config { insecure, tenancy, .. }: &Config) -> Option<String> {
    let unlocked = !insecure && !tenancy.requires_keys();
    unlocked.then(|| {
        "keys: this server has asked for keys, and no keys are configured any more; configure one (`wardian key new` \
         makes it), or say --insecure (insecure = true) if every client that can reach it may use it"
            .to_owned()
    })
}

fn interval_conflict(Config { repository, .. }: &Config) -> Option<String> {
    let (poll, rescan) = (repository.poll_interval, repository.rescan_interval);
    (poll > rescan).then(|| {
        format!("poll_interval: {poll:?} is more than rescan_interval, which is {rescan:?}")
    })
}
