//! Host work for one tenant runs in turns and is charged to it: calls and statements of another
//! tenant take about as long beside it as alone.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::harness::{Server, Tenant, scripted, sql_steps, until};

/// Long enough for a median, short enough for a test.
const WHILE: Duration = Duration::from_secs(2);

const PATIENT: &str =
    "[limits]\nrequest = '64MiB'\ndeadline = '10m'\ncpu_time = '10m'\n[breaker]\nfaults = 0\n";

/// The attacking tenants. Only the first has models.
const ATTACKERS: [&str; 3] = ["bad", "worse", "worst"];

/// Starts a server with attackers and a victim, `good`. Tenants with models have a database.
fn serve() -> Server {
    let tenants = ["good"]
        .iter()
        .chain(&ATTACKERS)
        .map(|name| format!("[tenants.{name}]\nrepository = '{name}'\n"));
    let config = format!("{}[tenants.default]\n", tenants.collect::<String>());
    let setup = Server::with_models(|_| {}).config(&config);
    for tenant in ["good", "bad"] {
        let models = setup.repository(tenant);
        models.settings("scripted", PATIENT);
        models.version("scripted", 1, scripted("version=1"));
        models.settings("sql-steps", &format!("[capabilities]\nsql = true\n{PATIENT}"));
        models.version("sql-steps", 1, sql_steps(""));
    }
    ATTACKERS.iter().for_each(|name| drop(setup.repository(name)));
    let server = setup.start();
    for tenant in ["good", "bad"] {
        server.tenant(tenant).until_ready("scripted", 1);
        server.tenant(tenant).until_ready("sql-steps", 1);
    }
    server
}

/// Medians of the victim's calls: a short statement, and one that computes for a while.
#[derive(Debug)]
struct Medians {
    short: Duration,
    long: Duration,
}

/// A statement of some tens of milliseconds of CPU time.
const LONG: &str = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select count(*) from n";

fn query(tenant: &Tenant<'_>, statement: &str) -> Duration {
    let step = ["query", statement].join("\u{1f}");
    let started = Instant::now();
    let body = json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [1], "data": [step] }] });
    tenant.infer("sql-steps", &body).ok();
    started.elapsed()
}

fn victim(server: &Server) -> Medians {
    let (tenant, started) = (server.tenant("good"), Instant::now());
    let (mut short, mut long) = (Vec::new(), Vec::new());
    while started.elapsed() < WHILE || long.len() < 5 {
        short.push(query(&tenant, "select 1"));
        long.push(query(&tenant, LONG));
    }
    Medians { short: median(short), long: median(long) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Runs several attacking clients without end, and measures the victim before and during the
/// attack. Asserts that at least this part of the cost is charged to the attackers.
fn delays_no_other_tenant(
    server: &Server,
    callers: usize,
    part: f64,
    attack: impl Fn(&Tenant<'_>) + Sync,
) {
    while_attacked(server, callers, attack, |alone| {
        let (cost, beside) = Cost::of(server, alone.uncharged, || victim(server));
        println!("alone {:?}, beside the attack {beside:?}; {cost:?}", alone.medians);
        cost.is_charged(part);
        // Without turns the factor is fifty. Long calls run only when no other program uses the
        // core.
        let is_quick = |beside: Duration, alone: Duration, times: u32| {
            beside < alone * times + Duration::from_millis(20)
        };
        is_quick(beside.short, alone.medians.short, 4)
            && is_quick(beside.long, alone.medians.long, 10)
    });
}

/// Repetitions of the measurement on a machine that is busy with other work.
const ROUNDS: u32 = 4;

/// Runs several attacking clients until the victim's times are within the bound.
fn while_attacked(
    server: &Server,
    callers: usize,
    attack: impl Fn(&Tenant<'_>) + Sync,
    is_well: impl Fn(&Alone) -> bool,
) {
    let alone = Alone::of(server);
    let over = AtomicBool::new(false);
    let well = std::thread::scope(|scope| {
        let _end = End(&over);
        for _ in 0..callers {
            scope.spawn(|| {
                // A real attacker computes on other machines, so these threads must not take the
                // cores from the guests.
                wardian::tenant::set_idle_priority();
                while !over.load(Ordering::Relaxed) {
                    attack(&server.tenant("bad"));
                }
            });
        }
        let before = charged_to_attackers(server);
        until("the attack is charged", || charged_to_attackers(server) > before + LEAST_CHARGE);
        (0..ROUNDS).any(|_| is_well(&alone))
    });
    assert!(well, "the victim waits for the attack: see the figures above");
}

/// Measurements of the victim without an attack.
struct Alone {
    medians: Medians,
    /// Seconds of CPU time that requests cost and that are not charged, such as those of
    /// connections.
    uncharged: f64,
}

impl Alone {
    fn of(server: &Server) -> Self {
        victim(server);
        let before = (spent(server), charged(server, "good"));
        let medians = victim(server);
        Alone {
            medians,
            uncharged: spent(server) - before.0 - (charged(server, "good") - before.1),
        }
    }
}

/// Seconds of CPU time that an attack used, and seconds that were charged for it.
#[derive(Debug)]
struct Cost {
    spent: f64,
    charged: f64,
}

impl Cost {
    /// Measures an attack during `meanwhile`, which itself uses `uncharged` seconds of CPU time.
    fn of<T>(server: &Server, uncharged: f64, meanwhile: impl FnOnce() -> T) -> (Cost, T) {
        let before = (charged_to_attackers(server), spent(server), charged(server, "good"));
        let outcome = meanwhile();
        let of_victim = charged(server, "good") - before.2 + uncharged;
        let cost = Cost {
            spent: spent(server) - before.1 - of_victim,
            charged: charged_to_attackers(server) - before.0,
        };
        (cost, outcome)
    }

    fn is_charged(&self, part: f64) {
        assert!(self.charged > LEAST_CHARGE && self.charged > part * self.spent, "{self:?}");
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Seconds of CPU time that every attack uses within one measurement. An attack that uses less
/// shows nothing.
const LEAST_CHARGE: f64 = 0.05;

fn charged_to_attackers(server: &Server) -> f64 {
    ATTACKERS.iter().map(|name| charged(server, name)).sum()
}

/// Returns the seconds of CPU time charged to a tenant.
fn charged(server: &Server, tenant: &str) -> f64 {
    server
        .metric(&format!("wardian_tenant_cpu_seconds_total{{tenant=\"{tenant}\"}}"))
        .unwrap_or(0.0)
}

/// Returns the seconds of CPU time used by the server and its children.
fn spent(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.process_id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks =
        fields.split(' ').skip(11).take(4).map(|field| field.parse::<f64>().unwrap()).sum::<f64>();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A request of this many bytes whose last byte is invalid.
fn wrong_in_the_end(bytes: usize) -> Vec<u8> {
    let mut body =
        br#"{"inputs":[{"name":"x","datatype":"FP64","shape":[99999999],"data":[0"#.to_vec();
    while body.len() < bytes {
        body.extend_from_slice(b",0");
    }
    body.push(b'?');
    body
}

#[test]
fn decoding_large_compressed_bodies_delays_no_other_tenant() {
    let server = serve();
    let bomb = gzipped(&wrong_in_the_end(4 << 20));
    delays_no_other_tenant(&server, 24, 0.7, |tenant| {
        let call =
            tenant.call("POST", "/v2/models/scripted/infer").header("content-encoding", "gzip");
        let call =
            call.header("content-type", "application/json").header("wardian-deadline-ms", "5000");
        let status = call.body(bomb.clone()).send().status;
        assert!(status == 400 || status == 504, "{status}");
    });
}

#[test]
fn decoding_many_short_bodies_delays_no_other_tenant() {
    let server = serve();
    let body = wrong_in_the_end(250 << 10);
    delays_no_other_tenant(&server, 16, 0.7, |tenant| {
        let call = tenant
            .call("POST", "/v2/models/scripted/infer")
            .header("content-type", "application/json");
        call.body(body.clone()).send().refused(400, "invalid_input");
    });
}

#[test]
fn long_text_searches_delay_no_other_tenant() {
    let server = serve();
    let statement = "select instr(hex(zeroblob(524280)), hex(zeroblob(240000)) || random())";
    delays_no_other_tenant(&server, 6, 0.7, |tenant| {
        query(tenant, statement);
    });
}

#[test]
fn hashing_large_files_delays_no_other_tenant() {
    let server = serve();
    let files = ATTACKERS.map(|name| {
        let models = server.repository(name);
        models.version("huge", 1, scripted("version=1"));
        let file = models.create("huge/1/weights");
        // The file is sparse and uses no disk space.
        file.set_len(4 << 30).unwrap();
        file
    });
    let number = AtomicU64::new(1);
    delays_no_other_tenant(&server, 1, 0.6, |_| {
        // Longer than the settle time, shorter than hashing the whole file.
        std::thread::sleep(Duration::from_millis(800));
        let time =
            SystemTime::UNIX_EPOCH + Duration::from_secs(number.fetch_add(1, Ordering::Relaxed));
        files.iter().for_each(|file| file.set_modified(time).unwrap());
    });
}

#[test]
fn endless_compiling_delays_no_other_version() {
    let server = serve();
    let number = AtomicU64::new(2);
    let upload = |tenant: &Tenant<'_>| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let path = format!("/v2/repository/models/scripted-{number}/versions/1");
        let uploaded =
            tenant.call("PUT", &path).body(scripted(&format!("version={number}"))).send();
        assert_eq!(uploaded.status, 201, "{uploaded}");
    };
    while_attacked(&server, 2, upload, |alone| {
        let (cost, _) = Cost::of(&server, alone.uncharged, || victim(&server));
        println!("{cost:?}");
        cost.charged > 0.3 && cost.charged > 0.5 * cost.spent
    });
    // The tenant's own load does not keep its new version from being compiled.
    server.repository("bad").version("last", 1, scripted("version=9;warm=ok"));
    server.tenant("bad").until_ready("last", 1);
}

#[test]
fn listing_models_without_end_delays_no_other_tenant() {
    let server = serve();
    delays_no_other_tenant(&server, 16, 0.3, |tenant| {
        tenant.get("/metrics").ok();
        tenant.call("POST", "/v2/repository/index").json(&json!({})).send().ok();
    });
}
