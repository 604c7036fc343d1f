//! Names, tensors, requests, responses, metadata, settings and errors.
//!
//! This module does no I/O and does not wait. It knows no wire format and no engine: `api` and
//! `engine` convert at their boundaries.

mod asker;
mod blame;
mod datatype;
mod deadline;
mod digest;
mod error;
mod fit;
mod id;
mod metadata;
mod origin;
mod request;
mod request_id;
mod settings;
mod tensor;
mod text;
mod units;

pub use asker::Asker;
pub use blame::Blame;
pub use datatype::Datatype;
pub use deadline::{Deadline, SetBy};
pub use digest::Digest;
pub use error::{InferError, LoadError, QuotaExceeded, Stage};
pub use id::{InvalidName, ModelId, ModelName, TenantName, Version};
pub use metadata::{Metadata, TensorSpec};
pub use origin::{Host, InvalidOrigin, Origin, Scheme};
pub use request::{InferRequest, InferResponse, Parameter, ParameterValue, Sequence};
pub(crate) use request::{MAX_PARAMETERS, size_of};
pub use request_id::RequestId;
pub use settings::{
    Batching, BreakerSettings, Capabilities, Capability, ConfigTable, Deferral, Instances,
    Isolation, Limits, ModelSettings, Sessions, Streaming, VersionPolicy, Warmup,
};
pub(crate) use tensor::MAX_DIMENSIONS;
pub use tensor::{Tensor, bytes_elements, push_bytes_element};
pub use text::{hint, is_unprintable, nearest, sanitize, sanitize_lines};
pub(crate) use units::{parse_duration, parse_size, show_duration, show_size};
