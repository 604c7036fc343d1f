//! Messages about a repository that an operator should see once.

use std::collections::BTreeSet;

/// Maximum number of kept messages. A repository may contain any number of unrelated files.
const MAX_NOTES: usize = 100;

/// The messages of one scan.
#[derive(Debug, Default)]
pub(super) struct OperatorNotes {
    texts: BTreeSet<String>,
    /// Number of messages beyond those that are kept.
    more: usize,
}

impl OperatorNotes {
    /// Adds a message; counts it if there is no room.
    pub(super) fn add(&mut self, text: String) {
        if self.texts.len() < MAX_NOTES {
            self.texts.insert(text);
        } else if !self.texts.contains(&text) {
            self.more += 1;
        }
    }

    /// Returns the messages that were not in `before`, as log lines.
    pub(super) fn added_since(&self, before: &OperatorNotes) -> Vec<String> {
        let mut lines: Vec<String> = self.texts.difference(&before.texts).cloned().collect();
        if self.more > 0 && before.more == 0 {
            lines.push(format!(
                "more than {MAX_NOTES} files and folders are ignored; those beyond are not listed"
            ));
        }

        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_reported_once_and_excess_ones_are_counted() {
        let (mut before, mut now) = (OperatorNotes::default(), OperatorNotes::default());
        before.add("a".into());
        now.add("a".into());
        now.add("b".into());
        assert_eq!(now.added_since(&before), ["b"]);
        assert!(now.added_since(&now).is_empty());
        (0..10_000).for_each(|number| now.add(format!("note {number}")));
        assert_eq!(now.added_since(&OperatorNotes::default()).len(), MAX_NOTES + 1);

        assert!(now.added_since(&now).is_empty());
    }
}
