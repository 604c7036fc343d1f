//! Validation of a version before it is published: warm-up, and golden requests with known answers.
//! Its files and settings are checked when they are read, and its component when it is compiled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::database::ValidationTransaction;
use crate::model::{
    InferError, InferRequest, InferResponse, LoadError, ModelSettings, Stage, Tensor, TensorSpec,
};
use crate::repository::{Digest, MAX_GOLDEN_SIZE, Sidecar};
use crate::servable::{Servable, ServableHandle};
use crate::tenant::{Pacer, Workers};

mod compare;

pub use compare::Tolerance;

/// Requests with known answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    /// Allowed difference between a number and the expected one.
    pub tolerance: Tolerance,
    /// The requests.
    pub cases: Vec<GoldenCase>,
}

/// A request with a known answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenCase {
    /// The request.
    pub request: InferRequest,
    /// The expected outputs. The response may hold others too.
    pub outputs: Vec<Tensor>,
}

/// A parser of golden requests. The caller supplies it, because they are written in a wire format.
pub type ParseGolden = fn(&[u8], &Pacer) -> Result<Golden, String>;

/// Validates a version. Fails with the stage and reason of the first check that fails.
pub(super) async fn validate(
    servable: &ServableHandle,
    golden: Option<&Sidecar>,
    parse: ParseGolden,
    workers: &Workers,
    database: Option<&Arc<ValidationTransaction>>,
    progress: &(dyn Fn(Stage) + Send + Sync),
) -> Result<(), LoadError> {
    progress(Stage::WarmUp);
    if servable.id().name.is_interceptor() {
        return validate_interceptor(servable, golden).await;
    }

    warm_up(servable, database).await?;
    if let Some(file) = golden {
        progress(Stage::Golden);
        check_golden(servable, read_golden(servable, file, parse, workers).await?, database)
            .await?;
    }

    servable
        .fill_pool()
        .await
        .map_err(|error| warm_up_error("making the instances to be kept ready", &error))
}

/// Validates an interceptor. Its reaction to a request of zeros means nothing, so only its
/// instances are tested.
async fn validate_interceptor(
    servable: &ServableHandle,
    golden: Option<&Sidecar>,
) -> Result<(), LoadError> {
    if let Some(file) = golden {
        let reason = format!("{}: an interceptor answers no requests; remove the file", file.name);
        return Err(LoadError::new(Stage::Golden, reason));
    }

    let made = servable.factory().run_in_new_instance(async |_instance| Ok(())).await;
    made.map_err(|error| warm_up_error("making an instance", &error))?;
    servable
        .fill_pool()
        .await
        .map_err(|error| warm_up_error("making the instances to be kept ready", &error))
}

async fn warm_up(
    servable: &ServableHandle,
    database: Option<&Arc<ValidationTransaction>>,
) -> Result<(), LoadError> {
    run_warm_up_hook(servable, database)
        .await
        .map_err(|error| warm_up_error("the model's warm-up", &error))?;
    let settings = servable.settings();
    let request = zero_request(&servable.metadata().inputs, settings)?;

    for _ in 0..settings.warmup.requests {
        match servable.infer_uncounted(request.clone(), servable.validation_call(database)).await {
            // A model may reject a request of zeros.
            Ok(_) | Err(InferError::Rejected(_)) => {}
            Err(error) => return Err(warm_up_error("a request of zeros", &error)),
        }
        match servable.self_check_batch(&request, servable.validation_call(database)).await {
            Ok(()) | Err(InferError::Rejected(_)) => {}
            Err(error) => return Err(warm_up_error("a batch of two requests of zeros", &error)),
        }
    }

    Ok(())
}

fn warm_up_error(what: &str, error: &InferError) -> LoadError {
    LoadError::of_call(Stage::WarmUp, error, format!("{what} failed: {}", full_error_text(error)))
}

async fn run_warm_up_hook(
    servable: &Servable,
    database: Option<&Arc<ValidationTransaction>>,
) -> Result<(), InferError> {
    servable
        .factory()
        .run_for_validation(database, async |mut instance| instance.warm_up().await)
        .await
}

/// A request with a zero, or an empty text, for every element of every required input.
fn zero_request(
    inputs: &[TensorSpec],
    settings: &ModelSettings,
) -> Result<InferRequest, LoadError> {
    let required = inputs.iter().filter(|spec| !spec.optional);
    let inputs = required.map(|spec| zero_tensor(spec, settings)).collect::<Result<_, _>>()?;
    Ok(InferRequest { inputs, ..InferRequest::default() })
}

fn zero_tensor(spec: &TensorSpec, settings: &ModelSettings) -> Result<Tensor, LoadError> {
    let shape: Vec<u64> =
        spec.shape.iter().map(|&dimension| u64::try_from(dimension).unwrap_or(1)).collect();
    // Every element of BYTES begins with a length of four bytes.
    let size = spec.datatype.size().unwrap_or(4);
    let bytes = shape.iter().try_fold(size, |bytes, &dimension| bytes.checked_mul(dimension));

    match bytes {
        Some(bytes) if bytes <= settings.limits.request => Ok(Tensor {
            name: spec.name.clone(),
            datatype: spec.datatype,
            shape,
            data: vec![0; bytes as usize],
        }),
        _ => Err(LoadError::new(
            Stage::WarmUp,
            format!(
                "input '{}' is larger than the {} bytes of limits.request",
                spec.name, settings.limits.request
            ),
        )),
    }
}

/// Longest time for reading golden requests, in turns with the calls of all tenants.
const GOLDEN_READ_TIMEOUT: Duration = Duration::from_secs(600);

async fn read_golden(
    servable: &ServableHandle,
    file: &Sidecar,
    parse: ParseGolden,
    workers: &Workers,
) -> Result<Golden, LoadError> {
    let opened = file.file.clone();
    let digest = file.digest;
    let work = move |pace: &Pacer| {
        // A file that grew beyond the limit has another digest.
        let content = pace
            .run_blocking(|| opened.read(MAX_GOLDEN_SIZE))
            .map_err(|stopped| stopped.to_string())?;
        let content = content.map_err(|error| error.to_string())?;
        if Digest::sha256(&content) != digest {
            return Err("changed while it was being read".into());
        }
        parse(&content, pace)
    };
    let payer = servable.factory().tenant().payer();
    let read = workers.run(payer, payer.share(), Instant::now() + GOLDEN_READ_TIMEOUT, work).await;
    let read =
        read.map_err(|error| LoadError::new(Stage::Host, format!("{}: {error}", file.name)))?;

    read.map_err(|reason| LoadError::new(Stage::Golden, format!("{}: {reason}", file.name)))
}

async fn check_golden(
    servable: &ServableHandle,
    golden: Golden,
    database: Option<&Arc<ValidationTransaction>>,
) -> Result<(), LoadError> {
    for (index, case) in golden.cases.into_iter().enumerate() {
        let describe = |reason| format!("request {}: {reason}", index + 1);
        let failed = |error: InferError| {
            LoadError::of_call(Stage::Golden, &error, describe(full_error_text(&error)))
        };
        let wrong = |reason| LoadError::new(Stage::Golden, describe(reason));

        let call = servable.validation_call(database);
        let answer = servable.infer_uncounted(case.request, call).await.map_err(failed)?;
        check_case(&case.outputs, &answer.response, &golden.tolerance).map_err(wrong)?;
    }

    Ok(())
}

fn check_case(
    expected: &[Tensor],
    response: &InferResponse,
    tolerance: &Tolerance,
) -> Result<(), String> {
    for tensor in expected {
        let actual = response.outputs.iter().find(|actual| actual.name == tensor.name);
        let actual = actual.ok_or_else(|| format!("output '{}' is missing", tensor.name))?;
        compare::compare(tensor, actual, tolerance)?;
    }
    Ok(())
}

/// The error with its private detail, for the owner of the model.
fn full_error_text(error: &InferError) -> String {
    match error.private_detail() {
        Some(detail) => format!("{error} ({detail})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Datatype;

    fn spec(datatype: Datatype, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: "x".into(), datatype, shape: shape.into(), optional: false }
    }

    #[test]
    fn zero_tensors_are_valid() {
        let settings = ModelSettings::default();
        for datatype in Datatype::ALL {
            for shape in [&[][..], &[-1], &[-1, 3], &[0, 2]] {
                zero_tensor(&spec(datatype, shape), &settings).unwrap().check().unwrap();
            }
        }

        assert!(zero_tensor(&spec(Datatype::Fp64, &[1 << 30]), &settings).is_err());
    }
}
