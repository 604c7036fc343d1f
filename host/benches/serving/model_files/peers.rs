//! Servers of one model, each in a process of its own.

use anyhow::Result;

use super::super::process::Server;
use super::saved::{self, SavedModels};

/// The variable with the interpreter that has the servers.
const PEERS: &str = "WARDIAN_PYTHON_PEERS";

/// A server and its name in the table.
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) server: Server,
}

impl Contender {
    /// True for a server other than Wardian.
    pub(super) fn is_peer(&self) -> bool {
        !matches!(self.name, "pooled" | "fresh")
    }
}

/// Starts all servers of a model: the first is Wardian with pooled instances.
pub(super) fn start(models: &SavedModels, model: &str) -> Result<Vec<Contender>> {
    Ok(vec![
        Contender { name: "pooled", server: models.serve("pooled")? },
        Contender { name: "fresh", server: models.serve("request")? },
        Contender { name: "FastAPI", server: python(models, model, "fastapi_server.py")? },
        Contender { name: "MLServer", server: python(models, model, "mlserver_server.py")? },
    ])
}

fn python(models: &SavedModels, model: &str, script: &str) -> Result<Server> {
    let file = models.folder().join("originals").join(model).with_added_extension("joblib");
    let mut command = saved::python(PEERS, script)?;
    command.arg(model).arg(file).env("OMP_NUM_THREADS", "1").current_dir(models.folder());
    Server::start(&mut command)
}
