//! Data of tensors in files beside the model file.

use std::collections::BTreeMap;

use bytes::Bytes;
use wardian_sdk::{Error, OrError};

use crate::proto::{GraphProto, NodeProto, StringStringEntryProto, TensorProto};
use crate::tensor::ElementType;

/// The value of `data_location` for data outside of the file.
const EXTERNAL: i32 = 1;

/// Reads a file beside the model file, by its plain name.
///
/// # Errors
/// Failed if there is none.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, Error>;

/// Puts the data of tensors that lie in other files into the graph. Each file is read once.
///
/// # Errors
/// Failed if a file is not beside the model file, or does not have the data.
pub fn resolve(graph: &mut GraphProto, read: ReadFile<'_>) -> Result<(), Error> {
    Resolver { read, files: BTreeMap::new() }.graph(graph)
}

struct Resolver<'a> {
    read: ReadFile<'a>,
    files: BTreeMap<String, Bytes>,
}

impl Resolver<'_> {
    /// The depth is bounded by the parser.
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Error> {
        graph.initializer.iter_mut().try_for_each(|tensor| self.tensor(tensor))?;
        graph.node.iter_mut().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &mut NodeProto) -> Result<(), Error> {
        for attribute in &mut node.attribute {
            attribute.t.as_mut().map_or(Ok(()), |tensor| self.tensor(tensor))?;
            attribute.g.as_mut().map_or(Ok(()), |graph| self.graph(graph))?;
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), Error> {
        if tensor.data_location != EXTERNAL {
            return Ok(());
        }
        let data = self.data(tensor).or_failed(format_args!("the tensor {:?}", tensor.name))?;
        tensor.raw_data = Some(data);
        tensor.external_data.clear();
        tensor.data_location = 0;
        Ok(())
    }

    fn data(&mut self, tensor: &TensorProto) -> Result<Bytes, Error> {
        let entries = &tensor.external_data;
        let location = entry(entries, "location").or_failed("its data have no location")?;
        let file = self.file(location)?;
        let offset = number(entries, "offset")?.unwrap_or(0);
        let length = match number(entries, "length")? {
            Some(length) => length,
            None => size(tensor)?,
        };
        let end = offset.checked_add(length).filter(|end| *end <= file.len());
        let end = end.or_failed(format_args!(
            "{location:?} has {} bytes, and its data are {length} from {offset} on",
            file.len()
        ))?;
        Ok(file.slice(offset..end))
    }

    fn file(&mut self, name: &str) -> Result<Bytes, Error> {
        if let Some(file) = self.files.get(name) {
            return Ok(file.clone());
        }
        let is_plain =
            !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != ".." && name != ".";
        if !is_plain {
            return Err(Error::failed(format_args!(
                "its data are in {name:?}, which is no file beside the model file"
            )));
        }
        let file = Bytes::from((self.read)(name)?);
        self.files.insert(name.to_owned(), file.clone());
        Ok(file)
    }
}

fn entry<'a>(entries: &'a [StringStringEntryProto], key: &str) -> Option<&'a str> {
    entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn number(entries: &[StringStringEntryProto], key: &str) -> Result<Option<usize>, Error> {
    let number = entry(entries, key).map(|text| text.parse::<usize>());
    number.transpose().or_failed(format_args!("the {key} of its data"))
}

/// The bytes that the data of a tensor have.
fn size(tensor: &TensorProto) -> Result<usize, Error> {
    let element = ElementType::from_code(tensor.data_type.into()).or_failed("its type")?;
    let extents = tensor.dims.iter().map(|extent| usize::try_from(*extent).ok());
    let mut sizes = extents.chain([Some(element.size())]);
    let size = sizes.try_fold(1_usize, |size, extent| size.checked_mul(extent?));
    size.or_failed("its shape")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::files::graph;

    fn resolved(entries: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let pair = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let mut graph = graph(vec![]);
        graph.initializer.push(TensorProto {
            dims: vec![2],
            data_type: 2,
            data_location: EXTERNAL,
            external_data: entries.iter().map(pair).collect(),
            ..TensorProto::default()
        });
        let read = |name: &str| match name {
            "größe.data" => Ok(vec![1, 2, 3, 4, 5]),
            other => Err(Error::failed(format_args!("no file {other:?}"))),
        };
        resolve(&mut graph, &read).map_err(|error| error.to_string())?;
        Ok(graph.initializer[0].raw_data.as_ref().unwrap().to_vec())
    }

    #[test]
    fn data_are_taken_from_their_place_in_the_file() {
        let name = ("location", "größe.data");
        assert_eq!(resolved(&[name]), Ok(vec![1, 2]));
        assert_eq!(resolved(&[name, ("offset", "3")]), Ok(vec![4, 5]));
        assert_eq!(resolved(&[name, ("offset", "1"), ("length", "3")]), Ok(vec![2, 3, 4]));
    }

    #[test]
    fn data_beside_the_file_or_elsewhere_are_refused() {
        let name = ("location", "größe.data");
        for (entries, says) in [
            (&[][..], "its data have no location"),
            (&[("location", "../größe.data")], "no file beside the model file"),
            (&[("location", "a.data")], "no file \"a.data\""),
            (&[name, ("offset", "4")], "has 5 bytes"),
            (&[name, ("offset", "9223372036854775807")], "has 5 bytes"),
            (&[name, ("length", "-1")], "the length of its data"),
        ] {
            let text = resolved(entries).unwrap_err();
            assert!(text.contains(says), "{entries:?}: {text}");
        }
    }
}
