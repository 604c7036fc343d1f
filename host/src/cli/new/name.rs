//! The rules for the name of a new crate, which is also a library's and a model's.

use anyhow::{Result, bail, ensure};

/// Names that Cargo or the compiler refuses, and names that would confuse: keywords, crates of
/// every program, dependencies of the new crate, and names that the repository reserves.
const RESERVED: [&str; 71] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "interceptors",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde-json",
    "static",
    "stats",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "wardian",
    "wardian-sdk",
    "where",
    "while",
    "wit-bindgen",
    "wit-parser",
    "wit-component",
    "wasm-encoder",
    "wasmparser",
    "yield",
];

/// The most characters that all file systems and tools accept.
const MAX_LENGTH: usize = 64;

/// Checks a name for a package and a model.
pub(super) fn parse(name: &str) -> Result<String> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());

    if !first || !name.bytes().all(allowed) || name.len() > MAX_LENGTH {
        bail!(
            "'{name}' cannot be the name of a crate and of a model: use 1 to {MAX_LENGTH} lower-case letters, digits, '-' or \
             '_', starting with a letter"
        );
    }
    let taken = RESERVED.contains(&name.replace('_', "-").as_str());
    ensure!(
        !taken,
        "'{name}' is taken: it means something else to Rust, Cargo or Wardian; '{name}-model' would do"
    );

    Ok(name.to_owned())
}

/// The name of the file that Cargo builds, without its extension.
pub(super) fn file_stem(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelName;

    #[test]
    fn a_name_is_good_for_a_crate_and_for_a_model() {
        for name in ["demo", "house-price", "a", "net_2", &"x".repeat(64)] {
            assert!(parse(name).is_ok() && ModelName::new(name).is_ok(), "{name}");
        }
        for name in ["", "2nd", "-a", "_a", "Demo", "a.b", "a b", "a/b", "..", "é", &"x".repeat(65)]
        {
            assert!(parse(name).unwrap_err().to_string().contains("lower-case letters"), "{name}");
        }
        for name in ["test", "fn", "std", "proc_macro", "wardian_sdk", "interceptors", "stats"] {
            assert!(parse(name).unwrap_err().to_string().contains("is taken"), "{name}");
        }
    }
}
