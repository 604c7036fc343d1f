//! A model that takes joined requests. Each row has a word, which may cause a fault, and gets the
//! number of rows in its call.

mod behaviour;

use std::sync::atomic::{AtomicI64, Ordering};

use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};

struct Batcher {
    calls: AtomicI64,
}

impl Model for Batcher {
    fn load() -> Result<Self, Error> {
        Ok(Self { calls: AtomicI64::new(0) })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .input::<String>("word", [-1])
            .optional_input::<f64>("x", [-1, -1])
            .output::<String>("word", [-1])
            .output::<i64>("batch", [-1])
            .output::<i64>("calls", [-1])
            .optional_output::<f64>("sum", [-1])
            .max_batch_size(64)
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let words = request.input("word")?.strings()?;
        let count = words.len();
        words.iter().try_for_each(|word| misbehave(word, count - 1))?;
        let told = if words.contains(&"short") && count > 1 { count - 1 } else { count };
        let mut response = Response::new()
            .output(Tensor::from_strings("word", [told], &words[..told]))
            .output(Tensor::new("batch", [count], vec![count as i64; count]))
            .output(Tensor::new("calls", [count], vec![calls; count]));
        if let Some(x) = request.find_input("x") {
            let sums: Vec<f64> = x.view::<f64>()?.rows().map(|row| row.iter().sum()).collect();
            response = response.output(Tensor::new("sum", [count], sums));
        }
        let tone = request.parameter("tone").and_then(|tone| tone.as_text());
        Ok(response.parameter("tone", tone.unwrap_or("none")))
    }
}

fn misbehave(word: &str, others: usize) -> Result<(), Error> {
    match word {
        "fail" => return Err(Error::failed("a word says to fail")),
        "reject" => return Err(Error::rejected("this word is not to my taste")),
        _ => behaviour::act(word, others),
    }
    Ok(())
}

wardian_sdk::export!(Batcher);
