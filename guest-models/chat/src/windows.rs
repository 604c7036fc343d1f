//! The states of the network in every open window.
//!
//! The network was trained on windows of [`WINDOW`] characters, each starting from nothing. If its
//! states are continued beyond, it soon stutters. The original runs over a whole window for every
//! character. But the window that ends with the next character also contains the present one, and
//! so do the windows that end with the forty next. So all of them are computed at the same time,
//! side by side in panels: a character is one step for each of them, and each weight is read once
//! for all. At any time one of them is complete, and determines the next character; it then starts
//! again with that character.

use wardian_sdk::kernels::panels::{PANEL, Panel};

use crate::lanes::{Lanes, exp};

/// Characters that the network sees at once, and the number of open windows.
pub(crate) const WINDOW: usize = 40;

#[derive(Clone)]
pub(crate) struct Windows {
    /// The hidden states of both layers, one after the other.
    pub(crate) hidden: Vec<Panel>,
    pub(crate) cells: Vec<Panel>,
    pub(crate) attention: Vec<Attention>,
    /// The index of the window that starts with the next character. It is the complete one.
    next: usize,
}

/// A running average of the characters and states of a window, weighted by the exponentials of
/// scores.
#[derive(Clone)]
pub(crate) struct Attention {
    /// The greatest score so far, so that no exponential overflows.
    greatest: Lanes,
    weights: Lanes,
    weighted: Panel,
}

// === impl Windows ===

impl Windows {
    /// Returns empty windows. `width` is the number of numbers for a character.
    pub(crate) fn new(width: usize, units: usize) -> Self {
        let panels = WINDOW.div_ceil(PANEL);
        let states = vec![vec![[0.0; PANEL]; 2 * units]; panels];
        let attention = Attention {
            greatest: [f32::NEG_INFINITY; PANEL],
            weights: [0.0; PANEL],
            weighted: vec![[0.0; PANEL]; width + 2 * units],
        };
        Self { hidden: states.clone(), cells: states, attention: vec![attention; panels], next: 0 }
    }

    /// Starts the next window again.
    pub(crate) fn start_next(&mut self) {
        let (panel, lane) = self.full();
        let states = self.hidden[panel].iter_mut().chain(&mut self.cells[panel]);
        states.for_each(|lanes| lanes[lane] = 0.0);
        self.attention[panel].forget(lane);
        self.next = (self.next + 1) % WINDOW;
    }

    /// Returns the average of the complete window.
    pub(crate) fn average(&self) -> Vec<f32> {
        let (panel, lane) = self.full();
        self.attention[panel].average(lane)
    }

    fn full(&self) -> (usize, usize) {
        (self.next / PANEL, self.next % PANEL)
    }
}

// === impl Attention ===

impl Attention {
    /// Adds the same character to each window, with the states that it leads to there.
    pub(crate) fn add(&mut self, scores: Lanes, character: &[f32], hidden: &[Lanes]) {
        let greatest = larger(self.greatest, scores);
        let (so_far, weight) =
            (exp(difference(self.greatest, greatest)), exp(difference(scores, greatest)));
        self.greatest = greatest;
        add_weighted(&mut self.weights, so_far, weight, [1.0; PANEL]);
        let (characters, states) = self.weighted.split_at_mut(character.len());
        for (sums, number) in characters.iter_mut().zip(character) {
            add_weighted(sums, so_far, weight, [*number; PANEL]);
        }
        for (sums, numbers) in states.iter_mut().zip(hidden) {
            add_weighted(sums, so_far, weight, *numbers);
        }
    }

    fn average(&self, lane: usize) -> Vec<f32> {
        self.weighted.iter().map(|sums| sums[lane] / self.weights[lane]).collect()
    }

    fn forget(&mut self, lane: usize) {
        self.greatest[lane] = f32::NEG_INFINITY;
        self.weights[lane] = 0.0;
        self.weighted.iter_mut().for_each(|sums| sums[lane] = 0.0);
    }
}

fn larger(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane].max(b[lane]))
}

fn difference(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] - b[lane])
}

fn add_weighted(sums: &mut Lanes, so_far: Lanes, weight: Lanes, numbers: Lanes) {
    for lane in 0..PANEL {
        sums[lane] = sums[lane] * so_far[lane] + numbers[lane] * weight[lane];
    }
}
