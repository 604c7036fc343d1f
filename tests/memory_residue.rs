//! Memory residue: nothing that one tenant's guest leaves in memory may reach another tenant's
//! guest.
//!
//! Guests of tenant `a` fill all memory they can reach with bytes from the request. Guests of
//! tenant `b` search all memory that *they* can reach for those bytes. The engine has few slots, so
//! both tenants use the same ones in turn, with the same component and with different ones.

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, Setup, guest};

/// Rounds for each pair of models.
const ROUNDS: u64 = 45;

/// Small enough that a pooled instance exceeds half of it, and is discarded, every few rounds.
const SETTINGS: &str = "[limits]\nmemory = '64MiB'\ndeadline = '60s'\n[breaker]\nfaults = 0";

/// More pages than a slot keeps resident when it is reset.
const MANY_PAGES: u64 = 320;

const MARKERS: [&str; 4] = ["fresh", "pooled", "loading", "loading-pooled"];
const LOOKERS: [&str; 6] =
    ["fresh", "pooled", "loading", "loading-pooled", "other", "other-loading"];

fn server() -> Setup {
    let setup = Server::with_models(fill).config(
        "[engine]\ninstances = 10\n[tenants.a]\nrepository = 'a'\n[tenants.b]\nrepository = 'b'\n[tenants.default]",
    );
    fill(&setup.repository("a"));
    fill(&setup.repository("b"));
    add(&setup.repository("b"), "other", another(guest("memory-residue")), "");
    add(&setup.repository("b"), "other-loading", another(guest("memory-residue-no-snapshot")), "");
    setup
}

fn fill(models: &Models) {
    add(models, "fresh", guest("memory-residue"), "");
    add(models, "pooled", guest("memory-residue"), "isolation = 'pooled'\n");
    add(models, "loading", guest("memory-residue-no-snapshot"), "");
    add(models, "loading-pooled", guest("memory-residue-no-snapshot"), "isolation = 'pooled'\n");
}

fn add(models: &Models, name: &str, component: Vec<u8>, settings: &str) {
    models.settings(name, &format!("{settings}[instances]\nmax = 1\n{SETTINGS}"));
    models.version(name, 1, component);
}

/// Returns the same component with one section more, which the host treats as a different one.
fn another(component: Vec<u8>) -> Vec<u8> {
    [component, vec![0, 2, 1, b'x']].concat()
}

fn ask(server: &Server, tenant: &str, model: &str, parameters: &Value) -> Response {
    server.tenant(tenant).infer(model, &json!({ "inputs": [], "parameters": parameters }))
}

/// Has one guest mark its memory and another search for the mark.
fn round(server: &Server, marker: &str, looker: &str, round: u64, seed: u64) {
    let pages = if round % 9 == 4 { MANY_PAGES } else { 16 };
    let drown = round.is_multiple_of(2);
    let word = if drown { "drown" } else { "mark" };
    let marked = ask(server, "a", marker, &json!({ "seed": seed, "pages": pages, "do": word }));
    if drown {
        marked.refused(500, "model_trapped");
    } else {
        assert!(marked.number("found") as u64 >= pages * 8192, "it sees its own mark: {marked}");
    }
    let seen = ask(server, "b", looker, &json!({ "seed": seed, "pages": pages }));
    assert!(seen.number("bytes") as u64 >= pages << 16, "{seen}");
    assert_eq!(
        seen.number("found"),
        0,
        "{looker} of tenant b sees what {marker} of tenant a left: {seen}"
    );
}

/// Has every kind of guest search for the marks of every other kind, on three connections at once,
/// so that slots are reused in changing orders.
fn nothing_is_found(server: &Server) {
    let pairs: Vec<_> = MARKERS
        .iter()
        .flat_map(|marker| LOOKERS.iter().map(move |looker| (marker, looker)))
        .collect();
    std::thread::scope(|scope| {
        for (part, pairs) in pairs.chunks(pairs.len().div_ceil(3)).enumerate() {
            scope.spawn(move || {
                for number in 0..ROUNDS {
                    for (pair, (marker, looker)) in pairs.iter().enumerate() {
                        let seed = (part as u64) << 32 | number << 16 | pair as u64;
                        round(server, marker, looker, number, seed);
                    }
                }
            });
        }
    });
}

/// A pooled instance finds its own mark again, which shows that the search works.
fn a_kept_instance_remembers(server: &Server) {
    let parameters = |word: &str| json!({ "seed": -1, "pages": 1, "do": word });
    for model in ["pooled", "loading-pooled"] {
        ask(server, "default", model, &parameters("mark")).ok();
        let seen = ask(server, "default", model, &parameters("look"));
        assert!(seen.number("calls") > 1 && seen.number("found") >= 8192, "{seen}");
    }
}

fn check(server: &Server) {
    server.until_tried();
    a_kept_instance_remembers(server);
    nothing_is_found(server);
}

#[test]
fn no_mark_survives_copied_pages() {
    check(&server().start());
}

#[test]
fn no_mark_survives_unmapped_memory() {
    let server = server().environment("WARDIAN_RESET", "unmap").start();
    assert!(server.log().contains("reset=Unmap"), "{}", server.log());
    check(&server);
}

/// Requests in a row whose instances are reset. `WARDIAN_RESIDUE_ROUNDS` sets another number.
const RESETS: u64 = 2_000;

#[test]
fn no_mark_survives_a_reset() {
    let rounds = std::env::var("WARDIAN_RESIDUE_ROUNDS");
    let rounds = rounds.ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(RESETS);
    let server =
        Server::with_models(|models| models.version("model", 1, guest("memory-residue"))).start();
    server.until_ready("model", 1);

    let mut kept = 0;
    for places in 0..rounds {
        // The same mark every time, in other places.
        let parameters = json!({ "seed": 7, "do": "sprinkle", "places": places });
        let seen = server.infer("model", &json!({ "inputs": [], "parameters": parameters }));
        assert_eq!((seen.number("before"), seen.number("calls")), (0, 1), "round {places}: {seen}");
        assert!(seen.number("found") > 0, "it sees its own marks: {seen}");

        if places % 100 == 99 {
            kept += server.config_of("model")["wardian"]["instances"]["idle"].as_i64().unwrap();
        }
    }
    assert!(kept > 0, "no instance was reset");
}
