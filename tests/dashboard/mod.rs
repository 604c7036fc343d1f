//! The dashboard: its data over HTTP, and its page in a browser.

mod browser;
mod data;

use crate::harness::{Models, Server, Setup, guest, guest_folder, scripted};
use crate::tenants::{HOST, key};

/// A server, not yet started, with two tenants. `default` has a key for everything of its own and
/// one that may only ask; `other` has a key and a model of its own.
fn two_tenants(more: &str) -> Setup {
    let own = [key("all", &["infer", "manage"]), key("ask", &["infer"])].join(", ");
    let setup = Server::with_models(|_| {}).config(&format!(
        "{more}keys = [{}]\n[tenants.default]\nkeys = [{own}]\n\
         [tenants.other]\nrepository = 'other'\nkeys = [{}]\n",
        key(HOST, &["admin"]),
        key("other", &["infer", "manage"])
    ));
    setup.repository("other").bare("secret", scripted("version=1"));
    setup
}

/// Adds the example models, and two models that a visitor must not believe.
fn add_models(models: &Models) {
    models.bare("iris", guest("iris"));
    for name in ["chat", "digits", "house-price", "upper"] {
        models.copy_folder(&guest_folder(name), &format!("{name}/1"));
    }
    // A whole answer takes a second of a free core, and several of a busy one.
    models.settings("chat", "[limits]\ndeadline = \"10m\"\n[warmup]\nrequests = 0\n");
    models.version("steady", 1, scripted("version=1"));

    models.version("markup", 1, described_as_markup());
    // The name of an unknown setting is in the reason for which the model does not serve.
    models.settings("faulty", "\"<img src onerror=xs>\" = 1\n");
    models.version("faulty", 1, scripted("version=1"));
}

/// Returns a scripted model whose description is markup.
fn described_as_markup() -> Vec<u8> {
    const DESCRIPTION: &[u8] = b"Does what it is told";
    const MARKUP: &[u8] = b"<img src onerror=xs>";

    let mut component = scripted("version=1");
    let places = component.windows(DESCRIPTION.len()).enumerate();
    let found: Vec<_> =
        places.filter(|(_, bytes)| *bytes == DESCRIPTION).map(|(place, _)| place).collect();
    assert!(!found.is_empty(), "the scripted model has another description");

    for place in found {
        component[place..place + MARKUP.len()].copy_from_slice(MARKUP);
    }
    component
}
