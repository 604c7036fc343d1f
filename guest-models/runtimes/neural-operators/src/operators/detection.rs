//! Boxes in images: suppression of those that overlap, and their pixels.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::Operator;
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

const FLOAT: &[ElementType] = &[ElementType::F32];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("NonMaxSuppression", 10, FLOAT, suppression),
    Operator::onnx("RoiAlign", 10, FLOAT, roi_align),
];

fn suppression(node: &Node<'_>) -> Result<Kernel, Error> {
    let has_centers = node.flag("center_point_box", false);
    node.expect(1, FLOAT)?;
    node.expect(2, &[ElementType::I64])?;
    node.expect(3, FLOAT)?;
    node.expect(4, FLOAT)?;
    Ok(Kernel::new(ElementType::I64, move |arguments| {
        let boxes = arguments.get(0)?;
        let scores = arguments.get(1)?;
        let ([batch, count, 4], [score_batch, classes, score_count]) =
            (&**boxes.shape(), &**scores.shape())
        else {
            return Err(Error::rejected("boxes and scores do not have three dimensions"));
        };
        if (batch, count) != (score_batch, score_count) {
            return Err(Error::rejected("there is not one score for each box"));
        }
        let (batch, count, classes) = (*batch, *count, *classes);
        let most = first::<i64>(arguments, 2)?.unwrap_or(0).max(0);
        let overlap = first::<f32>(arguments, 3)?.unwrap_or(0.0);
        let least = first::<f32>(arguments, 4)?;
        let work = (batch * classes) as u64;
        let kept = (most as u64).min(count as u64);
        let (boxes, scores) = (boxes.clone(), scores.clone());
        arguments.charge(work.saturating_mul(kept.saturating_mul(count as u64)))?;

        let (boxes, scores) = (boxes.values::<f32>()?, scores.values::<f32>()?);
        let corners: Vec<_> = boxes.chunks_exact(4).map(|one| corners(one, has_centers)).collect();
        let mut selected: Vec<i64> = Vec::new();
        for index in 0..batch * classes {
            let (item, class) = (index / classes, index % classes);
            let scores = &scores[index * count..][..count];
            let corners = &corners[item * count..][..count];
            let mut order: Vec<usize> = (0..count)
                .filter(|place| least.is_none_or(|least| scores[*place] > least))
                .collect();
            order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
            let mut kept: Vec<usize> = Vec::new();
            for place in order {
                if kept.len() as i64 >= most {
                    break;
                }
                if kept.iter().all(|other| !overlaps(&corners[place], &corners[*other], overlap)) {
                    kept.push(place);
                    selected.extend([item as i64, class as i64, place as i64]);
                }
            }
        }
        Tensor::new(Shape::new(&[selected.len() / 3, 3])?, selected)
    }))
}

fn first<T: onnx_executor::tensor::Element + Copy>(
    arguments: &Arguments<'_>,
    index: usize,
) -> Result<Option<T>, Error> {
    let values = arguments.find(index).map(|tensor| tensor.values::<T>()).transpose()?;
    Ok(values.and_then(|values| values.first().copied()))
}

/// Returns the smaller and the larger corner of a box.
fn corners(numbers: &[f32], has_center: bool) -> [f32; 4] {
    let [a, b, c, d] = [numbers[0], numbers[1], numbers[2], numbers[3]];
    match has_center {
        true => [b - d / 2.0, a - c / 2.0, b + d / 2.0, a + c / 2.0],
        false => [a.min(c), b.min(d), a.max(c), b.max(d)],
    }
}

fn overlaps(one: &[f32; 4], other: &[f32; 4], limit: f32) -> bool {
    let height = one[2].min(other[2]) - one[0].max(other[0]);
    let width = one[3].min(other[3]) - one[1].max(other[1]);
    if !(height > 0.0 && width > 0.0) {
        return false;
    }
    let area = |corners: &[f32; 4]| (corners[2] - corners[0]) * (corners[3] - corners[1]);
    let common = height * width;
    let both = area(one) + area(other) - common;
    area(one) > 0.0 && area(other) > 0.0 && both > 0.0 && common / both > limit
}

fn roi_align(node: &Node<'_>) -> Result<Kernel, Error> {
    let is_mean = match node.text("mode", "avg")? {
        "avg" => true,
        "max" => false,
        other => return Err(Error::failed(format_args!("the mode {other:?} is not known"))),
    };
    // Version 10 has no attribute, and no shift.
    let default = if node.version() >= 16 { "half_pixel" } else { "output_half_pixel" };
    let shift = match node.text("coordinate_transformation_mode", default)? {
        "half_pixel" => 0.5,
        "output_half_pixel" => 0.0,
        other => return Err(Error::failed(format_args!("the coordinates {other:?}"))),
    };
    let extent = |name| {
        usize::try_from(node.integer(name, 1)).ok().filter(|size| (1..1 << 12).contains(size))
    };
    let (rows, columns) =
        extent("output_height").zip(extent("output_width")).or_failed("its output size")?;
    let samples = usize::try_from(node.integer("sampling_ratio", 0)).or_failed("sampling_ratio")?;
    let scale = node.float("spatial_scale", 1.0);
    node.expect(1, FLOAT)?;
    node.expect(2, &[ElementType::I64])?;
    let align = RoiAlign { is_mean, shift, rows, columns, samples: samples.min(1 << 10), scale };
    Ok(Kernel::new(ElementType::F32, move |arguments| align.run(arguments)))
}

struct RoiAlign {
    is_mean: bool,
    shift: f32,
    rows: usize,
    columns: usize,
    samples: usize,
    scale: f32,
}

impl RoiAlign {
    fn run(&self, arguments: &mut Arguments<'_>) -> Result<Tensor, Error> {
        let ([batch, channels, height, width], [count, 4]) =
            (&**arguments.get(0)?.shape(), &**arguments.get(1)?.shape())
        else {
            return Err(Error::rejected("it takes images, and regions of four numbers"));
        };
        let (batch, channels, height, width) = (*batch, *channels, *height, *width);
        let shape = Shape::new(&[*count, channels, self.rows, self.columns])?;
        if height == 0 || width == 0 {
            return Err(Error::rejected("images without pixels"));
        }
        let regions = arguments.get(1)?.clone();
        let places = arguments.get(2)?.clone();
        let mut results = filled(shape.elements(), 0.0)?;
        let each = channels * self.rows * self.columns;
        for (index, region) in regions.values::<f32>()?.chunks_exact(4).enumerate() {
            let item =
                places.values::<i64>()?.get(index).and_then(|place| usize::try_from(*place).ok());
            let item = item.filter(|item| *item < batch).or_rejected("an index of a batch")?;
            let start = [region[1], region[0]].map(|edge| edge * self.scale - self.shift);
            let end = [region[3], region[2]].map(|edge| edge * self.scale - self.shift);
            let size = [0, 1].map(|axis| {
                let size = end[axis] - start[axis];
                if self.shift == 0.0 { size.max(1.0) } else { size }
            });
            let bin = [size[0] / self.rows as f32, size[1] / self.columns as f32];
            let samples = [0, 1].map(|axis| match self.samples {
                0 => (bin[axis].ceil().clamp(0.0, 1e4)) as usize,
                samples => samples,
            });
            arguments.charge((each as u64).saturating_mul((samples[0] * samples[1]) as u64))?;
            let images = arguments.values::<f32>(0)?;
            for (place, result) in results[index * each..][..each].iter_mut().enumerate() {
                let channel = place / (self.rows * self.columns);
                let (row, column) = (place / self.columns % self.rows, place % self.columns);
                let image =
                    &images[(item * channels + channel) * height * width..][..height * width];
                *result = self.pool(image, [height, width], [row, column], start, bin, samples);
            }
        }
        Tensor::new(shape, results)
    }

    /// The mean or maximum of the samples of a bin.
    fn pool(
        &self,
        image: &[f32],
        extents: [usize; 2],
        place: [usize; 2],
        start: [f32; 2],
        bin: [f32; 2],
        samples: [usize; 2],
    ) -> f32 {
        let at = |axis: usize, sample: usize| {
            let within = (sample as f32 + 0.5) / samples[axis] as f32;
            start[axis] + (place[axis] as f32 + within) * bin[axis]
        };
        let (mut sum, mut most) = (0.0, f32::NEG_INFINITY);
        for y in 0..samples[0] {
            for x in 0..samples[1] {
                let taps = taps([at(0, y), at(1, x)], extents);
                let values = taps.map(|(place, weight)| image[place] * weight);
                sum += values.iter().sum::<f32>();
                most = values.into_iter().fold(most, f32::max);
            }
        }
        let count = samples[0] * samples[1];
        match (self.is_mean, count) {
            (_, 0) => 0.0,
            (true, count) => sum / count as f32,
            (false, _) => most,
        }
    }
}

/// The four pixels around a place and their weights, which are 0 outside of the image.
fn taps(place: [f32; 2], extents: [usize; 2]) -> [(usize, f32); 4] {
    let is_inside = |axis: usize| (-1.0..=extents[axis] as f32).contains(&place[axis]);
    if !is_inside(0) || !is_inside(1) {
        return [(0, 0.0); 4];
    }
    let along = |axis: usize| {
        let last = extents[axis] - 1;
        let place = place[axis].max(0.0);
        let low = (place as usize).min(last);
        let weight = if low == last { 0.0 } else { place - low as f32 };
        ([low, (low + 1).min(last)], [1.0 - weight, weight])
    };
    let ((ys, y), (xs, x)) = (along(0), along(1));
    let tap = |i: usize, j: usize| (ys[i] * extents[1] + xs[j], y[i] * x[j]);
    [tap(0, 0), tap(0, 1), tap(1, 0), tap(1, 1)]
}
