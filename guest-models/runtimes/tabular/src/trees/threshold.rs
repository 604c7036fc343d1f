//! Brings the comparisons of all formats into one form.

use super::columns::{Column, Replaced};
use super::{Missing, Number, Split, Test};

/// A split that compares: values up to the threshold go low, others and NaN go high.
#[derive(Debug)]
pub(super) struct Comparison<T> {
    pub(super) column: Column,
    pub(super) threshold: T,
    pub(super) low: usize,
    pub(super) high: usize,
}

impl<T: Number> Comparison<T> {
    /// Returns the split in this form; `None` if it does not have it, as a question about a
    /// category.
    pub(super) fn of(split: &Split<T>) -> Option<Self> {
        let (threshold, yes_is_low) = highest_low(&split.test)?;
        let (low, high) = if yes_is_low { (split.yes, split.no) } else { (split.no, split.yes) };
        let replaced = match split.missing {
            Missing::NanIsZero => Replaced::NanByZero,
            Missing::ZeroIsYes | Missing::ZeroIsNo => Replaced::ZeroByNan,
            Missing::Never | Missing::NanIsYes | Missing::NanIsNo => Replaced::Nothing,
        };
        let feature = u32::try_from(split.feature).ok()?;
        let column = Column { feature, negated: false, replaced };

        let nan_is_low = split.missing.answer() == yes_is_low;
        if !nan_is_low || split.missing == Missing::NanIsZero {
            return Some(Self { column, threshold, low, high });
        }
        // Values up to the threshold are, negated, all that is not below the negated threshold.
        let threshold = below(-threshold)?;
        Some(Self { column: Column { negated: true, ..column }, threshold, low: high, high: low })
    }
}

/// Returns the highest number that goes low, and whether low means yes.
fn highest_low<T: Number>(test: &Test<T>) -> Option<(T, bool)> {
    let (threshold, yes_is_low) = match *test {
        Test::Less(threshold) => (below(threshold)?, true),
        Test::LessOrEqual(threshold) => (threshold, true),
        Test::Greater(threshold) => (threshold, false),
        Test::GreaterOrEqual(threshold) => (below(threshold)?, false),
        Test::Equal(_) | Test::NotEqual(_) | Test::OneOf(_) | Test::Category(_) => return None,
    };
    (!threshold.is_nan()).then_some((threshold, yes_is_low))
}

/// Returns the greatest number below; `None` if there is none.
fn below<T: Number>(number: T) -> Option<T> {
    (number > T::NEG_INFINITY).then(|| number.next_down())
}
