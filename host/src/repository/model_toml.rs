//! Reads a `model.toml` into [`ModelSettings`]. Every key is optional, and every fault is reported.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::route_toml::routes;
use crate::model::{
    Batching, BreakerSettings, Capabilities, ConfigTable, DeferredTasks, Instances, Isolation,
    Limits, ModelSettings, Retention, Sessions, Streaming, Version, VersionPolicy, Warmup,
};
use crate::tenant::StreamCeilings;
use crate::toml_reader::{
    self, TableReader, TomlFaults, boolean, duration, expected, number, one_of, origins, size,
    texts, whole_number,
};

/// Parses the settings of a model. Fails with every fault of the file.
pub fn parse_model_toml(text: &str) -> Result<ModelSettings, TomlFaults> {
    let mut settings = ModelSettings::default();
    toml_reader::read("model.toml", text, |keys| {
        keys.read("versions", &mut settings.versions, versions);
        keys.read("prune", &mut settings.prune, |value| retention(value).map(Some));
        keys.read("labels", &mut settings.labels, labels);
        let isolations = [("request", Isolation::Request), ("pooled", Isolation::Pooled)];
        keys.read("isolation", &mut settings.isolation, one_of(isolations));
        keys.table("instances", |keys| instances(keys, &mut settings.instances));
        keys.table("batching", |keys| batching(keys, &mut settings.batching));
        keys.table("limits", |keys| limits(keys, &mut settings.limits));
        keys.table("streaming", |keys| streaming(keys, &mut settings.streaming));
        keys.table("sessions", |keys| sessions(keys, &mut settings.sessions));
        keys.table("deferred", |keys| deferred(keys, &mut settings.deferred));
        keys.table("warmup", |keys| warmup(keys, &mut settings.warmup));
        keys.table("breaker", |keys| breaker(keys, &mut settings.breaker));
        keys.table("capabilities", |keys| capabilities(keys, &mut settings.capabilities));
        routes(keys, &mut settings.routes);
        check_prune(keys, &settings);
    })?;

    Ok(settings)
}

/// Parses the live configuration of a model, one table of texts. Fails with every fault of the
/// file.
pub(super) fn parse_config_toml(text: &str) -> Result<ConfigTable, TomlFaults> {
    let mut config = ConfigTable::new();
    toml_reader::read("config.toml", text, |keys| {
        keys.texts(&mut config);
        if let Err(why) = check_config(&config) {
            keys.report_table(&why);
        }
    })?;

    Ok(config)
}

/// Range of the number of versions that are kept. More are more than one scan looks at.
const KEPT_VERSIONS: RangeInclusive<u32> = 1..=100_000;
/// Range of the time for which a replaced version is kept. Below a second it could as well be
/// deleted at once; beyond ten years `prune` can be left out.
const KEPT_TIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3650 * 24 * 3600);
/// Maximum number of instances. An instance can occupy a thread; a larger number for one model on
/// one host is a typing error.
const MAX_INSTANCES: u32 = 10_000;
/// Maximum queue length. A queued request holds its body in memory; a million of the smallest
/// already take gigabytes.
const MAX_QUEUE: u32 = 1_000_000;
/// Maximum batch size. A batch is concatenated in memory, and its responses are held until all are
/// complete.
const MAX_BATCH: u32 = 4096;
/// Range of the batching delay. Beyond 10 s a single call is always faster than waiting for a
/// batch.
const QUEUE_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10);
/// Range of session states and task payloads in bytes. A session's state is copied into the guest
/// at each request.
const PAYLOAD: RangeInclusive<u64> = 1..=(64 << 20);
/// Range of the time that an idle session is kept.
const SESSION_IDLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * 24 * 3600);
/// Maximum number of tries of a deferred task. One that failed so often will fail again.
const MAX_TRIES: u32 = 100;
/// Maximum number of threads for one operation. Its parts would be too short for more.
const MAX_THREADS: u32 = 64;
/// Maximum number of deferred tasks per call. Each is a row on disk.
const MAX_TASKS: u32 = 1000;
/// Maximum number of warm-up requests. Each delays publishing by the model's latency.
const MAX_WARMUP: u32 = 1_000;
/// Maximum number of consecutive faults. A version that failed more often will not recover.
const MAX_BREAKER_FAULTS: u32 = 1_000_000;
/// Range of memory limits in bytes: from one page of linear memory to the 32-bit address space.
const MEMORY: RangeInclusive<u64> = (64 << 10)..=(4 << 30);
/// Range of body sizes in bytes. A body is held in memory twice, outside and inside the guest,
/// which has at most 4 GiB.
const BODY: RangeInclusive<u64> = 1..=(2 << 30);
/// Range of deadlines, CPU times and pauses. Below 1 ms is finer than the tick that enforces them;
/// no client waits longer than an hour.
const TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// Range of the idle time after which an instance is dropped. Beyond a day it might as well stay.
const INSTANCE_IDLE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);
/// Maximum size of a configuration table in bytes. A guest reads it at each start; larger data
/// belongs in a sidecar.
const MAX_CONFIG_BYTES: usize = 64 << 10;
/// Maximum number of labels. Each names a version for a purpose that people know.
const MAX_LABELS: usize = 64;
/// Maximum number of origins that a model may call. Each can keep connections open.
const MAX_ORIGINS: usize = 32;

fn instances(keys: &mut TableReader<'_>, settings: &mut Instances) {
    keys.read("min", &mut settings.min, number(0..=MAX_INSTANCES));
    keys.read("max", &mut settings.max, number(1..=MAX_INSTANCES));
    keys.read("idle_timeout", &mut settings.idle_timeout, duration(INSTANCE_IDLE));
    keys.read("threads", &mut settings.threads, number(1..=MAX_THREADS));
    let Instances { min, max, .. } = *settings;
    keys.check(min <= max, &format!("min: {min} is more than max, which is {max}"));
}

fn batching(keys: &mut TableReader<'_>, settings: &mut Batching) {
    keys.read("max_queue", &mut settings.max_queue, number(0..=MAX_QUEUE));
    keys.read("max_batch_size", &mut settings.max_batch_size, |value| {
        number(1..=MAX_BATCH)(value).map(Some)
    });
    keys.read("max_queue_delay", &mut settings.max_queue_delay, duration(QUEUE_DELAY));
}

fn streaming(keys: &mut TableReader<'_>, settings: &mut Streaming) {
    keys.read("deadline", &mut settings.deadline, duration(TIME));
    keys.read("cpu_time", &mut settings.cpu_time, duration(TIME));
    keys.read("total", &mut settings.total, size(BODY));
    keys.read("heartbeat", &mut settings.heartbeat, duration(TIME));
}

fn sessions(keys: &mut TableReader<'_>, settings: &mut Sessions) {
    keys.read("idle_timeout", &mut settings.idle_timeout, duration(SESSION_IDLE));
    keys.read("max_size", &mut settings.max_size, size(PAYLOAD));
}

fn deferred(keys: &mut TableReader<'_>, settings: &mut DeferredTasks) {
    keys.read("tries", &mut settings.tries, number(1..=MAX_TRIES));
    keys.read("pause", &mut settings.pause, duration(TIME));
    keys.read("deadline", &mut settings.deadline, duration(TIME));
    keys.read("cpu_time", &mut settings.cpu_time, duration(TIME));
    keys.read("per_call", &mut settings.per_call, number(1..=MAX_TASKS));
    keys.read("payload", &mut settings.payload, size(PAYLOAD));
}

/// Reads a table of limits into `settings`.
pub(crate) fn limits(keys: &mut TableReader<'_>, settings: &mut Limits) {
    keys.read("memory", &mut settings.memory, size(MEMORY));
    keys.read("deadline", &mut settings.deadline, duration(TIME));
    keys.read("cpu_time", &mut settings.cpu_time, duration(TIME));
    keys.read("request", &mut settings.request, size(BODY));
    keys.read("response", &mut settings.response, size(BODY));
}

/// Reads a table of streaming ceilings into `ceilings`.
pub(crate) fn streaming_ceilings(keys: &mut TableReader<'_>, ceilings: &mut StreamCeilings) {
    keys.read("deadline", &mut ceilings.deadline, |value| duration(TIME)(value).map(Some));
    keys.read("cpu_time", &mut ceilings.cpu_time, |value| duration(TIME)(value).map(Some));
    keys.read("total", &mut ceilings.total, |value| size(BODY)(value).map(Some));
}

fn warmup(keys: &mut TableReader<'_>, settings: &mut Warmup) {
    keys.read("requests", &mut settings.requests, number(0..=MAX_WARMUP));
}

fn breaker(keys: &mut TableReader<'_>, settings: &mut BreakerSettings) {
    keys.read("faults", &mut settings.faults, number(0..=MAX_BREAKER_FAULTS));
    keys.read("pause", &mut settings.pause, duration(TIME));
    keys.read("rollback", &mut settings.rollback, boolean);
}

fn capabilities(keys: &mut TableReader<'_>, settings: &mut Capabilities) {
    keys.read("config", &mut settings.config, |value| {
        let config = texts(value)?;
        check_config(&config).map(|()| config)
    });

    keys.read("http", &mut settings.http, origins(MAX_ORIGINS));
    keys.read("key_value", &mut settings.key_value, boolean);
    keys.read("sql", &mut settings.sql, boolean);
    keys.read("kernels", &mut settings.kernels, boolean);
}

fn check_config(config: &ConfigTable) -> Result<(), String> {
    let bytes: usize = config.iter().map(|(key, value)| key.len() + value.len()).sum();
    let fits = bytes <= MAX_CONFIG_BYTES;
    fits.then_some(())
        .ok_or_else(|| format!("{bytes} bytes are more than the {MAX_CONFIG_BYTES} allowed"))
}

fn versions(value: &DeValue<'_>) -> Result<VersionPolicy, String> {
    let what = "\"latest\", { latest = 2 }, \"all\" or a list like [1, 3]";
    match value {
        DeValue::String(word) if word == "latest" => Ok(VersionPolicy::Latest(1)),
        DeValue::String(word) if word == "all" => Ok(VersionPolicy::All),
        DeValue::Table(table) if table.len() == 1 => match table.iter().next() {
            Some((key, count)) if key.get_ref() == "latest" => {
                number(1..=1000)(count.get_ref()).map(VersionPolicy::Latest)
            }
            _ => Err(expected(what, value)),
        },
        DeValue::Array(list) if !list.is_empty() => {
            let mut versions =
                list.iter().map(|item| version(item.get_ref())).collect::<Result<Vec<_>, _>>()?;
            versions.sort_unstable();
            versions.dedup();
            Ok(VersionPolicy::Only(versions))
        }
        _ => Err(expected(what, value)),
    }
}

fn retention(value: &DeValue<'_>) -> Result<Retention, String> {
    match value {
        DeValue::Integer(_) => number(KEPT_VERSIONS)(value).map(Retention::Newest),
        DeValue::String(_) => duration(KEPT_TIME)(value).map(Retention::Replaced),
        _ => Err(expected(
            "a number of versions to keep, like 10, or a time to keep replaced ones, like \"7d\"",
            value,
        )),
    }
}

/// Refuses a `prune` that contradicts `versions`.
fn check_prune(keys: &mut TableReader<'_>, settings: &ModelSettings) {
    let Some(retention) = settings.prune else { return };
    match (&settings.versions, retention) {
        (VersionPolicy::All, _) => keys.check(
            false,
            "prune: `versions = \"all\"` has every version serve, and none that serves is deleted; \
             write `versions = { latest = 3 }`, or remove `prune`",
        ),
        (VersionPolicy::Latest(serving), Retention::Newest(kept)) => keys.check(
            kept >= *serving,
            &format!("prune: {kept} is less than the {serving} versions that `versions` has serve"),
        ),
        _ => {}
    }
}

fn labels(value: &DeValue<'_>) -> Result<BTreeMap<String, Version>, String> {
    let DeValue::Table(table) = value else {
        return Err(expected("a table of versions, such as { stable = 1 }", value));
    };
    if table.len() > MAX_LABELS {
        return Err(format!("{} labels are more than the {MAX_LABELS} allowed", table.len()));
    }

    let named = table.iter().map(|(label, number)| {
        let label = label.get_ref();
        // A label is one part of a path, before the colon of a verb.
        if label.is_empty()
            || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        {
            return Err("a label has letters, digits, '.', '_' and '-'".into());
        }
        Ok((label.to_string(), version(number.get_ref())?))
    });
    named.collect()
}

fn version(value: &DeValue<'_>) -> Result<Version, String> {
    Version::new(whole_number(value)?).ok_or_else(|| "0 is not a version; they begin at 1".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Origin;

    fn fault(text: &str) -> String {
        parse_model_toml(text).unwrap_err().to_string()
    }

    fn settings(text: &str) -> ModelSettings {
        parse_model_toml(text).unwrap()
    }

    #[test]
    fn a_live_configuration_is_one_table_of_texts() {
        let read = parse_config_toml("threshold = '0.5'\n\"a b\" = ''").unwrap();
        assert_eq!(
            read.into_iter().collect::<Vec<_>>(),
            [("a b".into(), "".into()), ("threshold".into(), "0.5".into())]
        );

        for (text, says) in [
            (
                "threshold = 0.5",
                "config.toml line 1: threshold: expected a text in quotes, found a float",
            ),
            (
                "a = 'x'\n[capabilities]",
                "config.toml line 2: capabilities: expected a text in quotes, found a table",
            ),
            ("a =", "config.toml line 1: "),
            (
                &format!("a = '{}'", "x".repeat(64 << 10)),
                "65537 bytes are more than the 65536 allowed",
            ),
        ] {
            let told = parse_config_toml(text).unwrap_err().to_string();
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(settings(""), ModelSettings::default());
        assert_eq!(settings("[limits]\n[instances]\n"), ModelSettings::default());
    }

    #[test]
    fn every_key_lands_in_its_setting() {
        let read = settings(
            "versions = { latest = 2 }\nprune = 9\nlabels = { stable = 1, canary = 2 }\nisolation = \"pooled\"\n\
             [instances]\nmin = 1\nmax = 9\nidle_timeout = \"5m\"\nthreads = 2\n\
             [batching]\nmax_batch_size = 32\nmax_queue_delay = \"2ms\"\nmax_queue = 7\n\
             [streaming]\ndeadline = \"1m\"\ncpu_time = \"3s\"\ntotal = \"1MiB\"\nheartbeat = \"2s\"\n\
             [sessions]\nidle_timeout = \"1m\"\nmax_size = \"4KiB\"\n\
             [deferred]\ntries = 2\npause = \"10ms\"\ndeadline = \"1s\"\ncpu_time = \"20ms\"\nper_call = 3\npayload = \"1KiB\"\n\
             [limits]\nmemory = \"1GiB\"\ndeadline = \"9s\"\ncpu_time = \"500ms\"\nrequest = \"64kB\"\nresponse = \"1MiB\"\n\
             [warmup]\nrequests = 3\n\
             [breaker]\nfaults = 4\npause = \"1s\"\nrollback = false\n\
             [capabilities]\nconfig = { threshold = \"0.5\" }\nhttp = [\"https://A.example:443\", \"http://127.0.0.1:9000\"]\n\
             key_value = true\nsql = true\nkernels = false\n",
        );

        let expected = ModelSettings {
            versions: VersionPolicy::Latest(2),
            prune: Some(Retention::Newest(9)),
            labels: [("stable", 1), ("canary", 2)]
                .map(|(label, number)| (label.to_owned(), Version::new(number).unwrap()))
                .into(),
            isolation: Isolation::Pooled,
            instances: Instances {
                min: 1,
                max: 9,
                idle_timeout: Duration::from_secs(300),
                threads: 2,
            },
            batching: Batching {
                max_batch_size: Some(32),
                max_queue_delay: Duration::from_millis(2),
                max_queue: 7,
            },
            streaming: Streaming {
                deadline: Duration::from_secs(60),
                cpu_time: Duration::from_secs(3),
                total: 1 << 20,
                heartbeat: Duration::from_secs(2),
            },
            sessions: Sessions { idle_timeout: Duration::from_secs(60), max_size: 4 << 10 },
            deferred: DeferredTasks {
                tries: 2,
                pause: Duration::from_millis(10),
                deadline: Duration::from_secs(1),
                cpu_time: Duration::from_millis(20),
                per_call: 3,
                payload: 1 << 10,
            },
            limits: Limits {
                memory: 1 << 30,
                deadline: Duration::from_secs(9),
                cpu_time: Duration::from_millis(500),
                request: 64_000,
                response: 1 << 20,
            },
            warmup: Warmup { requests: 3 },
            breaker: BreakerSettings { faults: 4, pause: Duration::from_secs(1), rollback: false },
            capabilities: Capabilities {
                config: [("threshold".into(), "0.5".into())].into(),
                http: ["http://127.0.0.1:9000", "https://a.example"]
                    .map(|text| Origin::parse(text).unwrap())
                    .into(),
                key_value: true,
                sql: true,
                kernels: false,
            },
            // Their keys are tested beside them.
            routes: Vec::new(),
        };

        assert_eq!(read, expected);
    }

    #[test]
    fn versions_can_be_written_in_four_ways() {
        let policy = |text: &str| settings(&format!("versions = {text}")).versions;
        assert_eq!(policy("'latest'"), VersionPolicy::Latest(1));
        assert_eq!(policy("{ latest = 2 }"), VersionPolicy::Latest(2));
        assert_eq!(policy("'all'"), VersionPolicy::All);
        let versions = [1, 3].map(|number| Version::new(number).unwrap()).to_vec();
        assert_eq!(policy("[3, 1, 3]"), VersionPolicy::Only(versions));

        for text in [
            "'newest'",
            "2",
            "[]",
            "[0]",
            "[-1]",
            "['1']",
            "{ latest = 0 }",
            "{ newest = 1 }",
            "{}",
        ] {
            assert!(
                fault(&format!("versions = {text}")).starts_with("model.toml line 1: versions: "),
                "{text}"
            );
        }
    }

    #[test]
    fn old_versions_are_kept_by_number_or_time() {
        let kept = |text: &str| settings(&format!("prune = {text}")).prune;
        assert_eq!(settings("").prune, None);
        assert_eq!(kept("1"), Some(Retention::Newest(1)));
        assert_eq!(kept("'90s'"), Some(Retention::Replaced(Duration::from_secs(90))));
        let week = Duration::from_secs(7 * 24 * 3600);
        assert_eq!(kept("'7d'"), Some(Retention::Replaced(week)));

        for (text, says) in [
            ("prune = 0", "prune: 0 is not between 1 and 100000"),
            ("prune = -1", "prune: -1 is not a whole number"),
            ("prune = '0s'", "prune: 0s is not between 1s and 3650d"),
            ("prune = '500ms'", "prune: 500ms is not between 1s and 3650d"),
            ("prune = '7'", "prune: '7' is not a duration like"),
            ("prune = '-7d'", "prune: '-7d' is not a duration like"),
            ("prune = true", "prune: expected a number of versions to keep, like 10"),
            ("prune = 1.5", "or a time to keep replaced ones, like \"7d\", found a float"),
            ("prune = { latest = 2 }", "prune: expected a number"),
        ] {
            let told = fault(text);
            assert!(told.starts_with("model.toml line 1: prune: "), "{told}");
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn pruning_must_leave_the_versions_that_serve() {
        for text in ["versions = { latest = 3 }\nprune = 3", "versions = [1, 2, 3]\nprune = 1"] {
            assert!(settings(text).prune.is_some());
        }

        let told = fault("versions = { latest = 3 }\nprune = 2");
        assert!(
            told.contains("prune: 2 is less than the 3 versions that `versions` has serve"),
            "{told}"
        );
        for prune in ["5", "'7d'"] {
            let told = fault(&format!("prune = {prune}\nversions = 'all'"));
            assert!(
                told.contains("write `versions = { latest = 3 }`, or remove `prune`"),
                "{told}"
            );
        }
    }

    #[test]
    fn all_faults_are_reported_with_their_keys_and_lines() {
        let told = fault(
            "versoins = 'all'\n[instances]\nmax = 0\n\n[limits]\nmemory = \"8GiB\"\ndeadline = 5\ncpu = '1s'\n\
             [batching]\nmax_batch_size = 0\n[warmup]\nrequests = -1\n",
        );

        for says in [
            "line 1: versoins: unknown key; the keys here are versions, prune, labels, isolation",
            "line 3: instances.max: 0 is not between 1 and 10000",
            "line 6: limits.memory: 8GiB is not between 64KiB and 4GiB",
            "line 7: limits.deadline: expected a duration like \"60s\", found an integer",
            "line 8: limits.cpu: unknown key",
            "line 10: batching.max_batch_size: 0 is not between 1 and 4096",
            "line 12: warmup.requests: -1 is not",
        ] {
            assert!(told.contains(says), "'{says}' is missing in {told}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, says) in [
            ("isolation = 'none'", "expected \"request\" or \"pooled\", found \"none\""),
            ("[instances]\nmin = 9", "instances.min: 9 is more than max, which is 8"),
            ("[limits]\ndeadline = '0s'", "is not between 1ms and 1h"),
            ("limits = 1", "expected a table"),
            ("[capabilities]\nconfig = { a = 1 }", "'a': expected a text"),
            (
                "[capabilities]\nhttp = true",
                "capabilities.http: expected a list in square brackets",
            ),
            ("[capabilities]\nhttp = [1]", "expected an origin"),
            ("[capabilities]\nhttp = ['https://a.b/c']", "'https://a.b/c' is not an origin"),
            ("[capabilities]\nhttp = ['https://*.b']", "a wildcard is not possible"),
            ("a = 1\na = 2", "duplicate"),
            ("[limits", "line 1"),
        ] {
            assert!(fault(text).contains(says), "{}", fault(text));
        }

        assert_eq!(parse_model_toml("a = \nb = \n").unwrap_err().count(), 2);
    }

    #[test]
    fn the_error_text_is_bounded() {
        let keys: String = (0..100_000).map(|key| format!("a{key}=1\n")).collect();
        let faults = parse_model_toml(&keys).unwrap_err();
        let told = faults.to_string();
        assert_eq!(faults.count(), 100_000);
        assert!(
            told.len() < 4000 && told.contains("line 10:") && told.ends_with("; and 99990 more"),
            "{told}"
        );

        let told = fault(&format!("limits.memory = \"{}1B\"", " ".repeat(100_000)));

        assert!(told.len() < 500, "{told}");
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text: String, line in "[a-z\\[\\]={}\"'., 0-9_\n#]{0,80}") {
            let _ = parse_model_toml(&text);
            let _ = parse_model_toml(&line);
            let _ = parse_model_toml(&format!("versions = {line}"));
        }
    }
}
