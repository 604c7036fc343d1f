//! Files that are not complete components.

use super::{Case, case, check};
use crate::harness::scripted;

#[test]
fn files_that_are_not_components_are_identified() {
    check(
        vec![
            case("empty", "", &["the file is empty"]),
            case("text", "hello, this is a model", &["not WebAssembly"]),
            case("page", "<!DOCTYPE html><html>404</html>", &["not WebAssembly"]),
            case("zeros", vec![0; 4096], &["not WebAssembly"]),
            case("noise", noise(100_000), &["not WebAssembly"]),
            case("archive", "PK\x03\x04 and so on", &["not WebAssembly"]),
            case(
                "native",
                "\x7fELF\x02\x01\x01 and so on",
                &["precompiled artifacts are never accepted"],
            ),
            case("module", "\0asm\x01\0\0\0", &["a core module, not a component", "wasm32-wasip2"]),
            case("old", "\0asm\x0a\0\x01\0", &["binary version 0xa"]),
            case(
                "header",
                "\0asm\x0d\0\x01\0",
                &["does not export 'wardian:model/inference@0.1.0'", "exports nothing"],
            ),
            case(
                "length",
                *b"\0asm\x0d\0\x01\0\x00\xff\xff\xff\xff\xff\x01",
                &["malformed length"],
            ),
            case(
                "sections",
                [&b"\0asm\x0d\0\x01\0"[..], &[0; 300_000]].concat(),
                &["more than 100000 sections"],
            ),
        ],
        "",
    );
}

#[test]
fn a_component_cut_anywhere_is_truncated() {
    let whole = scripted("version=2");
    let cut = |name, length: usize| -> Case { case(name, &whole[..length], &["truncated"]) };
    let tenth = whole.len() / 10;
    check(
        vec![
            cut("bytes-3", 3),
            cut("bytes-7", 7),
            cut("bytes-9", 9),
            cut("tenth-1", tenth),
            cut("tenth-5", 5 * tenth),
            cut("tenth-9", 9 * tenth),
            cut("last-byte", whole.len() - 1),
        ],
        "",
    );
}

#[test]
fn a_component_with_a_damaged_inside_is_refused() {
    // The announced lengths are correct, so only validation can find the damage.
    let mut damaged = scripted("version=2");
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let server = check(vec![case("damaged", damaged, &["validate: not a"])], "");
    // The same bytes under the name of a precompiled file are not read at all.
    server.models().put("sneaky.cwasm", scripted("version=2"));
    server.until_refused("sneaky", 0, "precompiled artifacts are never accepted");
    std::fs::create_dir(server.models().path("folder.wasm")).unwrap();
    server.until_refused("folder.wasm", 0, "");
}

/// Pseudo-random bytes, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
