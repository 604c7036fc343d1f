use proptest::prelude::*;

use super::*;
use crate::model::Digest;
use crate::model::Limits;
use crate::model::Origin;
use crate::model::TenantName;
use crate::tenant::{
    AllowedOrigins, AllowedRuntimes, ApiKey, Ceilings, KeyScope, PasswordSource, PostgresSettings,
    Quota, RepositoryLocation, StreamCeilings, TenantGrants, TenantSettings, UNLIMITED,
};

/// Creates a folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    folder
}

fn read(
    files: &[(&str, &str)],
    overrides: Overrides,
) -> (tempfile::TempDir, Result<Tenancy, String>) {
    let folder = folder(files);
    let config = Some(folder.path().join("wardian.toml"));
    let resolved = Config::resolve(Overrides { config, ..overrides });
    let prefix = format!("{}/", folder.path().display());
    let tenancy = resolved
        .map(|config| config.tenancy)
        .map_err(|error| error.to_string().replace(&prefix, ""));

    (folder, tenancy)
}

fn tenancy(files: &[(&str, &str)]) -> Tenancy {
    read(files, Overrides::default()).1.unwrap()
}

fn faults(files: &[(&str, &str)]) -> String {
    read(files, Overrides::default()).1.unwrap_err()
}

fn host_fault(text: &str) -> String {
    faults(&[("wardian.toml", text)])
}

fn entry(id: &str, scopes: &str) -> String {
    format!(
        "{{ id = \"{id}\", sha256 = \"{}\", scopes = [{scopes}] }}",
        Digest::sha256(id.as_bytes())
    )
}

fn key(id: &str, scopes: &[KeyScope]) -> ApiKey {
    ApiKey {
        id: id.into(),
        digest: Digest::sha256(id.as_bytes()),
        scopes: scopes.iter().copied().collect(),
    }
}

const EVERYTHING: &str = r#"
    repository = "s3://bucket/acme"
    refresh = "2m"
    weight = 2
    runtimes = ["tabular"]
    [quota]
    requests_per_second = 500
    concurrency = 64
    queue = "unlimited"
    instances = 32
    memory = "2GiB"
    models = 100
    storage = "1GiB"
    artifact_size = "unlimited"
    data = "2MiB"
    database = "2GiB"
    sessions = 7
    tasks = 8
    [limits]
    memory = "1GiB"
    deadline = "10s"
    cpu_time = "4s"
    request = "1MiB"
    response = "2MiB"
    [streaming]
    deadline = "1m"
    cpu_time = "30s"
    total = "4MiB"
    [grants]
    http = ["https://api.example.com"]
    [database]
    url = "postgres://acme@db.example.com/acme"
    password_env = "ACME_PASSWORD"
"#;

#[test]
fn every_key_of_a_tenant_lands_in_its_setting() {
    let keys =
        format!("keys = [{}, {}]\n", entry("ci", "'infer', 'manage'"), entry("boss", "'admin'"));

    let read =
        tenancy(&[("wardian.toml", ""), ("tenants/acme.toml", &format!("{keys}{EVERYTHING}"))]);

    let expected = TenantSettings {
        repository: RepositoryLocation::parse("s3://bucket/acme", Path::new("")).unwrap(),
        refresh: Duration::from_secs(120),
        weight: 2,
        runtimes: AllowedRuntimes::Listed(vec!["tabular".into()]),
        keys: vec![
            key("ci", &[KeyScope::Infer, KeyScope::Manage]),
            key("boss", &[KeyScope::Admin]),
        ],
        quota: Quota {
            requests_per_second: 500,
            concurrency: 64,
            queue: UNLIMITED,
            instances: 32,
            memory: 2 << 30,
            models: 100,
            storage: 1 << 30,
            artifact_size: UNLIMITED,
            data: 2 << 20,
            database: 2 << 30,
            sessions: 7,
            tasks: 8,
        },
        ceilings: Ceilings {
            limits: Limits {
                memory: 1 << 30,
                deadline: Duration::from_secs(10),
                cpu_time: Duration::from_secs(4),
                request: 1 << 20,
                response: 2 << 20,
            },
            streaming: StreamCeilings {
                deadline: Some(Duration::from_secs(60)),
                cpu_time: Some(Duration::from_secs(30)),
                total: Some(4 << 20),
            },
        },
        grants: TenantGrants {
            http: AllowedOrigins::Listed(vec![Origin::parse("https://api.example.com").unwrap()]),
        },
        database: Some(PostgresSettings {
            url: "postgres://acme@db.example.com/acme".into(),
            password: Some(PasswordSource::Variable("ACME_PASSWORD".into())),
        }),
    };

    assert_eq!(read.tenants, [(TenantName::new("acme").unwrap(), expected)].into());
}

#[test]
fn a_table_and_a_file_mean_the_same() {
    let file = tenancy(&[("wardian.toml", ""), ("tenants/acme.toml", EVERYTHING)]);
    let table = EVERYTHING.replace('[', "[tenants.acme.").replace("= [tenants.acme.", "= [");
    assert_eq!(tenancy(&[("wardian.toml", &format!("[tenants.acme]{table}"))]), file);
}

#[test]
fn omitted_settings_are_defaults_and_paths_are_relative_to_the_host_file() {
    let (folder, read) =
        read(&[("wardian.toml", "[tenants.a]"), ("tenants/b.toml", "")], Overrides::default());
    let read = read.unwrap();
    for name in ["a", "b"] {
        let repository = folder.path().join("models").join(name).into();
        assert_eq!(read.tenants[name], TenantSettings { repository, ..TenantSettings::default() });
    }

    assert!(!read.requires_keys());
}

#[test]
fn without_tenants_there_is_one_without_quotas() {
    let root = entry("root", "'admin'");
    let read = tenancy(&[("wardian.toml", &format!("models = '/srv'\nkeys = [{root}]"))]);
    let keys = vec![key("root", &[KeyScope::Admin])];

    assert_eq!(read, Tenancy { keys, ..Tenancy::single(directory("/srv")) });
    assert_eq!(
        tenancy(&[
            ("wardian.toml", "[tenants]"),
            ("tenants/README", "x"),
            ("tenants/.a.toml", "x")
        ])
        .keys,
        []
    );
}

#[test]
fn the_host_s_models_are_those_of_the_default_tenant() {
    let models = Overrides { models: Some(directory("/elsewhere")), ..Overrides::default() };
    let of = |text: &str, overrides| {
        let (_folder, read) = read(&[("wardian.toml", text)], overrides);
        read.map(|tenancy| tenancy.tenants["default"].repository.clone())
    };
    let text = "models = '/srv'\n[tenants.default]\nweight = 2\n[tenants.a]";

    assert_eq!(of(text, Overrides::default()), Ok(directory("/srv")));
    assert_eq!(of(text, models.clone()), Ok(directory("/elsewhere")));
    assert!(
        of("[tenants.default]", Overrides::default())
            .unwrap()
            .directory()
            .unwrap()
            .ends_with("models/default")
    );

    for text in
        ["models = '/srv'\n[tenants.a]", "models = '/srv'\n[tenants.default]\nrepository = '/x'"]
    {
        assert!(
            of(text, Overrides::default())
                .unwrap_err()
                .contains("models: /srv is no tenant's repository")
        );
    }

    assert!(
        of("[tenants.a]", models)
            .unwrap_err()
            .contains("models: /elsewhere is no tenant's repository")
    );
}

#[test]
fn every_fault_names_its_file_line_and_key() {
    let text = faults(&[
        (
            "wardian.toml",
            "listn = 1\n[tenants.a]\nweight = 1001\n[tenants.'a b']\n[tenants.b.quota]\nmemory = 1\n",
        ),
        (
            "tenants/c.toml",
            "keys = [\n{ id = 'a', sha256 = 'x', scopes = [] },\n{ id = 'a b' },\n]\nrate = 1",
        ),
        ("tenants/d e.toml", ""),
        (
            "tenants/f.toml",
            "[quota]\nqueue = 'many'\nstorage = '1XB'\nmodels = -1\nconcurrency = 'unlimited '\n",
        ),
        ("tenants/g.toml", "[limits]\nmemory = '1B'\n[grants]\nhttp = ['x', 1]\nsql = true"),
        (
            "tenants/h.toml",
            "[database]\nurl = 'postgres://a:secret@b/c'\npassword_file = 'x'\npassword_env = 'Y'",
        ),
    ]);

    for says in [
        "wardian.toml line 1: listn: unknown key; the keys here are listen",
        "wardian.toml line 3: tenants.a.weight: 1001 is not between 1 and 1000",
        "wardian.toml line 4: tenants.a b: 'a b' is not a tenant name: use 1 to 128",
        "wardian.toml line 6: tenants.b.quota.memory: expected a size like \"256MiB\" or \"unlimited\", found an integer",
        "tenants/c.toml line 2: keys[0].sha256: not the SHA-256 of a key, which has 64 hexadecimal digits",
        "tenants/c.toml line 2: keys[0].scopes: a key without scopes is good for nothing",
        "tenants/c.toml line 3: keys[1].id: use 1 to 64",
        "tenants/c.toml line 3: keys[1].sha256: missing",
        "tenants/c.toml line 3: keys[1].scopes: missing",
        "tenants/c.toml line 5: rate: unknown key; the keys here are repository, refresh, weight, keys, quota, limits, streaming, grants, runtimes, database",
        "tenants/d e.toml line 1: 'd e' is not a tenant name",
        "tenants/f.toml line 2: quota.queue: expected a whole number or \"unlimited\", found \"many\"",
        "tenants/f.toml line 3: quota.storage: '1XB' is not a size",
        "tenants/f.toml line 4: quota.models: -1 is not a whole number",
        "tenants/f.toml line 5: quota.concurrency: expected",
        "tenants/g.toml line 2: limits.memory: 1B is not between 64KiB and 4GiB",
        "tenants/g.toml line 4: grants.http: item 0: 'x' is not an origin like",
        "tenants/g.toml line 5: grants.sql: unknown key",
        "tenants/h.toml line 2: database.url: put the password into a file or a variable",
    ] {
        assert!(text.contains(says), "'{says}' is missing in {text}");
    }
}

#[test]
fn keys_are_tables_in_a_list() {
    for (text, says) in [
        ("keys = 1", "keys: expected a list of tables, found an integer"),
        ("keys = ['x']", "keys[0]: expected a table, found \"x\""),
        ("tenants = 1", "tenants: expected a table"),
        ("[tenants]\na = 1", "line 2: tenants.a: expected a table"),
        (
            "[[keys]]\nscopes = ['infer']",
            "line 2: keys[0].scopes: a key of the host's own has the scope \"admin\"",
        ),
        ("[[keys]]\nscopes = ['admin', 'infer']", "keys[0].scopes: a key of the host's own"),
        (
            "[[tenants.a.keys]]\nscopes = ['all']",
            "scopes: item 0: expected \"infer\" or \"manage\" or \"admin\"",
        ),
        (
            "[[tenants.a.keys]]\nscopes = 'infer'",
            "scopes: expected a list in square brackets, found \"infer\"",
        ),
    ] {
        assert!(host_fault(text).contains(says), "{}", host_fault(text));
    }

    let twins = format!("keys = [\n{},\n{},\n]", entry("a", "'admin'"), entry("a", "'admin'"));
    assert!(
        host_fault(&twins)
            .contains("line 3: keys[1]: the id 'a' is also that of the key on line 2; rename one")
    );
}

#[test]
fn conflicts_of_tenants_are_reported_together() {
    let (a, b) = (entry("one", "'infer'"), entry("one", "'admin'").replace("\"one\"", "\"two\""));
    let text = faults(&[
        (
            "wardian.toml",
            &format!(
                "keys = [{b}]\n[tenants.acme]\nkeys = [{a}]\n[tenants.inner]\nrepository = 'm/x/y'"
            ),
        ),
        ("tenants/acme.toml", "repository = 'elsewhere'"),
        ("tenants/ACME.toml", ""),
        ("tenants/outer.toml", "repository = 'm/z/../x'"),
        ("tenants/same.toml", "repository = './m/x/'"),
    ]);

    for says in [
        "tenants/acme.toml line 1: tenant 'acme' differs from 'ACME' (tenants/ACME.toml line 1) only in case",
        "wardian.toml line 3: key 'one' has the sha256 of key 'two' (wardian.toml line 1); make another",
        "is also that of 'outer' (tenants/outer.toml line 1); move one of them",
        "wardian.toml line 4: the repository of tenant 'inner', ",
        "m/x/y, lies within that of 'outer' (tenants/outer.toml line 1)",
    ] {
        assert!(text.contains(says), "'{says}' is missing in {text}");
    }

    let twice = faults(&[("wardian.toml", "[tenants.acme]"), ("tenants/acme.toml", "")]);
    assert_eq!(
        twice,
        "tenants/acme.toml line 1: tenant 'acme' is there already (wardian.toml line 1); keep one of them"
    );
}

#[test]
fn repositories_are_compared_as_written() {
    let folder = folder(&[
        ("real/x", ""),
        ("wardian.toml", "[tenants.a]\nrepository='real'\n[tenants.b]\nrepository='real/x/../y'"),
    ]);
    let config = Some(folder.path().join("wardian.toml"));
    let text =
        Config::resolve(Overrides { config, ..Overrides::default() }).unwrap_err().to_string();

    assert!(
        text.contains("the repository of tenant 'b'") && text.contains("lies within that of 'a'"),
        "{text}"
    );
    // Symbolic links are resolved when repositories are scanned, and affect only their own tenant.
    std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();

    let linked = "[tenants.a]\nrepository='real'\n[tenants.b]\nrepository='link/sub'";
    std::fs::write(folder.path().join("wardian.toml"), linked).unwrap();

    let config = Some(folder.path().join("wardian.toml"));
    Config::resolve(Overrides { config, ..Overrides::default() }).unwrap();

    let apart = [(
        "wardian.toml",
        "[tenants.a]\nrepository='m'\n[tenants.b]\nrepository='m-2'\n[tenants.c]\nrepository='n/../k'",
    )];

    tenancy(&apart);
}

#[test]
fn tenants_may_share_a_remote_repository() {
    let text = "models = 's3://bucket/models'\nrefresh = '5m'\n[tenants.default]\n\
                [tenants.b]\nrepository = 's3://bucket/models'\nrefresh = '1m'\n[tenants.c]\nrepository = 's3://bucket'";
    let read = tenancy(&[("wardian.toml", text)]);
    let of = |name: &str| {
        (read.tenants[name].repository.to_string(), read.tenants[name].refresh.as_secs())
    };
    assert_eq!(of("default"), ("s3://bucket/models".into(), 300));
    assert_eq!(of("b"), ("s3://bucket/models".into(), 60));
    assert_eq!(of("c"), ("s3://bucket".into(), 300));
    assert_eq!(
        tenancy(&[("wardian.toml", "models = 'gs://b'\nrefresh = '9s'")]).tenants["default"]
            .refresh
            .as_secs(),
        9
    );
}

#[test]
fn faulty_repository_urls_are_reported_without_secrets() {
    for (text, says) in [
        (
            "[tenants.a]\nrepository = 'ftp://host/x'",
            "line 2: tenants.a.repository: ftp:// is not supported",
        ),
        ("models = 'https://me:hunter2@host/x'", "line 1: models: a URL with a password"),
        (
            "[tenants.a]\nrepository = 'm'\nrefresh = '1m'",
            "only a repository behind a URL is refreshed",
        ),
        (
            "[tenants.a]\nrepository = 's3://b'\nrefresh = '10ms'",
            "refresh: 10ms is not between 1s and",
        ),
    ] {
        let (_folder, read) = read(&[("wardian.toml", text)], Overrides::default());
        let report = read.unwrap_err();
        assert!(report.contains(says) && !report.contains("hunter2"), "{text}: {report}");
    }
}

#[test]
fn server_with_a_key_may_be_reached_by_other_machines() {
    let inside = format!("listen = '0.0.0.0:1'\n[tenants.a]\nkeys = [{}]", entry("k", "'infer'"));
    assert!(tenancy(&[("wardian.toml", &inside)]).requires_keys());

    let host = format!("listen = '0.0.0.0:1'\nkeys = [{}]", entry("k", "'admin'"));
    assert!(tenancy(&[("wardian.toml", &host)]).requires_keys());
    assert!(
        host_fault("listen = '0.0.0.0:1'\n[tenants.a]")
            .contains("no keys are configured; configure one")
    );
}

#[test]
fn unreadable_files_are_reported() {
    let folder = folder(&[("wardian.toml", ""), ("tenants/a.toml/x", ""), ("tenants/b.toml", "")]);
    fs::write(folder.path().join("tenants/b.toml"), [0xff]).unwrap();

    let config = Some(folder.path().join("wardian.toml"));
    let text =
        Config::resolve(Overrides { config, ..Overrides::default() }).unwrap_err().to_string();
    assert!(text.contains("a.toml: it is not a regular file"), "{text}");
    assert!(text.contains("b.toml: it is not UTF-8 text"), "{text}");
    assert!(
        faults(&[("wardian.toml", ""), ("tenants", "")])
            .contains("cannot list tenants: not a directory")
    );
}

#[test]
fn tenants_of_the_documentation_are_valid() {
    let text = include_str!("../../../../docs/tenants.md");
    let samples: Vec<_> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [host, acme] = samples[..] else { panic!("{} samples", samples.len()) };
    let read = tenancy(&[("wardian.toml", host), ("tenants/acme.toml", acme)]);

    assert_eq!((read.keys.len(), read.tenants.len()), (1, 2));
    assert_eq!((read.tenants["acme"].weight, &read.tenants["acme"].quota), (2, &Quota::default()));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String, line in "[a-z\\[\\]={}\"'., 0-9_\n#]{0,80}") {
        for text in [&text, &line, &format!("keys = {line}"), &format!("[tenants.{line}]\nquota = {line}")] {
            let _ = HostFile::read(Path::new("wardian.toml"), text, &Overrides::default());
            let _ = super::super::tenant_file::read(Path::new("a.toml"), text, Path::new(""));
        }
    }
}
