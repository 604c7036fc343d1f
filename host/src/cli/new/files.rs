//! The files of a new crate, all embedded in this program.
//!
//! The SDK is in no registry, so a crate gets its sources, those of the kernels that it uses and
//! the WIT files in `vendor/`. The SDK reads the WIT files from `../../wit`, hence
//! `vendor/wardian/sdk` and `vendor/wit`. Its manifest inherits from the workspace, which is the
//! new crate's manifest, so the same files serve in both places.

/// The files of the crate: a path and a text, in which `{{…}}` is replaced.
pub(super) const TEMPLATE: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("README.md", include_str!("template/README.md.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("weights.txt", include_str!("template/weights.txt.in")),
    ("golden.json", include_str!("template/golden.json.in")),
    (".cargo/config.toml", include_str!("template/config.toml.in")),
    (".gitignore", include_str!("template/gitignore.in")),
    // The SDK's sources have this format; `cargo fmt` would change them otherwise.
    ("rustfmt.toml", include_str!("../../../../rustfmt.toml")),
    ("rust-toolchain.toml", include_str!("../../../../rust-toolchain.toml")),
];

macro_rules! vendored {
    () => {
        vendored!(
            sdk:
                "Cargo.toml",
                "src/artifacts.rs",
                "src/bindings.rs",
                "src/config.rs",
                "src/error.rs",
                "src/golden.rs",
                "src/interceptor.rs",
                "src/kernels.rs",
                "src/kernels/imported.rs",
                "src/kernels/operations.rs",
                "src/kernels/panels.rs",
                "src/key_value.rs",
                "src/key_value/imported.rs",
                "src/key_value/in_memory.rs",
                "src/lib.rs",
                "src/logging.rs",
                "src/metadata.rs",
                "src/model.rs",
                "src/request.rs",
                "src/response.rs",
                "src/runtime.rs",
                "src/session.rs",
                "src/sql.rs",
                "src/sql/parameters.rs",
                "src/sql/rows.rs",
                "src/sql/value.rs",
                "src/stream.rs",
                "src/tasks.rs",
                "src/tensor.rs",
                "src/values.rs",
                "src/view.rs",
                "src/view/tests.rs",
                "src/weights.rs";
            kernels:
                "Cargo.toml",
                "src/activation.rs",
                "src/conv2d.rs",
                "src/conv2d/depthwise.rs",
                "src/conv2d/im2col.rs",
                "src/conv2d/packing.rs",
                "src/conv2d/rows.rs",
                "src/conv2d/small.rs",
                "src/conv2d/window.rs",
                "src/error.rs",
                "src/functions.rs",
                "src/integer.rs",
                "src/integer/finish.rs",
                "src/integer/packing.rs",
                "src/integer/product.rs",
                "src/layout.rs",
                "src/lib.rs",
                "src/matmul.rs",
                "src/matmul/packing.rs",
                "src/matmul/product.rs",
                "src/progress.rs",
                "src/scratch.rs",
                "src/simd.rs",
                "src/simd/avx2.rs",
                "src/simd/avx512.rs",
                "src/simd/block.rs",
                "src/simd/bytes.rs",
                "src/simd/instruction_set.rs",
                "src/simd/integer_block.rs",
                "src/simd/integer_tile.rs",
                "src/simd/loops.rs",
                "src/simd/neon.rs",
                "src/simd/portable.rs",
                "src/simd/shared_output.rs",
                "src/simd/simd128.rs",
                "src/simd/tile.rs",
                "src/simd/vector.rs",
                "src/softmax.rs",
                "src/team.rs",
                "src/work.rs";
            wit:
                "artifacts.wit",
                "batching.wit",
                "deferred.wit",
                "deps/wardian-kernels/arithmetic.wit",
                "deps/wardian-kernels/arithmetic.wit",
                "deps/wasi-config/store.wit",
                "deps/wasi-keyvalue/keyvalue.wit",
                "deps/wasi-logging/logging.wit",
                "inference.wit",
                "interceptor.wit",
                "lifecycle.wit",
                "session.wit",
                "sql.wit",
                "streaming.wit",
                "types.wit",
                "world.wit"
        )
    };
    (sdk: $($sdk:literal),*; kernels: $($kernels:literal),*; wit: $($wit:literal),*) => {
        [
            $((concat!("vendor/wardian/sdk/", $sdk), include_str!(concat!("../../../../guest-models/sdk/", $sdk))),)*
            $((concat!("vendor/wardian/kernels/", $kernels), include_str!(concat!("../../../../kernels/", $kernels))),)*
            $((concat!("vendor/wit/", $wit), include_str!(concat!("../../../../wit/", $wit))),)*
        ]
    };
}
/// The SDK, the kernels that it uses and the WIT files: the path and the text of each.
pub(super) const VENDORED: &[(&str, &str)] = &vendored!();

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The paths of all files below a folder, relative to it.
    fn files_below(folder: &Path, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(folder.join(path)).unwrap().map(Result::unwrap);
        let below = entries.flat_map(|entry| {
            let path = format!("{path}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                files_below(folder, &format!("{path}/"))
            } else {
                vec![path]
            }
        });
        below.collect()
    }

    #[test]
    fn every_file_of_the_sdk_and_of_the_interfaces_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut there = BTreeSet::from(["vendor/wardian/kernels/Cargo.toml".to_owned()]);
        for (from, to) in [
            ("guest-models/sdk", "vendor/wardian/sdk"),
            ("kernels/src", "vendor/wardian/kernels/src"),
            ("wit", "vendor/wit"),
        ] {
            there.extend(
                files_below(&root.join(from), "").iter().map(|path| format!("{to}/{path}")),
            );
        }
        let vendored: BTreeSet<_> = VENDORED.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(vendored, there, "add what is new to the list in this file");
    }

    #[test]
    fn the_manifest_has_what_the_workspace_has() {
        let workspace = include_str!("../../../../Cargo.toml");
        let manifest = include_str!("template/Cargo.toml.in");
        for key in [
            "edition =",
            "rust-version =",
            "license =",
            "serde_json =",
            "wit-bindgen =",
            "unsafe_code =",
        ] {
            let line = manifest.lines().rfind(|line| line.starts_with(key)).unwrap();
            assert!(workspace.contains(&format!("\n{line}\n")), "{line}");
        }
        let config = include_str!("../../../../.cargo/config.toml");
        assert!(config.ends_with(include_str!("template/config.toml.in")));
    }

    #[test]
    fn the_manifest_has_all_that_the_sdk_inherits() {
        let manifest: toml::Table = include_str!("template/Cargo.toml.in").parse().unwrap();
        let sdk: toml::Table =
            include_str!("../../../../guest-models/sdk/Cargo.toml").parse().unwrap();
        for (table, keys) in [("package", "package"), ("dependencies", "dependencies")] {
            let inherited = sdk[table].as_table().unwrap().iter();
            for (key, _) in inherited.filter(|(_, value)| value.get("workspace").is_some()) {
                assert!(manifest["workspace"][keys].get(key).is_some(), "{table}.{key}");
            }
        }
    }
}
