//! Models that store too much, too often or for too long, beside an undisturbed neighbour.

use std::thread;

use super::{GRANT, add_key_value_model, ask_of, operations, said};
use crate::harness::{Server, scripted};
use crate::hostile::{beside_a_neighbour, harms_no_other};

#[test]
fn endless_writes_disturb_no_other_tenant() {
    let limits = "[limits]\ndeadline = '10m'\ncpu_time = '10m'\n[breaker]\nfaults = 0\n[instances]\nmax = 4\n";
    let setup = beside_a_neighbour(|models| {
        add_key_value_model(models, "key-value-operations", limits);
        // The neighbour's check reads this model.
        models.settings("scripted", &format!("{GRANT}{limits}"));
        models.version("scripted", 1, scripted("version=1"));
    });
    let server = setup.start();
    server.until_tried();
    // A store that was used stays open.
    assert_eq!(ask_of(&server.tenant("default"), "key-value-operations", "set b k 1"), "ok");
    let attacks = [
        "set-for-ever b k",
        "set-many b p 1000 *30000",
        "hold-cas b k 1000",
        "set b *900000 v",
        "get-many b p 1000",
    ];
    harms_no_other(&server, || attack(&server, &attacks));
}

/// Runs each attack from several clients at once.
fn attack(server: &Server, attacks: &[&str]) {
    thread::scope(|scope| {
        for attack in attacks {
            for _ in 0..2 {
                scope.spawn(|| {
                    let response = server
                        .tenant("default")
                        .infer("key-value-operations", &operations(&[attack]));
                    // Each response is a refusal, or a success within the limits.
                    assert!(response.status != 200 || !said(&response).is_empty(), "{response}");
                });
            }
        }
    });
}
