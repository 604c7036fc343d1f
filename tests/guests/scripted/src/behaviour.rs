//! The effects of words in any call: too much time, too much memory, traps and errors.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use wardian_sdk::Error;

const MIB: usize = 1 << 20;
const FLOOD_LINES: usize = 10_000;

/// Performs a word, and returns if its effect permits that. An unknown word, such as `ok`, does
/// nothing.
pub(crate) fn act(word: &str) -> Result<(), Error> {
    let (verb, amount) = word.split_once(':').unwrap_or((word, ""));
    match verb {
        "spin" => spin(),
        "trap" => std::process::abort(),
        "panic" => explode(),
        "eat" => eat(),
        "need" => return need(amount.parse().unwrap_or(1) * MIB),
        "recurse" => drop(black_box(recurse(0))),
        "exit" => std::process::exit(amount.parse().unwrap_or(0)),
        "sleep" => std::thread::sleep(milliseconds(amount)),
        "slow" => work_for(milliseconds(amount)),
        "log-flood" => flood_log(),
        "stdout-flood" => flood(std::io::stdout()),
        "stderr-flood" => flood(std::io::stderr()),
        "touch" => drop(black_box(fill(amount.parse().unwrap_or(1) * MIB))),
        "hold" => hold(amount.parse().unwrap_or(1) * MIB),
        "unsnapshottable" => println!("{}", not_snapshottable()),
        "fail" => return Err(Error::failed("the weights are corrupt")),
        "reject" => return Err(Error::rejected("this input is not to my taste")),
        "log" => wardian_sdk::warn!("the script says to log"),
        _ => {}
    }
    Ok(())
}

/// Allocates memory and writes to every page.
pub(crate) fn fill(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index >> 12) as u8 | 1).collect()
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

#[allow(clippy::panic)]
fn explode() -> ! {
    panic!("the scripted panics: secret-of-the-guest");
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(fill(MIB)));
    }
}

/// Returns an error if there is not that much memory.
fn need(bytes: usize) -> Result<(), Error> {
    let mut room = Vec::<u8>::new();
    let reserved = room.try_reserve_exact(bytes);
    drop(black_box(room));
    reserved.map_err(|_| Error::failed("there is no room for the weights"))
}

fn hold(bytes: usize) {
    let held = fill(bytes);
    std::thread::sleep(Duration::from_secs(600));
    drop(black_box(held));
}

/// Recurses without end on purpose. Using the result keeps the compiler from turning it into a
/// loop.
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth).wrapping_add(1))).wrapping_add(1)
}

fn work_for(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        black_box((0..10_000_u64).fold(0, |sum, step| black_box(sum ^ step)));
    }
}

fn flood_log() {
    for line in 0..FLOOD_LINES {
        wardian_sdk::info!(
            "line {line} of the flood, which is long enough to fill something up before long"
        );
    }
}

fn flood(mut stream: impl Write) {
    for line in 0..FLOOD_LINES {
        // A host that stops reading is one of the tested cases.
        let _ = writeln!(
            stream,
            "line {line} of the flood, which is long enough to fill something up before long"
        );
    }
}

fn milliseconds(amount: &str) -> Duration {
    Duration::from_millis(amount.parse().unwrap_or(10))
}

/// A number that occurs nowhere else. xtask finds it in the code and inserts `elem.drop` before
/// another instruction; it has no effect here, but cannot be snapshotted.
#[inline(never)]
fn not_snapshottable() -> u64 {
    black_box(0x5EED_CAFE_0DD5_EA75)
}
