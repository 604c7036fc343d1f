//! Inputs: their declarations, and their tensors in a request.

use std::sync::Arc;

use half::{bf16, f16};
use wardian_sdk::{Element, Error, OrError, Request};

use crate::graph::GraphInput;
use crate::proto::{GraphProto, TensorTypeProto, ValueInfoProto};
use crate::tensor::{Data, ElementType, Shape, Tensor, Text, collect};
use crate::value_type::ValueType;

/// The version of ONNX's format in which every constant has to be listed as an input too.
const CONSTANTS_ARE_INPUTS: i64 = 3;

/// An input of a model.
pub(crate) struct ModelInput {
    /// The name.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// The extents; -1 for any.
    pub shape: Vec<i64>,
    /// The value if a request does not have it.
    pub default: Option<Tensor>,
}

/// Reads the inputs of a graph. One that has an initializer may be left out; in files of IR version
/// 3 it is a constant and no input.
///
/// # Errors
/// Failed if one is no tensor, is of a type that is not served, or has no shape.
pub(super) fn read(graph: &GraphProto, ir_version: i64) -> Result<Vec<ModelInput>, Error> {
    let mut inputs = Vec::new();
    for input in &graph.input {
        let initializer = graph.initializer.iter().find(|tensor| tensor.name == input.name);
        if ir_version == CONSTANTS_ARE_INPUTS && initializer.is_some() {
            continue;
        }
        let default = initializer.map(Tensor::read).transpose()?;
        let (element, shape) =
            declared(input).or_failed(format_args!("the input '{}'", input.name))?;
        if default.as_ref().is_some_and(|default| default.element_type() != element) {
            let text = format!("the input '{}' has an initializer of another type", input.name);
            return Err(Error::failed(text));
        }
        inputs.push(ModelInput { name: input.name.clone(), element, shape, default });
    }
    Ok(inputs)
}

fn declared(input: &ValueInfoProto) -> Result<(ElementType, Vec<i64>), Error> {
    let tensor = input.r#type.as_ref().and_then(|declared| declared.tensor_type.as_ref());
    let tensor = tensor.or_failed(
        "is no tensor, and only tensors are served; convert the model with one input for each column",
    )?;
    let element = ElementType::from_code(tensor.elem_type.into())
        .or_failed(format_args!("has elements of ONNX's type {}, not served", tensor.elem_type))?;
    let shape = shape(tensor).or_failed("has no shape; convert the model with shapes of inputs")?;
    Ok((element, shape))
}

/// Returns the extents of a declaration, -1 for those that vary.
pub(super) fn shape(tensor: &TensorTypeProto) -> Option<Vec<i64>> {
    let dimensions = &tensor.shape.as_ref()?.dim;
    let extent = |value: Option<i64>| value.filter(|extent| *extent > 0).unwrap_or(-1);
    Some(dimensions.iter().map(|dimension| extent(dimension.dim_value)).collect())
}

// === impl ModelInput ===

impl ModelInput {
    /// Returns the input for the compiler.
    pub(super) fn graph_input(&self) -> GraphInput {
        GraphInput { name: self.name.clone(), value_type: ValueType::Tensor(self.element) }
    }

    /// Returns true if the first dimension varies: it has rows.
    pub(super) fn has_rows(&self) -> bool {
        self.shape.first() == Some(&-1)
    }

    /// Returns the tensor of a request. Numbers equal to `missing` become NaN.
    ///
    /// # Errors
    /// Rejected if there is none, it is of another type, or a text is not UTF-8.
    pub(super) fn tensor(&self, request: &Request, missing: Option<f64>) -> Result<Tensor, Error> {
        match (request.find_input(&self.name), &self.default) {
            (None, Some(default)) => Ok(default.clone()),
            _ => tensor(self.element, request.input(&self.name)?, missing),
        }
    }
}

fn tensor(
    element: ElementType,
    given: &wardian_sdk::Tensor,
    missing: Option<f64>,
) -> Result<Tensor, Error> {
    let extents = given.shape.iter().map(|extent| usize::try_from(*extent));
    let extents: Result<Vec<_>, _> = extents.collect();
    let shape = Shape::new(&extents.or_rejected(format_args!("the shape of {:?}", given.name))?)?;
    let data = match element {
        ElementType::F32 => {
            Data::F32(floats(given, missing.map(|missing| missing as f32), f32::NAN)?)
        }
        ElementType::F64 => Data::F64(floats(given, missing, f64::NAN)?),
        ElementType::I64 => Data::I64(given.view()?.to_vec()),
        ElementType::I32 => Data::I32(given.view()?.to_vec()),
        ElementType::I16 => Data::I16(given.view()?.to_vec()),
        ElementType::I8 => Data::I8(given.view()?.to_vec()),
        ElementType::U64 => Data::U64(given.view()?.to_vec()),
        ElementType::U32 => Data::U32(given.view()?.to_vec()),
        ElementType::U16 => Data::U16(given.view()?.to_vec()),
        ElementType::U8 => Data::U8(given.view()?.to_vec()),
        ElementType::Bool => Data::Bool(given.view()?.to_vec()),
        ElementType::Text => Data::Text(texts(given)?),
        ElementType::F16 => Data::F16(collect(halves(given, element)?.map(f16::from_bits))?),
        ElementType::Bf16 => Data::Bf16(collect(halves(given, element)?.map(bf16::from_bits))?),
    };
    Tensor::from_data(shape, data)
}

fn floats<T: Element + PartialEq>(
    given: &wardian_sdk::Tensor,
    missing: Option<T>,
    nan: T,
) -> Result<Vec<T>, Error> {
    let values = given.view::<T>()?;
    Ok(match missing {
        None => values.to_vec(),
        Some(missing) => {
            values.iter().map(|value| if value == missing { nan } else { value }).collect()
        }
    })
}

fn texts(given: &wardian_sdk::Tensor) -> Result<Vec<Text>, Error> {
    Ok(given.strings()?.into_iter().map(Arc::from).collect())
}

/// The bits of numbers of 16 bits.
fn halves(
    given: &wardian_sdk::Tensor,
    element: ElementType,
) -> Result<impl ExactSizeIterator<Item = u16>, Error> {
    if given.datatype != element.datatype() {
        let text = format!(
            "{:?} is of datatype {}, not {}",
            given.name,
            given.datatype,
            element.datatype()
        );
        return Err(Error::rejected(text));
    }
    Ok(given.data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes)))
}
