//! Tensors, and how far they may differ.

use half::{bf16, f16};

/// A tensor as a request has it, with its elements in the protocol's binary format.
pub(super) struct Tensor {
    pub(super) datatype: String,
    pub(super) shape: Vec<i64>,
    pub(super) data: Vec<u8>,
}

/// The largest differences of numbers with a fraction.
#[derive(Clone, Copy)]
pub(super) struct Tolerance {
    relative: f64,
    absolute: f64,
}

impl Tolerance {
    /// Reads a file with the relative and the absolute one.
    pub(super) fn read(file: &[u8]) -> Self {
        let text = str::from_utf8(file).unwrap();
        let numbers: Vec<f64> =
            text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [relative, absolute] = numbers[..] else { panic!("not two numbers: {text}") };
        Tolerance { relative, absolute: absolute.max(1e-6) }
    }

    /// The tolerance for a datatype. Numbers of 16 bits may be rounded the other way.
    fn of(self, datatype: &str) -> Self {
        let relative = match datatype {
            "FP16" => self.relative.max(4e-3),
            "BF16" => self.relative.max(2e-2),
            _ => self.relative,
        };
        Tolerance { relative, ..self }
    }

    /// Returns true for the same value and, beside a finite one, for one that is near enough.
    fn allows(self, given: f64, wanted: f64) -> bool {
        let is_same = given == wanted || (given.is_nan() && wanted.is_nan());
        let near = self.absolute + self.relative * wanted.abs();
        is_same || (wanted.is_finite() && (given - wanted).abs() <= near)
    }
}

impl Tensor {
    /// Compares a given tensor with this one. Returns the first difference as an error. Values
    /// without a fraction must be equal.
    pub(super) fn compare(&self, given: &Tensor, tolerance: Tolerance) -> Result<(), String> {
        let kind = |tensor: &Tensor| format!("{} {:?}", tensor.datatype, tensor.shape);
        if kind(given) != kind(self) || given.data.len() != self.data.len() {
            return Err(format!("{} in place of {}", kind(given), kind(self)));
        }

        let Some((given_numbers, wanted)) = given.fractions().zip(self.fractions()) else {
            return if given.data == self.data { Ok(()) } else { Err("another value".into()) };
        };
        let tolerance = tolerance.of(&self.datatype);
        let mut pairs = given_numbers.into_iter().zip(wanted);
        let difference = pairs.find(|(given, wanted)| !tolerance.allows(*given, *wanted));
        difference.map_or(Ok(()), |(given, wanted)| Err(format!("{given} in place of {wanted}")))
    }

    /// Returns numbers with a fraction; `None` for values of other types.
    fn fractions(&self) -> Option<Vec<f64>> {
        match self.datatype.as_str() {
            "FP32" => Some(numbers(&self.data, |bytes| f32::from_le_bytes(bytes).into())),
            "FP64" => Some(numbers(&self.data, f64::from_le_bytes)),
            "FP16" => Some(numbers(&self.data, |bytes| f16::from_le_bytes(bytes).to_f64())),
            "BF16" => Some(numbers(&self.data, |bytes| bf16::from_le_bytes(bytes).to_f64())),
            _ => None,
        }
    }
}

fn numbers<const N: usize>(data: &[u8], decode: fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|bytes| decode(*bytes)).collect()
}
