//! The classification extension: the largest elements of an output, each as `value:index[:label]`.

use std::borrow::Cow;
use std::cmp::Ordering;

use half::{bf16, f16};

use super::output_selection::OutputSelection;
use crate::api::class_names::class_names;
use crate::api::json::{EXPANSION, shorten, write_float, write_integer};
use crate::model::{Datatype, InferError, InferResponse, Metadata, Tensor, push_bytes_element};
use crate::tenant::Pacer;

/// Limit of classes for each item, which bounds the memory of the ranking.
const MAX_CLASSES: u64 = 10_000;

/// Elements between two checkpoints.
const STEP: usize = 4096;

/// Returns a response in which the largest elements replace each output that is to be classified.
/// `limit` is the model's limit of a response in bytes. Fails if the texts exceed it by far.
pub(in crate::api) fn classify<'r>(
    metadata: &Metadata,
    limit: u64,
    response: &'r InferResponse,
    selection: &OutputSelection,
    pacer: &Pacer,
) -> Result<Cow<'r, InferResponse>, InferError> {
    if !selection.has_classes() {
        return Ok(Cow::Borrowed(response));
    }

    let mut classifier = Classifier {
        is_batched: metadata.max_batch_size > 0,
        labels: class_names(metadata),
        limit: limit.saturating_mul(EXPANSION),
        written: 0,
        pacer,
    };
    let wanted = response.outputs.iter().filter(|tensor| selection.is_requested(&tensor.name));
    let outputs = wanted.map(|tensor| match selection.classes(&tensor.name) {
        Some(count) => classifier.classify(tensor, count.get()),
        None => Ok(tensor.clone()),
    });
    let outputs = outputs.collect::<Result<_, _>>()?;

    Ok(Cow::Owned(InferResponse { parameters: response.parameters.clone(), outputs }))
}

struct Classifier<'c> {
    /// True if the first dimension of every tensor is the batch.
    is_batched: bool,
    /// The names of the model's classes, in their order; may be empty.
    labels: Vec<String>,
    /// Limit of the texts of all outputs, in bytes.
    limit: u64,
    written: u64,
    pacer: &'c Pacer,
}

/// One item of a batch while it is ranked.
struct Item<'i> {
    /// The elements, as in the tensor.
    data: &'i [u8],
    /// The number of classes to return, at most the number of elements.
    count: usize,
    /// A label for each element, or none.
    labels: &'i [String],
}

impl Classifier<'_> {
    /// Returns the classes of an output: `[batch, count]`, or `[count]` for a model without
    /// batches.
    fn classify(&mut self, tensor: &Tensor, count: u64) -> Result<Tensor, InferError> {
        let (batch, item) = match tensor.shape.split_first() {
            Some((batch, item)) if self.is_batched => (Some(*batch), item),
            _ => (None, tensor.shape.as_slice()),
        };
        let elements = item.iter().try_fold(1u64, |all, &length| all.checked_mul(length));
        let elements = elements.unwrap_or(u64::MAX);
        let count = count.min(elements);
        if count > MAX_CLASSES {
            return Err(too_many(tensor, elements));
        }

        let data = if count == 0 { Vec::new() } else { self.write_items(tensor, elements, count)? };
        let shape = batch.into_iter().chain([count]).collect();

        Ok(Tensor { name: tensor.name.clone(), datatype: Datatype::Bytes, shape, data })
    }

    /// Returns the texts of all items of a tensor, `elements` each.
    fn write_items(
        &mut self,
        tensor: &Tensor,
        elements: u64,
        count: u64,
    ) -> Result<Vec<u8>, InferError> {
        let size = elements.saturating_mul(tensor.datatype.size().unwrap_or(1));
        let has_labels = self.labels.len() as u64 == elements;
        let labels = if has_labels { self.labels.as_slice() } else { &[] };
        let mut data = Vec::new();

        for bytes in tensor.data.chunks(usize::try_from(size).unwrap_or(usize::MAX)) {
            let item = Item { data: bytes, count: count as usize, labels };
            item.write(tensor.datatype, &mut data, self.pacer)?;

            if self.written.saturating_add(data.len() as u64) > self.limit {
                return Err(InferError::ResponseTooLarge { limit: self.limit });
            }
        }

        self.written += data.len() as u64;
        Ok(data)
    }
}

fn too_many(tensor: &Tensor, elements: u64) -> InferError {
    let name = shorten(&tensor.name);
    InferError::InvalidInput(format!(
        "output '{name}' has {elements} classes, and 'classification' returns at most {MAX_CLASSES}"
    ))
}

impl Item<'_> {
    /// Appends the texts of the largest elements, the largest first.
    fn write(
        &self,
        datatype: Datatype,
        out: &mut Vec<u8>,
        pacer: &Pacer,
    ) -> Result<(), InferError> {
        match datatype {
            Datatype::Uint8 => self.integers(out, pacer, u8::from_le_bytes),
            Datatype::Uint16 => self.integers(out, pacer, u16::from_le_bytes),
            Datatype::Uint32 => self.integers(out, pacer, u32::from_le_bytes),
            Datatype::Uint64 => self.integers(out, pacer, u64::from_le_bytes),
            Datatype::Int8 => self.integers(out, pacer, i8::from_le_bytes),
            Datatype::Int16 => self.integers(out, pacer, i16::from_le_bytes),
            Datatype::Int32 => self.integers(out, pacer, i32::from_le_bytes),
            Datatype::Int64 => self.integers(out, pacer, i64::from_le_bytes),
            Datatype::Fp16 => self.floats(out, pacer, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Datatype::Bf16 => self.floats(out, pacer, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Datatype::Fp32 => self.floats(out, pacer, f32::from_le_bytes),
            Datatype::Fp64 => self.floats(out, pacer, f64::from_le_bytes),
            // Requests for them are refused.
            Datatype::Bool | Datatype::Bytes => Ok(()),
        }
    }

    fn integers<const SIZE: usize, T: itoa::Integer + Ord + Copy>(
        &self,
        out: &mut Vec<u8>,
        pacer: &Pacer,
        decode: fn([u8; SIZE]) -> T,
    ) -> Result<(), InferError> {
        self.write_ranked(out, self.rank(decode, T::cmp, pacer)?, write_integer)
    }

    fn floats<const SIZE: usize, T: zmij::Float + PartialOrd + Into<f64> + Copy>(
        &self,
        out: &mut Vec<u8>,
        pacer: &Pacer,
        decode: fn([u8; SIZE]) -> T,
    ) -> Result<(), InferError> {
        self.write_ranked(out, self.rank(decode, compare_floats, pacer)?, write_any_float)
    }

    /// Returns the largest elements with their indices, the largest first, and of equal ones that
    /// with the lowest index.
    fn rank<const SIZE: usize, T: Copy>(
        &self,
        decode: fn([u8; SIZE]) -> T,
        compare: fn(&T, &T) -> Ordering,
        pacer: &Pacer,
    ) -> Result<Vec<(T, usize)>, InferError> {
        let order = |one: &(T, usize), other: &(T, usize)| {
            compare(&other.0, &one.0).then(one.1.cmp(&other.1))
        };
        let mut best = Vec::new();

        for (index, bytes) in self.data.as_chunks().0.iter().enumerate() {
            best.push((decode(*bytes), index));
            if best.len() > self.count.saturating_mul(2).max(STEP) {
                best.select_nth_unstable_by(self.count, order);
                best.truncate(self.count);
                pacer.checkpoint()?;
            }
        }

        best.sort_unstable_by(order);
        best.truncate(self.count);
        Ok(best)
    }

    fn write_ranked<T: Copy>(
        &self,
        out: &mut Vec<u8>,
        ranked: Vec<(T, usize)>,
        write: impl Fn(&mut Vec<u8>, T),
    ) -> Result<(), InferError> {
        let mut text = Vec::new();

        for (value, index) in ranked {
            text.clear();
            write(&mut text, value);
            text.push(b':');
            write_integer(&mut text, index);

            if let Some(label) = self.labels.get(index) {
                text.push(b':');
                text.extend_from_slice(label.as_bytes());
            }

            push_bytes_element(out, &text).map_err(InferError::BadOutput)?;
        }

        Ok(())
    }
}

/// Compares two floats. A NaN is less than every number.
fn compare_floats<T: PartialOrd>(one: &T, other: &T) -> Ordering {
    let is_number = |value: &T| value.partial_cmp(value).is_some();
    let order = one.partial_cmp(other);
    order.unwrap_or_else(|| is_number(one).cmp(&is_number(other)))
}

/// Appends a float, also one that is not finite, as C writes it.
fn write_any_float<T: zmij::Float + Into<f64> + Copy>(out: &mut Vec<u8>, value: T) {
    let wide: f64 = value.into();
    match wide {
        f64::INFINITY => out.extend_from_slice(b"inf"),
        f64::NEG_INFINITY => out.extend_from_slice(b"-inf"),
        _ if wide.is_nan() => out.extend_from_slice(b"nan"),
        _ => write_float(out, value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::output_selection::RequestedOutput;
    use super::*;
    use crate::model::{Parameter, ParameterValue, bytes_elements};

    fn metadata(max_batch_size: u32, classes: &str) -> Metadata {
        let value = ParameterValue::Text(classes.into());
        let properties = vec![Parameter { name: "classes".into(), value }].into();
        Metadata { max_batch_size, properties, ..Metadata::default() }
    }

    fn tensor(datatype: Datatype, shape: &[u64], data: Vec<u8>) -> Tensor {
        Tensor { name: "scores".into(), datatype, shape: shape.into(), data }
    }

    fn floats(shape: &[u64], elements: &[f32]) -> Tensor {
        let data = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        tensor(Datatype::Fp32, shape, data)
    }

    fn selection(count: u64) -> OutputSelection {
        let classes = std::num::NonZeroU64::new(count);
        let requested = RequestedOutput { name: "scores".into(), classes, ..Default::default() };
        OutputSelection { requested: vec![requested], ..OutputSelection::default() }
    }

    fn run(
        metadata: &Metadata,
        limit: u64,
        output: Tensor,
        count: u64,
    ) -> Result<Tensor, InferError> {
        let response = InferResponse { outputs: vec![output], ..InferResponse::default() };
        let pacer = Pacer::unmetered();
        let classified = classify(metadata, limit, &response, &selection(count), &pacer)?;
        Ok(classified.into_owned().outputs.remove(0))
    }

    fn texts(metadata: &Metadata, output: Tensor, count: u64) -> (Vec<u64>, Vec<String>) {
        let classified = run(metadata, 1 << 20, output, count).unwrap();
        assert_eq!(classified.check(), Ok(()));
        assert_eq!(classified.datatype, Datatype::Bytes);
        let texts = bytes_elements(&classified.data).map(|text| text.unwrap().to_vec());
        (classified.shape, texts.map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn each_item_of_a_batch_has_its_own_classes() {
        let output = || floats(&[2, 3], &[0.25, 0.5, 0.125, 10.0, -1.0, 3.5]);
        let named = metadata(8, r#"["cat", "dog", 7]"#);

        let (shape, found) = texts(&named, output(), 2);
        assert_eq!(shape, [2, 2]);
        assert_eq!(found, ["0.5:1:dog", "0.25:0:cat", "10.0:0:cat", "3.5:2:7"]);

        let (shape, found) = texts(&metadata(8, "[]"), output(), 1);
        assert_eq!((shape, found), (vec![2, 1], vec!["0.5:1".into(), "10.0:0".into()]));

        // Without batches, the tensor is one item of six classes, which the three names do not fit.
        let (shape, found) = texts(&metadata(0, r#"["cat", "dog", 7]"#), output(), 2);
        assert_eq!((shape, found), (vec![2], vec!["10.0:3".into(), "3.5:5".into()]));
    }

    #[test]
    fn more_classes_than_there_are_give_all() {
        for count in [3, 4, u64::MAX] {
            let (shape, found) = texts(&metadata(0, ""), floats(&[3], &[1.0, 3.0, 2.0]), count);
            assert_eq!((shape, found.join(" ")), (vec![3], "3.0:1 2.0:2 1.0:0".into()));
        }

        for (shape, classified) in [(&[0, 3][..], [0, 3]), (&[4, 0], [4, 0])] {
            assert_eq!(texts(&metadata(8, ""), floats(shape, &[]), 9), (classified.into(), vec![]));
        }

        let (shape, found) = texts(&metadata(8, ""), floats(&[2], &[1.0, 2.0]), 5);
        assert_eq!((shape, found.join(" ")), (vec![2, 1], "1.0:0 2.0:0".into()));
    }

    #[test]
    fn equal_scores_keep_their_order_and_nan_is_last() {
        let scores = [f32::NAN, 1.0, f32::NEG_INFINITY, 1.0, f32::INFINITY, f32::NAN];
        let (_, found) = texts(&metadata(0, ""), floats(&[6], &scores), 6);
        assert_eq!(found, ["inf:4", "1.0:1", "1.0:3", "-inf:2", "nan:0", "nan:5"]);

        let (_, found) = texts(&metadata(0, ""), floats(&[3], &[0.0, -0.0, 0.0]), 2);
        assert_eq!(found, ["0.0:0", "-0.0:1"]);
    }

    #[test]
    fn integers_are_compared_in_their_datatype() {
        let large = [u64::MAX, u64::MAX - 1, 1].iter().flat_map(|x| x.to_le_bytes()).collect();
        let (_, found) = texts(&metadata(0, ""), tensor(Datatype::Uint64, &[3], large), 2);
        assert_eq!(found, ["18446744073709551615:0", "18446744073709551614:1"]);

        let signed = tensor(Datatype::Int8, &[3], vec![255, 127, 128]);
        assert_eq!(texts(&metadata(0, ""), signed, 3).1, ["127:1", "-1:0", "-128:2"]);

        let halves = [1.5f32, 2.5].iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let (_, found) = texts(&metadata(0, ""), tensor(Datatype::Fp16, &[2], halves), 1);
        assert_eq!(found, ["2.5:1"]);
    }

    #[test]
    fn texts_are_bounded() {
        let many = tensor(Datatype::Uint8, &[10_001], vec![0; 10_001]);
        let refused = run(&metadata(0, ""), 1 << 20, many.clone(), 10_001).unwrap_err();
        assert!(refused.to_string().contains("at most 10000"), "{refused}");
        assert_eq!(texts(&metadata(0, ""), many, 10_000).0, [10_000]);

        let long = format!("[{:?}]", "x".repeat(1000));
        let rows = tensor(Datatype::Uint8, &[100, 1], vec![0; 100]);
        let refused = run(&metadata(100, &long), 100, rows, 1).unwrap_err();
        assert!(matches!(refused, InferError::ResponseTooLarge { limit: 800 }), "{refused}");
    }

    proptest! {
        #[test]
        fn the_largest_elements_are_those_of_a_sort(
            scores in prop::collection::vec(-50i32..50, 1..20_000),
            count in 1u64..40,
        ) {
            let mut sorted: Vec<_> = scores.iter().enumerate().collect();
            sorted.sort_by_key(|(_, score)| -**score);
            let expected = sorted.iter().take(count as usize);
            let expected: Vec<_> = expected.map(|(index, score)| format!("{score}:{index}")).collect();

            let data = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            let output = tensor(Datatype::Int32, &[scores.len() as u64], data);
            prop_assert_eq!(texts(&metadata(0, ""), output, count).1, expected);
        }
    }
}
