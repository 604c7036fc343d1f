//! `wardian key`.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::value_parsers::parse_tenant_name;
use super::{Outcome, output};
use crate::config::parse_key_id;
use crate::model::{Digest, TenantName, hex};
use crate::tenant::KeyScope;

/// Options of `wardian key`.
#[derive(Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key, and show it once with what to write into the configuration.
    New(New),
}

/// Options of `wardian key new`.
#[derive(Args)]
#[command(after_help = "\
Nothing is stored and no server is asked: a key is in force once its entry is in the configuration, and no more once \
the entry is gone. The server knows only its digest.

Exit codes: 0 made, 1 it could not be made, 2 wrong usage.")]
struct New {
    /// Name of the key in the configuration and in the log [default: made from its digest]
    #[arg(long, value_parser = parse_key_id)]
    id: Option<String>,
    /// Permission of the key; repeatable. Without --tenant, admin alone makes a key of the host's
    /// own
    #[arg(long = "scope", value_name = "SCOPE", default_value = "infer")]
    scopes: Vec<ScopeArg>,
    /// Tenant of the key
    #[arg(long, value_name = "NAME", value_parser = parse_tenant_name)]
    tenant: Option<TenantName>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ScopeArg {
    /// inference
    Infer,
    /// loading, unloading, uploading and deleting models, refreshing their repository, reading
    /// their log, and reading and changing their data: key-value data, sessions and tasks
    Manage,
    /// everything, for every tenant
    Admin,
}

impl Key {
    pub(super) fn run(self) -> Result<Outcome> {
        let Command::New(new) = self.command;
        let key = GeneratedKey::generate(&new).context("cannot make a key")?;
        match new.json {
            true => output::print_json(&key.to_json())?,
            false => output::print(&key.lines(std::io::stdout().is_terminal()))?,
        }
        Ok(Outcome::Success)
    }
}

/// A new key. It is stored nowhere else.
struct GeneratedKey {
    key: String,
    digest: String,
    id: String,
    scopes: Vec<&'static str>,
    tenant: Option<TenantName>,
}

/// Lets a scanner recognise a key in a place where it does not belong, such as a source repository.
const KEY_PREFIX: &str = "wdn_";

impl GeneratedKey {
    fn generate(arguments: &New) -> Result<Self> {
        let key = random_key()?;
        let digest = Digest::sha256(key.as_bytes()).to_string();
        let id = arguments.id.clone().unwrap_or_else(|| format!("key-{}", &digest[..8]));
        let scopes =
            KeyScope::ALL.into_iter().filter(|scope| arguments.scopes.contains(&(*scope).into()));

        Ok(GeneratedKey {
            key,
            digest,
            id,
            scopes: scopes.map(KeyScope::name).collect(),
            tenant: arguments.tenant.clone(),
        })
    }

    fn config_entry(&self) -> String {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        format!(
            "{{ id = \"{}\", sha256 = \"{}\", scopes = [{}] }}",
            self.id,
            self.digest,
            scopes.join(", ")
        )
    }

    fn lines(&self, explained: bool) -> Vec<String> {
        let mut lines = vec![
            format!("key     {}", self.key),
            format!("sha256  {}", self.digest),
            format!("entry   {}", self.config_entry()),
        ];
        if explained {
            lines.extend([
                String::new(),
                "The key is shown this once and stored nowhere: give it to the client, which sends it as".into(),
                "`Authorization: Bearer KEY` or `X-Api-Key: KEY`.".into(),
                format!("To put it in force, add the entry to the list `keys` {}.", self.config_location()),
            ]);
        }

        lines
    }

    fn config_location(&self) -> String {
        match &self.tenant {
            Some(tenant) => {
                format!("of [tenants.{tenant}] in wardian.toml, or of tenants/{tenant}.toml")
            }
            None if self.scopes == [KeyScope::Admin.name()] => {
                "at the top of wardian.toml, or of a tenant".into()
            }
            None => "of a tenant".into(),
        }
    }

    fn to_json(&self) -> Value {
        let GeneratedKey { key, digest, id, scopes, tenant } = self;
        let tenant = tenant.as_ref().map(TenantName::as_str);
        json!({
            "key": key, "sha256": digest, "id": id, "scopes": scopes, "tenant": tenant, "entry": self.config_entry(),
        })
    }
}

/// Returns a key of 256 random bits. It cannot be guessed, so a plain digest of it reveals nothing.
fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system has no random bytes")?;
    Ok(format!("{KEY_PREFIX}{}", hex(&bytes)))
}

impl From<KeyScope> for ScopeArg {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Infer => ScopeArg::Infer,
            KeyScope::Manage => ScopeArg::Manage,
            KeyScope::Admin => ScopeArg::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: Option<&str>, scopes: &[ScopeArg], tenant: Option<&str>) -> GeneratedKey {
        let tenant = tenant.map(|name| TenantName::new(name).unwrap());
        let arguments =
            New { id: id.map(str::to_owned), scopes: scopes.to_vec(), tenant, json: false };
        GeneratedKey::generate(&arguments).unwrap()
    }

    #[test]
    fn a_key_is_shown_with_its_digest_and_an_entry_that_the_configuration_takes() {
        let key = made(Some("ci"), &[ScopeArg::Manage, ScopeArg::Infer], Some("acme"));
        assert!(key.key.starts_with("wdn_") && key.key.len() == 68, "{}", key.key);
        assert_eq!(key.digest, Digest::sha256(key.key.as_bytes()).to_string());
        let entry =
            format!(r#"{{ id = "ci", sha256 = "{}", scopes = ["infer", "manage"] }}"#, key.digest);
        assert_eq!(key.config_entry(), entry);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wardian.toml");
        std::fs::write(&file, format!("[tenants.acme]\nkeys = [{entry}]")).unwrap();
        let overrides = crate::config::Overrides { config: Some(file), ..Default::default() };
        let config = crate::config::Config::resolve(overrides).unwrap();
        assert_eq!(
            config.tenancy.tenants["acme"].keys[0].digest,
            Digest::sha256(key.key.as_bytes())
        );
    }

    #[test]
    fn the_help_and_the_documentation_say_the_same_of_a_scope() {
        let documented = include_str!("../../../docs/tenants.md");
        for scope in ScopeArg::value_variants() {
            let value = scope.to_possible_value().unwrap();
            let row = format!("| `{}` | {} |\n", value.get_name(), value.get_help().unwrap());
            assert!(documented.contains(&row), "docs/tenants.md has no {row}");
        }
    }

    #[test]
    fn no_two_keys_are_the_same() {
        let one = made(None, &[ScopeArg::Infer], None);
        let other = made(None, &[ScopeArg::Infer], None);
        assert!(one.key != other.key && one.id != other.id);
        assert!(parse_key_id(&one.id).is_ok(), "{}", one.id);
    }

    #[test]
    fn a_terminal_gets_instructions_and_a_program_data() {
        let key = made(Some("root"), &[ScopeArg::Admin], None);
        assert_eq!(key.lines(false).len(), 3);
        let text = key.lines(true).join("\n");
        assert!(
            text.contains("shown this once") && text.contains("at the top of wardian.toml"),
            "{text}"
        );
        let acme = made(None, &[ScopeArg::Infer], Some("acme")).lines(true).join("\n");
        assert!(acme.contains("[tenants.acme]") && acme.contains("tenants/acme.toml"), "{acme}");
        let json = key.to_json();
        assert_eq!(
            (&json["key"], &json["scopes"], &json["tenant"]),
            (&json!(key.key), &json!(["admin"]), &Value::Null)
        );
    }
}
