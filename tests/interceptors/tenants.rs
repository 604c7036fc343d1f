//! Interceptors apply to their own tenant only.

use serde_json::json;
use wardian::model::Digest;

use super::{add_interceptor, parameter};
use crate::harness::{Server, guest, scripted, scripted_interceptor, until};

/// Starts a server with tenants `a` and `b`, with a scripted model each, and with keys whose ids
/// are their own texts.
fn two() -> Server {
    let key = |text: &str| {
        format!(
            "{{ id = '{text}', sha256 = '{}', scopes = ['infer', 'manage'] }}",
            Digest::sha256(text.as_bytes())
        )
    };
    let tenant = |name: &str| {
        format!(
            "[tenants.{name}]\nrepository = '{name}'\nkeys = [{}, {}]\n",
            key(name),
            key(&format!("{name}-2"))
        )
    };
    let setup = Server::with_models(|_| {}).config(&format!(
        "{}{}[tenants.default]\n",
        tenant("a"),
        tenant("b")
    ));
    for name in ["a", "b"] {
        let models = setup.repository(name);
        models.settings("scripted", "[limits]\ndeadline = '10m'");
        models.version("scripted", 1, scripted("version=1"));
    }
    setup.start()
}

#[test]
fn interceptors_apply_to_their_own_tenant() {
    let server = two();
    let (a, b) = (server.holder("a"), server.holder("b"));
    a.until_ready("scripted", 1);
    b.until_ready("scripted", 1);
    let models = server.repository("a");
    models.settings(
        "interceptors/scripted-interceptor",
        "[limits]\nmemory = '32MiB'\ncpu_time = '200ms'\ndeadline = '10m'\n",
    );
    models.version("interceptors/scripted-interceptor", 1, scripted_interceptor(""));
    let trail =
        |tenant: &crate::harness::Tenant<'_>| parameter(&tenant.behave("scripted", "ok"), "trail");
    until("a's interceptor", || trail(&a) == "scripted-interceptor scripted-interceptor");
    assert_eq!(trail(&b), "");
    for word in ["spin", "trap", "eat"] {
        let body = json!({ "inputs": [], "parameters": { "before": word } });
        a.infer("scripted", &body).refused(500, "interceptor_failed");
        assert_eq!(
            b.infer("scripted", &body).number("version"),
            1,
            "what it asks for means nothing there"
        );
    }
    server.repository("a").put("interceptors/broken.wasm", b"\0asm\x0d\0\x01\0");
    until("that a is shut off", || a.behave("scripted", "ok").status == 503);
    assert_eq!(trail(&b), "");
    assert!(!b.get("/v2/health/ready").text().contains("broken"));
    assert!(a.get("/v2/health/ready").text().contains("broken"));
    assert!(b.entry("interceptors/scripted-interceptor", 1).is_none());
}

#[test]
fn interceptors_see_the_key_id_only() {
    let server = two();
    add_interceptor(&server.repository("a"), "scripted-interceptor", "");
    for key in ["a", "a-2"] {
        let holder = server.holder(key);
        until("an answer", || holder.behave("scripted", "ok").status == 200);
        until("a's interceptor", || {
            parameter(&holder.behave("scripted", "ok"), "context").ends_with(&format!(" {key}"))
        });
    }
}

#[test]
fn caller_rules_are_enforced() {
    let server = two();
    let models = server.repository("a");
    models.bare("other", scripted("version=2"));
    let put = |rules: &str| {
        models.settings("interceptors/rules", &format!("[capabilities]\nconfig = {{ {rules} }}"));
        models.version("interceptors/rules", 1, guest("caller-rule"));
    };
    put("'allow.a' = '*', 'allow.a-2' = 'other', 'allow.*' = 'scripted'");
    let (one, two) = (server.holder("a"), server.holder("a-2"));
    until("the rule", || {
        two.behave("scripted", "ok").status == 403 && two.behave("other", "ok").status == 200
    });
    let refused = two.behave("scripted", "ok");
    refused.refused(403, "rejected_by_interceptor");
    assert!(refused.text().contains("this caller may not ask the model 'scripted'"), "{refused}");
    assert_eq!(
        (
            one.behave("scripted", "ok").number("version"),
            one.behave("other", "ok").number("version")
        ),
        (1, 2)
    );
    put("'allow.a' = 'scripted @ never'");
    until("a rule that cannot be read", || one.behave("scripted", "ok").status == 503);
    one.behave("scripted", "ok").refused(503, "rejected_by_interceptor");
    two.behave("scripted", "ok").refused(403, "rejected_by_interceptor");
}
