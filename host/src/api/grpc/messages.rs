//! The messages of `host/proto/inference.proto`. Those that describe models are filled from the
//! JSON of the HTTP routes, whose keys are the names of the fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};
use serde::{Deserialize, Deserializer};

/// A message without fields.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Empty {}

/// `ServerLiveResponse`, `ServerReadyResponse` and `ModelReadyResponse`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Condition {
    #[prost(bool, tag = "1")]
    pub(super) holds: bool,
}

/// The requests that name a model and a version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelRequest {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ServerMetadataResponse {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) extensions: Vec<String>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ModelMetadataResponse {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) versions: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) platform: String,
    #[prost(message, repeated, tag = "4")]
    pub(super) inputs: Vec<TensorMetadata>,
    #[prost(message, repeated, tag = "5")]
    pub(super) outputs: Vec<TensorMetadata>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct TensorMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(super) shape: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InferParameter {
    #[prost(oneof = "ParameterChoice", tags = "1, 2, 3, 4, 5")]
    pub(super) parameter_choice: Option<ParameterChoice>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum ParameterChoice {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(uint64, tag = "5")]
    Uint64(u64),
}

/// An entry of a map of parameters.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ParameterEntry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<InferParameter>,
}

/// The contents of a tensor in a response. `request` reads those of requests.
#[derive(Clone, PartialEq, Message)]
pub(super) struct InferTensorContents {
    #[prost(bool, repeated, tag = "1")]
    pub(super) bool_contents: Vec<bool>,
    #[prost(int32, repeated, tag = "2")]
    pub(super) int_contents: Vec<i32>,
    #[prost(int64, repeated, tag = "3")]
    pub(super) int64_contents: Vec<i64>,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) uint_contents: Vec<u32>,
    #[prost(uint64, repeated, tag = "5")]
    pub(super) uint64_contents: Vec<u64>,
    #[prost(float, repeated, tag = "6")]
    pub(super) fp32_contents: Vec<f32>,
    #[prost(double, repeated, tag = "7")]
    pub(super) fp64_contents: Vec<f64>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub(super) bytes_contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelInferResponse {
    #[prost(string, tag = "1")]
    pub(super) model_name: String,
    #[prost(string, tag = "2")]
    pub(super) model_version: String,
    #[prost(string, tag = "3")]
    pub(super) id: String,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(super) parameters: BTreeMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub(super) outputs: Vec<InferTensor>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(super) raw_output_contents: Vec<Bytes>,
}

/// `InferOutputTensor`, and in tests `InferInputTensor`, which has the same fields.
#[derive(Clone, PartialEq, Message)]
pub(super) struct InferTensor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(super) shape: Vec<i64>,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(super) parameters: BTreeMap<String, InferParameter>,
    #[prost(message, optional, tag = "5")]
    pub(super) contents: Option<InferTensorContents>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelStreamInferResponse {
    #[prost(string, tag = "1")]
    pub(super) error_message: String,
    #[prost(message, optional, tag = "2")]
    pub(super) infer_response: Option<ModelInferResponse>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<ModelConfig>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ModelConfig {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) platform: String,
    #[prost(message, optional, tag = "3")]
    pub(super) version_policy: Option<VersionPolicy>,
    #[prost(int32, tag = "4")]
    pub(super) max_batch_size: i32,
    #[prost(message, repeated, tag = "5")]
    pub(super) input: Vec<ModelInput>,
    #[prost(message, repeated, tag = "6")]
    pub(super) output: Vec<ModelOutput>,
    #[prost(string, tag = "17")]
    pub(super) backend: String,
    #[prost(message, optional, tag = "19")]
    #[serde(skip)]
    pub(super) model_transaction_policy: Option<TransactionPolicy>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct VersionPolicy {
    #[prost(oneof = "PolicyChoice", tags = "1, 2, 3")]
    #[serde(flatten)]
    pub(super) choice: Option<PolicyChoice>,
}

#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PolicyChoice {
    #[prost(message, tag = "1")]
    Latest(Latest),
    #[prost(message, tag = "2")]
    All(Empty),
    #[prost(message, tag = "3")]
    Specific(Specific),
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Empty {})
    }
}

#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
pub(super) struct Latest {
    #[prost(uint32, tag = "1")]
    pub(super) num_versions: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct Specific {
    #[prost(int64, repeated, tag = "1")]
    pub(super) versions: Vec<i64>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ModelInput {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(enumeration = "DataType", tag = "2")]
    #[serde(deserialize_with = "data_type")]
    pub(super) data_type: i32,
    #[prost(int64, repeated, tag = "4")]
    pub(super) dims: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    pub(super) reshape: Option<Reshape>,
    #[prost(bool, tag = "8")]
    pub(super) optional: bool,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ModelOutput {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(enumeration = "DataType", tag = "2")]
    #[serde(deserialize_with = "data_type")]
    pub(super) data_type: i32,
    #[prost(int64, repeated, tag = "3")]
    pub(super) dims: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    pub(super) reshape: Option<Reshape>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct Reshape {
    #[prost(int64, repeated, tag = "1")]
    pub(super) shape: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct TransactionPolicy {
    #[prost(bool, tag = "1")]
    pub(super) decoupled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i32)]
pub(super) enum DataType {
    TypeInvalid = 0,
    TypeBool = 1,
    TypeUint8 = 2,
    TypeUint16 = 3,
    TypeUint32 = 4,
    TypeUint64 = 5,
    TypeInt8 = 6,
    TypeInt16 = 7,
    TypeInt32 = 8,
    TypeInt64 = 9,
    TypeFp16 = 10,
    TypeFp32 = 11,
    TypeFp64 = 12,
    TypeString = 13,
    TypeBf16 = 14,
}

fn data_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    DataType::deserialize(deserializer).map(i32::from)
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct ModelStatisticsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) model_stats: Vec<ModelStatistics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ModelStatistics {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    #[prost(uint64, tag = "3")]
    pub(super) last_inference: u64,
    #[prost(uint64, tag = "4")]
    pub(super) inference_count: u64,
    #[prost(uint64, tag = "5")]
    pub(super) execution_count: u64,
    #[prost(message, optional, tag = "6")]
    pub(super) inference_stats: Option<InferStatistics>,
    #[prost(message, repeated, tag = "7")]
    pub(super) batch_stats: Vec<BatchStatistics>,
}

#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
pub(super) struct StatisticDuration {
    #[prost(uint64, tag = "1")]
    pub(super) count: u64,
    #[prost(uint64, tag = "2")]
    pub(super) ns: u64,
}

#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct InferStatistics {
    #[prost(message, optional, tag = "1")]
    pub(super) success: Option<StatisticDuration>,
    #[prost(message, optional, tag = "2")]
    pub(super) fail: Option<StatisticDuration>,
    #[prost(message, optional, tag = "3")]
    pub(super) queue: Option<StatisticDuration>,
    #[prost(message, optional, tag = "4")]
    pub(super) compute_input: Option<StatisticDuration>,
    #[prost(message, optional, tag = "5")]
    pub(super) compute_infer: Option<StatisticDuration>,
    #[prost(message, optional, tag = "6")]
    pub(super) compute_output: Option<StatisticDuration>,
    #[prost(message, optional, tag = "7")]
    pub(super) cache_hit: Option<StatisticDuration>,
    #[prost(message, optional, tag = "8")]
    pub(super) cache_miss: Option<StatisticDuration>,
}

#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct BatchStatistics {
    #[prost(uint64, tag = "1")]
    pub(super) batch_size: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) compute_input: Option<StatisticDuration>,
    #[prost(message, optional, tag = "3")]
    pub(super) compute_infer: Option<StatisticDuration>,
    #[prost(message, optional, tag = "4")]
    pub(super) compute_output: Option<StatisticDuration>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RepositoryIndexRequest {
    #[prost(string, tag = "1")]
    pub(super) repository_name: String,
    #[prost(bool, tag = "2")]
    pub(super) ready: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RepositoryIndexResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) models: Vec<ModelIndex>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ModelIndex {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    #[prost(string, tag = "3")]
    pub(super) state: String,
    #[prost(string, tag = "4")]
    pub(super) reason: String,
}

/// `RepositoryModelLoadRequest` and `RepositoryModelUnloadRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RepositoryModelRequest {
    #[prost(string, tag = "1")]
    pub(super) repository_name: String,
    #[prost(string, tag = "2")]
    pub(super) model_name: String,
    #[prost(btree_map = "string, message", tag = "3")]
    pub(super) parameters: BTreeMap<String, RepositoryParameter>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RepositoryParameter {
    #[prost(oneof = "RepositoryParameterChoice", tags = "1, 2, 3, 4")]
    pub(super) parameter_choice: Option<RepositoryParameterChoice>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum RepositoryParameterChoice {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bytes = "bytes", tag = "4")]
    Bytes(Bytes),
}

/// A request for inference, for tests. `request` reads those of callers.
#[cfg(any(test, fuzzing))]
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub(super) model_name: String,
    #[prost(string, tag = "2")]
    pub(super) model_version: String,
    #[prost(string, tag = "3")]
    pub(super) id: String,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(super) parameters: BTreeMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub(super) inputs: Vec<InferTensor>,
    #[prost(message, repeated, tag = "6")]
    pub(super) outputs: Vec<RequestedOutput>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) raw_input_contents: Vec<Bytes>,
}

#[cfg(any(test, fuzzing))]
#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestedOutput {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(super) parameters: BTreeMap<String, InferParameter>,
}
