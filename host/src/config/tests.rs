mod tenancy_watch;
mod tenants;

use std::fs;
use std::path::Path;

use super::host_file::HostFile;
use super::*;
use crate::engine::compile::CompileLimits;
use crate::model::Origin;
use crate::repository::WatchMode;
use crate::store::Durability;
use crate::telemetry::{LogFormat, LogLevel};

fn resolve(text: &str, overrides: Overrides) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wardian.toml");

    fs::write(&file, text).unwrap();

    let resolved = Config::resolve(Overrides { config: Some(file), ..overrides });
    let prefix = format!("{}/", folder.path().display());

    resolved.map_err(|error| error.to_string().replace(&prefix, ""))
}

fn directory(path: &str) -> RepositoryLocation {
    RepositoryLocation::Directory(path.into())
}

fn fault(text: &str) -> String {
    resolve(text, Overrides::default()).unwrap_err()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(resolve("", Overrides::default()), Ok(Config::default()));
    assert_eq!(setting_conflicts::find(&Config::default()), [""; 0]);
}

#[test]
fn every_key_lands_in_its_setting() {
    let text = r#"
        listen = "[::1]:9000"
        grpc_listen = "[::1]:9001"
        insecure = true
        state = "/var/lib/wardian"
        drain_timeout = "5m"
        ready_timeout = "10m"
        default_model = "iris"
        models = "/srv/models"
        watch = "poll"
        refresh = "5m"
        poll_interval = "2s"
        rescan_interval = "1m"
        settle = "250ms"
        max_versions = 20000
        prune = false
        [runtimes]
        dir = "/srv/runtimes"
        [log]
        format = "json"
        level = "debug"
        [http]
        max_connections = 10
        header_read_timeout = "3s"
        keep_alive = "2m"
        write_timeout = "4s"
        hosts = ["Models.example.com", "10.0.0.1", "[::2]"]
        [cors]
        origins = ["https://app.example.com", "http://localhost:3000"]
        credentials = true
        max_age = "1h"
        [dashboard]
        enabled = false
        [egress]
        ca_certificates = "/etc/wardian/ca.pem"
        [engine]
        max_memory = "2GiB"
        instances = 64
        stack = "512KiB"
        [database]
        synchronous = "normal"
        statement_time = "1s"
        transaction_time = "2s"
        busy_timeout = "3s"
        rows = 100
        result = "1MiB"
        [compile]
        memory = "8GiB"
        cpu_time = "10s"
        wall_time = "20s"
        jobs = 3
        children = 5
        load_deadline = "30s"
        [data]
        durability = "normal"
    "#;

    let expected = Config {
        listen: "[::1]:9000".parse().unwrap(),
        grpc_listen: Some("[::1]:9001".parse().unwrap()),
        insecure: true,
        state: "/var/lib/wardian".into(),
        drain_timeout: Duration::from_secs(300),
        ready_timeout: Duration::from_secs(600),
        default_model: Some(ModelName::new("iris").unwrap()),
        repository: RepositoryConfig {
            models: directory("/srv/models"),
            refresh: Duration::from_secs(300),
            watch: WatchMode::Poll,
            poll_interval: Duration::from_secs(2),
            rescan_interval: Duration::from_secs(60),
            settle: Duration::from_millis(250),
            max_versions: 20_000,
            prune: false,
        },
        runtimes: RuntimesConfig { dir: "/srv/runtimes".into() },
        log: LogConfig { format: LogFormat::Json, level: LogLevel::Debug },
        http: HttpConfig {
            max_connections: 10,
            header_read_timeout: Duration::from_secs(3),
            keep_alive: Duration::from_secs(120),
            write_timeout: Duration::from_secs(4),
            hosts: ["models.example.com", "10.0.0.1", "[::2]"]
                .map(|host| crate::model::Host::parse(host).unwrap())
                .into(),
        },
        cors: CorsConfig {
            origins: Some(
                ["http://localhost:3000", "https://app.example.com"]
                    .map(|origin| Origin::parse(origin).unwrap())
                    .into(),
            ),
            credentials: true,
            max_age: Duration::from_secs(3600),
        },
        dashboard: DashboardConfig { enabled: false },
        egress: EgressConfig { ca_certificates: Some("/etc/wardian/ca.pem".into()) },
        engine: EngineConfig { max_memory: 2 << 30, instances: 64, stack: 512 << 10 },
        database: DatabaseConfig {
            durability: Durability::Normal,
            statement_time: Duration::from_secs(1),
            transaction_time: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(3),
            rows: 100,
            result: 1 << 20,
        },
        compile: CompileConfig {
            limits: CompileLimits {
                memory: 8 << 30,
                cpu_time: Duration::from_secs(10),
                wall_time: Duration::from_secs(20),
            },
            jobs: 3,
            children: 5,
            load_deadline: Duration::from_secs(30),
        },
        data: DataConfig { durability: Durability::Normal },
        tenancy: {
            let mut tenancy = Tenancy::single(directory("/srv/models"));
            tenancy
                .tenants
                .values_mut()
                .for_each(|tenant| tenant.refresh = Duration::from_secs(300));
            tenancy
        },
    };
    assert_eq!(resolve(text, Overrides::default()), Ok(expected));
}

#[test]
fn command_line_overrides_the_file() {
    let overrides = Overrides {
        listen: Some("127.0.0.1:1".parse().unwrap()),
        models: Some(directory("elsewhere")),
        watch: Some(WatchMode::Events),
        log_level: Some(LogLevel::Warn),
        ..Overrides::default()
    };
    let text = "listen = '127.0.0.1:2'\nmodels = 'here'\nwatch = 'poll'\ndrain_timeout = '1s'\n[log]\nlevel = 'trace'";
    let config = resolve(text, overrides).unwrap();

    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.repository.models, directory("elsewhere"));
    assert_eq!(config.repository.watch, WatchMode::Events);
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(config.drain_timeout, Duration::from_secs(1));
}

#[test]
fn all_faults_are_reported_together() {
    let text = fault(
        "listn = 1\nwatch = 'often'\nstate = ''\n[engine]\nstack = '1kB'\n[tenants.acme]\nweight = 0\n",
    );

    for says in [
        "wardian.toml line 1: listn: unknown key; the keys here are listen, grpc_listen, insecure",
        "wardian.toml line 2: watch: expected \"auto\" or \"events\" or \"poll\", found \"often\"",
        "wardian.toml line 3: state: an empty path",
        "wardian.toml line 5: engine.stack: 1kB is not between 64KiB and 64MiB",
        "wardian.toml line 7: tenants.acme.weight: 0 is not between 1 and 1000",
    ] {
        assert!(text.contains(says), "'{says}' is missing in {text}");
    }
}

#[test]
fn address_reachable_by_others_needs_a_key_or_insecure() {
    for address in ["0.0.0.0:8080", "[::]:8080", "192.168.1.2:80", "[::ffff:10.0.0.1]:80"] {
        let text = format!("listen = '{address}'");
        assert!(fault(&text).contains("--insecure"), "{address}");
        assert!(resolve(&text, Overrides { insecure: Some(true), ..Overrides::default() }).is_ok());
        assert!(resolve(&format!("{text}\ninsecure = true"), Overrides::default()).is_ok());
    }

    for address in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        assert!(
            resolve(&format!("listen = '{address}'"), Overrides::default()).is_ok(),
            "{address}"
        );
    }

    assert!(fault("listen = 'localhost'").contains("not an address like"));
    assert!(fault("grpc_listen = '0.0.0.0:1'").contains("grpc_listen: other machines"));
}

#[test]
fn origins_of_pages_are_exact_or_every() {
    let listed = |text: &str| fault(&format!("[cors]\norigins = {text}"));

    for (text, says) in [
        ("['app.example.com']", "item 0: 'app.example.com' is not an origin like"),
        ("['https://*.example.com']", "a wildcard is not possible"),
        ("['https://app.example.com/']", "no path"),
        ("['null']", "is not an origin like"),
        ("'https://app.example.com'", "expected a list in square brackets"),
        ("['*']", "every origin is written origins = \"*\""),
    ] {
        let fault = listed(text);
        assert!(fault.contains("cors.origins: ") && fault.contains(says), "{fault}");
    }

    let many: Vec<_> = (0..101).map(|port| format!("'http://localhost:{}'", 1000 + port)).collect();
    assert!(listed(&format!("[{}]", many.join(","))).contains("more than the 100 allowed"));
    assert!(fault("[cors]\nmax_age = '2d'").contains("cors.max_age: "));
}

#[test]
fn every_page_needs_a_key_or_insecure() {
    let every = "[cors]\norigins = '*'\n";
    let sha256 = "ab".repeat(32);
    let key = format!("keys = [{{ id = 'a', sha256 = '{sha256}', scopes = ['admin'] }}]");

    assert!(fault(every).contains("cors.origins: without keys"), "{}", fault(every));
    assert!(resolve(every, Overrides { insecure: Some(true), ..Overrides::default() }).is_ok());
    assert_eq!(
        resolve(&format!("{key}\n{every}[tenants.default]"), Overrides::default())
            .map(|config| config.cors.origins),
        Ok(None)
    );

    let credentials = fault(&format!("insecure = true\n{every}credentials = true"));
    assert!(credentials.contains("cors.credentials: browsers do not send them"), "{credentials}");
}

#[test]
fn all_conflicts_are_reported_together() {
    let text = fault("listen = '0.0.0.0:1'\npoll_interval = '1m'");
    for says in ["listen: ", "poll_interval: 60s is more than"] {
        assert!(text.contains(says), "'{says}' is missing in {text}");
    }
}

#[test]
fn named_file_must_exist() {
    let overrides =
        Overrides { config: Some("/nowhere/wardian.toml".into()), ..Overrides::default() };
    assert!(
        Config::resolve(overrides)
            .unwrap_err()
            .to_string()
            .starts_with("cannot read /nowhere/wardian.toml")
    );
}

#[test]
fn each_tenant_has_its_own_state_folder() {
    let directory =
        Config::default().source(&Tenant::unlimited(TenantName::default_tenant())).directory;
    assert_eq!(directory.state, Path::new(".wardian/repository/default"));
    assert_eq!(directory.root, Path::new("models"));
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wardian.toml");

    fs::write(&file, "models = 'm'\nstate = 's'").unwrap();

    let config = Config::resolve(Overrides { config: Some(file), ..Overrides::default() }).unwrap();
    assert_eq!(config.repository.models, folder.path().join("m").into());
    assert_eq!(config.state, folder.path().join("s"));
}

#[test]
fn documentation_shows_the_defaults() {
    let text = include_str!("../../../docs/configuration.md");
    let samples: Vec<_> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [host, model, _] = samples[..] else { panic!("{} samples", samples.len()) };
    let mut shown =
        HostFile::read(Path::new("wardian.toml"), host, &Overrides::default()).unwrap().config;
    shown.compile.jobs = Config::default().compile.jobs;
    shown.grpc_listen = None;
    shown.default_model = None;
    shown.egress.ca_certificates = None;
    assert_eq!(shown, Config::default());

    let mut shown = crate::repository::parse_model_toml(model).unwrap();
    shown.capabilities = crate::model::Capabilities::default();
    shown.routes.clear();
    assert_eq!(shown, crate::model::ModelSettings::default());
}
