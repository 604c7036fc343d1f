//! The HTTP surface, route by route, on one server with real models.

mod default_model;
mod documents;
mod header_timeout;
mod health;
mod inference;
mod names;
mod page;
mod refusals;
mod repository_api;
mod shapes;
mod statistics;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};

use crate::harness::{Server, guest, guest_folder, scripted};

/// Returns the server that the tests of this module share. A test that changes the server, or
/// counts its requests, has a server of its own.
fn shared() -> Arc<Server> {
    // A weak reference, so that the last test stops the server: statics are not dropped.
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);

    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(serve());
        *shared = Arc::downgrade(&server);
        server
    })
}

/// Starts a server with models that serve, and one that cannot be loaded.
fn serve() -> Server {
    let server = Server::with_models(|models| {
        models.bare("iris", guest("iris"));
        models.copy_folder(&guest_folder("upper"), "upper/1");
        models.settings("upper", "[limits]\nrequest = \"64KiB\"");
        models.bare("scripted", scripted("version=1"));
        models.bare("broken", scripted("load=fail"));
    })
    .start();
    server.until_tried();
    server
}

fn upper(texts: &[&str]) -> Value {
    json!({ "inputs": [{ "name": "text", "datatype": "BYTES", "shape": [texts.len()], "data": texts }] })
}
