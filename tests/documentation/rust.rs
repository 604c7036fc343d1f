//! Rust blocks, compiled for the sandbox: the blocks of all pages in one crate, each in a module of
//! its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::page::{Kind, Page, root};
use crate::harness::output_at_idle_priority;

/// The code around a block that is not a complete module.
struct Context {
    /// A text that occurs in this block and in no other.
    within: &'static str,
    before: &'static str,
    after: &'static str,
}

/// A model, for a block that implements a further trait for it.
macro_rules! model {
    ($name:literal) => {
        concat!(
            "use wardian_sdk::*; struct ",
            $name,
            "; impl Model for ",
            $name,
            " {
                fn load() -> Result<Self, Error> { Err(Error::failed(String::new())) }
                fn metadata(&self) -> Metadata { Metadata::new() }
                fn infer(&self, _: Request) -> Result<Response, Error> { Ok(Response::new()) }
            }"
        )
    };
}

const STATEMENTS: Context = Context {
    within: "",
    before: "fn statements(request: wardian_sdk::Request) -> Result<(), wardian_sdk::Error> {",
    after: "Ok(()) }",
};

const CONTEXTS: &[Context] = &[
    Context {
        within: ".max_batch_size(64)",
        before: "fn metadata() -> wardian_sdk::Metadata { use wardian_sdk::Metadata;",
        after: "}",
    },
    Context {
        within: ".property(\"feature_names\"",
        before: "fn metadata() -> wardian_sdk::Metadata { use wardian_sdk::Metadata;",
        after: "}",
    },
    Context {
        within: ".property(\"max_tokens\"",
        before: "fn metadata() -> wardian_sdk::Metadata { use wardian_sdk::Metadata;",
        after: "}",
    },
    Context {
        within: "impl Batching for MyModel",
        before: model!("MyModel"),
        after: "impl MyModel {
            fn tables(&self) {}
            fn answer(&self, _: &Request, _: &()) -> Result<Response, Error> { Ok(Response::new()) }
        }",
    },
    Context {
        within: "impl Streaming for Chat",
        before: model!("Chat"),
        after: "impl Chat { fn write(&self, _: &Request) -> Result<Vec<String>, Error> { Ok(Vec::new()) } }",
    },
    Context { within: "impl Migrations for Plants", before: model!("Plants"), after: "" },
    // The SDK's trait has these functions, and requires nothing else of a type.
    Context {
        within: "pub trait Model",
        before: "use wardian_sdk::{Error, Metadata, Request, Response};",
        after: "impl<T: wardian_sdk::Model> Model for T {
            fn load() -> Result<Self, Error> { T::load() }
            fn metadata(&self) -> Metadata { T::metadata(self) }
            fn infer(&self, request: Request) -> Result<Response, Error> { T::infer(self, request) }
        }",
    },
    Context { within: "session::get()?", ..STATEMENTS },
    Context {
        within: "key_value::open",
        before: "fn learn(_: Option<Vec<u8>>, _: &wardian_sdk::Request) -> Result<Vec<u8>, wardian_sdk::Error> {
            Ok(Vec::new())
        }
        fn statements(request: wardian_sdk::Request) -> Result<(), wardian_sdk::Error> {",
        after: "Ok(()) }",
    },
    Context {
        within: "sql::execute",
        before: "fn statements(name: &str) -> Result<(), wardian_sdk::Error> {",
        after: "Ok(()) }",
    },
];

/// Compiles the Rust blocks of all pages. An error names the page by its module, and the line from
/// the beginning of the block.
pub(super) fn compile(pages: &[Page]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented-code");
    let mut modules = String::new();
    for page in pages {
        for block in page.blocks(&Kind::Rust) {
            modules += &module(page, block.line, &block.text);
        }
    }
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest()).unwrap();
    // The lock file pins the tested versions instead of the newest ones of the registry.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::write(folder.join("src/lib.rs"), format!("#![allow(unused)]\n{modules}")).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&folder).args([
        "check",
        "--offline",
        "--target",
        "wasm32-wasip2",
        "--profile",
        "guest",
    ]);
    // Guests are built in this folder, so the SDK's dependencies are there already.
    cargo.env("CARGO_TARGET_DIR", root().join("target/guests"));
    let output = output_at_idle_priority(&mut cargo).unwrap();
    assert!(output.status.success(), "{modules}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn module(page: &Page, line: usize, text: &str) -> String {
    let name: String = page
        .name
        .chars()
        .map(|character| if character.is_alphanumeric() { character } else { '_' })
        .collect();
    let context = CONTEXTS.iter().find(|context| text.contains(context.within));
    let (before, after) = context.map_or(("", ""), |context| (context.before, context.after));
    format!("mod {}_{line} {{\n{before}\n{text}\n{after}\n}}\n", name.to_lowercase())
}

fn manifest() -> String {
    let sdk = root().join("guest-models/sdk");
    format!(
        "[package]\nname = \"documented-code\"\nedition = \"2024\"\n\n[dependencies]\n\
         wardian-sdk = {{ path = '{}' }}\nwasip2 = '1'\n\n[workspace]\n\n\
         [profile.guest]\ninherits = 'release'\ndebug = 'line-tables-only'\n",
        sdk.display()
    )
}
