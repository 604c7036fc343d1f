//! The fields of a request that every route of OpenAI's API reads in the same way.

use super::abilities::declares;
use crate::api::json::{JsonError, Reader};
use crate::api::oip::parameters::{RawParameter, RawValue, is_reserved, read_parameter};
use crate::api::routes::generate::array_parameter;
use crate::model::{MAX_PARAMETERS, Metadata};

/// The parameters of a request for the model and the server.
#[derive(Default)]
pub(super) struct Parameters(pub(super) Vec<RawParameter>);

impl Parameters {
    /// Reads a field that has no meaning for the server: a parameter if the model declares it or
    /// the protocol reserves it, otherwise passed over.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        metadata: &Metadata,
        name: &str,
    ) -> Result<(), JsonError> {
        let is_reserved = is_reserved(name);
        if !is_reserved && !declares(metadata, name) {
            return reader.skip();
        }

        let value = if reader.peek() == Some(b'[') && !is_reserved {
            array_parameter::read(reader)
                .map(|list| Some(RawValue::Text(list)))
                .map_err(|error| error.in_context(format!("'{name}'")))?
        } else {
            read_parameter(reader, name)?
        };

        match value {
            Some(value) => self.add(reader, name, value),
            None => Ok(()),
        }
    }

    /// Adds a parameter. Fails if it is given twice.
    pub(super) fn add(
        &mut self,
        reader: &Reader<'_>,
        name: &str,
        value: RawValue,
    ) -> Result<(), JsonError> {
        if self.0.len() == MAX_PARAMETERS {
            return Err(reader.error(format!("there are more than {MAX_PARAMETERS} parameters")));
        }
        if self.0.iter().any(|earlier| earlier.name == name) {
            return Err(reader.error(format!("'{name}' is given twice")));
        }

        self.0.push(RawParameter { name: name.to_owned(), value });

        Ok(())
    }
}

/// Reads `true`, `false` or `null`, which stands for `false`.
pub(super) fn boolean(reader: &mut Reader<'_>) -> Result<bool, JsonError> {
    if reader.null()? { Ok(false) } else { reader.boolean() }
}

/// Reads a whole number from `least`, or `null`.
pub(super) fn whole(reader: &mut Reader<'_>, least: u64) -> Result<Option<u64>, JsonError> {
    if reader.null()? {
        return Ok(None);
    }

    let number = reader.number()?;
    let value = number.integer().filter(|_| number.is_whole());
    let value = value.and_then(|value| u64::try_from(value).ok());

    // Models take signed numbers of 64 bits.
    let in_range = value.filter(|value| (least..=i64::MAX as u64).contains(value));
    let error = || reader.error(format!("expected a whole number from {least}"));
    in_range.map(Some).ok_or_else(error)
}

/// Adds the name of a field to an error within it.
pub(super) fn in_field<T>(name: &str, read: Result<T, JsonError>) -> Result<T, JsonError> {
    read.map_err(|error| error.in_context(format!("'{name}'")))
}

/// Returns an estimate of the tokens of a text, for a model that does not count them: one for each
/// four characters.
pub(super) fn estimated_tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}
