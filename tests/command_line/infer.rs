//! `wardian infer`. Its streams are tested in `streaming/command.rs`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{NOWHERE, ask, folder, program, run, wardian};
use crate::harness::{Server, guest, guest_folder};

fn server() -> Server {
    let server = Server::with_models(|models| models.bare("minimal", guest("minimal"))).start();
    server.until_ready("minimal", 1);
    server
}

/// A request in the protocol's JSON.
fn request(more: Value) -> Value {
    let mut request = json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, -2.0] }], "id": "seven" });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn a_response_is_shown_as_table_or_json() {
    let server = server();
    let output = ask(&server, "infer", &["minimal", "--input", "x=[1.5, -2]"]).expect_code(0);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("minimal version 1\n  y FP32 [2]: [3.0, -4.0]\n", "")
    );
    let output = ask(&server, "infer", &["minimal", "--input", "x=1", "--json", "--version", "1"])
        .expect_code(0);
    let json = output.json();
    assert_eq!(
        (&json["model_name"], &json["outputs"][0]["data"]),
        (&json!("minimal"), &json!([2.0]))
    );
}

#[test]
fn inputs_are_read_from_files_and_stdin() {
    let server = server();
    let file =
        |name: &str, content: &str| fs::write(server.directory().join(name), content).unwrap();
    file("x.json", "[1, 2, 3]");
    ask(&server, "infer", &["minimal", "--input", "x=@x.json"])
        .expect_code(0)
        .expect_stdout(&["y FP32 [3]: [2.0, 4.0, 6.0]"]);
    file("request.json", &request(json!({})).to_string());
    let output =
        ask(&server, "infer", &["minimal", "--request", "request.json", "--json"]).expect_code(0);
    assert_eq!(
        (&output.json()["id"], &output.json()["outputs"][0]["data"]),
        (&json!("seven"), &json!([3.0, -4.0]))
    );
    let url = format!("http://{}", server.address());
    let mut command =
        program(server.directory(), &["infer", "minimal", "--url", &url, "--request", "-"]);
    command.stdin(File::open(server.directory().join("request.json")).unwrap());
    run(command).expect_code(0).expect_stdout(&["y FP32 [2]: [3.0, -4.0]"]);
}

/// A server with the model of house prices, and its answers to two rows.
fn houses() -> (Server, [&'static str; 2]) {
    let server = Server::with_models(|models| {
        models.copy_folder(&guest_folder("house-price"), "house-price/1");
        models.bare("iris", guest("iris"));
    })
    .start();
    server.until_ready("house-price", 1);
    server.until_ready("iris", 1);
    (server, ["65818.42968121442", "65818.42968121442"])
}

const HOUSES: &str = "\
lotsize,bedrooms,bathrms,stories,driveway,recroom,fullbase,gashw,airco,garagepl,prefarea
5850,3,1,2,1,0,1,0,0,1,0
5850,3,1,2,1,0,1,0,0,1,0
";

#[test]
fn tables_are_read_and_written_with_the_servers_digits() {
    let (server, [first, second]) = houses();
    let path = |name: &str| server.directory().join(name);
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    fs::write(path("houses.csv"), HOUSES).unwrap();

    let output = ask(&server, "infer", &["house-price", "--table", "houses.csv"]).expect_code(0);
    assert_eq!(output.stdout, format!("{{\"predictions\":[{first},{second}]}}\n"));

    let outputs = ["--output", "prices.csv", "--output", "prices.json", "--output", "price=p.npy"];
    let arguments = [&["house-price", "--table", "houses.csv"][..], &outputs].concat();
    let output = ask(&server, "infer", &arguments).expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    assert_eq!(read("prices.csv"), format!("price\n{first}\n{second}\n"));
    assert_eq!(read("prices.json"), format!("[{{\"price\":{first}}},\n{{\"price\":{second}}}]\n"));
    let bytes = fs::read(path("p.npy")).unwrap();
    let price: f64 = first.parse().unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY") && bytes.ends_with(&price.to_le_bytes()));

    // What was written as records is read again.
    fs::write(path("records.json"), r#"[{"measurements": [5.1, 3.5, 1.4, 0.2]}]"#).unwrap();
    let arguments = ["iris", "--table", "records.json", "--output", "iris.csv"];
    ask(&server, "infer", &arguments).expect_code(0);
    let answer =
        server.post("/v2/models/iris/predict", &json!([{"measurements": [5.1, 3.5, 1.4, 0.2]}]));
    let text = answer.ok().text();
    let digits = text.split(['[', ']']).nth(2).unwrap();
    assert_eq!(
        read("iris.csv"),
        format!("label,probabilities_0,probabilities_1,probabilities_2\nsetosa,{digits}\n")
    );
}

#[test]
fn arrays_of_numpy_are_rows_and_inputs() {
    let (server, _) = houses();
    let array = |rows: &[[f64; 4]]| {
        let header =
            format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, 4), }}", rows.len());
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        let data: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), &data].concat()
    };
    let rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]];
    fs::write(server.directory().join("rows.npy"), array(&rows)).unwrap();

    let output = ask(&server, "infer", &["iris", "--table", "rows.npy", "--output", "label.csv"])
        .expect_code(0);
    assert_eq!(output.stdout, "");
    let written = fs::read_to_string(server.directory().join("label.csv")).unwrap();
    assert!(written.lines().nth(2).unwrap().starts_with("virginica,"), "{written}");
    ask(&server, "infer", &["iris", "--input", "measurements=@rows.npy"])
        .expect_code(0)
        .expect_stdout(&["label BYTES [2]: [\"setosa\", \"virginica\"]"]);

    let arguments =
        ["iris", "--input", "measurements=@rows.npy", "--output", "probabilities=p.npy"];
    ask(&server, "infer", &arguments).expect_code(0);
    let bytes = fs::read(server.directory().join("p.npy")).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("'shape': (2, 3), }"));
}

#[test]
fn faulty_tables_and_files_are_explained() {
    let (server, _) = houses();
    let path = |name: &str| server.directory().join(name);
    fs::write(path("houses.csv"), HOUSES.replace("stories", "storeys")).unwrap();
    fs::write(path("rows.npy"), "PK").unwrap();
    fs::write(path("rows.txt"), HOUSES).unwrap();

    for (arguments, exit, says) in [
        (&["--table", "houses.csv"][..], 3, "did you mean 'stories'?"),
        (&["--table", "rows.npy"], 1, "it is no file of NumPy"),
        (&["--table", "rows.txt"], 1, "none of .csv, .json and .npy"),
        (&["--table", "missing.csv"], 1, "cannot read missing.csv"),
        (&["--output", "x.txt"], 2, "none of .csv, .json and .npy"),
        (&["--table", "houses.csv", "--stream"], 2, "cannot be used with"),
        (&["--output", "x.csv", "--output", "x.csv"], 1, "given for two outputs"),
    ] {
        let arguments = [&["house-price"][..], arguments].concat();
        let output = ask(&server, "infer", &arguments).expect_code(exit);
        assert!(output.stderr.contains(says), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn binary_tensors_pass_unchanged() {
    let server = server();
    let (numbers, doubled) =
        ([1.5f32, -200.25].map(f32::to_le_bytes), [3.0f32, -400.5].map(f32::to_le_bytes));
    let tensor = json!({ "name": "x", "datatype": "FP32", "shape": [2], "parameters": { "binary_data_size": 8 } });
    let head =
        json!({ "inputs": [tensor], "parameters": { "binary_data_output": true } }).to_string();
    fs::write(server.directory().join("request"), [head.as_bytes(), &numbers.concat()].concat())
        .unwrap();
    let (url, length) = (
        format!("http://{}", server.address()),
        format!("Inference-Header-Content-Length: {}", head.len()),
    );
    let arguments =
        ["infer", "minimal", "--url", &url, "--request", "request", "--header", &length];
    let output =
        program(server.directory(), &[&arguments[..], &["--json"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        output.stdout.starts_with(b"{") && output.stdout.ends_with(&doubled.concat()),
        "{output:?}"
    );
    wardian(server.directory(), &arguments)
        .expect_code(1)
        .expect_stderr(&["is not JSON; --json prints it as it came"]);
}

#[test]
fn a_header_option_replaces_the_default_header() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let head: Vec<_> =
            lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
        head
    });
    let folder = folder("", |_| {});
    let arguments =
        ["infer", "any", "--url", &url, "--header", "Host: elsewhere", "--header", "X-Api-Key: k"];
    wardian(folder.directory(), &arguments).expect_code(3).expect_stderr(&["HTTP 404"]);
    let head = asked.join().unwrap();
    let hosts: Vec<_> = head.iter().filter(|line| line.starts_with("host:")).collect();
    assert_eq!(hosts, ["host: elsewhere"], "{head:?}");
    assert!(head.contains(&"x-api-key: k".into()), "{head:?}");
}

#[test]
fn server_errors_exit_with_code_3() {
    let server = server();
    let shape = "[1, 2], expected [-1]";
    let wrong = ["minimal", "--input", "x=[[1, 2]]"];
    let output = ask(&server, "infer", &wrong)
        .expect_code(3)
        .expect_stderr(&["error: model 'minimal': input 'x'", shape]);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.ends_with(" (invalid_input, HTTP 400)\n")),
        ("", true),
        "{output:?}"
    );
    let output = ask(&server, "infer", &[&wrong[..], &["--json"]].concat()).expect_code(3);
    assert_eq!((&output.json()["code"], output.stderr.as_str()), (&json!("invalid_input"), ""));
    ask(&server, "infer", &["absent"])
        .expect_code(3)
        .expect_stderr(&["(model_not_found, HTTP 404)"]);
    ask(&server, "infer", &["minmal"])
        .expect_code(3)
        .expect_stderr(&["there is no such model; did you mean 'minimal'?"]);
    let output = ask(&server, "infer", &["minimal", "--version", "2"]).expect_code(3);
    output.expect_stderr(&["no such version serves; version 1 does", "HTTP 404)"]);
}

#[test]
fn invalid_arguments_are_errors() {
    let server = server();
    let infer = |arguments: &[&str]| ask(&server, "infer", &[&["minimal"], arguments].concat());
    let output =
        wardian(server.directory(), &["infer", "minimal", "--url", NOWHERE]).expect_code(1);
    output.expect_stderr(&[
        "error: cannot connect to 127.0.0.1:1; start a server with `wardian serve`",
        "refused",
    ]);
    infer(&["--input", "y=1"])
        .expect_code(1)
        .expect_stderr(&["the model has no input 'y'; it takes 'x' (FP32 [-1])"]);
    infer(&["--input", "x=@absent"])
        .expect_code(1)
        .expect_stderr(&["cannot read absent for input 'x': No such file"]);
    infer(&["--request", "absent"])
        .expect_code(1)
        .expect_stderr(&["cannot read absent: No such file"]);
    infer(&["--input", "x=[1"]).expect_code(2).expect_stderr(&["input 'x' is not JSON"]);
    infer(&["--input", "x"]).expect_code(2).expect_stderr(&["not NAME=JSON"]);
    infer(&["--input", "x=1", "--request", "r"]).expect_code(2);
    wardian(server.directory(), &["infer", "minimal", "--url", "https://127.0.0.1"])
        .expect_code(2)
        .expect_stderr(&["https is not supported"]);
    infer(&["--header", "nonsense"]).expect_code(2).expect_stderr(&["is not 'Name: value'"]);
    infer(&["--version", "0"]).expect_code(2).expect_stderr(&["is not a version"]);
}

#[test]
fn numbers_are_shown_with_the_servers_own_digits() {
    let server = Server::with_models(|models| {
        models.bare("minimal", guest("minimal"));
        models.bare("iris", guest("iris"));
    })
    .start();
    server.until_tried();
    let mut random = Random(7);
    for _ in 0..20 {
        let numbers: Vec<_> = (0..10).map(|_| random.float().to_string()).collect();
        same_digits(&server, "minimal", &format!("x=[{}]", numbers.join(",")));
        let measured: Vec<_> =
            (0..4).map(|_| format!("{}.{:017}", random.next() % 8, random.next())).collect();
        same_digits(&server, "iris", &format!("measurements=[{}]", measured.join(",")));
    }
}

/// Runs the command twice, for the table and for the JSON response, and compares the last tensor of
/// numbers.
#[track_caller]
fn same_digits(server: &Server, model: &str, input: &str) {
    let shown = ask(server, "infer", &[model, "--input", input]).expect_code(0).stdout;
    let came = ask(server, "infer", &[model, "--input", input, "--json"]).expect_code(0).stdout;
    let data = came.rsplit("\"data\":[").next().and_then(|rest| rest.split(']').next()).unwrap();
    assert!(shown.contains(&data.replace(',', ", ")), "{shown}{came}");
}

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    /// Returns a finite number that is finite as a double as well.
    fn float(&mut self) -> f32 {
        let number = f32::from_bits((self.next() << 1) as u32 ^ self.next() as u32);
        if number.is_finite() && (number * 2.0).is_finite() { number } else { 0.1 }
    }
}
