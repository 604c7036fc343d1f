//! Convolutions backwards of floats. A product of matrices gives what each pixel adds to the output
//! under each element of the filters: the columns. Sums along rows then put them there.

use std::array;
use std::ops::Range;

use wardian_sdk::Error;
use wardian_sdk::kernels::Strides;

use onnx_executor::tensor::filled;

use super::super::product::multiply;
use super::super::window::Geometry;
use super::Plan;
use crate::kernels::size;

/// The most columns in memory, in numbers, unless the filter of one channel has more elements. They
/// stay in the cache until they are added.
const MOST: usize = 1 << 17;

/// The pixels of a block that has several channels, if the image has as many.
const PIXELS: usize = 1 << 10;

/// Adds the products to the results.
pub(super) fn add(
    plan: &Plan,
    images: &[f32],
    filters: &[f32],
    results: &mut [f32],
) -> Result<(), Error> {
    if images.is_empty() || filters.is_empty() || results.is_empty() {
        return Ok(());
    }
    let kernel = plan.geometry.kernel_size();
    let (pixels, output) = (plan.geometry.output_size(), plan.geometry.input_size());
    let rows = Rows::new(&plan.geometry);
    let [channels, length] = block(plan);
    let mut columns = filled(channels * kernel * length, 0.0)?;

    let images = images.chunks_exact(plan.inputs * pixels);
    let results = results.chunks_exact_mut(plan.outputs * output);
    for (index, (image, results)) in images.zip(results).enumerate() {
        let each = plan.inputs * plan.outputs * kernel;
        let filters = &filters[index % plan.groups * each..][..each];

        for (block, results) in results.chunks_mut(channels * output).enumerate() {
            let filters = &filters[block * channels * kernel..];
            for start in (0..pixels).step_by(length) {
                let run = start..pixels.min(start + length);
                let columns = &mut columns[..results.len() / output * kernel * run.len()];
                multiply_block(plan, filters, (image, &run), columns)?;

                let columns = columns.chunks_exact(kernel * run.len());
                for (result, columns) in results.chunks_exact_mut(output).zip(columns) {
                    rows.add(columns, &run, result);
                }
            }
        }
    }
    Ok(())
}

/// Returns the channels and the pixels of a block.
fn block(plan: &Plan) -> [usize; 2] {
    let (kernel, pixels) = (plan.geometry.kernel_size(), plan.geometry.output_size());
    let most = (MOST / kernel).max(1);
    let channels = plan.outputs.min((most / pixels.min(PIXELS)).max(1));
    [channels, pixels.min((most / channels).max(1))]
}

/// Computes the columns of a block: a row for each element of the filters, from the first one of a
/// channel on, and a column for each pixel of a run.
fn multiply_block(
    plan: &Plan,
    filters: &[f32],
    (image, run): (&[f32], &Range<usize>),
    columns: &mut [f32],
) -> Result<(), Error> {
    let elements = size(plan.outputs * plan.geometry.kernel_size())?;
    let by_element = Strides { batch: 0, row: 1, column: elements };
    let by_source = Strides { batch: 0, row: size(plan.geometry.output_size())?, column: 1 };
    multiply(
        (filters, by_element),
        (&image[run.start..], by_source),
        [1, columns.len() / run.len(), plan.inputs, run.len()],
        1.0,
        columns,
    )
}

/// The rows of an output: where columns are added to them.
struct Rows<'a> {
    geometry: &'a Geometry,
    /// The last axis.
    along: usize,
    /// Pixels, elements of the filter and results along the last axis.
    pixels: usize,
    elements: usize,
    results: usize,
    /// For each element along the last axis, the pixels whose places are in the output.
    inside: Vec<Range<usize>>,
}

impl<'a> Rows<'a> {
    /// No extent may be 0.
    fn new(geometry: &'a Geometry) -> Self {
        let along = geometry.input.len() - 1;
        let (pixels, elements) = (geometry.output[along], geometry.kernel[along]);
        let mut rows = Rows {
            geometry,
            along,
            pixels,
            elements,
            results: geometry.input[along],
            inside: Vec::new(),
        };
        rows.inside = (0..elements).map(|element| rows.inside(element)).collect();
        rows
    }

    fn inside(&self, element: usize) -> Range<usize> {
        let geometry = self.geometry;
        let begin = geometry.begins[self.along] as u64;
        let shift = element as u64 * geometry.dilations[self.along] as u64;
        let first = |place: u64| {
            let pixel = place.saturating_sub(shift).div_ceil(geometry.strides[self.along] as u64);
            pixel.min(self.pixels as u64) as usize
        };
        first(begin)..first(begin + self.results as u64)
    }

    /// Returns the row of the output under an element of the filter along all axes but the last.
    fn under(&self, mut row: usize, mut element: usize) -> Option<usize> {
        let (mut under, mut step) = (0, 1);
        for axis in (0..self.along).rev() {
            let (rows, elements) = (self.geometry.output[axis], self.geometry.kernel[axis]);
            under += self.geometry.place(axis, row % rows, element % elements)? * step;
            step *= self.geometry.input[axis];
            (row, element) = (row / rows, element / elements);
        }
        Some(under)
    }

    /// Adds the columns of a run of pixels to an output channel.
    fn add(&self, columns: &[f32], run: &Range<usize>, result: &mut [f32]) {
        let rows_of_filter = self.geometry.kernel_size() / self.elements;
        let mut start = run.start;
        while start < run.end {
            let (row, first) = (start / self.pixels, start % self.pixels);
            let count = (self.pixels - first).min(run.end - start);
            for element in 0..rows_of_filter {
                let Some(under) = self.under(row, element) else { continue };
                let columns = &columns[element * self.elements * run.len()..];
                let columns = Columns {
                    values: &columns[start - run.start..],
                    distance: run.len(),
                    pixels: first..first + count,
                };
                self.add_row(&columns, &mut result[under * self.results..][..self.results]);
            }
            start += count;
        }
    }

    /// Adds the columns of pixels of a row to a row of the output. Elements whose places are side
    /// by side and fill a stride are added together.
    fn add_row(&self, columns: &Columns<'_>, result: &mut [f32]) {
        let mut element = 0;
        while element < self.elements {
            let are_neighbors = self.geometry.dilations[self.along] == 1;
            let room = if are_neighbors { self.elements - element } else { 0 };
            element += match self.geometry.strides[self.along] {
                2 if room >= 2 => self.add_neighbors::<2>(columns, element, result),
                4 if room >= 4 => self.add_neighbors::<4>(columns, element, result),
                _ => self.add_element(columns, element, columns.inside(self, element), result),
            };
        }
    }

    /// Adds the columns of pixels under one element. Returns 1.
    fn add_element(
        &self,
        columns: &Columns<'_>,
        element: usize,
        pixels: Range<usize>,
        result: &mut [f32],
    ) -> usize {
        if pixels.is_empty() {
            return 1;
        }
        let values = columns.of(element, &pixels);
        let result = &mut result[self.place(pixels.start, element)..];
        match self.geometry.strides[self.along] {
            1 => result.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            stride => {
                let sums = result.iter_mut().step_by(stride);
                sums.zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        1
    }

    /// Adds the columns of pixels under as many elements as a stride has steps. Returns their
    /// number.
    fn add_neighbors<const N: usize>(
        &self,
        columns: &Columns<'_>,
        element: usize,
        result: &mut [f32],
    ) -> usize {
        let inside: [_; N] = array::from_fn(|index| columns.inside(self, element + index));
        let start = inside.iter().map(|pixels| pixels.start).max().unwrap_or_default();
        let end = inside.iter().map(|pixels| pixels.end).min().unwrap_or_default().max(start);

        // The places of the pixels at the ends are in the output under some of the elements.
        for (index, inside) in inside.into_iter().enumerate() {
            let before = inside.start..inside.end.min(start);
            let after = inside.start.max(end)..inside.end;
            self.add_element(columns, element + index, before, result);
            self.add_element(columns, element + index, after, result);
        }
        if start == end {
            return N;
        }

        let values: [_; N] = array::from_fn(|index| columns.of(element + index, &(start..end)));
        let sums = &mut result[self.place(start, element)..].as_chunks_mut::<N>().0[..end - start];
        for (pixel, sums) in sums.iter_mut().enumerate() {
            for (sum, values) in sums.iter_mut().zip(values) {
                *sum += values[pixel];
            }
        }
        N
    }

    /// Returns the place in the output of a pixel under an element; it must be inside.
    fn place(&self, pixel: usize, element: usize) -> usize {
        self.geometry.place(self.along, pixel, element).unwrap_or_default()
    }
}

/// The columns of pixels that are side by side in a row of the image.
struct Columns<'a> {
    values: &'a [f32],
    /// The distance between those of two elements of the filter.
    distance: usize,
    pixels: Range<usize>,
}

impl<'a> Columns<'a> {
    /// Returns those of the pixels whose places under an element are in the output.
    fn inside(&self, rows: &Rows<'_>, element: usize) -> Range<usize> {
        let inside = &rows.inside[element];
        inside.start.max(self.pixels.start)..inside.end.min(self.pixels.end)
    }

    /// Returns the columns of some of the pixels under an element.
    fn of(&self, element: usize, pixels: &Range<usize>) -> &'a [f32] {
        &self.values[element * self.distance + pixels.start - self.pixels.start..][..pixels.len()]
    }
}
