//! NumPy's `.npy` files: one array each, of numbers, booleans or texts.

mod read;
mod write;

pub(super) use write::file;

/// An array in the order of its rows.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    /// Elements along each dimension.
    pub(super) shape: Vec<usize>,
    /// The elements as JSON. A number that is not finite is `None`.
    pub(super) elements: Vec<Option<String>>,
}

/// The first bytes of a file.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Returns elements as lists of JSON that are nested in a shape.
pub(super) fn nested<T: AsRef<str>>(shape: &[usize], elements: &[T]) -> String {
    let Some((&length, inner)) = shape.split_first() else {
        return elements.first().map(|element| element.as_ref().to_owned()).unwrap_or_default();
    };
    let size = elements.len().checked_div(length).unwrap_or_default().max(1);
    let items: Vec<_> = elements.chunks(size).map(|item| nested(inner, item)).collect();

    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by `numpy.save(file, numpy.array([[1, 2.5]], dtype="float32"))` of NumPy 2.4.
    const FLOATS: &[u8] = b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }                                                          \n\0\0\x80?\0\0 @";

    #[test]
    fn a_file_of_numpy_is_read_and_written() {
        let array = Array::parse(FLOATS).unwrap();
        assert_eq!(
            (array.shape.as_slice(), array.to_json(None).unwrap().as_str()),
            (&[1, 2][..], "[[1.0,2.5]]")
        );
        assert_eq!(file("FP32", &[1, 2], &["1.0", "2.5"]).unwrap(), FLOATS);
    }

    #[test]
    fn other_files_are_refused() {
        let replaced = |from: &str, to: &str| {
            let at =
                FLOATS.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            [&FLOATS[..at], to.as_bytes(), &FLOATS[at + from.len()..]].concat()
        };
        for (bytes, says) in [
            (b"PK\x03\x04".to_vec(), "no file of NumPy"),
            (FLOATS[..20].to_vec(), "cut off"),
            (FLOATS[..FLOATS.len() - 1].to_vec(), "cut off"),
            (replaced("False", "True "), "Fortran"),
            (replaced("<f4", ">f4"), "its elements are >f4"),
            (replaced("(1, 2)", "(2, 2)"), "2 elements for the shape [2, 2]"),
            (replaced("(1, 2)", "(x, 2)"), "no shape"),
        ] {
            let error = Array::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }

        let nan = file("FP64", &[1], &["NaN"]).unwrap();
        let array = Array::parse(&nan).unwrap();
        assert_eq!(array.to_json(Some("null")).unwrap(), "[null]");
        assert!(array.to_json(None).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(numbers in prop::collection::vec(any::<i64>(), 0..9), texts in prop::collection::vec("[a-zé\"\n]{0,5}", 0..9)) {
            let elements: Vec<_> = numbers.iter().map(i64::to_string).collect();
            let elements: Vec<_> = elements.iter().map(String::as_str).collect();
            let array = Array::parse(&file("INT64", &[numbers.len()], &elements).unwrap()).unwrap();
            prop_assert_eq!(array.to_json(None).unwrap(), format!("[{}]", elements.join(",")));

            let elements: Vec<_> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
            let elements: Vec<_> = elements.iter().map(String::as_str).collect();
            let array = Array::parse(&file("BYTES", &[texts.len(), 1], &elements).unwrap()).unwrap();
            prop_assert_eq!(array.shape, vec![texts.len(), 1]);
            prop_assert_eq!(array.elements, elements.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>, header in "\\{'descr': '[<|>][a-zU][0-9]{0,3}', 'fortran_order': False, 'shape': \\([0-9, ]{0,8}\\), \\}") {
            let _ = Array::parse(&bytes);
            let length = u16::try_from(header.len()).unwrap().to_le_bytes();
            let _ = Array::parse(&[MAGIC, &[1, 0], &length, header.as_bytes(), &bytes].concat());
        }
    }
}
