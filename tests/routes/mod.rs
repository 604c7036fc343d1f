//! Routes of models' own: their answers, their conflicts, and who may reach them. The cases in
//! `tests/protocols/routes` have requests and answers in the usual forms.

mod access;
mod answers;
mod conflicts;
mod documents;
mod swaps;
mod websocket_misuse;
mod websockets;

use crate::harness::{Models, Server, scripted};

/// Starts a server with one scripted model that has these routes.
fn server(routes: &str) -> Server {
    let server = Server::with_models(|models| add(models, "scripted", routes)).start();
    server.until_ready("scripted", 1);
    server
}

/// Writes a scripted model with these routes.
fn add(models: &Models, name: &str, routes: &str) {
    models.settings(name, routes);
    models.version(name, 1, scripted("version=1"));
}

/// A route of the scripted model that answers with its version and does as it is told.
const VERSION: &str = "[[routes]]\npath = '/version-of/{text}'\nquery = ['do']\n\
    parameters = { behave = 'do' }\noutputs = { version = 'version', text = 'text' }\n";
