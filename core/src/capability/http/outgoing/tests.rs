use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};

use super::super::{HttpGrant, TlsRoots};
use super::*;
use crate::model::{RequestId, TenantName};
use crate::tenant::{Quota, Tenant, TenantSettings};

/// Hooks with a grant for these origins, and the lines that they log.
fn hooks(origins: Option<&[&str]>) -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let (outgoing, lines) = outgoing(origins, &Tenant::unlimited(TenantName::default_tenant()));
    (outgoing.hooks, lines)
}

/// The outgoing requests of a tenant's instance with a grant for these origins, and the logged
/// lines.
fn outgoing(origins: Option<&[&str]>, tenant: &Arc<Tenant>) -> (Outgoing, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let http = origins.map(|origins| {
        let origins = origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect();
        Arc::new(HttpGrant::new(
            TenantClient::new(&TlsRoots::new(None).unwrap()),
            origins,
            tenant.clone(),
        ))
    });
    let log =
        Arc::new(move |line: super::super::super::LogLine| sink.lock().unwrap().push(line.message));
    let grants = Grants {
        config: Default::default(),
        sidecars: Default::default(),
        http,
        key_value: None,
        sql: None,
        kernels: None,
        log,
    };

    (Outgoing::new(grants, Arc::new(CallLog::new(RequestId::none()))), lines)
}

fn request(method: &str, url: &str) -> Request<WasiBody> {
    let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
    Request::builder().method(method).uri(url).body(body).unwrap()
}

fn refused(hooks: &Hooks, method: &str, url: &str) -> Option<Error> {
    hooks.admit(&request(method, url)).err().map(Error::from)
}

#[tokio::test]
async fn only_a_listed_origin_is_called() {
    let (hooks, _) = hooks(Some(&["https://api.example.com", "http://127.0.0.1:9000"]));
    for url in
        ["https://api.example.com/a?b=c", "https://API.example.com:443/", "http://127.0.0.1:9000/x"]
    {
        assert!(refused(&hooks, "GET", url).is_none(), "{url}");
    }

    for url in [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://example.com/",
        "https://evil.api.example.com/",
        "https://api.example.com.evil.example/",
        "https://api.example.com@evil.example/",
        "https://evil.example@api.example.com/",
        "http://127.0.0.1/",
        "http://127.0.0.1:9001/",
        "http://localhost:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://127.1:9000/",
        "http://2130706433:9000/",
        "/only/a/path",
    ] {
        assert!(matches!(refused(&hooks, "GET", url), Some(Error::HttpRequestDenied)), "{url}");
    }

    assert!(matches!(
        refused(&hooks, "CONNECT", "https://api.example.com/"),
        Some(Error::HttpRequestMethodInvalid)
    ));
}

#[tokio::test]
async fn nothing_is_sent_without_a_grant_or_in_load() {
    let (ungranted, _) = hooks(None);
    assert!(matches!(refused(&ungranted, "GET", "http://a.b/"), Some(Error::HttpRequestDenied)));

    let (mut loading, _) = hooks(Some(&["http://a.b"]));
    loading.loading = true;

    let Some(Error::InternalError(Some(text))) = refused(&loading, "GET", "http://a.b/") else {
        panic!()
    };
    assert!(text.contains("while it loads"), "{text}");
}

#[tokio::test]
async fn the_requests_of_a_call_are_limited() {
    let (hooks, _) = hooks(Some(&["http://a.b"]));
    let admitted: Vec<_> =
        (0..MAX_REQUESTS).map(|_| hooks.admit(&request("GET", "http://a.b/")).unwrap()).collect();
    assert!(matches!(refused(&hooks, "GET", "http://a.b/"), Some(Error::ConnectionLimitReached)));
    drop(admitted);
    assert!(refused(&hooks, "GET", "http://a.b/").is_none());
}

#[tokio::test]
async fn a_refusal_is_logged_without_secrets() {
    let (mut hooks, lines) = hooks(Some(&["http://a.b"]));
    let refused = hooks.send_request(
        request("GET", "http://user:sesame@c.d:81/path?key=secret"),
        None,
        Box::new(ready(Ok(()))),
    );

    assert!(matches!(Box::into_pin(refused).await, Err(Error::HttpRequestDenied)));
    let lines = lines.lock().unwrap().join("\n");
    assert!(lines.contains("refused GET http://c.d:81: "), "{lines}");

    for secret in ["sesame", "/path", "secret"] {
        assert!(!lines.contains(secret), "{lines}");
    }
}

#[tokio::test]
async fn handles_are_charged_to_the_tenants_memory_and_limited_by_it() {
    let quota = Quota { memory: 1 << 20, ..Quota::unlimited() };
    let settings = TenantSettings { quota, ..TenantSettings::default() };
    let tenant = Tenant::new(TenantName::default_tenant(), settings);
    let (mut outgoing, _) = outgoing(Some(&["https://api.example.com"]), &tenant);
    let mut table = ResourceTable::new();
    let mut push = || {
        outgoing.charge_handles(&mut table);
        table.push(0_u32).ok()
    };
    let first = push().unwrap();

    assert_eq!(tenant.used(Resource::Memory), 8 * HANDLE_BYTES);
    let all = (0..100).map_while(|_| push()).count() + 1;
    assert_eq!((all, tenant.used(Resource::Memory)), (16, 1 << 20));

    // A freed handle can be used again, and stays charged as long as the instance lives.
    table.delete(first).unwrap();
    outgoing.charge_handles(&mut table);
    assert!(table.push(0_u32).is_ok() && table.push(0_u32).is_err());
    drop(outgoing);
    assert_eq!(tenant.used(Resource::Memory), 0);
}
