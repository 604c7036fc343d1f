//! Valid and invalid responses.

use wardian_sdk::{Datatype, Error, Request, Response, Tensor};

const COPIES: usize = 256;
const HUGE: usize = 64 << 20;

/// Returns a response that matches the metadata.
pub(crate) fn honest(
    request: &Request,
    version: i64,
    calls: u64,
    ballast: usize,
) -> Result<Response, Error> {
    let mut response = Response::new()
        .output(Tensor::new("version", [1], [version]))
        .output(Tensor::new("copies", [COPIES], [version; COPIES]))
        .output(Tensor::new("calls", [1], [calls as i64]))
        .parameter("ballast", ballast as i64);
    if let Some(x) = request.find_input("x") {
        let sum: f64 = x.view::<f64>()?.iter().sum();
        response = response.output(Tensor::new("sum", [1], [sum]));
    }
    if let Some(text) = request.find_input("text") {
        let texts = text.blobs()?;
        response = response.output(Tensor::from_strings("text", [texts.len()], texts));
    }
    Ok(response)
}

/// Makes a response invalid as `word` says.
pub(crate) fn distort(response: Response, word: &str) -> Response {
    match word {
        "nan" => replace(response, Tensor::new("sum", [1], [f64::NAN])),
        "huge-output" => replace(response, Tensor::from_strings("text", [1], [vec![b'x'; HUGE]])),
        "not-utf8" => replace(response, Tensor::from_strings("text", [1], [[0xff_u8, 0xfe]])),
        "wrong-datatype" => replace(response, Tensor::new("version", [1], [0.5_f64])),
        "wrong-shape" => replace(response, Tensor::new("version", [2], [0_i64; 2])),
        "duplicate-output" => response.output(Tensor::new("version", [1], [-1_i64])),
        "missing-output" => without(response, "version"),
        "bad-shape" => change_version(response, |version| version.shape = vec![u64::MAX, u64::MAX]),
        "bad-bool" => replace(response, raw("flag", Datatype::Bool, vec![2])),
        "bad-bytes" => replace(response, raw("text", Datatype::Bytes, vec![0xff; 8])),
        "short-bytes" => replace(response, raw("text", Datatype::Bytes, vec![0, 0])),
        "long-bytes" => replace(response, raw("text", Datatype::Bytes, vec![0; 8])),
        "bad-length" => change_version(response, |version| version.data.truncate(7)),
        "wrong-name" => change_version(response, |version| version.name = "verzion".to_owned()),
        _ => response,
    }
}

/// Returns a tensor of one element with any bytes.
fn raw(name: &str, datatype: Datatype, data: Vec<u8>) -> Tensor {
    Tensor { name: name.to_owned(), datatype, shape: vec![1], data }
}

fn without(mut response: Response, name: &str) -> Response {
    response.outputs.retain(|output| output.name != name);
    response
}

fn replace(response: Response, tensor: Tensor) -> Response {
    without(response, &tensor.name).output(tensor)
}

fn change_version(mut response: Response, change: impl FnOnce(&mut Tensor)) -> Response {
    if let Some(version) = response.outputs.iter_mut().find(|output| output.name == "version") {
        change(version);
    }
    response
}
