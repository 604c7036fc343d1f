//! `schemathesis`: valid and invalid requests, generated from `/openapi.json`, of a caller with a
//! key.

use std::process::Command;

use super::{KEY, folder, python, serving, start, with_key};

/// Finds server errors, responses that differ from their description, invalid requests that are
/// accepted, and routes that accept a request without its key. A request that fits its schema may
/// still be wrong for the model, so a 4xx response to it is no fault.
#[test]
fn schemathesis() {
    let Some(python) = python("WARDIAN_PYTHON_OPENAPI") else { return };
    let server = start(serving(&["digits", "iris", "upper"]).config(&with_key()));
    let mut command = Command::new(python);
    // The program stores its findings in the working directory.
    command.current_dir(server.directory()).args(["-m", "schemathesis.cli"]);
    command.arg("--config-file").arg(folder().join("schemathesis.toml"));
    command.arg("run").arg(format!("http://{}/openapi.json", server.address()));
    command.args(["--header", &format!("Authorization: Bearer {KEY}")]);
    command.arg("--baseline").arg(folder().join("schemathesis_baseline.json"));
    command.args(["--phases", "coverage,fuzzing", "--exclude-checks", "positive_data_acceptance"]);
    command.args(["--max-examples", "30", "--seed", "1", "--no-shrink", "--warnings", "off"]);

    let output = command.output().expect("schemathesis starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    // The program leaves out the route of the document itself.
    let tested = wardian::api::routes().len() - 1;
    assert!(said.contains(&format!("Tested: {tested}\n")), "{said}");
}
