//! The effects of words on a call.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Performs a word that came with this many others. Any other word does nothing.
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
