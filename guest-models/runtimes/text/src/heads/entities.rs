//! Labels of the parts of texts: names, places and others.

use wardian_sdk::{Error, Metadata, Tensor};

use super::labels::complete;
use super::{Answered, largest, softmax};
use crate::network::Row;
use crate::tokens::{Text, Tokens};

/// The label of what is nothing.
const OUTSIDE: &str = "O";

/// The labels of tokens.
pub(crate) struct Entities {
    labels: Vec<String>,
}

/// Neighbouring tokens with the same label.
struct Entity<'a> {
    label: &'a str,
    scores: Vec<f32>,
    start: usize,
    end: usize,
}

impl Entities {
    /// Labels in the order of the network's numbers.
    pub(super) fn new(labels: Vec<String>) -> Self {
        Self { labels }
    }

    /// Describes the labels.
    ///
    /// # Errors
    /// Failed if there are not `width` of them.
    pub(super) fn describe(&mut self, width: usize, metadata: Metadata) -> Result<Metadata, Error> {
        self.labels = complete(std::mem::take(&mut self.labels), width)?;
        let classes = serde_json::json!(self.labels).to_string();
        Ok(metadata
            .output::<i64>("row", [-1])
            .output::<String>("label", [-1])
            .output::<f32>("score", [-1])
            .output::<i64>("start", [-1])
            .output::<i64>("end", [-1])
            .output::<String>("word", [-1])
            .property("task", "token-classification")
            .property("aggregation", "simple")
            .property("classes", classes))
    }

    /// Returns the outputs: for each entity the number of its text, and what is known of it.
    pub(super) fn outputs(&self, answered: &Answered<'_>) -> Vec<Tensor> {
        let mut found = Vec::new();
        let texts = answered.texts.iter().zip(answered.tokens).zip(answered.rows);
        for (row, ((text, tokens), numbers)) in texts.enumerate() {
            let entities = self.entities(tokens, numbers);
            found.extend(entities.into_iter().map(|entity| (row, text, entity)));
        }

        let shape = || [found.len()];
        let word = |(_, text, entity): &(usize, &Text<'_>, Entity<'_>)| {
            let length = entity.end.saturating_sub(entity.start);
            text.first.chars().skip(entity.start).take(length).collect::<String>()
        };
        vec![
            Tensor::new("row", shape(), found.iter().map(|(row, ..)| *row as i64)),
            Tensor::from_strings("label", shape(), found.iter().map(|(.., one)| one.label)),
            Tensor::new("score", shape(), found.iter().map(|(.., one)| one.score())),
            Tensor::new("start", shape(), found.iter().map(|(.., one)| one.start as i64)),
            Tensor::new("end", shape(), found.iter().map(|(.., one)| one.end as i64)),
            Tensor::from_strings("word", shape(), found.iter().map(word)),
        ]
    }

    /// Joins neighbouring tokens of one label, as transformers does with the aggregation `simple`.
    fn entities(&self, tokens: &Tokens, row: &Row) -> Vec<Entity<'_>> {
        let mut entities: Vec<Entity<'_>> = Vec::new();
        let numbers = row.values.chunks_exact(row.width.max(1));
        for (place, numbers) in tokens.places.iter().zip(numbers) {
            if place.is_added {
                continue;
            }
            let scores = softmax(numbers);
            let best = largest(&scores);
            let score = scores.get(best).copied().unwrap_or_default();
            let (begins, label) = split(self.labels.get(best).map_or("", String::as_str));

            match entities.last_mut().filter(|last| last.label == label && !begins) {
                Some(last) => {
                    last.scores.push(score);
                    last.end = place.end;
                }
                None => {
                    let (start, end) = (place.start, place.end);
                    entities.push(Entity { label, scores: vec![score], start, end });
                }
            }
        }
        entities.retain(|entity| entity.label != OUTSIDE);
        entities
    }
}

impl Entity<'_> {
    /// The mean of the tokens' scores.
    fn score(&self) -> f32 {
        self.scores.iter().sum::<f32>() / self.scores.len() as f32
    }
}

/// Returns whether a label begins an entity, and the label of the entity.
fn split(label: &str) -> (bool, &str) {
    match (label.strip_prefix("B-"), label.strip_prefix("I-")) {
        (Some(label), _) => (true, label),
        (None, Some(label)) => (false, label),
        (None, None) => (false, label),
    }
}
