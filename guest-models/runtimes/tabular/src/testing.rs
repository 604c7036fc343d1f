//! Steps that the tests of all formats take.

use wardian_sdk::{Error, Request, Tensor};

use crate::SavedMetadata;

/// Returns the text with which a file is refused.
///
/// # Panics
/// If it is served, or the refusal blames a caller.
pub(crate) fn refusal(file: &(impl AsRef<[u8]> + ?Sized)) -> String {
    match crate::open(file.as_ref(), &SavedMetadata::default()) {
        Ok(_) => panic!("the file is served"),
        Err(Error::Failed(text)) => text,
        Err(error) => panic!("{error} blames the caller"),
    }
}

/// A request of these inputs.
pub(crate) fn request(inputs: Vec<Tensor>) -> Request {
    Request { id: String::new(), parameters: Vec::new(), inputs, outputs: Vec::new() }
}
