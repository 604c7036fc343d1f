use wasmparser::Validator;
use wasmtime::component::{self, Linker};
use wasmtime::{Engine, Module, Store};

use super::core_module::global_reader;
use super::*;
use crate::engine::bindings::RESET;

/// A component whose main module has that content beside its functions.
fn component(module: &str, rest: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
        (core module $shim (table (export "table") 3 funcref))
        (core module $main {module} (func (export "run") (result i32) (i32.load (i32.const 8))))
        (core instance $shim (instantiate $shim))
        (core instance $main (instantiate $main))
        (alias core export $main "run" (core func $run))
        (type $run-type (func (result s32)))
        (func $lifted (type $run-type) (canon lift (core func $run)))
        (export "run" (func $lifted))
        {rest})"#
    );
    wat::parse_str(text).unwrap()
}

fn split(component: &[u8]) -> Result<SplitComponent, Refusal> {
    let split = SplitComponent::new(component)?;
    check_instructions(component)?;
    Validator::new().validate_all(&split.code).unwrap();
    Validator::new().validate_all(&split.initial_state).unwrap();
    Ok(split)
}

fn refusal(module: &str) -> Refusal {
    split(&component(module, "")).err().expect("it is refused")
}

const MEMORY: &str = r#"(memory (export "memory") 2)"#;

#[test]
fn both_parts_of_a_component_are_valid() {
    let data = r#"(data (i32.const 8) "\2a") (global (mut i32) (i32.const 7))"#;
    let split = split(&component(&format!("{MEMORY} {data}"), "")).unwrap();
    assert_eq!((split.tables, split.globals), (1, vec![7]));
}

#[test]
fn components_that_differ_in_data_have_the_same_code() {
    let with = |data: &str| {
        let module = format!(r#"{MEMORY} (data (i32.const 8) "{data}")"#);
        split(&component(&module, "")).unwrap()
    };
    let (one, other) = (with("a"), with("bc"));
    assert_eq!(one.code, other.code);
    assert_ne!(one.initial_state, other.initial_state);
}

#[test]
fn a_label_is_not_a_part_of_the_code() {
    let plain = component(MEMORY, "");
    let labelled = [plain.clone(), vec![0, 2, 1, b'x']].concat();
    assert_eq!(split(&plain).unwrap().code, split(&labelled).unwrap().code);
}

#[test]
fn instructions_and_globals_are_parts_of_the_code() {
    let code = |module: &str| split(&component(module, "")).unwrap().code;
    let plain = code(MEMORY);
    let global = |value| format!("{MEMORY} (global (mut i32) (i32.const {value}))");
    assert_ne!(plain, code(&format!("{MEMORY} (func (drop (i32.const 1)))")));
    assert_ne!(code(&global(1)), code(&global(2)));
}

#[test]
fn state_that_is_more_than_one_memory_is_refused() {
    for (module, reason) in [
        (r#"(memory 1) (memory 1)"#, "several memories"),
        (r#"(memory 1) (data "passive")"#, "passive"),
        (r#"(memory 1) (func $start) (start $start)"#, "start function"),
        (r#"(memory 1) (global (mut funcref) (ref.null func))"#, "not a number"),
        (r#"(memory 0)"#, "empty"),
        (
            r#"(memory 1) (table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))"#,
            "table.grow",
        ),
        (r#"(memory 1) (elem func) (func (elem.drop 0))"#, "elem.drop"),
        (r#"(memory 1) (func (export "wardian-read-head"))"#, "begins with wardian-"),
    ] {
        let refused = refusal(module);
        assert!(refused.contains(reason), "{module}: {refused}");
    }
}

#[test]
fn structure_that_cannot_be_followed_is_refused() {
    let refused = |rest: &str| split(&component(MEMORY, rest)).err().expect("it is refused");
    let twice = "(core instance (instantiate $main))";
    assert!(refused(twice).contains("twice"));

    let stateful = "(core module $other (memory 1)) (core instance (instantiate $other))";
    assert!(refused(stateful).contains("after an instance"));
    assert!(refused("(core type (func))").contains("core modules"));

    let nested = "(component (core module (memory 1)))";
    assert!(refused(nested).contains("within it"));
    assert!(SplitComponent::new(b"\0asm\x01\0\0\0").is_err());
    assert!(SplitComponent::new(b"not WebAssembly").is_err());
}

#[test]
fn a_component_with_a_resource_is_refused() {
    let rest = r#"(type $own (resource (rep i32)))
        (core func $new (canon resource.new $own))"#;
    assert!(split(&component(MEMORY, rest)).err().unwrap().contains("resource"));
}

#[test]
fn the_added_function_resets_every_global() {
    let module = r#"(memory (export "memory") 1)
        (global $a (mut i32) (i32.const -7))
        (global $b (mut i64) (i64.const 0x8000000000000001))
        (global $fixed i32 (i32.const 5))
        (global $c (mut f32) (f32.const nan:0x200001))
        (global $d (mut f64) (f64.const -0.5))
        (func (export "change") (result i32)
            (global.set $a (i32.const 1)) (global.set $b (i64.const 2))
            (global.set $c (f32.const 3)) (global.set $d (f64.const 4)) (i32.const 0))"#;
    let change = r#"(alias core export $main "change" (core func $change))
        (func $lifted-change (type $run-type) (canon lift (core func $change)))
        (export "change" (func $lifted-change))"#;
    let split = split(&component(module, change)).unwrap();

    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let state = Module::new(&engine, &split.initial_state).unwrap();
    linker.root().module(STATE, &state).unwrap();
    let code = component::Component::new(&engine, &split.code).unwrap();
    let instance = linker.instantiate(&mut store, &code).unwrap();

    let mut globals = |first: &str, parameters: &[component::Val]| {
        let mut results = [component::Val::S32(0)];
        let function = instance.get_func(&mut store, first).unwrap();
        function.call(&mut store, parameters, &mut results).unwrap();
        let values: Vec<i64> = (0..split.globals.len())
            .map(|number| {
                let name = global_reader(number);
                let read = instance.get_typed_func::<(), (i64,)>(&mut store, name.as_str());
                read.unwrap().call(&mut store, ()).unwrap().0
            })
            .collect();
        (results, values)
    };

    assert_eq!(globals("change", &[]).1, [1, 2, 3_f32.to_bits().into(), 4_f64.to_bits() as i64]);
    let passed = [component::Val::S32(42)];
    assert_eq!(globals(RESET, &passed), (passed, split.globals.clone()));
}

#[test]
fn a_state_has_the_content_that_a_memory_had() {
    let memory = split(&component(MEMORY, "")).unwrap().memory;
    let mut content = vec![0; 3 << 16];
    Validator::new().validate_all(&memory.with_content(&content)).unwrap();

    (content[5000], content[70_000]) = (1, 2);
    let state = memory.with_content(&content);
    Validator::new().validate_all(&state).unwrap();
    let used = &content[4096..73_728];
    assert!(state.windows(used.len()).any(|window| window == used));
    assert!(state.len() < used.len() + 100);
}
