//! What a word does to the call that it is in.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Does what a word says that came with so many others. Any other word does nothing.
pub(crate) fn act(word: &str, others: usize) {
    let (verb, amount) = word.split_once(':').unwrap_or((word, ""));
    match verb {
        "trap" => std::process::abort(),
        "shy" if others > 0 => std::process::abort(),
        "spin" => work_for(Duration::MAX),
        "sleep" => std::thread::sleep(milliseconds(amount)),
        "slow" => work_for(milliseconds(amount)),
        "eat" => drop(black_box(vec![1_u8; amount.parse::<usize>().unwrap_or(1) << 20])),
        "log" => wardian_sdk::info!("a word says to log"),
        _ => {}
    }
}

fn work_for(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        black_box((0..10_000_u64).fold(0, |sum, step| black_box(sum ^ step)));
    }
}

fn milliseconds(amount: &str) -> Duration {
    Duration::from_millis(amount.parse().unwrap_or(10))
}
