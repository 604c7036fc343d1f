//! Every route with every kind of key: the outcome must match the route's entry in the table.

use wardian::api::{Access, Route, routes};

use super::{HOST, add_scripted, key, setup, write};
use crate::harness::{Response, Server};

/// A caller with or without a key.
struct Holder {
    what: &'static str,
    key: Option<&'static str>,
    /// The scopes of the key; `None` if it is not valid.
    scopes: Option<&'static [&'static str]>,
    /// The tenant that the request names.
    names: Option<&'static str>,
}

const fn holder(
    what: &'static str,
    key: Option<&'static str>,
    scopes: Option<&'static [&'static str]>,
    names: Option<&'static str>,
) -> Holder {
    Holder { what, key, scopes, names }
}

const HOLDERS: [Holder; 17] = [
    holder("no key", None, None, None),
    holder("no key, naming a tenant", None, None, Some("a")),
    holder("an empty key", Some(""), None, None),
    holder("a wrong key", Some("wrong"), None, None),
    holder("a wrong key, naming a tenant", Some("wrong"), None, Some("a")),
    holder("infer", Some("a-infer"), Some(&["infer"]), None),
    holder("manage", Some("a-manage"), Some(&["manage"]), None),
    holder("infer and manage", Some("a-both"), Some(&["infer", "manage"]), None),
    holder("admin of a tenant", Some("a-admin"), Some(&["admin"]), None),
    holder("another tenant's infer and manage", Some("b-both"), Some(&["infer", "manage"]), None),
    holder("admin naming its own", Some("a-admin"), Some(&["admin"]), Some("a")),
    holder("admin naming another", Some("a-admin"), Some(&["admin"]), Some("b")),
    holder("admin naming nobody", Some("a-admin"), Some(&["admin"]), Some("nobody")),
    holder("the host naming nobody", Some(HOST), Some(&["admin"]), Some("nobody")),
    holder("the host", Some(HOST), Some(&["admin"]), None),
    holder(
        "infer and manage naming its own",
        Some("a-both"),
        Some(&["infer", "manage"]),
        Some("a"),
    ),
    holder(
        "infer and manage naming nobody",
        Some("a-both"),
        Some(&["infer", "manage"]),
        Some("nobody"),
    ),
];

/// The outcome of a request before a handler runs.
#[derive(Debug, PartialEq)]
enum Verdict {
    LetIn,
    Refused(u16, &'static str),
}

/// Returns the expected outcome of a caller's request. Total over [`InstanceAccess`], so every
/// future route is covered.
fn expected(access: Access, holder: &Holder) -> Verdict {
    let needed = match access {
        Access::Open => return Verdict::LetIn,
        Access::Key => None,
        Access::Infer => Some("infer"),
        Access::Manage => Some("manage"),
        Access::Admin => Some("admin"),
    };
    let missing = holder.key.is_none_or(str::is_empty);
    let code = if missing { "unauthenticated" } else { "unknown_key" };
    let Some(scopes) = holder.scopes else { return Verdict::Refused(401, code) };
    let admin = scopes.contains(&"admin");
    match holder.names {
        Some(_) if !admin => Verdict::Refused(403, "forbidden"),
        Some("nobody") => Verdict::Refused(404, "tenant_not_found"),
        _ if admin || needed.is_none_or(|scope| scopes.contains(&scope)) => Verdict::LetIn,
        _ => Verdict::Refused(403, "forbidden"),
    }
}

#[test]
fn each_route_enforces_its_access() {
    let server = server();
    for route in routes() {
        for holder in &HOLDERS {
            for header in ["authorization", "x-api-key"] {
                let response = ask(&server, &route, holder, header);
                let context = format!("{route:?}, {} in {header}: {response}", holder.what);
                check(&response, &expected(route.access, holder), &context);
            }
        }
    }
}

#[test]
fn refusals_explain_what_is_missing() {
    let server = server();
    let text = |response: Response| response.json()["error"].as_str().unwrap().to_owned();
    let logs = server.holder("a-infer").get("/v2/logs");
    logs.refused(403, "forbidden");
    assert!(text(logs).starts_with("this request needs a key with the scope 'manage'"));
    let unknown = server.holder("wrong").get("/v2/usage");
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert!(text(unknown).starts_with("the key in this request is not known to this server"));
    assert!(text(server.get("/v2/usage")).contains("send one as 'Authorization: Bearer KEY'"));
    let hint = server.holder(HOST).naming("nobody").get("/v2/usage");
    hint.refused(404, "tenant_not_found");
    assert!(text(hint).ends_with("; there are the tenants 'a', 'b', 'default'"));
    let named = server.holder("a-infer").naming("nobody").get("/v2/usage");
    assert!(!text(named).contains("'b'"), "only an admin is told which tenants there are");
}

/// Starts a server with two tenants with keys of every kind.
fn server() -> Server {
    let setup = setup("");
    let folder = setup.repository("tenants");
    let scopes: [&[&str]; 4] = [&["infer"], &["manage"], &["infer", "manage"], &["admin"]];
    let keys = ["a-infer", "a-manage", "a-both", "a-admin"].iter().zip(scopes);
    let keys: Vec<_> = keys.map(|(text, scopes)| key(text, scopes)).collect();
    write(&folder, "a", &format!("repository = 'a'\nkeys = [{}]", keys.join(", ")));
    write(&folder, "b", &super::tenant("b", "b-both", ""));
    for name in ["steady", "spare"] {
        add_scripted(&setup.repository("a"), name, 1);
    }
    setup.repository("b");
    let server = setup.start();
    server.until_tried();
    server
}

fn ask(server: &Server, route: &Route, holder: &Holder, header: &str) -> Response {
    let mut call = server.call(route.method, &path(route));
    if let Some(key) = holder.key {
        let bearer = header == "authorization";
        call = call.header(header, &if bearer { format!("Bearer {key}") } else { key.to_owned() });
    }
    if let Some(name) = holder.names {
        call = call.header("wardian-tenant", name);
    }
    call.body("{\"inputs\": []}").send()
}

/// Returns the route's path with real names in it. A route that changes a repository gets a model,
/// or a version, that no other check depends on.
pub(crate) fn path(route: &Route) -> String {
    let changes = route.path.contains("/repository/");
    let (model, version) = if changes { ("spare", "99") } else { ("steady", "1") };
    let path = route
        .path
        .replace("{model}", model)
        .replace("{version}", version)
        .replace("{repository}", "main");
    let path =
        path.replace("{label}", "stable").replace("{bucket}", "matrix").replace("{key}", "key");
    let path = path.replace("{asset}", "app.js");
    let path = path.replace("{session}", "s").replace("{task}", "1");
    assert!(!path.contains('{'), "this test has no value for a part of {path}");
    path
}

#[track_caller]
fn check(response: &Response, expected: &Verdict, context: &str) {
    match *expected {
        Verdict::LetIn => {
            assert!(![401, 403, 500].contains(&response.status), "{context}");
            assert!(!response.text().contains("tenant_not_found"), "{context}");
        }
        Verdict::Refused(status, code) => {
            assert_eq!(response.outcome(), (status, code.to_owned()), "{context}");
            let challenge = match code {
                "unauthenticated" => Some("Bearer"),
                "unknown_key" => Some("Bearer error=\"invalid_token\""),
                _ => None,
            };
            assert_eq!(response.header("www-authenticate"), challenge, "{context}");
        }
    }
    assert!(response.header("x-request-id").is_some(), "{context}");
}
