//! A server with two tenants, of which one attacks.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::super::http_client::{self, Client};
use super::super::models;
use super::super::process::Server;
use super::super::throughput::wait_until_ready;
use super::attacks::Attack;

/// The tenant that attacks.
pub(super) const ATTACKER: &str = "attacker";

/// The tenant that is measured.
pub(super) const VICTIM: &str = "victim";

/// The attacker's models that every attack may use.
const KEPT: [&str; 2] = ["scripted", "sql-steps"];

/// The longest wait for a model.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A server to attack. Its files are removed on drop.
pub(super) struct AttackedServer {
    pub(super) server: Server,
    folder: TempDir,
}

impl AttackedServer {
    /// Starts a server with the configuration of an attack.
    pub(super) fn start(attack: &Attack) -> Result<Self> {
        Self::configured(attack.server, attack.tenant, attack.reads_log)
    }

    /// Starts a server with these keys in `wardian.toml` and in the attacker's table. Its log is
    /// read or left unread.
    pub(super) fn configured(server: &str, attacker: &str, reads_log: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let configuration =
            format!("{server}\n[tenants.{VICTIM}]\n[tenants.{ATTACKER}]\n{attacker}\n");
        fs::write(folder.path().join("wardian.toml"), configuration)?;

        fs::create_dir(folder.path().join("tenants"))?;
        let models = folder.path().join("models");
        models::install(&models.join(VICTIM), "house-price", &models::component()?, "")?;
        models::install(&models.join(VICTIM), "swapped", &models::component()?, "")?;
        for tenant in [VICTIM, ATTACKER] {
            models::install_bare(
                &models.join(tenant),
                "scripted",
                &models::test_guest("scripted")?,
                SETTINGS,
            )?;
        }
        models::install_bare(
            &models.join(ATTACKER),
            "sql-steps",
            &models::test_guest("sql-steps")?,
            "capabilities.sql = true",
        )?;

        let server = match reads_log {
            true => Server::wardian_in(folder.path())?,
            false => Server::wardian_with_unread_log(folder.path())?,
        };
        wait_until_ready(&server)?;
        Ok(AttackedServer { server, folder })
    }

    /// The repository of a tenant.
    pub(super) fn repository(&self, tenant: &str) -> PathBuf {
        self.folder.path().join("models").join(tenant)
    }

    /// Waits until a model of the attacker responds.
    pub(super) fn wait_for(&self, model: &str) -> Result<()> {
        let request = http_client::infer(Some(ATTACKER), model, br#"{"inputs":[]}"#);
        let started = Instant::now();
        while Client::connect(self.server.address())?.send(&request)?.is_none() {
            ensure!(
                started.elapsed() < LOAD_TIMEOUT,
                "the attacker's model {model} does not answer"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Removes the files that an attack has put into the attacker's repository.
    pub(super) fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(self.repository(ATTACKER))? {
            let path = entry?.path();
            if !KEPT.iter().any(|kept| path.ends_with(kept)) {
                // An upload that arrives meanwhile may keep its folder until the next attack.
                let _ = fs::remove_dir_all(path);
            }
        }
        Ok(())
    }

    /// The folder of the tenants' configuration files.
    pub(super) fn tenants(&self) -> PathBuf {
        self.folder.path().join("tenants")
    }

    /// A folder on the repositories' disk that no tenant sees.
    pub(super) fn staging(&self) -> PathBuf {
        self.folder.path().join("staging")
    }
}

/// Settings for long calls.
const SETTINGS: &str =
    "limits = { deadline = \"1h\", cpu_time = \"1h\", request = \"1GiB\", response = \"64MiB\" }";
