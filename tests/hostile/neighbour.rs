//! The neighbour: another tenant, whose client sends one request after another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Server, Tenant};

/// Generous, because other tests may keep the machine busy; without fairness it would be minutes.
const LATEST: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(5);

/// Runs `work` while the neighbour sends requests. Asserts that every response is correct and that
/// none is late.
pub(super) fn keeps_being_answered(server: &Server, work: impl FnOnce()) {
    server.tenant("good").until_ready("scripted", 1);
    let over = AtomicBool::new(false);
    let (answers, worst) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(&over, server.tenant("good")));
        let _end = End(&over);
        work();
        over.store(true, Ordering::Relaxed);
        asking.join().expect("the neighbour is answered")
    });
    println!("the neighbour had {answers} answers, the latest after {worst:?}");
    assert!(answers > 0 && worst < LATEST, "{answers} answers, the latest after {worst:?}");
}

/// Stops the neighbour, also if the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn ask_until(over: &AtomicBool, tenant: Tenant<'_>) -> (u32, Duration) {
    let (mut answers, mut worst) = (0, Duration::ZERO);
    while answers == 0 || !over.load(Ordering::Relaxed) {
        worst = worst.max(ask(tenant, answers));
        answers += 1;
        // The neighbour leaves the cores idle most of the time, so it is within its share.
        std::thread::sleep(PAUSE);
    }
    (answers, worst)
}

/// Sends a request with new content, and returns the time until its response.
fn ask(tenant: Tenant<'_>, number: u32) -> Duration {
    let x = json!({ "name": "x", "datatype": "FP64", "shape": [2], "data": [number, 0.5] });
    let text = json!({ "name": "text", "datatype": "BYTES", "shape": [1], "data": [format!("number {number}")] });
    let start = Instant::now();
    let answer = tenant.infer("scripted", &json!({ "inputs": [x, text] }));
    let took = start.elapsed();
    assert_eq!(answer.output("sum"), [json!(f64::from(number) + 0.5)], "{answer}");
    assert_eq!(answer.output("text"), [json!(format!("number {number}"))], "{answer}");
    assert_eq!((answer.number("version"), answer.number("calls")), (7, 1), "{answer}");
    assert!(answer.output("copies").iter().all(|copy| *copy == 7), "{answer}");
    took
}
