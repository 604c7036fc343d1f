//! The HTTP surface, route by route, on one server with real models.

mod documents;
mod health;
mod inference;
mod names;
mod page;
mod refusals;
mod repository_api;
mod shapes;
mod statistics;

use serde_json::{Value, json};

use crate::harness::{Server, guest, guest_folder, puppet};

/// One server answers all of this module's questions: none of them changes what it serves for long.
#[test]
fn every_route_does_what_the_protocol_says() {
    let server = Server::with_models(|models| {
        models.bare("iris", guest("iris"));
        models.copy_folder(&guest_folder("upper"), "upper/1");
        models.settings("upper", "[limits]\nrequest = \"64KiB\"");
        models.bare("puppet", puppet("version=1"));
        models.bare("broken", puppet("load=fail"));
    })
    .start();
    server.until_tried();
    health::check(&server);
    inference::check(&server);
    refusals::check(&server);
    repository_api::check(&server);
    documents::check(&server);
}

fn upper(texts: &[&str]) -> Value {
    json!({ "inputs": [{ "name": "text", "datatype": "BYTES", "shape": [texts.len()], "data": texts }] })
}
