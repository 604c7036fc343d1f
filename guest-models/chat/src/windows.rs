//! The states of the network in every window that is under way.
//!
//! The network was trained on windows of [`WINDOW`] characters, each of which starts from nothing,
//! and it counts on that: if its states are carried on beyond, it soon stutters. To write a
//! character as the original does takes a run over a whole window. But a window that ends with the
//! next character has this one in it too, and so have the windows that end with the forty next. All
//! of them are under way at the same time, side by side in panels: a character is one step for each
//! of them, and each weight is read once for all. At any time one of them has seen just as many
//! characters as it takes, and tells what comes next; it then starts anew with that character.

use wardian_sdk::kernels::panels::{PANEL, Panel};

use crate::lanes::{Lanes, exp};

/// Characters that the network sees at once, and so the number of windows under way.
pub(crate) const WINDOW: usize = 40;

#[derive(Clone)]
pub(crate) struct Windows {
    /// The hidden states of both layers, one after the other.
    pub(crate) hidden: Vec<Panel>,
    pub(crate) cells: Vec<Panel>,
    pub(crate) attention: Vec<Attention>,
    /// The window that the next character starts. It is the one that has seen as many as it takes.
    next: usize,
}

/// The average of all that was seen in a window, weighted by the exponentials of scores, while the
/// characters still come.
#[derive(Clone)]
pub(crate) struct Attention {
    /// The greatest score so far, so that no exponential overflows.
    greatest: Lanes,
    weights: Lanes,
    weighted: Panel,
}

// === impl Windows ===

impl Windows {
    /// That have seen nothing. `width` is how many numbers stand for a character.
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

    /// Starts the next window anew.
    pub(crate) fn start_next(&mut self) {
        let (panel, lane) = self.full();
        let states = self.hidden[panel].iter_mut().chain(&mut self.cells[panel]);
        states.for_each(|lanes| lanes[lane] = 0.0);
        self.attention[panel].forget(lane);
        self.next = (self.next + 1) % WINDOW;
    }

    /// What the full window has seen, on average.
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
    /// Adds what has been seen: the same character in each window, and the states it has led to
    /// there.
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
