//! The page in Chromium, driven by `pages.mjs`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{add_models, two_tenants};
use crate::clients::run;
use crate::harness::{CHROMIUM, NODE, scripted};
use crate::tenants::HOST;

/// Checks that the script makes.
const CHECKS: usize = 17;

/// Every view, in light and in dark colours and on a phone; all checks in one browser, whose start
/// takes longer than most of them.
#[test]
fn the_page_works_in_a_browser() {
    let Some(packages) = std::env::var_os("WARDIAN_NODE_PACKAGES") else {
        NODE.skip("WARDIAN_NODE_PACKAGES is not set");
        return;
    };
    let Some(chromium) = chromium() else {
        CHROMIUM.skip("chromium is not installed");
        return;
    };

    let setup = two_tenants("");
    add_models(setup.models());
    let server = setup.start();
    server.until_tried();

    let second = server.directory().join("steady.wasm");
    std::fs::write(&second, scripted("version=2")).unwrap();
    let given = json!({
        "address": format!("http://{}", server.address()),
        "chromium": chromium,
        "keys": { "admin": HOST, "all": "all", "ask": "ask" },
        "component": second,
    });

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/dashboard/pages.mjs");
    run(
        Command::new("node")
            .arg(script)
            .arg(given.to_string())
            .env("WARDIAN_NODE_PACKAGES", packages),
        CHECKS,
    );
}

fn chromium() -> Option<&'static str> {
    let places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    places.into_iter().find(|place| Path::new(place).exists())
}
