//! What an operator should know of a repository, once.

use std::collections::BTreeSet;

/// More than a person reads. A repository may hold any number of files that are none of its models.
const MAX_NOTES: usize = 100;

/// What an operator should know of a repository.
#[derive(Debug, Default)]
pub(super) struct Notes {
    texts: BTreeSet<String>,
    /// How many there are beyond those that are kept.
    more: usize,
}

impl Notes {
    /// Adds a text, if there is room for it.
    pub(super) fn add(&mut self, text: String) {
        if self.texts.len() < MAX_NOTES {
            self.texts.insert(text);
        } else if !self.texts.contains(&text) {
            self.more += 1;
        }
    }

    /// What is new since the notes before, as lines for the log.
    pub(super) fn since(&self, before: &Notes) -> Vec<String> {
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
    fn each_is_told_once_and_many_are_counted() {
        let (mut before, mut now) = (Notes::default(), Notes::default());
        before.add("a".into());
        now.add("a".into());
        now.add("b".into());
        assert_eq!(now.since(&before), ["b"]);
        assert!(now.since(&now).is_empty());
        (0..10_000).for_each(|number| now.add(format!("note {number}")));
        assert_eq!(now.since(&Notes::default()).len(), MAX_NOTES + 1);
        assert!(now.since(&now).is_empty());
    }
}
