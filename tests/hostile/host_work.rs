//! What the host does for one tenant runs where guests run, in turns, and is charged: another tenant's calls and
//! statements take about as long beside it as alone.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::harness::{Server, Setup, Tenant, ledger, puppet};

/// Long enough for a median, short enough for a test.
const WHILE: Duration = Duration::from_secs(3);

const PATIENT: &str = "[limits]\nrequest = '64MiB'\ndeadline = '10m'\ncpu_time = '10m'\n[breaker]\nfaults = 0\n";

/// A server with an attacker, `default`, and a victim, `good`, who has a database.
fn setup() -> Setup {
    let setup = Server::with_models(|models| {
        models.settings("puppet", PATIENT);
        models.version("puppet", 1, puppet("version=1"));
    });
    let setup = setup.config("[tenants.default]\n[tenants.good]\nrepository = 'good'");
    let good = setup.repository("good");
    good.settings("ledger", &format!("[capabilities]\nsql = true\n{PATIENT}"));
    good.version("ledger", 1, ledger(""));
    setup
}

fn serve() -> Server {
    let server = setup().start();
    server.tenant("default").until_ready("puppet", 1);
    server.tenant("good").until_ready("ledger", 1);
    server
}

/// How long the victim's calls take: medians of a short statement and of one that computes for a while.
#[derive(Debug)]
struct Medians {
    short: Duration,
    long: Duration,
}

/// Some tens of milliseconds of CPU time.
const LONG: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select count(*) from n";

fn query(tenant: &Tenant<'_>, statement: &str) -> Duration {
    let step = ["query", statement].join("\u{1f}");
    let started = Instant::now();
    let body = json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [1], "data": [step] }] });
    tenant.infer("ledger", &body).ok();
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

/// Lets several callers attack without end, and measures the victim before and meanwhile. What the attack costs is
/// charged to the attacker.
fn is_felt_by_nobody(server: &Server, callers: usize, attack: impl Fn(&Tenant<'_>) + Sync) {
    victim(server);
    let alone = victim(server);
    let over = AtomicBool::new(false);
    let (beside, charged, spent) = std::thread::scope(|scope| {
        let _end = End(&over);
        for _ in 0..callers {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    attack(&server.tenant("default"));
                }
            });
        }
        // It is under way.
        std::thread::sleep(Duration::from_millis(300));
        let before = (charged(server, "default"), spent(server), charged(server, "good"));
        let beside = victim(server);
        let of_victim = charged(server, "good") - before.2;
        (beside, charged(server, "default") - before.0, spent(server) - before.1 - of_victim)
    });
    println!("alone {alone:?}, beside the attack {beside:?}; {charged:.2} s charged of {spent:.2} s");
    // Half the cores are the victim's, and other programs may want them as well. Without turns it is fifty times as long.
    let bound = |alone: Duration| alone * 8 + Duration::from_millis(20);
    assert!(beside.short < bound(alone.short), "alone {alone:?}, beside the attack {beside:?}");
    assert!(beside.long < bound(alone.long), "alone {alone:?}, beside the attack {beside:?}");
    assert!(charged > 0.7 * spent, "{charged:.2} s were charged of {spent:.2} s");
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Seconds of CPU time that a tenant was charged.
fn charged(server: &Server, tenant: &str) -> f64 {
    server.metric(&format!("wardian_tenant_cpu_seconds_total{{tenant=\"{tenant}\"}}")).unwrap_or(0.0)
}

/// Seconds of CPU time that the server has used.
fn spent(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.process_id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum::<f64>();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A request of so many bytes, which turns out to be wrong in its last byte.
fn wrong_in_the_end(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"inputs":[{"name":"x","datatype":"FP64","shape":[99999999],"data":[0"#.to_vec();
    while body.len() < bytes {
        body.extend_from_slice(b",0");
    }
    body.push(b'?');
    body
}

#[test]
fn decoding_of_large_compressed_bodies_is() {
    let server = serve();
    let bomb = gzipped(&wrong_in_the_end(4 << 20));
    is_felt_by_nobody(&server, 24, |tenant| {
        let call = tenant.call("POST", "/v2/models/puppet/infer").header("content-encoding", "gzip");
        let call = call.header("content-type", "application/json").header("wardian-deadline-ms", "5000");
        let status = call.body(bomb.clone()).send().status;
        assert!(status == 400 || status == 504, "{status}");
    });
}

#[test]
fn decoding_of_many_short_bodies_is() {
    let server = serve();
    let body = wrong_in_the_end(250 << 10);
    is_felt_by_nobody(&server, 16, |tenant| {
        let call = tenant.call("POST", "/v2/models/puppet/infer").header("content-type", "application/json");
        call.body(body.clone()).send().refused(400, "invalid_input");
    });
}
