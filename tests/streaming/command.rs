//! `wardian infer --stream`.

use std::process::Command;

use serde_json::Value;

use super::server;
use crate::harness::Server;

fn infer(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    command
        .args(["infer", "streamer", "--stream", "--url"])
        .arg(format!("http://{}", server.address()));
    let output = command.args(arguments).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), said(&output.stdout) + &said(&output.stderr))
}

#[test]
fn parts_are_printed_as_they_come() {
    let server = server("");
    let (status, said) = infer(&server, &["--input", "parts=2", "--input", "text_input=\"a\""]);
    let line = |index: i64, last: bool| {
        format!(
            "{{\"index\":{index},\"last\":{last},\"model_name\":\"streamer\",\"model_version\":\"1\",\
             \"text_output\":\"a{index} \"}}\n"
        )
    };
    assert_eq!((status, said), (Some(0), line(0, false) + &line(1, true)));
}

#[test]
fn text_parts_are_printed_continuously() {
    let server = server("");
    let (status, said) = infer(&server, &["--input", "parts=0", "--input", "then=\"plain\""]);
    assert_eq!((status, said.as_str()), (Some(0), "bad\n"));
}

#[test]
fn early_and_late_errors_are_reported() {
    let server = server("");
    let (status, said) = infer(&server, &["--input", "parts=1", "--input", "then=\"fail\""]);
    assert_eq!(
        (status, said.contains("\nerror: ") && said.contains(" (model_failed)\n")),
        (Some(3), true),
        "{said}"
    );
    let (status, said) = infer(&server, &["--input", "parts=0", "--input", "then=\"fail\""]);
    assert_eq!((status, said.contains("(model_failed, HTTP 500)")), (Some(3), true), "{said}");
}

#[test]
fn json_output_includes_late_errors() {
    let server = server("");
    for parts in ["parts=1", "parts=0"] {
        let (status, said) =
            infer(&server, &["--json", "--input", parts, "--input", "then=\"fail\""]);
        let last = said.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let code = last.map(|error| error["code"].clone());
        assert_eq!((status, code), (Some(3), Some("model_failed".into())), "{parts}: {said}");
    }
}
