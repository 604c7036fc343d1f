//! The nodes of a tree, as a reader of a format gives them.

use super::Number;

/// A node of a tree. Nodes name each other by their index in the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<T> {
    /// Asks about one feature.
    Split(Split<T>),
    /// Ends the walk.
    Leaf(Leaf<T>),
}

/// A question about one feature, and the nodes that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Split<T> {
    /// The index of the feature in a row.
    pub feature: usize,
    /// The question.
    pub test: Test<T>,
    /// The values that are missing, and the answer for them.
    pub missing: Missing,
    /// The node that follows if the answer is yes.
    pub yes: usize,
    /// The node that follows if the answer is no.
    pub no: usize,
}

/// A question about a value. Where NaN is not missing, all answers but that of `NotEqual` are no.
#[derive(Clone, Debug, PartialEq)]
pub enum Test<T> {
    /// Is it below the threshold?
    Less(T),
    /// Is it at most the threshold?
    LessOrEqual(T),
    /// Is it above the threshold?
    Greater(T),
    /// Is it at least the threshold?
    GreaterOrEqual(T),
    /// Does it equal the number?
    Equal(T),
    /// Does it differ from the number?
    NotEqual(T),
    /// Does it equal one of the numbers?
    OneOf(Vec<T>),
    /// Is it the code of one of the categories?
    Category(Categories),
}

/// The values that are missing, and the answer for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// None: NaN is tested as any value.
    Never,
    /// NaN, and the answer is yes.
    NanIsYes,
    /// NaN, and the answer is no.
    NanIsNo,
    /// None: NaN is taken for zero.
    NanIsZero,
    /// NaN and zero, which is everything up to [`Missing::ZERO`] in size; the answer is yes.
    ZeroIsYes,
    /// NaN and zero, which is everything up to [`Missing::ZERO`] in size; the answer is no.
    ZeroIsNo,
}

/// A set of categories. Their codes are whole numbers from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories {
    /// Bit `code % 32` of word `code / 32` is set if the answer is yes.
    pub members: Vec<u32>,
    /// The codes that training has seen, as `members`. Other values are missing if this is given,
    /// otherwise the answer is no.
    pub known: Option<Vec<u32>>,
    /// Makes code 0 of values between -1 and 0; otherwise they are no code. Other values lose their
    /// fraction.
    pub below_zero_is_zero: bool,
}

/// The numbers that a leaf adds.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf<T> {
    /// A number to one output.
    One {
        /// The index of the output.
        output: usize,
        /// The number.
        value: T,
    },
    /// Numbers to the outputs named with them.
    Some(Vec<(usize, T)>),
    /// A number to each output.
    All(Vec<T>),
    /// `constant` and the products of features and their coefficients, added in their order, to one
    /// output.
    Linear {
        /// The index of the output.
        output: usize,
        /// The number that the sum starts with.
        constant: T,
        /// The features' indices and their coefficients.
        terms: Vec<(usize, T)>,
        /// The number that is added instead if one of these features is NaN.
        otherwise: T,
    },
}

// === impl Split ===

impl<T: Number> Split<T> {
    /// Returns the answer for a value.
    pub fn answer(&self, value: T) -> bool {
        let zero = value.widen().abs() <= Missing::ZERO;
        match self.missing {
            Missing::NanIsYes if value.is_nan() => true,
            Missing::NanIsNo if value.is_nan() => false,
            Missing::NanIsZero if value.is_nan() => self.test.holds(T::default(), false),
            Missing::ZeroIsYes if value.is_nan() || zero => true,
            Missing::ZeroIsNo if value.is_nan() || zero => false,
            missing => self.test.holds(value, missing.answer()),
        }
    }
}

// === impl Missing ===

impl Missing {
    /// The largest number that counts as zero where zeros are missing.
    pub const ZERO: f64 = 1.000_000_018_002_509_5e-35;

    /// Returns the answer for a missing value.
    pub(super) fn answer(self) -> bool {
        matches!(self, Self::NanIsYes | Self::ZeroIsYes)
    }
}

// === impl Test ===

impl<T: Number> Test<T> {
    fn holds(&self, value: T, missing: bool) -> bool {
        match self {
            Self::Less(threshold) => value < *threshold,
            Self::LessOrEqual(threshold) => value <= *threshold,
            Self::Greater(threshold) => value > *threshold,
            Self::GreaterOrEqual(threshold) => value >= *threshold,
            Self::Equal(number) => value == *number,
            Self::NotEqual(number) => value != *number,
            Self::OneOf(numbers) => numbers.contains(&value),
            Self::Category(categories) => categories.answer(value.widen(), missing),
        }
    }
}

// === impl Categories ===

impl Categories {
    /// Makes a set of words in which the bits of the codes are set.
    pub fn words(codes: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut words = Vec::new();
        for code in codes {
            let word = (code / 32) as usize;
            if words.len() <= word {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (code % 32);
        }
        words
    }

    fn answer(&self, value: f64, missing: bool) -> bool {
        let code = self.code(value);
        let is_in = |words: &[u32]| code.is_some_and(|code| contains(words, code));
        match &self.known {
            _ if is_in(&self.members) => true,
            Some(known) if !is_in(known) => missing,
            _ => false,
        }
    }

    /// Returns the code that a value stands for.
    fn code(&self, value: f64) -> Option<usize> {
        let lowest_is_in = if self.below_zero_is_zero { value > -1.0 } else { value >= 0.0 };
        (lowest_is_in && value < f64::from(u32::MAX)).then_some(value as usize)
    }
}

fn contains(words: &[u32], code: usize) -> bool {
    words.get(code / 32).is_some_and(|word| word >> (code % 32) & 1 == 1)
}

// === impl Leaf ===

impl<T: Number> Leaf<T> {
    /// Calls `put` with outputs and the numbers that are added to each and those after it.
    #[inline]
    pub(super) fn visit(&self, row: &[T], put: &mut impl FnMut(usize, &[T])) {
        match self {
            Self::One { output, value } => put(*output, &[*value]),
            Self::Some(weights) => {
                weights.iter().for_each(|(output, value)| put(*output, &[*value]));
            }
            Self::All(values) => put(0, values),
            Self::Linear { output, constant, terms, otherwise } => {
                put(*output, &[linear(row, *constant, terms).unwrap_or(*otherwise)]);
            }
        }
    }
}

/// Returns the constant plus the products; `None` if one of the features is NaN.
fn linear<T: Number>(row: &[T], constant: T, terms: &[(usize, T)]) -> Option<T> {
    let mut sum = constant;
    for (feature, coefficient) in terms {
        let value = *row.get(*feature)?;
        if value.is_nan() {
            return None;
        }
        sum += value * *coefficient;
    }
    Some(sum)
}
