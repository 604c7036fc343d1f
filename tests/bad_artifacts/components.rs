//! Complete components that are not models, written in WebAssembly's text format.

use super::{case, check};

/// A component whose `inference` interface has functions without parameters and results. `module`
/// is its code.
pub(super) fn with_inference(module: &str) -> Vec<u8> {
    component(&format!(
        r#"(core module $code (func (export "run")) {module})
           (core instance $instance (instantiate $code))
           (func $run (canon lift (core func $instance "run")))
           (instance $inference (export "load" (func $run)) (export "infer" (func $run)))
           (export "wardian:model/inference@0.1.0" (instance $inference))"#
    ))
}

fn component(content: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {content})")).unwrap()
}

fn importing(name: &str) -> Vec<u8> {
    component(&format!(r#"(import "{name}" (instance))"#))
}

#[test]
fn a_component_without_inference_is_refused() {
    let another = r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m))
                     (func $f (canon lift (core func $i "f"))) (export "run" (func $f))"#;
    let newer = r#"(instance $i) (export "wardian:model/inference@0.2.0" (instance $i))"#;
    let bare = r#"(instance $i) (export "wardian:model/inference@0.1.0" (instance $i))"#;
    check(
        vec![
            case(
                "another-world",
                component(another),
                &["does not export 'wardian:model/inference@0.1.0'", "run"],
            ),
            case("newer-world", component(newer), &["it exports wardian:model/inference@0.2.0"]),
            case("no-functions", component(bare), &["load"]),
            case("other-functions", with_inference(""), &["type mismatch"]),
        ],
        "",
    );
}

#[test]
fn an_import_that_is_not_granted_is_named() {
    check(
        vec![
            case(
                "sockets",
                importing("wasi:sockets/tcp@0.2.6"),
                &["it imports 'wasi:sockets/tcp@0.2.6', which is not granted"],
            ),
            case(
                "http",
                importing("wasi:http/outgoing-handler@0.2.6"),
                &["'wasi:http/outgoing-handler@0.2.6'", "not granted"],
            ),
            case(
                "key-value",
                importing("wasi:keyvalue/store@0.2.0-draft"),
                &["'wasi:keyvalue/store@0.2.0-draft'"],
            ),
            case(
                "unheard-of",
                importing("evil:corp/host@6.6.6"),
                &["'evil:corp/host@6.6.6'", "not granted"],
            ),
        ],
        "",
    );
}

#[test]
fn a_failed_instantiation_is_explained() {
    check(
        vec![
            case("huge-memory", with_inference("(memory 65536)"), &["memory"]),
            case(
                "growing-memory",
                with_inference(
                    "(memory 1 65536) (func $f (drop (memory.grow (i32.const 65535)))) (start $f)",
                ),
                &["type mismatch"],
            ),
            case("huge-table", with_inference("(table 10000000 funcref)"), &["table"]),
            case("many-memories", with_inference(&"(memory 1)".repeat(20)), &["memories"]),
            case(
                "start-traps",
                with_inference("(func $f unreachable) (start $f)"),
                &["load: load did not return", "unreachable"],
            ),
            case(
                "start-spins",
                with_inference("(func $f (loop (br 0))) (start $f)"),
                &["load: load took longer than 2s"],
            ),
            case(
                "start-recurses",
                with_inference("(func $f (call $f)) (start $f)"),
                &["load: load did not return", "stack"],
            ),
        ],
        "[compile]\nload_deadline = '2s'",
    );
}
