//! Conversions between the types of the WIT interfaces and those of the host.

use super::types;
use crate::model::{
    Datatype, InferRequest, InferResponse, Metadata, Parameter, ParameterValue, Tensor, TensorSpec,
};

impl From<Datatype> for types::Datatype {
    fn from(datatype: Datatype) -> Self {
        match datatype {
            Datatype::Bool => types::Datatype::Bool,
            Datatype::Uint8 => types::Datatype::Uint8,
            Datatype::Uint16 => types::Datatype::Uint16,
            Datatype::Uint32 => types::Datatype::Uint32,
            Datatype::Uint64 => types::Datatype::Uint64,
            Datatype::Int8 => types::Datatype::Int8,
            Datatype::Int16 => types::Datatype::Int16,
            Datatype::Int32 => types::Datatype::Int32,
            Datatype::Int64 => types::Datatype::Int64,
            Datatype::Fp16 => types::Datatype::Fp16,
            Datatype::Bf16 => types::Datatype::Bf16,
            Datatype::Fp32 => types::Datatype::Fp32,
            Datatype::Fp64 => types::Datatype::Fp64,
            Datatype::Bytes => types::Datatype::Bytes,
        }
    }
}

impl From<types::Datatype> for Datatype {
    fn from(datatype: types::Datatype) -> Self {
        match datatype {
            types::Datatype::Bool => Datatype::Bool,
            types::Datatype::Uint8 => Datatype::Uint8,
            types::Datatype::Uint16 => Datatype::Uint16,
            types::Datatype::Uint32 => Datatype::Uint32,
            types::Datatype::Uint64 => Datatype::Uint64,
            types::Datatype::Int8 => Datatype::Int8,
            types::Datatype::Int16 => Datatype::Int16,
            types::Datatype::Int32 => Datatype::Int32,
            types::Datatype::Int64 => Datatype::Int64,
            types::Datatype::Fp16 => Datatype::Fp16,
            types::Datatype::Bf16 => Datatype::Bf16,
            types::Datatype::Fp32 => Datatype::Fp32,
            types::Datatype::Fp64 => Datatype::Fp64,
            types::Datatype::Bytes => Datatype::Bytes,
        }
    }
}

impl From<Parameter> for types::Parameter {
    fn from(parameter: Parameter) -> Self {
        let value = match parameter.value {
            ParameterValue::Boolean(value) => types::ParameterValue::Boolean(value),
            ParameterValue::Integer(value) => types::ParameterValue::Integer(value),
            ParameterValue::Number(value) => types::ParameterValue::Number(value),
            ParameterValue::Text(value) => types::ParameterValue::Text(value),
        };
        types::Parameter { name: parameter.name, value }
    }
}

impl From<types::Parameter> for Parameter {
    fn from(parameter: types::Parameter) -> Self {
        let value = match parameter.value {
            types::ParameterValue::Boolean(value) => ParameterValue::Boolean(value),
            types::ParameterValue::Integer(value) => ParameterValue::Integer(value),
            types::ParameterValue::Number(value) => ParameterValue::Number(value),
            types::ParameterValue::Text(value) => ParameterValue::Text(value),
        };
        Parameter { name: parameter.name, value }
    }
}

impl From<Tensor> for types::Tensor {
    fn from(tensor: Tensor) -> Self {
        types::Tensor {
            name: tensor.name,
            datatype: tensor.datatype.into(),
            shape: tensor.shape,
            data: tensor.data,
        }
    }
}

impl From<types::Tensor> for Tensor {
    fn from(tensor: types::Tensor) -> Self {
        Tensor {
            name: tensor.name,
            datatype: tensor.datatype.into(),
            shape: tensor.shape,
            data: tensor.data,
        }
    }
}

impl From<types::TensorSpec> for TensorSpec {
    fn from(spec: types::TensorSpec) -> Self {
        TensorSpec {
            name: spec.name,
            datatype: spec.datatype.into(),
            shape: spec.shape,
            optional: spec.optional,
        }
    }
}

impl From<types::Metadata> for Metadata {
    fn from(metadata: types::Metadata) -> Self {
        Metadata {
            description: metadata.description,
            inputs: into_all(metadata.inputs),
            outputs: into_all(metadata.outputs),
            max_batch_size: metadata.max_batch_size,
            properties: metadata.properties.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<types::Request> for InferRequest {
    fn from(request: types::Request) -> Self {
        InferRequest {
            id: request.id,
            parameters: into_all(request.parameters),
            inputs: into_all(request.inputs),
            outputs: request.outputs,
            ..InferRequest::default()
        }
    }
}

impl From<InferResponse> for types::Response {
    fn from(response: InferResponse) -> Self {
        types::Response {
            parameters: into_all(response.parameters),
            outputs: into_all(response.outputs),
        }
    }
}

impl From<InferRequest> for types::Request {
    fn from(request: InferRequest) -> Self {
        types::Request {
            id: request.id,
            parameters: into_all(request.parameters),
            inputs: into_all(request.inputs),
            outputs: request.outputs,
        }
    }
}

impl From<types::Response> for InferResponse {
    fn from(response: types::Response) -> Self {
        InferResponse {
            parameters: into_all(response.parameters),
            outputs: into_all(response.outputs),
        }
    }
}

fn into_all<A, B: From<A>>(items: Vec<A>) -> Vec<B> {
    items.into_iter().map(B::from).collect()
}
