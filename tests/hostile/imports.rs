//! Imports that are used to excess, and imports that do not exist.

use serde_json::json;

use crate::harness::{Server, wat_model, wat_model_with};

/// A model that takes handles and never gives one back.
pub(super) fn hoarder() -> Vec<u8> {
    let imports = r#"
        (import "wasi:io/poll@0.2.6" (instance $poll (export "pollable" (type (sub resource)))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
            (alias outer 1 $pollable (type $p))
            (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
        (core func $subscribe (canon lower (func $clock "subscribe-duration")))"#;
    let module = r#"(import "host" "subscribe" (func $subscribe (param i64) (result i32)))
        (func $answer (result i64) (loop $more (drop (call $subscribe (i64.const 1))) (br $more)) unreachable)"#;
    wat_model_with(imports, r#"(export "subscribe" (func $subscribe))"#, module)
}

/// A model that requests this many random bytes, again and again.
pub(super) fn random(bytes: &str) -> Vec<u8> {
    let imports = r#"
        (import "wasi:random/random@0.2.6" (instance $random
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))"#;
    let module = format!(
        r#"(import "host" "bytes" (func $bytes (param i64 i32)))
        (func $answer (result i64) (loop $more (call $bytes {bytes} (i32.const 8)) (br $more)) unreachable)"#
    );
    wat_model_with(imports, r#"(export "bytes" (func $bytes))"#, &module)
}

/// A model that returns the number of elements in a list that an import returns.
fn counting(interface: &str, function: &str, before: &str, element: &str) -> Vec<u8> {
    let imports = format!(
        r#"{before}
        (import "{interface}" (instance $interface (export "{function}" (func (result (list {element}))))))
        (core func $list (canon lower (func $interface "{function}") (memory $memory) (realloc $realloc)))"#
    );
    let imports = imports.replace(
        "(instance $interface ",
        "(instance $interface (alias outer 1 $descriptor (type $d)) ",
    );
    let module = r#"(import "host" "list" (func $list (param i32)))
        (func $answer (result i64) (call $list (i32.const 8)) (i64.load32_u (i32.const 12)))"#;
    wat_model_with(&imports, r#"(export "list" (func $list))"#, module)
}

/// Interfaces that reach outside, as far as they have names.
const FORBIDDEN: [&str; 24] = [
    "wasi:sockets/network@0.2.6",
    "wasi:sockets/instance-network@0.2.6",
    "wasi:sockets/ip-name-lookup@0.2.6",
    "wasi:sockets/tcp@0.2.6",
    "wasi:sockets/tcp-create-socket@0.2.6",
    "wasi:sockets/udp@0.2.6",
    "wasi:sockets/udp-create-socket@0.2.6",
    "wasi:http/types@0.2.6",
    "wasi:http/outgoing-handler@0.2.6",
    "wasi:http/incoming-handler@0.2.6",
    "wasi:filesystem/preopens-of-others@0.2.6",
    "wasi:cli/run@0.2.6",
    "wasi:clocks/timezone@0.2.6",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:blobstore/blobstore@0.2.0-draft",
    "wasi:messaging/producer@0.2.0-draft",
    "wasi:nn/graph@0.2.0-rc",
    "wasi:sql/query@0.2.0-draft",
    "wasi:config/runtime@0.2.0-draft",
    "wasi:random/random2@0.2.6",
    "wardian:model/inference@0.1.0",
    "wardian:model/everything@0.1.0",
    "wardian:host/admin@0.1.0",
    "evil:corp/host@6.6.6",
];

#[test]
fn forbidden_imports_are_refused_by_name() {
    let model = |number: usize| format!("model-{number}");
    let server = Server::with_models(|models| {
        for (number, import) in FORBIDDEN.iter().enumerate() {
            let imports = format!(r#"(import "{import}" (instance))"#);
            models.bare(
                &model(number),
                wat_model_with(&imports, "", "(func $answer (result i64) (i64.const 0))"),
            );
        }
        models.bare("good", wat_model("(func $answer (result i64) (i64.const 7))"));
    })
    .start();
    for (number, import) in FORBIDDEN.iter().enumerate() {
        let words = format!("validate: it imports '{import}', which is not granted");
        server.until_refused(&model(number), 1, &words);
    }
    server.until_ready("good", 1);
    assert_eq!(server.infer("good", &json!({ "inputs": [] })).number("answer"), 7);
}

#[test]
fn standard_imports_give_no_access() {
    let descriptor = r#"(import "wasi:filesystem/types@0.2.6" (instance $types2 (export "descriptor" (type (sub resource)))))
        (alias export $types2 "descriptor" (type $descriptor))"#;
    let pair = "(tuple string string)";
    let cases = [
        (
            "arguments",
            counting("wasi:cli/environment@0.2.6", "get-arguments", descriptor, "string"),
        ),
        (
            "environment",
            counting("wasi:cli/environment@0.2.6", "get-environment", descriptor, pair),
        ),
        (
            "directories",
            counting(
                "wasi:filesystem/preopens@0.2.6",
                "get-directories",
                descriptor,
                "(tuple (own $d) string)",
            ),
        ),
    ];
    let server = Server::with_models(|models| {
        cases.iter().for_each(|(name, component)| models.bare(name, component.clone()));
    })
    .start();
    server.until_tried();
    for (name, _) in &cases {
        assert_eq!(server.infer(name, &json!({ "inputs": [] })).number("answer"), 0, "{name}");
    }
}
