//! The header of a table: the names of its columns, before the rows.

use std::borrow::Cow;

use super::super::json::shorten;
use super::builder::{TableBuilder, UnknownFields};

impl TableBuilder<'_> {
    /// Finds the fields of a header. A place that is passed over is `None`. Fails if a name comes
    /// twice, is unknown and refused, or if a required field is missing.
    pub(super) fn header<'n>(
        &mut self,
        names: impl Iterator<Item = Cow<'n, str>>,
    ) -> Result<Vec<Option<usize>>, String> {
        let mut found = Vec::new();
        let mut has = vec![false; self.fields.len()];

        self.passed_over.clear();
        for name in names {
            let field = self
                .fields
                .find(&name, found.last().copied().flatten().map_or(0, |field| field + 1));
            match field.and_then(|field| has.get_mut(field)) {
                Some(has) if *has => {
                    return Err(format!("column '{}' is given twice", shorten(&name)));
                }
                Some(has) => *has = true,
                None if self.unknown == UnknownFields::Refused => {
                    return Err(self.unknown_text(&name));
                }
                None => self.remember(&name),
            }
            found.push(field);
        }

        self.check_header(&has)?;

        Ok(found)
    }

    fn check_header(&self, has: &[bool]) -> Result<(), String> {
        let has = |field: usize| has.get(field).copied().unwrap_or_default();

        for (index, input) in self.inputs.iter().enumerate() {
            let matrix = self.fields.columns().filter(|(matrix, _)| *matrix == index);
            let columns = matrix.map_or(0..0, |(_, columns)| columns);
            let any_column = columns.clone().any(has);

            let missing = if any_column {
                columns.clone().find(|&column| !has(column))
            } else if has(index) || input.spec.optional {
                None
            } else {
                Some(self.fields.first_of(index))
            };

            if let Some(missing) = missing {
                let name = self.shown(missing);
                return Err(format!("column '{name}' is missing{}", self.confused_with(&name)));
            }
            self.check_misspelt(index, has(index) || any_column)?;
        }

        Ok(())
    }
}
