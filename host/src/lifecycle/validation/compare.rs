//! Comparison of an output with the expected one.

use half::{bf16, f16};

use crate::model::{Datatype, Tensor};

/// Allowed difference from an expected number: `absolute`, plus `relative` times that number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// As a fraction of the expected number.
    pub relative: f64,
    /// In the unit of the number.
    pub absolute: f64,
}

/// Compares an output with the expected one. Fails with the first difference.
pub(super) fn compare(
    expected: &Tensor,
    actual: &Tensor,
    tolerance: &Tolerance,
) -> Result<(), String> {
    let name = &expected.name;
    if (expected.datatype, &expected.shape) != (actual.datatype, &actual.shape) {
        return Err(format!(
            "output '{name}' is {} of shape {:?}, expected {} of shape {:?}",
            actual.datatype, actual.shape, expected.datatype, expected.shape
        ));
    }
    let (Some(wanted), Some(found)) = (float_values(expected), float_values(actual)) else {
        let same = expected.data == actual.data;
        return if same {
            Ok(())
        } else {
            Err(format!("output '{name}' differs from what is expected"))
        };
    };

    let differs =
        wanted.iter().zip(&found).position(|(&wanted, &found)| !tolerance.allows(wanted, found));
    match differs {
        Some(index) => Err(format!(
            "output '{name}' has {} at {index}, expected {}",
            found[index], wanted[index]
        )),
        None => Ok(()),
    }
}

impl Tolerance {
    fn allows(&self, wanted: f64, found: f64) -> bool {
        let same = wanted == found || (wanted.is_nan() && found.is_nan());
        let bound = self.absolute + self.relative * wanted.abs();
        same || (wanted - found).abs() <= bound && bound.is_finite()
    }
}

/// The elements of a floating-point tensor; `None` for other datatypes, which are compared byte by
/// byte.
fn float_values(tensor: &Tensor) -> Option<Vec<f64>> {
    let data = &tensor.data;
    Some(match tensor.datatype {
        Datatype::Fp16 => read_floats(data, |bytes| f16::from_le_bytes(bytes).into()),
        Datatype::Bf16 => read_floats(data, |bytes| bf16::from_le_bytes(bytes).into()),
        Datatype::Fp32 => read_floats(data, |bytes| f32::from_le_bytes(bytes).into()),
        Datatype::Fp64 => read_floats(data, f64::from_le_bytes),
        _ => return None,
    })
}

fn read_floats<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks().0.iter().copied().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f64]) -> Tensor {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor {
            name: "y".into(),
            datatype: Datatype::Fp64,
            shape: vec![values.len() as u64],
            data,
        }
    }

    #[test]
    fn numbers_may_differ_within_the_tolerance() {
        let tolerance = Tolerance { relative: 1e-6, absolute: 0.0 };
        let check =
            |wanted: f64, found: f64| compare(&tensor(&[wanted]), &tensor(&[found]), &tolerance);
        assert!(check(100.0, 100.00005).is_ok());
        assert!(check(100.0, 100.001).unwrap_err().contains("expected 100"));
        assert!(check(f64::NAN, f64::NAN).is_ok());
        assert!(check(1.0, f64::NAN).is_err());
        assert!(check(1.0, f64::INFINITY).is_err());
        assert!(compare(&tensor(&[1.0]), &tensor(&[1.0, 1.0]), &tolerance).is_err());
    }
}
