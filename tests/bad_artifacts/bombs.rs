//! Small files that would keep a compiler busy for minutes, or fill a machine's memory.

use super::beside_a_good_model;
use super::components::with_inference;

/// A component that compiles for many times longer than a second.
fn slow_bomb() -> Vec<u8> {
    bomb(2000, 750)
}

/// A component of a few hundred bytes that declares a memory of 500 MB with an `x` at both ends.
fn large_bomb() -> Vec<u8> {
    with_inference(r#"(memory 8000) (data (i32.const 0) "x") (data (i32.const 500000000) "x")"#)
}

/// Starts a server that has already compiled its good model, and drops a bomb.
#[track_caller]
fn defused(bomb: Vec<u8>, limits: &str, words: &str) {
    let server = beside_a_good_model(|_| {}).start();
    server.until_version_of("good", 1);
    let server = server.stop().config(&format!("[compile]\n{limits}")).start();
    server.until_version_of("good", 1);
    server.models().bare("bomb", bomb);
    server.until_refused("bomb", 1, words);
    assert_eq!(server.version_of("good"), 1);
    server.get("/v2/health/live").ok();
}

#[test]
fn the_cpu_limit_stops_a_bomb() {
    defused(
        slow_bomb(),
        "cpu_time = '1s'",
        "needed more than the 1s of CPU time allowed for compiling",
    );
}

#[test]
fn a_bomb_is_stopped_by_the_clock() {
    defused(slow_bomb(), "wall_time = '1s'", "took longer than 1s");
}

#[test]
fn the_memory_limit_stops_a_bomb() {
    defused(
        large_bomb(),
        "memory = '256MiB'",
        "needed more than the 256 MiB of memory allowed for compiling",
    );
}

/// A component that looks like a model until it is compiled. It has `functions` functions of
/// `steps` multiplications each.
fn bomb(functions: usize, steps: usize) -> Vec<u8> {
    // local.get 0, local.get 1, i64.mul, local.set 0
    const STEP: [u8; 7] = [0x20, 0, 0x20, 1, 0x7e, 0x21, 0];
    let body = [&[0][..], &STEP.repeat(steps), &[0x0b]].concat();
    let body = [size(body.len()), body].concat();
    let types = [1, 0x60, 2, 0x7e, 0x7e, 0].to_vec();
    let declared = [size(functions), vec![0; functions]].concat();
    let code = [size(functions), body.repeat(functions)].concat();
    let module =
        [b"\0asm\x01\0\0\0".to_vec(), section(1, types), section(3, declared), section(10, code)]
            .concat();
    [with_inference(""), section(1, module)].concat()
}

fn section(id: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![id], size(content.len()), content].concat()
}

/// Encodes a number as WebAssembly does (LEB128).
fn size(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
