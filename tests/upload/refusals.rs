//! Uploads that are refused before a load.

use std::fs;
use std::os::unix::fs::symlink;

use super::{digest, until_clean, used};
use crate::harness::{Server, guest, scripted, until, version_path};

#[test]
fn no_name_leaves_the_repository() {
    let server = Server::empty();
    fs::create_dir(server.directory().join("outside")).unwrap();
    let names =
        ["..%2foutside", "%2e%2e", "..", "%2fetc", ".hidden", "a%5cb", "a%00b", "a%20b", "%c3%a9"];
    let ignored = [
        "interceptors",
        "lost+found",
        "lost%2bfound",
        "a.tmp",
        "a.part",
        "iris.cwasm",
        "iris.wasm",
    ];
    for model in names.into_iter().chain(ignored) {
        for method in ["PUT", "DELETE"] {
            let refused = server.call(method, &version_path(model, 1)).body(scripted("")).send();
            assert!([400, 404].contains(&refused.status), "{method} {model}: {refused}");
        }
    }
    for version in
        ["0", "01", "-1", "x", "..", "%2e%2e", "1%2f..", "1.wasm", "99999999999999999999"]
    {
        let path = format!("/v2/repository/models/scripted/versions/{version}");
        server.call("PUT", &path).body(scripted("")).send().refused(400, "invalid_input");
    }
    assert_eq!(fs::read_dir(server.models().path("")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(server.directory().join("outside")).unwrap().count(), 0);
}

#[test]
fn only_components_are_accepted() {
    let server = Server::empty();
    let cut = &scripted("")[..1000];
    for (content, says) in [
        (&b""[..], "the file is empty"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "precompiled artifacts are never accepted"),
        (b"\0asm\x01\0\0\0", "a core module"),
        (b"PK\x03\x04", "not WebAssembly"),
        (b"\x80\x04\x95\x14\0\0\0\0\0\0\0", "it is a Python pickle; a pickle runs code"),
        (b"{\"a\": 1}", "docs/writing-models.md"),
        (cut, "truncated"),
    ] {
        let refused = server.upload("scripted", 1, content);
        refused.refused(422, "load_failed");
        assert!(
            refused.text().contains("validate: ") && refused.text().contains(says),
            "{refused}"
        );
    }
    assert!(!server.models().path("scripted").exists());
    until_clean(&server);
}

#[test]
fn bare_files_and_links_cannot_be_replaced() {
    let server = Server::with_models(|models| {
        models.bare("bare", guest("upper"));
        models.version("scripted", 1, scripted("version=1"));
        symlink("scripted", models.path("linked")).unwrap();
        symlink("1", models.path("scripted/2")).unwrap();
    })
    .start();
    server.until_tried();
    for (model, version, says) in [
        ("bare", 1, "the model is the file bare.wasm"),
        ("linked", 1, "linked is a symbolic link"),
        ("scripted", 2, "scripted/2 is a symbolic link"),
    ] {
        for refused in
            [server.upload(model, version, scripted("version=9")), server.remove(model, version)]
        {
            refused.refused(409, "conflict");
            assert!(refused.text().contains(says), "{refused}");
        }
    }
    assert_eq!(server.version_of("scripted"), 1);
    until("that nothing is staged", || {
        fs::read_dir(server.models().path(".wardian-upload")).is_err()
    });
}

#[test]
fn a_component_over_its_quota_is_refused() {
    let config = "[tenants.default.quota]\nartifact_size = '20KiB'\n";
    let server = Server::with_models(|_| {}).config(config).start();
    let put = || server.call("PUT", &version_path("scripted", 1));
    // Nothing of the body is sent, and the response still arrives.
    let early = put().announce(20 * 1024 + 1).send();
    let late = put().body(vec![0; 40 * 1024]).chunked().send();
    for refused in [early, late] {
        refused.refused(413, "artifact_too_large");
        assert!(
            refused.text().contains("20480 bytes that the tenant's quota artifact_size allows"),
            "{refused}"
        );
    }
    until_clean(&server);
}

#[test]
fn full_storage_refuses_uploads() {
    let size = scripted("").len() as u64;
    let server = Server::with_models(|_| {}).compiles_anew().start();
    assert_eq!(server.upload("scripted", 1, scripted("")).status, 201);
    let artifact = used(&server, "artifacts");
    let config = format!("[tenants.default.quota]\nstorage = '{}B'\n", 2 * size + artifact + 10);
    let server = server.stop().config(&config).start();
    server.until_ready("scripted", 1);
    // The same content has the same artifact.
    assert_eq!(server.upload("scripted", 2, scripted("")).status, 201);
    assert_eq!((used(&server, "storage"), used(&server, "artifacts")), (2 * size, artifact));
    let early = server.upload("scripted", 3, scripted(""));
    let late = server.call("PUT", &version_path("scripted", 3)).body(scripted("")).chunked().send();
    for refused in [early, late] {
        assert_eq!(refused.refused(429, "quota_exceeded").json()["quota"], "storage");
    }
    until_clean(&server);
    server.remove("scripted", 1).ok();
    until_clean(&server);
    let refused = server.upload("scripted", 3, scripted("version=3"));
    assert!(refused.text().contains("of this tenant's quota of"), "{refused}");
    assert_eq!(server.upload("scripted", 3, scripted("")).status, 201);
    server.until_ready("scripted", 3);
}

#[test]
fn an_unfinished_upload_counts_as_storage() {
    let setup = Server::with_models(|_| {});
    let server = setup.config("[tenants.default.quota]\nstorage = '100kB'\n").start();
    let put = |version| server.call("PUT", &version_path("scripted", version));
    let unfinished = put(1).announce(90_000).body(vec![0; 60_000]).begin();
    until("that the first part is written", || used(&server, "storage") == 60_000);

    let early = put(2).announce(50_000).send();
    let late = put(2).body(vec![0; 50_000]).chunked().send();
    for refused in [early, late] {
        assert_eq!(refused.refused(429, "quota_exceeded").json()["quota"], "storage");
    }

    unfinished.hang_up();
    until_clean(&server);
    assert_ne!(put(2).body(vec![0; 50_000]).chunked().send().status, 429);
}

#[test]
fn a_disconnect_during_an_upload_leaves_nothing() {
    let server = Server::empty();
    let half = &scripted("")[..50_000];
    let uploads: Vec<_> = (1..=4)
        .map(|version| {
            server
                .call("PUT", &version_path("scripted", version))
                .announce(90_000)
                .body(half)
                .begin()
        })
        .collect();
    until("that all of them are under way", || used(&server, "storage") == 4 * 50_000);
    let fifth = server.upload("scripted", 5, scripted(""));
    assert_eq!(fifth.refused(429, "quota_exceeded").json()["quota"], "uploads");
    uploads.into_iter().for_each(|upload| upload.hang_up());
    until_clean(&server);
    assert!(!server.models().path("scripted").exists());
    assert_eq!(server.upload("scripted", 5, scripted("version=5")).status, 201);
}

#[test]
fn the_body_must_match_its_digest() {
    let server = Server::empty();
    let put = |digest: &str| {
        server
            .call("PUT", &version_path("scripted", 1))
            .header("repr-digest", digest)
            .body(scripted(""))
            .send()
    };
    let refused = put("sha-256=:AAAA:");
    refused.refused(400, "invalid_input");
    let text = refused.text();
    let right = text.split_once("sha-256=:").unwrap().1.split_once(':').unwrap().0;
    assert_eq!(put(&format!("sha-256=:{right}:")).status, 201);
    until_clean(&server);
}

#[test]
fn uploads_require_the_manage_scope() {
    let key = |id: &str, scope: &str| {
        format!("{{ id = '{id}', sha256 = '{}', scopes = ['{scope}'] }}", digest(id.as_bytes()))
    };
    let config = format!(
        "[tenants.default]\nkeys = [{}, {}]\n",
        key("asks", "infer"),
        key("manages", "manage")
    );
    let server = Server::with_models(|_| {}).config(&config).start();
    let with = |method, key| {
        server
            .call(method, &version_path("scripted", 1))
            .header("x-api-key", key)
            .body(scripted(""))
    };
    for method in ["PUT", "DELETE"] {
        server
            .call(method, &version_path("scripted", 1))
            .body(scripted(""))
            .send()
            .refused(401, "unauthenticated");
        with(method, "asks").send().refused(403, "forbidden");
    }
    assert_eq!(with("PUT", "manages").send().status, 201);
    with("DELETE", "manages").send().ok();
}
