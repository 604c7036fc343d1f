//! The fields of an object, taken one by one.

use wardian_sdk::{Error, OrError};

use super::{Object, Value, shown};

/// An object whose fields are taken by name. A field that is left is one that this reader does
/// not know, and may change the meaning of the model: [`Fields::finish`] refuses it.
pub(in crate::xgboost) struct Fields {
    /// The name of the object, for errors.
    name: &'static str,
    object: Object,
}

impl Fields {
    /// Starts to take the fields of an object, which errors call `name`.
    pub(in crate::xgboost) fn new(name: &'static str, object: Object) -> Self {
        Self { name, object }
    }

    /// Takes a field.
    pub(in crate::xgboost) fn find(&mut self, field: &str) -> Option<Value> {
        self.object.remove(field)
    }

    /// Drops fields that have no meaning for predictions.
    pub(in crate::xgboost) fn ignore(&mut self, fields: &[&str]) {
        self.object.retain(|field| !fields.contains(&field));
    }

    /// Takes an object's fields.
    ///
    /// # Errors
    /// Failed if there is none.
    pub(in crate::xgboost) fn fields(&mut self, field: &'static str) -> Result<Self, Error> {
        let object = self.take(field, "an object", Value::into_object)?;
        Ok(Self::new(field, object))
    }

    /// Takes a text.
    ///
    /// # Errors
    /// Failed if there is none.
    pub(in crate::xgboost) fn text(&mut self, field: &str) -> Result<String, Error> {
        self.take(field, "a text", Value::into_text)
    }

    /// Takes a whole number that is written as a text, and not negative; the default if there is
    /// none.
    ///
    /// # Errors
    /// Failed if it is anything else.
    pub(in crate::xgboost) fn count(&mut self, field: &str, default: u32) -> Result<u32, Error> {
        match self.find(field) {
            None => Ok(default),
            Some(value) => {
                let number = value.into_text().and_then(|text| text.trim().parse().ok());
                number.or_failed(self.fault(field, "a text with a whole number from 0"))
            }
        }
    }

    /// Takes an array of whole numbers.
    ///
    /// # Errors
    /// Failed if there is none.
    pub(in crate::xgboost) fn integers(&mut self, field: &str) -> Result<Vec<i64>, Error> {
        self.take(field, "an array of whole numbers", Value::into_integers)
    }

    /// Takes an array of numbers.
    ///
    /// # Errors
    /// Failed if there is none.
    pub(in crate::xgboost) fn numbers(&mut self, field: &str) -> Result<Vec<f32>, Error> {
        self.take(field, "an array of numbers", Value::into_numbers)
    }

    /// Takes an array of objects.
    ///
    /// # Errors
    /// Failed if there is none.
    pub(in crate::xgboost) fn array(&mut self, field: &str) -> Result<Vec<Value>, Error> {
        self.take(field, "an array of objects", Value::into_array)
    }

    /// Takes an array of texts; an empty one if there is none.
    ///
    /// # Errors
    /// Failed if it is anything else.
    pub(in crate::xgboost) fn texts(&mut self, field: &str) -> Result<Vec<String>, Error> {
        match self.find(field) {
            None => Ok(Vec::new()),
            Some(value) => value.into_texts().or_failed(self.fault(field, "an array of texts")),
        }
    }

    /// Takes a field of some kind.
    ///
    /// # Errors
    /// Failed if there is none.
    pub(in crate::xgboost) fn take<T>(
        &mut self,
        field: &str,
        kind: &str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, Error> {
        let value = self.find(field).or_failed(format_args!(
            "the field {field:?} of {} is missing: the file is not a model, or not a whole one",
            self.name
        ))?;
        convert(value).or_failed(self.fault(field, kind))
    }

    /// Checks that every field has been taken.
    ///
    /// # Errors
    /// Failed with the name of one that has not.
    pub(in crate::xgboost) fn finish(self) -> Result<(), Error> {
        match self.object.first_name() {
            None => Ok(()),
            Some(field) => Err(Error::failed(format_args!(
                "the field {} of {} is not known here, and may change the answers: save the \
                 model with a version of XGBoost that this runtime knows (1.0 to 3.4), or serve it \
                 with a newer runtime",
                shown(field),
                self.name
            ))),
        }
    }

    fn fault(&self, field: &str, kind: &str) -> String {
        format!("the field {field:?} of {} is not {kind}", self.name)
    }
}
