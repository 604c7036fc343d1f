//! Tensors.

use super::Datatype;

/// A named, typed, dense array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name of the input or output.
    pub name: String,
    /// Datatype of the elements.
    pub datatype: Datatype,
    /// Elements along each dimension; empty for a scalar.
    pub shape: Vec<u64>,
    /// Elements: little-endian, row-major, no padding. An element of `BYTES` has a 32-bit length
    /// prefix; one of `BOOL` is one byte, 0 or 1.
    pub data: Vec<u8>,
}

/// Limit of dimensions. NumPy allows 64; 32 have never been needed.
pub const MAX_DIMENSIONS: usize = 32;

impl Tensor {
    /// Returns the product of the dimensions; `None` if it overflows.
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, &dimension| product.checked_mul(dimension))
    }

    /// Checks that shape, datatype and data agree. Fails with the difference.
    pub fn check(&self) -> Result<(), String> {
        if self.shape.len() > MAX_DIMENSIONS {
            return Err(format!(
                "it has {} dimensions; at most {MAX_DIMENSIONS} are allowed",
                self.shape.len()
            ));
        }

        let elements =
            self.elements().ok_or_else(|| format!("its shape {:?} is too large", self.shape))?;

        match self.datatype.size() {
            Some(size) => self.check_fixed(elements, size),
            None => self.check_bytes(elements),
        }
    }

    fn check_fixed(&self, elements: u64, size: u64) -> Result<(), String> {
        let actual = self.data.len() as u64;
        if elements.checked_mul(size) != Some(actual) {
            return Err(format!(
                "its shape {:?} of {} takes {elements} elements of {size} bytes, but its data has {actual} bytes",
                self.shape, self.datatype
            ));
        }

        if self.datatype == Datatype::Bool && self.data.iter().any(|&byte| byte > 1) {
            return Err("a BOOL is one byte, 0 or 1, and its data has another".into());
        }

        Ok(())
    }

    fn check_bytes(&self, elements: u64) -> Result<(), String> {
        let mut count = 0u64;
        for element in bytes_elements(&self.data) {
            element?;
            count += 1;
        }

        if count != elements {
            return Err(format!(
                "its shape {:?} takes {elements} BYTES elements, but its data has {count}",
                self.shape
            ));
        }

        Ok(())
    }
}

/// Iterates over the elements of `BYTES` data. A length beyond the end yields an error and ends the
/// iteration.
pub fn bytes_elements(data: &[u8]) -> impl Iterator<Item = Result<&[u8], String>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }

        let element = split_element(rest);
        rest = element.map_or(&[], |(_, after)| after);
        Some(
            element
                .map(|(content, _)| content)
                .ok_or_else(|| "a BYTES element runs past the end of its data".into()),
        )
    })
}

fn split_element(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Appends an element to `BYTES` data. Fails if it is longer than 4 GiB.
pub fn push_bytes_element(data: &mut Vec<u8>, element: &[u8]) -> Result<(), String> {
    let length = u32::try_from(element.len())
        .map_err(|_| "a BYTES element is longer than 4 GiB".to_string())?;
    data.extend_from_slice(&length.to_le_bytes());
    data.extend_from_slice(element);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(datatype: Datatype, shape: &[u64], data: &[u8]) -> Tensor {
        Tensor { name: "x".into(), datatype, shape: shape.into(), data: data.into() }
    }

    #[test]
    fn shape_and_data_must_agree() {
        assert!(tensor(Datatype::Fp32, &[2], &[0; 8]).check().is_ok());
        assert!(tensor(Datatype::Fp32, &[], &[0; 4]).check().is_ok());
        assert!(tensor(Datatype::Fp32, &[0], &[]).check().is_ok());
        assert!(tensor(Datatype::Fp32, &[2], &[0; 7]).check().is_err());
        assert!(tensor(Datatype::Fp64, &[1 << 40, 1 << 40], &[]).check().is_err());
        assert!(tensor(Datatype::Fp64, &[1 << 62], &[]).check().is_err());
        assert!(tensor(Datatype::Bool, &[1], &[2]).check().is_err());
        assert!(tensor(Datatype::Uint8, &[1; 33], &[0]).check().is_err());
    }

    #[test]
    fn bytes_elements_carry_their_own_length() {
        let mut data = Vec::new();
        push_bytes_element(&mut data, b"ab").unwrap();
        push_bytes_element(&mut data, b"").unwrap();
        assert!(tensor(Datatype::Bytes, &[2], &data).check().is_ok());
        assert!(tensor(Datatype::Bytes, &[3], &data).check().is_err());
        assert!(tensor(Datatype::Bytes, &[1], &[9, 0, 0, 0, 1]).check().is_err());
        assert!(tensor(Datatype::Bytes, &[1], &[9, 0]).check().is_err());
    }
}
