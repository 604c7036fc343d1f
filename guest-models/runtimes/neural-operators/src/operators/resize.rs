//! Resize and Upsample.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::number::Number;
use onnx_executor::operators::{Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

const TYPES: &[ElementType] =
    &[ElementType::F32, ElementType::F64, ElementType::U8, ElementType::I8, ElementType::I32];

macro_rules! for_pixels {
    ($element:expr, $T:ident => $body:expr) => {
        for_types!($element, $T in [F32(f32), F64(f64), U8(u8), I8(i8), I32(i32)] => $body)
    };
}

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator {
        versions: (7, 8),
        ..Operator::onnx("Upsample", 7, TYPES, |node| upsample(node, None))
    },
    Operator {
        versions: (9, 9),
        ..Operator::onnx("Upsample", 9, TYPES, |node| upsample(node, Some(1)))
    },
    Operator {
        versions: (10, 10),
        ..Operator::onnx("Resize", 10, TYPES, |node| upsample(node, Some(1)))
    },
    Operator::onnx("Resize", 11, TYPES, resize),
];

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// The place in the input of a pixel of the output.
#[derive(Clone, Copy, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    Crop,
    TfHalfPixel,
}

#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

#[derive(Clone, Copy, PartialEq)]
enum Policy {
    Stretch,
    NotLarger,
    NotSmaller,
}

/// The attributes.
struct Resize {
    mode: Mode,
    coordinates: Coordinates,
    rounding: Rounding,
    cubic: f64,
    excludes_outside: bool,
    outside: f64,
    antialiases: bool,
    axes: Option<Vec<i64>>,
    policy: Policy,
}

fn mode(node: &Node<'_>) -> Result<Mode, Error> {
    Ok(match node.text("mode", "nearest")? {
        "nearest" => Mode::Nearest,
        "linear" | "bilinear" => Mode::Linear,
        "cubic" => Mode::Cubic,
        other => return Err(Error::failed(format_args!("the mode {other:?} is not known"))),
    })
}

/// The forms before version 11, which are asymmetric and round down.
fn upsample(node: &Node<'_>, scales_input: Option<usize>) -> Result<Kernel, Error> {
    let resize = Resize {
        mode: mode(node)?,
        coordinates: Coordinates::Asymmetric,
        rounding: Rounding::Floor,
        cubic: -0.75,
        excludes_outside: false,
        outside: 0.0,
        antialiases: false,
        axes: None,
        policy: Policy::Stretch,
    };
    let known: Vec<_> = node.floats("scales").iter().map(|scale| f64::from(*scale)).collect();
    if let Some(index) = scales_input {
        node.expect(index, &[ElementType::F32])?;
    }
    for_pixels!(node.input_type(0)?, T => Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let scales = match scales_input {
            Some(index) => floats(arguments, index)?.or_rejected("it has no scales")?,
            None => known.clone(),
        };
        let shape = *arguments.get(0)?.shape();
        let plan = resize.by_scales(&shape, &scales)?;
        resize.run::<T>(arguments, &plan)
    })))
}

fn floats(arguments: &Arguments<'_>, index: usize) -> Result<Option<Vec<f64>>, Error> {
    let Some(tensor) = arguments.find(index).filter(|tensor| tensor.len() > 0) else {
        return Ok(None);
    };
    let values = match tensor.element_type() {
        ElementType::F64 => tensor.values::<f64>()?.to_vec(),
        _ => tensor.values::<f32>()?.iter().map(|value| f64::from(*value)).collect(),
    };
    Ok(Some(values))
}

fn resize(node: &Node<'_>) -> Result<Kernel, Error> {
    let name = node.text("coordinate_transformation_mode", "half_pixel")?;
    let coordinates = match name {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_crop_and_resize" => Coordinates::Crop,
        "tf_half_pixel_for_nn" => Coordinates::TfHalfPixel,
        other => return Err(Error::failed(format_args!("the coordinates {other:?}"))),
    };
    let rounding = match node.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => Rounding::PreferFloor,
        "round_prefer_ceil" => Rounding::PreferCeil,
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        other => return Err(Error::failed(format_args!("the nearest_mode {other:?}"))),
    };
    let policy = match node.text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => Policy::Stretch,
        "not_larger" => Policy::NotLarger,
        "not_smaller" => Policy::NotSmaller,
        other => return Err(Error::failed(format_args!("the policy {other:?}"))),
    };
    let resize = Resize {
        mode: mode(node)?,
        coordinates,
        rounding,
        cubic: node.float("cubic_coeff_a", -0.75).into(),
        excludes_outside: node.flag("exclude_outside", false),
        outside: node.float("extrapolation_value", 0.0).into(),
        antialiases: node.flag("antialias", false),
        axes: node.attribute("axes").map(|axes| axes.ints.clone()),
        policy,
    };
    node.expect(1, ElementType::FLOATS)?;
    node.expect(2, &[ElementType::F32])?;
    node.expect(3, &[ElementType::I64])?;
    for_pixels!(node.input_type(0)?, T => Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let shape = *arguments.get(0)?.shape();
        let scales = floats(arguments, 2)?;
        let sizes = arguments.find(3).filter(|sizes| sizes.len() > 0);
        let mut plan = match (scales, sizes) {
            (Some(scales), None) => resize.by_scales(&shape, &scales)?,
            (None, Some(sizes)) => resize.by_sizes(&shape, &sizes.integers()?)?,
            _ => return Err(Error::rejected("it takes either scales or sizes")),
        };
        if resize.coordinates == Coordinates::Crop {
            let regions = floats(arguments, 1)?.or_rejected("it has no region")?;
            resize.crop(&shape, &regions, &mut plan)?;
        }
        resize.run::<T>(arguments, &plan)
    })))
}

/// An axis that changes.
struct Along {
    axis: usize,
    extent: usize,
    scale: f64,
    /// Start and end of the region, of the whole axis.
    region: [f64; 2],
}

/// The weights of the input pixels of an output pixel; `None` for the value outside.
type Pixel = Option<Vec<(usize, f64)>>;

impl Resize {
    fn axes(&self, shape: &Shape) -> Result<Vec<usize>, Error> {
        match &self.axes {
            Some(axes) => axes.iter().map(|axis| shape.axis(*axis)).collect(),
            None => Ok((0..shape.len()).collect()),
        }
    }

    fn by_scales(&self, shape: &Shape, scales: &[f64]) -> Result<Vec<Along>, Error> {
        let axes = self.axes(shape)?;
        if axes.len() != scales.len() {
            return Err(Error::rejected(format_args!("{} scales for {shape:?}", scales.len())));
        }
        let along = |(axis, scale): (usize, &f64)| {
            let is_valid = scale.is_finite() && *scale > 0.0 && *scale < 1e6;
            let extent = (shape[axis] as f64 * scale).floor();
            match is_valid && extent < 1e9 {
                true => {
                    Ok(Along { axis, extent: extent as usize, scale: *scale, region: [0.0, 1.0] })
                }
                false => Err(Error::rejected(format_args!("the scale {scale}"))),
            }
        };
        axes.into_iter().zip(scales).map(along).collect()
    }

    fn by_sizes(&self, shape: &Shape, sizes: &[i64]) -> Result<Vec<Along>, Error> {
        let axes = self.axes(shape)?;
        if axes.len() != sizes.len() {
            return Err(Error::rejected(format_args!("{} sizes for {shape:?}", sizes.len())));
        }
        let ratio = |(axis, size): (&usize, &i64)| *size as f64 / shape[*axis] as f64;
        let ratios = axes.iter().zip(sizes).map(ratio);
        let common = match self.policy {
            Policy::Stretch => None,
            Policy::NotLarger => Some(ratios.fold(f64::INFINITY, f64::min)),
            Policy::NotSmaller => Some(ratios.fold(0.0, f64::max)),
        };
        let along = |(axis, size): (usize, &i64)| {
            let size = u32::try_from(*size).or_rejected(format_args!("the size {size}"))? as usize;
            let Some(scale) = common else {
                let scale = size as f64 / shape[axis] as f64;
                return Ok(Along { axis, extent: size, scale, region: [0.0, 1.0] });
            };
            let extent = (shape[axis] as f64 * scale).round();
            let fits = extent.is_finite() && extent < 1e9;
            let extent = fits.then_some(extent as usize).or_rejected("a size")?;
            Ok(Along { axis, extent, scale, region: [0.0, 1.0] })
        };
        axes.into_iter().zip(sizes).map(along).collect()
    }

    fn crop(&self, shape: &Shape, regions: &[f64], plan: &mut [Along]) -> Result<(), Error> {
        let count = plan.len();
        if regions.len() != count * 2 {
            let text = format!("{} bounds for {count} axes of {shape:?}", regions.len());
            return Err(Error::rejected(text));
        }
        for (index, along) in plan.iter_mut().enumerate() {
            along.region = [regions[index], regions[count + index]];
        }
        Ok(())
    }

    /// Resizes along one axis after the other.
    fn run<T: Number>(
        &self,
        arguments: &mut Arguments<'_>,
        plan: &[Along],
    ) -> Result<Tensor, Error> {
        let input = arguments.get(0)?;
        let mut shape = *input.shape();
        let mut values: Vec<f64> =
            input.values::<T>()?.iter().map(|value| value.to_f64()).collect();
        let mut outside =
            vec![false; if self.coordinates == Coordinates::Crop { values.len() } else { 0 }];
        for along in plan {
            let extent = shape[along.axis];
            let is_same = along.extent == extent && along.scale == 1.0;
            if is_same && self.coordinates != Coordinates::Crop {
                continue;
            }
            if extent == 0 && along.extent > 0 {
                return Err(Error::rejected("an axis without elements has none to repeat"));
            }
            let pixels: Vec<_> = (0..along.extent).map(|x| self.pixel(x, extent, along)).collect();
            let (outer, block) = shape.split_at_axis(along.axis);
            let (_, inner) = shape.split_at_axis(along.axis + 1);
            shape = shape.with(along.axis, along.extent)?;
            let taps: usize = pixels.iter().flatten().map(Vec::len).sum();
            arguments.charge((taps as u64).saturating_mul((outer * inner) as u64))?;

            let mut results = filled(shape.elements(), 0.0)?;
            let mut beyond = vec![false; if outside.is_empty() { 0 } else { results.len() }];
            for (row, pixel) in results
                .chunks_exact_mut(inner.max(1))
                .enumerate()
                .map(|(row, values)| ((row, values), &pixels[row % along.extent]))
            {
                let (row, result) = row;
                let start = row / along.extent * block;
                let Some(taps) = pixel else {
                    result.fill(self.outside);
                    if let Some(flags) = beyond.get_mut(row * inner..(row + 1) * inner) {
                        flags.fill(true);
                    }
                    continue;
                };
                for (place, weight) in taps {
                    let source = &values[start + place * inner..][..inner];
                    result.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
                }
                if let (Some(flags), Some((place, _))) =
                    (beyond.get_mut(row * inner..(row + 1) * inner), taps.first())
                {
                    flags.copy_from_slice(&outside[start + place * inner..][..inner]);
                    for (result, is_outside) in result.iter_mut().zip(flags) {
                        if *is_outside {
                            *result = self.outside;
                        }
                    }
                }
            }
            (values, outside) = (results, beyond);
        }
        let is_whole = !ElementType::FLOATS.contains(&T::TYPE);
        let rounded = values.into_iter().map(|value| match is_whole {
            true => T::from_f64(value.round_ties_even()),
            false => T::from_f64(value),
        });
        Tensor::new(shape, rounded.collect())
    }

    fn pixel(&self, x: usize, extent: usize, along: &Along) -> Pixel {
        let place = self.place(x as f64, extent as f64, along);
        if self.coordinates == Coordinates::Crop && !(0.0..=extent as f64 - 1.0).contains(&place) {
            return None;
        }
        let scale = if self.antialiases { along.scale.min(1.0) } else { 1.0 };
        let last = extent as i64 - 1;
        Some(match self.mode {
            Mode::Nearest => vec![(self.nearest(place).clamp(0, last) as usize, 1.0)],
            Mode::Linear => {
                let weigh = |distance: f64| (1.0 - distance.abs()).max(0.0);
                self.taps(place, last, scale, 1.0, weigh)
            }
            Mode::Cubic => {
                let a = self.cubic;
                self.taps(place, last, scale, 2.0, |distance| cubic(distance.abs(), a))
            }
        })
    }

    /// Returns the weights of the pixels around a place, those of one at the border joined.
    fn taps(
        &self,
        place: f64,
        last: i64,
        scale: f64,
        reach: f64,
        weigh: impl Fn(f64) -> f64,
    ) -> Vec<(usize, f64)> {
        let support = reach / scale;
        let (first, end) = ((place - support).ceil() as i64, (place + support).floor() as i64);
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for index in first..=end {
            let weight = weigh((index as f64 - place) * scale);
            if weight == 0.0 || (self.excludes_outside && !(0..=last).contains(&index)) {
                continue;
            }
            let place = index.clamp(0, last) as usize;
            match taps.iter_mut().find(|(known, _)| *known == place) {
                Some((_, sum)) => *sum += weight,
                None => taps.push((place, weight)),
            }
        }
        let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
        taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        taps
    }

    fn place(&self, x: f64, extent: f64, along: &Along) -> f64 {
        let scale = along.scale;
        let [start, end] = along.region;
        let output = along.extent as f64;
        match self.coordinates {
            Coordinates::HalfPixel => (x + 0.5) / scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let adjusted = output / (extent * scale);
                let center = extent / 2.0;
                center * (1.0 - adjusted) + (x + 0.5) / scale - 0.5
            }
            Coordinates::PytorchHalfPixel if along.extent > 1 => (x + 0.5) / scale - 0.5,
            Coordinates::PytorchHalfPixel => 0.0,
            // The corners are those of the output before its extent was rounded.
            Coordinates::AlignCorners => match along.extent {
                1 => 0.0,
                _ => x * (extent - 1.0) / (extent * scale - 1.0),
            },
            Coordinates::Asymmetric => x / scale,
            Coordinates::TfHalfPixel => (x + 0.5) / scale,
            Coordinates::Crop if along.extent > 1 => {
                start * (extent - 1.0) + x * (end - start) * (extent - 1.0) / (output - 1.0)
            }
            Coordinates::Crop => 0.5 * (start + end) * (extent - 1.0),
        }
    }

    fn nearest(&self, place: f64) -> i64 {
        let rounded = match self.rounding {
            Rounding::PreferFloor if place.fract().abs() == 0.5 => place.floor(),
            Rounding::PreferCeil if place.fract().abs() == 0.5 => place.ceil(),
            Rounding::PreferFloor | Rounding::PreferCeil => place.round(),
            Rounding::Floor => place.floor(),
            Rounding::Ceil => place.ceil(),
        };
        rounded as i64
    }
}

fn cubic(distance: f64, a: f64) -> f64 {
    let d = distance;
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}
