//! The texts of a table's faults, and the fields that the model does not have.

use super::{TableBuilder, UnknownFields};
use crate::api::json::shorten;
use crate::api::table::input_rows::Fault;
use crate::model::{is_misspelt, nearest};

/// Limit of the names of fields that are remembered although they are passed over.
const MAX_PASSED_OVER: usize = 64;

impl TableBuilder<'_> {
    /// Notes a field of the present row that the model does not have. Fails if it is refused.
    pub(in crate::api::table) fn pass_over(&mut self, name: &str) -> Result<(), String> {
        if self.unknown == UnknownFields::Refused {
            return Err(format!("row {}: {}", self.rows, self.unknown_text(name)));
        }
        self.remember(name);
        Ok(())
    }

    pub(in crate::api::table) fn remember(&mut self, name: &str) {
        if self.passed_over.len() < MAX_PASSED_OVER {
            self.passed_over.push(shorten(name));
        }
    }

    pub(in crate::api::table) fn unknown_text(&self, name: &str) -> String {
        format!("unknown field '{}'{}", shorten(name), self.fields.hint(name))
    }

    pub(super) fn fault(&self, field: usize, fault: Fault) -> String {
        let confused = match fault {
            Fault::Missing => self.confused_with(&self.shown(field)),
            _ => String::new(),
        };
        format!("{} {fault}{confused}", self.place(field))
    }

    /// The end of an error text for a missing field: the most similar one that was passed over.
    pub(in crate::api::table) fn confused_with(&self, missing: &str) -> String {
        let passed_over = self.passed_over.iter().map(String::as_str);
        match nearest(missing, passed_over).first() {
            Some(name) => format!("; there is '{name}'"),
            None => String::new(),
        }
    }

    /// Fails if a field that was passed over is nearly the name of an input that is absent.
    pub(in crate::api::table) fn check_misspelt(
        &self,
        index: usize,
        has: bool,
    ) -> Result<(), String> {
        let Some(input) = self.inputs.get(index).filter(|_| !has) else { return Ok(()) };
        let misspelt = self.passed_over.iter().find(|name| is_misspelt(name, &input.spec.name));

        misspelt.map_or(Ok(()), |name| {
            Err(format!("unknown field '{name}'; did you mean '{}'?", shorten(&input.spec.name)))
        })
    }

    /// The place of an error in the table.
    pub(super) fn place(&self, field: usize) -> String {
        match self.label {
            Some(label) => label(self, field),
            None => format!("row {}: field '{}'", self.rows, self.shown(field)),
        }
    }

    pub(in crate::api::table) fn shown(&self, field: usize) -> String {
        shorten(&self.fields.name(field))
    }

    /// Starts an error text about the present row.
    pub(in crate::api::table) fn row_error(&self, text: &str) -> String {
        format!("row {}: {text}", self.rows)
    }
}
