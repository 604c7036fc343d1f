//! Requests around the table of routes: routes outside the router check keys as well.

use std::io::{Read, Write};
use std::net::TcpStream;

use wardian::api::{Access, routes};

use super::{HOST, add_scripted, setup, tenant, write};
use crate::harness::Server;

const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", "BREW"];

#[test]
fn no_path_spelling_bypasses_the_keys() {
    let setup = setup("");
    write(&setup.repository("tenants"), "a", &tenant("a", "a-key", ""));
    add_scripted(&setup.repository("a"), "only-a", 1);
    let server = setup.start();
    server.until_tried();
    every_spelling_of_inference_takes_a_key(&server);
    an_empty_name_is_unknown(&server);
    no_other_method_gets_in(&server);
    outside_the_table_there_is_nothing(&server);
}

fn every_spelling_of_inference_takes_a_key(server: &Server) {
    let authority = format!("http://{}/v2/models/only-a/infer", server.address());
    for target in [
        "/v2/models/only-a/infer",
        "/v2/models/only-a/infer?key=a-key",
        "/v2/models/only%2Da/infer",
        "/v2/models/%6Fnly-a/infer",
        "/v2/models/only-a/versions/1/infer",
        "/v2/models/only-a/versions/%31/infer",
        "/v2/models/only%2da/versions/1/infer?x=/infer",
        &authority,
    ] {
        assert_eq!(status(server, "POST", target, ""), 401, "{target}");
        assert_eq!(status(server, "POST", target, "x-api-key: wrong\r\n"), 401, "{target}");
        assert_eq!(status(server, "POST", target, "authorization: a-key\r\n"), 401, "{target}");
        assert_eq!(
            status(server, "POST", target, "authorization: Basic a-key\r\n"),
            401,
            "{target}"
        );
        // The first header counts, and a valid key in the other one does not help.
        assert_eq!(
            status(server, "POST", target, "authorization: Bearer wrong\r\nx-api-key: a-key\r\n"),
            401
        );
        assert_eq!(
            status(server, "POST", target, "x-api-key: wrong\r\nx-api-key: a-key\r\n"),
            401,
            "{target}"
        );
        assert_eq!(status(server, "POST", target, "x-api-key: a-key\r\n"), 200, "{target}");
    }
}

fn an_empty_name_is_unknown(server: &Server) {
    for path in ["/v2/models//infer", "/v2/models/only-a/versions//infer"] {
        assert_eq!(status(server, "POST", path, ""), 401, "{path}");
        assert_eq!(status(server, "POST", path, "x-api-key: a-key\r\n"), 404, "{path}");
    }
}

fn no_other_method_gets_in(server: &Server) {
    let routes = routes();
    for route in &routes {
        let path = route
            .path
            .replace("{model}", "only-a")
            .replace("{version}", "1")
            .replace("{repository}", "main")
            .replace("{asset}", "app.js");
        for method in METHODS {
            // A route for GET also answers HEAD.
            let open = route.access == Access::Open && ["GET", "HEAD"].contains(&method);
            let expected = match (open, route.access) {
                (true, _) => 200,
                (false, Access::Open) if method == "OPTIONS" => 204,
                (false, Access::Open) => 405,
                (false, _) => 401,
            };
            assert_eq!(status(server, method, &path, ""), expected, "{method} {path}");
        }
    }
}

fn outside_the_table_there_is_nothing(server: &Server) {
    for path in [
        "/v2//",
        "/v3/models",
        "/V2/models",
        "//v2/models",
        "/v2//models",
        "/v2/models/",
        "/v2/./models",
        "/v2/health/../models",
        "/v2/models/only-a/",
        "/v2/models/only-a/infer/",
        "/v2/models/only-a//infer",
        "/v2/models/only-a/versions/1/infer/",
        "/v2/models/only-a/versions/1/2/infer",
        "/v2/models/only-a/%69nfer",
        "/v2%2Fmodels",
        "/v2/tenants/",
        "/metrics/",
        "/metrics/a",
        "/.well-known/x",
    ] {
        let keys =
            ["", "x-api-key: wrong\r\n", "x-api-key: a-key\r\n", &format!("x-api-key: {HOST}\r\n")];
        for (method, key) in
            ["GET", "POST", "DELETE"].into_iter().flat_map(|method| keys.map(|key| (method, key)))
        {
            assert_eq!(status(server, method, path, key), 404, "{method} {path} with {key:?}");
        }
    }
}

/// Returns the status of the response to a request that is sent exactly as written.
fn status(server: &Server, method: &str, target: &str, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let body = "{\"inputs\": []}";
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
        server.address()
    );
    write!(stream, "{head}{headers}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{method} {target} was answered with '{answer}'"))
}
