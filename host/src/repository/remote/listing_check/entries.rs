//! Selection of the listed objects that can be files here.

use std::ops::Range;

use object_store::path::Path;

use super::document::printable;

/// The entries to be removed from a response.
#[derive(Debug, Default)]
pub(super) struct Entries {
    cut: Vec<Range<usize>>,
    skipped: usize,
    first: Option<String>,
}

impl Entries {
    /// Checks the object with that key, whose entry has this byte range in the response. Fails if
    /// the key does not begin with the prefix: the store did not list the requested folder.
    pub(super) fn check_entry(
        &mut self,
        key: Option<&str>,
        prefix: &str,
        span: Range<usize>,
    ) -> Result<(), String> {
        match key {
            None => self.skip("(a name that is not text)", span),
            Some(key) if !key.starts_with(prefix) => {
                return Err(format!(
                    "it lists '{}', which does not begin with '{}'",
                    printable(key),
                    printable(prefix)
                ));
            }
            // Tools create such objects to stand for folders.
            Some(key) if key.ends_with('/') => self.cut.push(span),
            Some(key) if !is_path(key) => self.skip(key, span),
            Some(_) => {}
        }

        Ok(())
    }

    /// Removes an entry, and counts it.
    pub(super) fn skip(&mut self, key: &str, span: Range<usize>) {
        self.cut.push(span);
        self.skipped += 1;
        self.first.get_or_insert_with(|| printable(key));
    }

    /// Number of skipped entries, and the key of the first.
    pub(super) fn skipped(&self) -> (usize, String) {
        (self.skipped, self.first.clone().unwrap_or_default())
    }

    /// Returns the response without the removed entries.
    pub(super) fn without(&self, answer: &[u8]) -> Vec<u8> {
        let mut rest = Vec::with_capacity(answer.len());
        let mut at = 0;

        for span in &self.cut {
            rest.extend_from_slice(answer.get(at..span.start).unwrap_or_default());
            at = span.end;
        }

        rest.extend_from_slice(answer.get(at..).unwrap_or_default());

        rest
    }
}

/// Returns true if `object_store` reads this key as a path of the same object.
fn is_path(key: &str) -> bool {
    !key.starts_with('/') && key.trim() == key && Path::parse(key).is_ok()
}
