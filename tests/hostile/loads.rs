//! Versions that misbehave before they serve, or when they are retired.

use super::{SETTINGS, beside_a_neighbour, harms_no_other};
use crate::harness::{Server, scripted, scripted_without_snapshot};

/// The behaviour of a version in one of its calls, and words of the reason for its refusal.
const REFUSED: [(&str, &str); 13] = [
    ("load=spin", "load: load took longer than 2s"),
    ("load=trap", "load: load did not return"),
    ("load=recurse", "load: load did not return"),
    ("load=eat", "load: load needed more than"),
    ("load=sleep:600000", "load: load took longer than 2s"),
    ("load=exit", "load: load did not return"),
    ("load=fail", "load: load failed: the weights are corrupt"),
    ("warm=spin", "warm-up: the model's warm-up failed"),
    ("warm=trap", "warm-up: the model's warm-up failed"),
    ("warm=recurse", "warm-up: the model's warm-up failed"),
    ("warm=eat", "warm-up: the model's warm-up failed"),
    ("warm=exit", "warm-up: the model's warm-up failed"),
    ("warm=fail", "warm-up: the model's warm-up failed"),
];

/// The behaviour of a version in `unload`.
const UNLOADS: [&str; 6] = ["trap", "spin", "recurse", "eat", "exit", "stderr-flood"];

fn refused_in_turn(server: &Server) {
    let models = server.models();
    for (number, (script, words)) in REFUSED.iter().enumerate() {
        let name = format!("refused-{number}");
        models.settings(&name, SETTINGS);
        models.version(&name, 1, scripted(script));
        if number % 4 == 0 {
            server.until_refused(&name, 1, words);
        }
    }
    for (number, (_, words)) in REFUSED.iter().enumerate() {
        server.until_refused(&format!("refused-{number}"), 1, words);
    }
}

fn going_badly(server: &Server) {
    for word in UNLOADS {
        let name = format!("going-{word}");
        server.models().settings(&name, SETTINGS);
        server.models().version(&name, 1, scripted(&format!("version=1;unload={word}")));
    }
    for word in UNLOADS {
        let name = format!("going-{word}");
        server.until_version_of(&name, 1);
        // The swap comes in the middle of a request, whose client disconnects as well.
        server.begin_behave(&name, "spin").hang_up();
        server.models().remove(&name);
    }
    UNLOADS.iter().for_each(|word| server.until_gone(&format!("going-{word}")));
}

/// Asserts that a component without a snapshot is refused if its `load` spins.
fn loading_badly_later(server: &Server) {
    server.models().settings("later", SETTINGS);
    server.models().version("later", 1, scripted_without_snapshot("version=1"));
    server.until_version_of("later", 1);
    server.behave("later", "trap").refused(500, "model_trapped");
    server.models().version("later", 2, scripted_without_snapshot("version=2;load=spin"));
    server.until_refused("later", 2, "load: load took longer than 2s");
    assert_eq!(server.version_of("later"), 1);
}

fn clear(server: &Server) {
    let names =
        (0..REFUSED.len()).map(|number| format!("refused-{number}")).chain(["later".to_owned()]);
    names.for_each(|name| {
        server.models().remove(&name);
        server.until_gone(&name);
    });
}

#[test]
fn hostile_versions_harm_no_other_model() {
    let server =
        beside_a_neighbour(|models| models.bare("bystander", scripted("version=1"))).start();
    server.until_tried();
    harms_no_other(&server, || {
        refused_in_turn(&server);
        going_badly(&server);
        loading_badly_later(&server);
        clear(&server);
    });
    assert_eq!(server.version_of("bystander"), 1);
}
