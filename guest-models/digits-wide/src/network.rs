//! A multi-layer perceptron: dense layers with ReLU between them and softmax at the end.

use wardian_sdk::kernels::panels::{PANEL, Panel, panel};
use wardian_sdk::kernels::softmax;
use wardian_sdk::weights::Reader;

use crate::dense::Dense;

/// The number of items from which a panel with empty places is faster than single items.
const WORTH_A_PANEL: usize = 5;

/// The layers, in order. There is at least one.
pub(crate) struct Network {
    layers: Vec<Dense>,
}

impl Network {
    /// Parses the format described at the head of train.py. Returns `None` if the file ends too
    /// early.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut layers = vec![Dense::parse(&mut reader)?];
        while !reader.is_at_end() {
            layers.push(Dense::parse(&mut reader)?);
        }
        Some(Self { layers })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, Dense::inputs)
    }

    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Dense::outputs)
    }

    /// Returns the probability of each class, item by item; the sum is 1 for each item.
    pub(crate) fn probabilities(&self, items: &[f32]) -> Vec<f32> {
        let items: Vec<&[f32]> = items.chunks_exact(self.inputs()).collect();
        let (in_panels, singly) = items.split_at(fit_for_panels(items.len()));
        let mut scores = self.scores_in_panels(in_panels);
        singly.iter().for_each(|item| scores.extend(self.scores(item)));
        scores.chunks_exact_mut(self.outputs()).for_each(softmax);
        scores
    }

    fn scores(&self, item: &[f32]) -> Vec<f32> {
        let mut layers = self.layers.iter();
        let first = layers.next().map_or_else(Vec::new, |layer| layer.apply(item));
        layers.fold(first, |mut values, layer| {
            relu(&mut values);
            layer.apply(&values)
        })
    }

    fn scores_in_panels(&self, items: &[&[f32]]) -> Vec<f32> {
        let mut layers = self.layers.iter();
        let panels: Vec<Panel> =
            items.chunks(PANEL).map(|items| panel(items, self.inputs())).collect();
        let first = layers.next().map_or_else(Vec::new, |layer| layer.apply_to_panels(&panels));
        let last = layers.fold(first, |mut panels, layer| {
            panels.iter_mut().for_each(|panel| relu(panel.as_flattened_mut()));
            layer.apply_to_panels(&panels)
        });
        (0..items.len()).flat_map(|item| column(&last[item / PANEL], item % PANEL)).collect()
    }
}

/// Returns the number of items that go into panels. The others follow singly.
fn fit_for_panels(items: usize) -> usize {
    match items % PANEL {
        rest if rest < WORTH_A_PANEL => items - rest,
        _ => items,
    }
}

fn column(panel: &Panel, place: usize) -> impl Iterator<Item = f32> {
    panel.iter().map(move |values| values[place])
}

fn relu(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
}
