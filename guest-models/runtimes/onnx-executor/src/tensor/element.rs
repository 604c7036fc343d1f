//! The types of elements.

use std::fmt;
use std::sync::Arc;

use half::{bf16, f16};
use wardian_sdk::Datatype;

/// An element of a tensor of strings. Cheap to clone.
pub type Text = Arc<str>;

/// A Rust type that is an element of tensors.
pub trait Element: Clone + Default + PartialEq + Send + Sync + 'static {
    /// The element type.
    const TYPE: ElementType;

    /// Wraps values.
    fn wrap(values: Vec<Self>) -> Data;

    /// Returns the values, if they are of this type.
    fn values(data: &Data) -> Option<&[Self]>;

    /// Unwraps the values, if they are of this type.
    fn unwrap(data: Data) -> Option<Vec<Self>>;
}

macro_rules! elements {
    ($($variant:ident($rust:ty) = $code:literal, $name:literal, $datatype:ident, $size:literal;)*) => {
        /// The type of a tensor's elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ElementType {
            $(
                #[doc = $name]
                $variant,
            )*
        }

        /// The elements of a tensor, in row-major order.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Data {
            $(
                #[doc = $name]
                $variant(Vec<$rust>),
            )*
        }

        $(impl Element for $rust {
            const TYPE: ElementType = ElementType::$variant;

            fn wrap(values: Vec<Self>) -> Data {
                Data::$variant(values)
            }

            fn values(data: &Data) -> Option<&[Self]> {
                match data {
                    Data::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn unwrap(data: Data) -> Option<Vec<Self>> {
                match data {
                    Data::$variant(values) => Some(values),
                    _ => None,
                }
            }
        })*

        impl ElementType {
            /// Returns the type with this number in an ONNX file, if it is one that is served.
            pub fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns ONNX's own name: `float`, `int64`, `string`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the datatype of requests and responses.
            pub fn datatype(self) -> Datatype {
                match self {
                    $(Self::$variant => Datatype::$datatype,)*
                }
            }

            /// Returns the bytes of an element in a file; 0 for strings, which are not of one size.
            pub fn size(self) -> usize {
                match self {
                    $(Self::$variant => $size,)*
                }
            }
        }

        impl Data {
            /// Returns the type of the elements.
            pub fn element_type(&self) -> ElementType {
                match self {
                    $(Self::$variant(_) => ElementType::$variant,)*
                }
            }

            /// Returns the number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(values) => values.len(),)*
                }
            }
        }

        /// Evaluates an expression with the values of [`Data`], whatever their type.
        macro_rules! with_values {
            ($data:expr, $values:ident => $body:expr) => {
                match $data {
                    $($crate::tensor::Data::$variant($values) => $body,)*
                }
            };
        }
        pub(crate) use with_values;
    };
}

elements! {
    F32(f32) = 1, "float", Fp32, 4;
    U8(u8) = 2, "uint8", Uint8, 1;
    I8(i8) = 3, "int8", Int8, 1;
    U16(u16) = 4, "uint16", Uint16, 2;
    I16(i16) = 5, "int16", Int16, 2;
    I32(i32) = 6, "int32", Int32, 4;
    I64(i64) = 7, "int64", Int64, 8;
    Text(Text) = 8, "string", Bytes, 0;
    Bool(bool) = 9, "bool", Bool, 1;
    F16(f16) = 10, "float16", Fp16, 2;
    F64(f64) = 11, "double", Fp64, 8;
    U32(u32) = 12, "uint32", Uint32, 4;
    U64(u64) = 13, "uint64", Uint64, 8;
    Bf16(bf16) = 16, "bfloat16", Bf16, 2;
}

// === impl ElementType ===

impl ElementType {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::F32,
        Self::F64,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
        Self::U64,
        Self::U32,
        Self::U16,
        Self::U8,
        Self::Bool,
        Self::Text,
        Self::F16,
        Self::Bf16,
    ];
    /// Numbers that are computed with.
    pub const NUMBERS: &'static [Self] = &[
        Self::F32,
        Self::F64,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
        Self::U64,
        Self::U32,
        Self::U16,
        Self::U8,
    ];
    /// Floating point numbers that are computed with.
    pub const FLOATS: &'static [Self] = &[Self::F32, Self::F64];
    /// Numbers of 32 and 64 bits: those that most operators of ai.onnx.ml take.
    pub const COMMON_NUMBERS: &'static [Self] = &[Self::F32, Self::F64, Self::I64, Self::I32];
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
