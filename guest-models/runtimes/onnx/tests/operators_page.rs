//! The page of the documentation that lists the operators.

use std::collections::BTreeMap;
use std::fs;

use onnx_executor::operators::Domain;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/onnx-operators.md");

/// Returns the page, from the table of operators.
fn page() -> String {
    let mut served: BTreeMap<(&str, &str), Vec<(i64, i64)>> = BTreeMap::new();
    for operator in onnx::OPERATORS.operators() {
        let domain = match operator.domain {
            Domain::Onnx => "ai.onnx",
            Domain::Ml => "ai.onnx.ml",
            Domain::Microsoft => "com.microsoft",
            // No file has them.
            Domain::Wardian => continue,
        };
        served.entry((domain, operator.name)).or_default().push(operator.versions);
    }

    let mut page = "# Operators of the runtime `onnx`\n\n\
        The operators that [model files](model-files.md#neural-networks) of the format `onnx` may \
        have, with the versions of the operator set in which they are served. A test writes and \
        checks this page.\n\n| domain | operator | versions |\n|---|---|---|\n"
        .to_owned();
    for ((domain, name), versions) in served {
        let first = versions.iter().map(|(first, _)| *first).min().unwrap_or_default();
        let last = versions.iter().map(|(_, last)| *last).max().unwrap_or_default();
        let last = if domain == "com.microsoft" { 1 } else { last };
        page += &format!("| {domain} | {name} | {first} to {last} |\n");
    }
    page
}

#[test]
fn the_page_lists_the_operators() {
    if std::env::var_os("WARDIAN_WRITE_PAGES").is_some() {
        fs::write(PAGE, page()).unwrap();
    }
    let present = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(present == page(), "run the test with WARDIAN_WRITE_PAGES=1 to write {PAGE}");
}
