//! Which of the listed objects can be files here.

use std::ops::Range;

use object_store::path::Path;

use super::document::shown;

/// The listed objects that are cut out of an answer.
#[derive(Debug, Default)]
pub(super) struct Entries {
    cut: Vec<Range<usize>>,
    skipped: usize,
    first: Option<String>,
}

impl Entries {
    /// Judges the object of that key, whose entry in the answer has these bytes. Fails if the key
    /// does not begin with the prefix: the store did not answer what it was asked.
    pub(super) fn judge(
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
                    shown(key),
                    shown(prefix)
                ));
            }
            // Tools make such objects to stand for folders.
            Some(key) if key.ends_with('/') => self.cut.push(span),
            Some(key) if !is_path(key) => self.skip(key, span),
            Some(_) => {}
        }
        Ok(())
    }

    /// Cuts an entry out, and counts it.
    pub(super) fn skip(&mut self, key: &str, span: Range<usize>) {
        self.cut.push(span);
        self.skipped += 1;
        self.first.get_or_insert_with(|| shown(key));
    }

    /// How many were skipped, and the name of the first.
    pub(super) fn skipped(&self) -> (usize, String) {
        (self.skipped, self.first.clone().unwrap_or_default())
    }

    /// The answer without what is cut out.
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

/// True if `object_store` reads this key as a path that names the same object.
fn is_path(key: &str) -> bool {
    !key.starts_with('/') && key.trim() == key && Path::parse(key).is_ok()
}
