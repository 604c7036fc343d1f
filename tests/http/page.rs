//! `GET /docs`: how its script formats responses.

use std::process::Command;

use crate::harness::{NODE, Server};

#[test]
fn the_page_shows_numbers_unchanged() {
    if std::env::var_os("WARDIAN_NODE_PACKAGES").is_none() {
        NODE.skip("WARDIAN_NODE_PACKAGES is not set");
        return;
    }
    let page = Server::empty().get("/docs").ok().text();
    let start = page.find("function indented(").expect("the page has the function");
    let length = page[start..].find("\n}\n").unwrap() + 3;
    let function = &page[start..start + length];
    let whole = r#"{"data":[18446744073709551615,-9223372036854775808,0.9784924982845289,1e-7],"text":"a, {\"b\"}"}"#;
    let expected = "{\n  \"data\": [\n    18446744073709551615,\n    -9223372036854775808,\n    0.9784924982845289,\n    1e-7\n  ],\n  \
                    \"text\": \"a, {\\\"b\\\"}\"\n}";
    assert_eq!(run(function, whole), expected);
    // The result equals that of JavaScript's own formatter if JavaScript represents every number
    // exactly.
    for json in ["{}", "[]", "1", "\"a\"", "[{\"a\":[]},[[]],{\"b\":{}}]", "[null,true,-1.5,[1,2]]"]
    {
        let parsed = "(json => JSON.stringify(JSON.parse(json), null, 2))";
        assert_eq!(
            run(function, json),
            run(&format!("const indented = {parsed};"), json),
            "{json}"
        );
    }
}

fn run(function: &str, json: &str) -> String {
    let script = format!("{function}\nprocess.stdout.write(indented(process.argv[1]))");
    let output = Command::new("node").args(["-e", &script, json]).output().expect("Node.js starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
