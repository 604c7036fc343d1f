//! Names, tensors, requests, responses, metadata, settings and errors.
//!
//! This module does no I/O and does not wait. It knows no wire format and no engine: `api` and
//! `engine` convert at their boundaries.

mod blame;
mod caller_info;
mod datatype;
mod deadline;
mod digest;
mod error;
mod hex;
mod id;
mod metadata;
mod origin;
mod printable_text;
mod properties;
mod refused_values;
mod request;
mod request_id;
mod route;
mod runtime_info;
mod settings;
mod shape_fit;
mod similar_names;
mod tensor;
mod units;

pub use blame::Blame;
pub use caller_info::CallerInfo;
pub use datatype::Datatype;
pub use deadline::{Deadline, DeadlineSource};
pub use digest::Digest;
pub use error::{InferError, LoadError, QuotaExceeded, Stage};
pub use hex::{hex, push_hex};
pub use id::{InvalidName, ModelId, ModelName, TenantName, Version};
pub use metadata::{Metadata, TensorSpec};
pub use origin::{Host, InvalidOrigin, Origin, Scheme};
pub use printable_text::{is_unprintable, sanitize, sanitize_lines};
pub use properties::Properties;
pub use request::{InferRequest, InferResponse, Parameter, ParameterValue, SessionControl};
pub use request::{MAX_PARAMETERS, payload_size};
pub use request_id::RequestId;
pub use route::{
    AnswerForm, AnswerOutputs, InputSource, ModelRoute, ModelRoutes, OutputSource, PathSegment,
    QueryParameter, RAW_BODY, RESERVED_SEGMENTS, RouteBody, RouteMethod, RoutePath, route_conflict,
};
pub use runtime_info::RuntimeInfo;
pub use settings::{
    Batching, BreakerSettings, Capabilities, Capability, ConfigTable, DeferredTasks, Instances,
    Isolation, Limits, ModelSettings, Retention, Sessions, Streaming, VersionPolicy, Warmup,
};
pub use similar_names::{MAX_CANDIDATES, hint, is_misspelt, nearest};
pub use tensor::MAX_DIMENSIONS;
pub use tensor::{Tensor, bytes_elements, push_bytes_element};
pub use units::{format_duration, format_size, parse_duration, parse_size};
