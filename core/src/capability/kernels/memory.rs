//! Slices of a guest's memory.

use std::ops::Range;

use wardian_kernels::bytes::{Number, as_numbers, as_numbers_mut};

use super::bindings::wardian::kernels::arithmetic::{Buffer, Failure};

/// A guest's memory without the range that an output takes.
pub(super) struct Inputs<'m> {
    before: &'m [u8],
    after: &'m [u8],
    output: Range<usize>,
}

/// Takes the range of the output out of a guest's memory.
pub(super) fn split(memory: &mut [u8], output: Buffer) -> Result<(&mut [u8], Inputs<'_>), Failure> {
    let output = range(output, memory.len(), "the output")?;
    let (before, rest) = memory.split_at_mut(output.start);
    let (bytes, after) = rest.split_at_mut(output.len());
    Ok((bytes, Inputs { before, after, output }))
}

/// Returns an output as numbers.
pub(super) fn output_numbers<T: Number>(bytes: &mut [u8]) -> Result<&mut [T], Failure> {
    as_numbers_mut(bytes).ok_or_else(|| not_numbers("the output"))
}

impl<'m> Inputs<'m> {
    /// Returns the bytes of an input.
    pub(super) fn bytes(&self, buffer: Buffer, name: &str) -> Result<&'m [u8], Failure> {
        let size = self.output.end + self.after.len();
        let range = range(buffer, size, name)?;

        if range.is_empty() {
            return Ok(&[]);
        }
        if range.end <= self.output.start {
            return Ok(&self.before[range]);
        }
        if range.start >= self.output.end {
            return Ok(&self.after[range.start - self.output.end..range.end - self.output.end]);
        }
        Err(Failure::Invalid(format!("{name} and the output overlap")))
    }

    /// Returns an input as numbers.
    pub(super) fn numbers<T: Number>(
        &self,
        buffer: Buffer,
        name: &str,
    ) -> Result<&'m [T], Failure> {
        as_numbers(self.bytes(buffer, name)?).ok_or_else(|| not_numbers(name))
    }

    /// Returns an input as numbers; none if there is no such input.
    pub(super) fn optional<T: Number>(
        &self,
        buffer: Option<Buffer>,
        name: &str,
    ) -> Result<&'m [T], Failure> {
        buffer.map_or(Ok(&[]), |buffer| self.numbers(buffer, name))
    }
}

/// Returns the range of a buffer in a memory of that size.
fn range(buffer: Buffer, size: usize, name: &str) -> Result<Range<usize>, Failure> {
    let start = u64::from(buffer.address);
    let end = start + u64::from(buffer.length);

    if end > size as u64 {
        let text = format!("{name} ends at byte {end}, and the memory at byte {size}");
        return Err(Failure::Invalid(text));
    }
    Ok(start as usize..end as usize)
}

fn not_numbers(name: &str) -> Failure {
    Failure::Invalid(format!("{name} is not aligned to its numbers, or not a whole number of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(address: u32, length: u32) -> Buffer {
        Buffer { address, length }
    }

    fn text<T>(result: Result<T, Failure>) -> String {
        match result.map(drop) {
            Err(Failure::Invalid(text)) => text,
            Err(Failure::NotGranted) => "not granted".into(),
            Ok(()) => String::new(),
        }
    }

    #[test]
    fn an_input_lies_on_either_side_of_the_output() {
        let mut memory: Vec<u8> = (0..100).collect();
        let (output, inputs) = split(&mut memory, buffer(20, 30)).unwrap();
        assert_eq!(output.first(), Some(&20));
        assert_eq!(output.len(), 30);
        assert_eq!(inputs.bytes(buffer(10, 10), "a").unwrap()[0], 10);
        assert_eq!(inputs.bytes(buffer(50, 50), "a").unwrap()[0], 50);
        assert!(inputs.bytes(buffer(30, 0), "a").unwrap().is_empty());
    }

    #[test]
    fn an_input_that_overlaps_the_output_is_refused() {
        let mut memory = vec![0_u8; 100];
        let (_, inputs) = split(&mut memory, buffer(20, 30)).unwrap();
        for overlapping in [(0, 21), (49, 1), (0, 100), (20, 30), (30, 4)] {
            let text = text(inputs.bytes(buffer(overlapping.0, overlapping.1), "left"));
            assert_eq!(text, "left and the output overlap", "{overlapping:?}");
        }
    }

    #[test]
    fn a_buffer_outside_of_the_memory_is_refused() {
        let mut memory = vec![0_u8; 100];
        for outside in [(0, 101), (101, 0), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            let text = text(split(&mut memory, buffer(outside.0, outside.1)));
            assert!(text.contains("the memory at byte 100"), "{outside:?}: {text}");
        }

        let (_, inputs) = split(&mut memory, buffer(90, 10)).unwrap();
        assert!(text(inputs.bytes(buffer(100, 1), "left")).starts_with("left ends at byte 101"));
    }

    #[test]
    fn numbers_are_aligned() {
        let mut memory = vec![0_u8; 104];
        let aligned = memory.as_ptr().align_offset(4) as u32;
        let (output, inputs) = split(&mut memory, buffer(aligned, 8)).unwrap();
        assert_eq!(output_numbers::<f32>(output).map(|numbers| numbers.len()).unwrap(), 2);

        let numbers = |address, length| inputs.numbers::<f32>(buffer(address, length), "left");
        assert_eq!(numbers(aligned + 8, 8).unwrap().len(), 2);
        assert!(text(numbers(aligned + 9, 8)).contains("left is not aligned"));
        assert!(text(numbers(aligned + 8, 7)).contains("left is not aligned"));
        assert!(inputs.optional::<i32>(None, "bias").unwrap().is_empty());
    }
}
