//! Connects to a tenant's database with the tenant's role.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::{DatabaseConfig, SqlError};
use crate::tenant::{PasswordSource, PostgresSettings, Resource, Tenant};

/// Time limit of connecting.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Settings of a tenant's connections.
pub(super) struct Connector {
    settings: PostgresSettings,
    options: String,
    tls: Arc<rustls::ClientConfig>,
    tenant: Arc<Tenant>,
}

impl Connector {
    pub(super) fn new(
        settings: PostgresSettings,
        config: &DatabaseConfig,
        tls: Arc<rustls::ClientConfig>,
        tenant: Arc<Tenant>,
    ) -> Self {
        let milliseconds = |time: Duration| time.as_millis();
        let options = format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
            milliseconds(config.statement_time),
            milliseconds(config.busy_timeout),
            milliseconds(config.transaction_time)
        );
        Connector { settings, options, tls, tenant }
    }

    /// Returns the TLS settings for connecting and cancelling.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(rustls::ClientConfig::clone(&self.tls))
    }

    /// Connects. The reason for a failure is logged; the returned text does not contain it.
    pub(super) async fn connect(&self) -> Result<Client, SqlError> {
        self.try_connect().await.map_err(|why| {
            tracing::error!(tenant = %self.tenant.name(), why, "cannot connect to the tenant's database");
            SqlError::Unavailable("it cannot be reached; the host's log has the details".into())
        })
    }

    async fn try_connect(&self) -> Result<Client, String> {
        let mut config = parse_url(&self.settings.url)?;
        config.options(&self.options).application_name("wardian").connect_timeout(CONNECT_TIME);

        if let Some(password) = &self.settings.password {
            config.password(read_password(password)?);
        }

        let (client, connection) =
            config.connect(self.tls()).await.map_err(|error| error_text(&error))?;

        // The connection task ends when the client is dropped.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        self.check_role(&client).await?;

        Ok(client)
    }

    /// Refuses superusers and reports the size of the database to the tenant's quota.
    async fn check_role(&self, client: &Client) -> Result<(), String> {
        let about = "select rolsuper, pg_database_size(current_database()) from pg_roles where rolname = current_user";
        let row = client.query_one(about, &[]).await.map_err(|error| error_text(&error))?;
        if row.get(0) {
            return Err(
                "the role is a superuser, who may read the server's files; give the tenant a role of its own".into()
            );
        }

        self.tenant.set_kept(Resource::Database, u64::try_from(row.get::<_, i64>(1)).unwrap_or(0));

        Ok(())
    }
}

/// Checks the URL of a database. Fails with the reason.
pub fn check_url(url: &str) -> Result<(), String> {
    parse_url(url).map(drop)
}

fn parse_url(url: &str) -> Result<Config, String> {
    let mut config: Config =
        url.parse().map_err(|error| format!("not an address of a database: {error}"))?;

    if config.get_password().is_some() {
        return Err("put the password into a file or a variable, and name that as password_file or password_env".into());
    }

    if config.get_hosts().is_empty() || config.get_user().is_none() || config.get_dbname().is_none()
    {
        return Err(
            "an address has a user, a host and a database, as in \"postgres://acme@db.example.com/acme\"".into()
        );
    }

    // Without `sslmode`, only local connections may go without TLS.
    if !url.contains("sslmode") {
        config.ssl_mode(if config.get_hosts().iter().all(is_local) {
            SslMode::Prefer
        } else {
            SslMode::Require
        });
    }

    Ok(config)
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
        Host::Unix(_) => true,
    }
}

/// Checks that the password can be read. Fails with the reason.
pub fn check_password(settings: &PostgresSettings) -> Result<(), String> {
    let read =
        settings.password.as_ref().map_or(Ok(()), |password| read_password(password).map(drop));
    read.map_err(|why| format!("the password of its database cannot be read: {why}"))
}

fn read_password(password: &PasswordSource) -> Result<String, String> {
    match password {
        PasswordSource::File(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        PasswordSource::Variable(name) => {
            std::env::var(name).map_err(|error| format!("{name}: {error}"))
        }
    }
}

/// Returns the text of an error and of its cause.
fn error_text(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => std::error::Error::source(error)
            .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_needs_everything_but_the_password() {
        for (url, mode) in [
            ("postgres://acme@db.example.com/acme", SslMode::Require),
            ("postgres://acme@db.example.com:5433/acme?sslmode=disable", SslMode::Disable),
            ("postgres://acme@127.0.0.1/acme", SslMode::Prefer),
            ("host=/run/postgresql user=acme dbname=acme", SslMode::Prefer),
        ] {
            assert_eq!(parse_url(url).unwrap().get_ssl_mode(), mode, "{url}");
        }

        assert!(check_url("postgres://acme:secret@db/acme").unwrap_err().contains("password_file"));

        for url in ["postgres://db/acme", "postgres://acme@/acme", "mysql://acme@db/acme", ""] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
