//! Tables: a second kind of guest memory, which few compilers let grow.

use serde_json::json;

use crate::harness::{Server, wat_model, wat_model_with};

/// A model that grows the tables of several core instances until none can grow, and returns the
/// number of elements.
fn table_eater(tables: usize) -> Vec<u8> {
    let each = |text: &dyn Fn(usize) -> String| (0..tables).map(text).collect::<String>();
    let eaters = each(&|number| {
        format!(
            r#"(core instance $e{number} (instantiate $eater)) (alias core export $e{number} "eat" (core func $f{number}))"#
        )
    });
    let eater = r#"(core module $eater (table $t 0 funcref) (func (export "eat") (result i32)
        (loop $more (br_if $more (i32.ge_s (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0))))
        (table.size $t)))"#;
    let functions = each(&|number| format!(r#"(export "eat{number}" (func $f{number}))"#));
    let imports = each(&|number| {
        format!(r#"(import "host" "eat{number}" (func $eat{number} (result i32)))"#)
    });
    let sum =
        each(&|number| format!("(local.set $sum (i32.add (local.get $sum) (call $eat{number})))"));
    let module = format!(
        "{imports} (func $answer (result i64) (local $sum i32) {sum} (i64.extend_i32_u (local.get $sum)))"
    );
    wat_model_with(&format!("{eater} {eaters}"), &functions, &module)
}

/// A model that leaves functions in its table and a number in its global.
fn leaver() -> Vec<u8> {
    wat_model(
        "(table $t 10 funcref) (global $g (mut i64) (i64.const 0)) (elem declare func $answer)
         (func $answer (result i64)
            (table.fill $t (i32.const 0) (ref.func $answer) (i32.const 10))
            (drop (table.grow $t (ref.func $answer) (i32.const 90000)))
            (global.set $g (i64.const -1))
            unreachable)",
    )
}

/// A model that returns the number of used elements in its table and of set bits in its global.
/// Both should be 0.
fn looker() -> Vec<u8> {
    wat_model(
        "(table $t 10 funcref) (global $g (mut i64) (i64.const 0))
         (func $answer (result i64) (local $i i32) (local $found i64)
            (local.set $found (i64.popcnt (global.get $g)))
            (drop (table.grow $t (ref.null func) (i32.const 90000)))
            (loop $next
                (if (i32.eqz (ref.is_null (table.get $t (local.get $i))))
                    (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (table.size $t))))
            (local.get $found))",
    )
}

#[test]
fn tables_share_one_limit_per_instance() {
    let server = Server::with_models(|models| {
        models.bare("one", table_eater(1));
        models.bare("four", table_eater(4));
    })
    .start();
    server.until_tried();
    for model in ["one", "four"] {
        assert_eq!(
            server.infer(model, &json!({ "inputs": [] })).number("answer"),
            100_000,
            "{model}"
        );
    }
}

#[test]
fn tables_and_globals_are_reset() {
    for reset in ["", "unmap"] {
        let server = Server::with_models(|models| {
            models.settings("leaver", "[warmup]\nrequests = 0\n[breaker]\nfaults = 0");
            models.version("leaver", 1, leaver());
            models.bare("looker", looker());
        });
        // The two models use the same slot in turn.
        let server =
            server.config("[engine]\ninstances = 1").environment("WARDIAN_RESET", reset).start();
        // Both warm-ups may need the only slot at once; the model that does not get it is tried
        // again.
        server.until_ready("leaver", 1);
        server.until_ready("looker", 1);
        for _ in 0..50 {
            server.infer("leaver", &json!({ "inputs": [] })).refused(500, "model_trapped");
            assert_eq!(server.infer("looker", &json!({ "inputs": [] })).number("answer"), 0);
        }
    }
}
