//! The effects of words in a call.

use std::hint::black_box;
use std::time::Duration;

use wardian_sdk::interceptor::Rejection;
use wardian_sdk::{Request, Response, Tensor, values};

const MIB: usize = 1 << 20;

/// Performs a word in a hook. An unknown word is an objection.
pub(crate) fn object(word: &str) -> Result<(), String> {
    match word {
        "ok" => Ok(()),
        word if act(word) => Ok(()),
        word => Err(word.to_owned()),
    }
}

/// Performs a word in `before-call`.
pub(crate) fn before(word: &str, request: &mut Request) -> Result<(), Rejection> {
    if act(word) {
        return Ok(());
    }
    match word.split_once(':').unwrap_or((word, "")) {
        ("reject", rest) => {
            let (status, message) = rest.split_once(':').unwrap_or((rest, "no"));
            return Err(Rejection::new(status.parse().unwrap_or(403), message));
        }
        ("forge", _) => return Err(Rejection::new(403, "a\nb\u{1b}[2J".repeat(1000))),
        ("unknown-input", _) => request.inputs.push(Tensor::new("unknown", [1], [1_u8])),
        ("torn-input", _) => request.inputs.push(torn("x")),
        ("add-x", _) => request.inputs.push(Tensor::new("x", [2], [40.0_f64, 2.0])),
        ("huge", _) => {
            request.inputs.push(Tensor::from_strings("text", [1], [vec![b'x'; 64 * MIB]]))
        }
        ("values", _) => values_until_full(),
        _ => {}
    }
    Ok(())
}

/// Performs a word in `after-call`.
pub(crate) fn after(word: &str, response: &mut Response) {
    if act(word) {
        return;
    }
    match word.split_once(':').unwrap_or((word, "")) {
        ("unknown-output", _) => response.outputs.push(Tensor::new("unknown", [1], [1_u8])),
        ("torn-output", _) => {
            response.outputs.iter_mut().for_each(|output| output.data.truncate(1))
        }
        ("no-outputs", _) => response.outputs.clear(),
        ("negate", _) => {
            response.outputs.retain(|output| output.name != "version");
            response.outputs.push(Tensor::new("version", [1], [-1_i64]));
        }
        ("grow", bytes) => {
            response.outputs.iter_mut().for_each(|output| grow(output, bytes.parse().unwrap_or(0)))
        }
        _ => {}
    }
}

/// Performs a word that is possible in any call. Returns true if it was one.
fn act(word: &str) -> bool {
    let (verb, amount) = word.split_once(':').unwrap_or((word, ""));
    match verb {
        "trap" => std::process::abort(),
        "spin" => loop {
            black_box(());
        },
        "eat" => eat(),
        "sleep" => std::thread::sleep(Duration::from_millis(amount.parse().unwrap_or(10))),
        _ => return false,
    }
    true
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; MIB]));
    }
}

/// Sets values until the limit is reached, and logs their number.
fn values_until_full() {
    let set = |number: &usize| values::set(&format!("value-{number}"), &"x".repeat(100)).is_ok();
    let count = (0..1000).take_while(set).count();
    wardian_sdk::info!("{count} values fit");
}

/// Adds bytes to the first element of a text.
fn grow(output: &mut Tensor, bytes: usize) {
    let Ok(texts) = output.strings() else { return };
    let mut texts: Vec<_> = texts.into_iter().map(str::to_owned).collect();
    texts.iter_mut().take(1).for_each(|text| text.extend(std::iter::repeat_n('x', bytes)));
    let shape = output.shape.iter().map(|&length| length as usize);
    *output = Tensor::from_strings(&output.name, shape.collect::<Vec<_>>(), texts);
}

/// A tensor with less data than its shape requires.
fn torn(name: &str) -> Tensor {
    let mut tensor = Tensor::new(name, [2], [1.0_f64, 2.0]);
    tensor.data.truncate(3);
    tensor
}
