//! Resizing to the nearest pixels: copies of rows.

use wardian_sdk::Error;

use onnx_executor::kernel::Arguments;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{allocate, collect, filled};

use super::{Resize, Step};

/// The pixels along an axis: for each of the output the one of the input.
struct Places {
    places: Vec<usize>,
    /// The extent of the input.
    extent: usize,
    /// The number of times that each pixel of the input follows itself, if the places are no more.
    repeats: Option<usize>,
}

impl Resize {
    /// Returns the elements after all steps. None of the shapes may be empty.
    pub(super) fn copied<T: Number>(
        &self,
        arguments: &mut Arguments<'_>,
        steps: &[Step<'_>],
    ) -> Result<Vec<T>, Error> {
        for step in steps {
            arguments.charge(step.elements as u64)?;
        }
        let elements = steps.last().map(|step| step.elements);
        let axes = self.places(arguments.get(0)?.shape(), steps)?;
        let width = axes.last().map_or(0, |axis| axis.places.len());

        let values = arguments.values::<T>(0)?;
        let mut results = allocate(elements.unwrap_or(values.len()))?;
        add(&axes, values, &mut results, &mut filled(width, T::ZERO)?);
        Ok(results)
    }

    /// Returns the places along each axis up to the last one that changes.
    fn places(&self, extents: &[usize], steps: &[Step<'_>]) -> Result<Vec<Places>, Error> {
        let axes = steps.iter().map(|step| step.along.axis + 1).max().unwrap_or_default();
        let places = |(axis, extent): (usize, &usize)| {
            let places = match steps.iter().find(|step| step.along.axis == axis) {
                Some(Step { along, .. }) => {
                    collect((0..along.extent).map(|x| self.nearest(x, *extent, along)))?
                }
                None => collect(0..*extent)?,
            };
            Ok(Places::new(places, *extent))
        };
        extents.iter().take(axes).enumerate().map(places).collect()
    }
}

impl Places {
    fn new(places: Vec<usize>, extent: usize) -> Self {
        let repeats = places.len() / extent;
        let are_repeats = repeats > 0
            && places.len() == repeats * extent
            && places.iter().enumerate().all(|(index, place)| *place == index / repeats);
        Places { places, extent, repeats: are_repeats.then_some(repeats) }
    }

    /// Copies the pixels of a row.
    fn copy<T: Copy>(&self, values: &[T], row: &mut [T]) {
        match self.repeats {
            Some(2) => repeat::<2, T>(values, row),
            Some(4) => repeat::<4, T>(values, row),
            _ => row.iter_mut().zip(&self.places).for_each(|(to, place)| *to = values[*place]),
        }
    }
}

fn repeat<const N: usize, T: Copy>(values: &[T], row: &mut [T]) {
    row.as_chunks_mut::<N>().0.iter_mut().zip(values).for_each(|(to, value)| *to = [*value; N]);
}

/// Adds the elements at the places along these axes, and all along the further ones, to the
/// results. `row` is as long as the last of these axes.
fn add<T: Copy>(axes: &[Places], values: &[T], results: &mut Vec<T>, row: &mut [T]) {
    let [axis, rest @ ..] = axes else {
        results.extend_from_slice(values);
        return;
    };
    let block = values.len() / axis.extent;
    if rest.is_empty() && block == 1 {
        axis.copy(values, row);
        results.extend_from_slice(row);
        return;
    }

    let (mut start, mut before) = (results.len(), None);
    for place in &axis.places {
        let end = results.len();
        if before == Some(place) {
            results.extend_from_within(start..end);
        } else {
            add(rest, &values[place * block..][..block], results, row);
        }
        (start, before) = (end, Some(place));
    }
}
