//! Resizing to weighted sums of pixels, along one axis after the other.

use wardian_sdk::Error;

use onnx_executor::kernel::Arguments;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{ElementType, Shape, allocate, collect, filled};

use super::{Resize, Step};

/// An input pixel and its weight.
type Tap = (usize, f64);

/// The weights along an axis.
struct Weights {
    /// The input pixels of all output pixels, and their weights.
    taps: Vec<Tap>,
    /// For each output pixel, the end of its taps.
    ends: Vec<usize>,
    /// For each output pixel, true if its value is that of outside.
    are_outside: Vec<bool>,
}

/// The elements after some of the steps: those in between are doubles.
enum Elements<'a, T> {
    Given(&'a [T]),
    Doubles(Vec<f64>),
}

impl Resize {
    /// Returns the elements after all steps. None of the shapes may be empty.
    pub(super) fn weighted<T: Number>(
        &self,
        arguments: &mut Arguments<'_>,
        steps: &[Step<'_>],
    ) -> Result<Vec<T>, Error> {
        let weights = steps.iter().map(|step| self.weights(step, arguments));
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        let shape = *arguments.get(0)?.shape();
        let values = arguments.values::<T>(0)?;
        let Some((last, before)) = steps.split_last() else {
            return collect(values.iter().copied());
        };

        let mut elements = Elements::Given(values);
        for (step, weights) in before.iter().zip(&weights) {
            elements = Elements::Doubles(match elements {
                Elements::Given(values) => sums(values, step, weights)?,
                Elements::Doubles(values) => sums(&values, step, weights)?,
            });
        }
        let last_weights = &weights[before.len()];
        let mut results = match elements {
            Elements::Given(values) => sums(values, last, last_weights)?,
            Elements::Doubles(values) => sums(&values, last, last_weights)?,
        };
        self.fill_outside(shape, steps, &weights, &mut results)?;
        Ok(results)
    }

    /// Returns the weights of a step, and charges its sums.
    fn weights(&self, step: &Step<'_>, arguments: &mut Arguments<'_>) -> Result<Weights, Error> {
        let extent = step.along.extent;
        let (ends, are_outside) = (allocate(extent)?, allocate(extent)?);
        let mut weights = Weights { taps: Vec::new(), ends, are_outside };
        for x in 0..extent {
            let pixel = self.pixel(x, step.extent, step.along);
            weights.are_outside.push(pixel.is_none());
            weights.taps.extend(pixel.into_iter().flatten());
            weights.ends.push(weights.taps.len());
        }
        let each = (step.outer * step.inner) as u64;
        arguments.charge((weights.taps.len() as u64).saturating_mul(each))?;
        Ok(weights)
    }

    /// Gives the pixels that are outside along an axis their value.
    fn fill_outside<T: Number>(
        &self,
        mut shape: Shape,
        steps: &[Step<'_>],
        weights: &[Weights],
        results: &mut [T],
    ) -> Result<(), Error> {
        for step in steps {
            shape = shape.with(step.along.axis, step.along.extent)?;
        }
        let have_outside = |weights: &Weights| weights.are_outside.contains(&true);
        let steps = steps.iter().zip(weights);
        for (step, weights) in steps.filter(|(_, weights)| have_outside(weights)) {
            let (_, inner) = shape.split_at_axis(step.along.axis + 1);
            for block in results.chunks_exact_mut(step.along.extent * inner) {
                let pixels = block.chunks_exact_mut(inner).zip(&weights.are_outside);
                let outside = pixels.filter(|(_, is_outside)| **is_outside);
                outside.for_each(|(pixel, _)| pixel.fill(rounded(self.outside)));
            }
        }
        Ok(())
    }
}

impl Weights {
    /// Returns the taps of each output pixel; none of one outside.
    fn pixels(&self) -> impl ExactSizeIterator<Item = &[Tap]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let taps = &self.taps[start..*end];
            start = *end;
            taps
        })
    }

    /// Returns the taps as pairs, so that sums need no inner loop. The only tap of a pixel is two
    /// halves. `None` if a pixel has more taps, or none.
    fn pairs(&self) -> Result<Option<Vec<[Tap; 2]>>, Error> {
        let mut pairs = allocate(self.ends.len())?;
        for taps in self.pixels() {
            pairs.push(match *taps {
                [(place, weight)] => [(place, weight * 0.5); 2],
                [one, other] => [one, other],
                _ => return Ok(None),
            });
        }
        Ok(Some(pairs))
    }
}

/// Returns the elements after a step.
fn sums<S: Number, R: Number>(
    values: &[S],
    step: &Step<'_>,
    weights: &Weights,
) -> Result<Vec<R>, Error> {
    let mut results = allocate(step.elements)?;
    if step.inner == 1 {
        let pairs = weights.pairs()?;
        for row in values.chunks_exact(step.extent) {
            match &pairs {
                Some(pairs) => {
                    results.extend(pairs.iter().map(|taps| rounded::<R>(sum(row, taps))))
                }
                None => results.extend(weights.pixels().map(|taps| rounded::<R>(sum(row, taps)))),
            }
        }
        return Ok(results);
    }

    let mut sums = filled(step.inner, 0.0)?;
    for block in values.chunks_exact(step.extent * step.inner) {
        for taps in weights.pixels() {
            sums.fill(0.0);
            for (place, weight) in taps {
                let row = &block[place * step.inner..][..step.inner];
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += weight * v.to_f64());
            }
            results.extend(sums.iter().map(|sum| rounded::<R>(*sum)));
        }
    }
    Ok(results)
}

/// Returns the weighted sum of pixels of a row.
#[inline(always)]
fn sum<T: Number>(row: &[T], taps: &[Tap]) -> f64 {
    taps.iter().fold(0.0, |sum, (place, weight)| sum + weight * row[*place].to_f64())
}

/// Returns the nearest number of a type, of integers halves to the even one.
fn rounded<T: Number>(value: f64) -> T {
    match ElementType::FLOATS.contains(&T::TYPE) {
        true => T::from_f64(value),
        false => T::from_f64(value.round_ties_even()),
    }
}
