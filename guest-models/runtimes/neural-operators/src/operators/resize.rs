//! Resize and Upsample.

mod nearest;
mod pixels;
mod weighted;

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::number::Number;
use onnx_executor::operators::{Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor};

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

/// An axis that changes, with the shapes around it.
struct Step<'a> {
    along: &'a Along,
    /// The extent before.
    extent: usize,
    /// The blocks before the axis, and the elements behind each pixel of it.
    outer: usize,
    inner: usize,
    /// The elements of the result.
    elements: usize,
}

impl Resize {
    fn axes(&self, shape: &Shape) -> Result<Vec<usize>, Error> {
        let Some(axes) = &self.axes else { return Ok((0..shape.len()).collect()) };
        let axes = axes.iter().map(|axis| shape.axis(*axis)).collect::<Result<Vec<_>, _>>()?;
        let is_repeated = |(index, axis): (usize, &usize)| axes[..index].contains(axis);
        match axes.iter().enumerate().any(is_repeated) {
            true => Err(Error::rejected("an axis is given twice")),
            false => Ok(axes),
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
        let before = *arguments.get(0)?.shape();
        let (steps, shape) = self.steps(before, plan)?;
        let results = if shape.elements() == 0 {
            Vec::new()
        } else if self.mode == Mode::Nearest && self.coordinates != Coordinates::Crop {
            self.copied::<T>(arguments, &steps)?
        } else {
            self.weighted::<T>(arguments, &steps)?
        };
        Tensor::new(shape, results)
    }

    /// Returns the axes that change, and the shape of the result.
    fn steps<'a>(
        &self,
        mut shape: Shape,
        plan: &'a [Along],
    ) -> Result<(Vec<Step<'a>>, Shape), Error> {
        let mut steps = Vec::with_capacity(plan.len());
        for along in plan {
            let extent = shape[along.axis];
            let is_same = along.extent == extent && along.scale == 1.0;
            if is_same && self.coordinates != Coordinates::Crop {
                continue;
            }
            if extent == 0 && along.extent > 0 {
                return Err(Error::rejected("an axis without elements has none to repeat"));
            }
            let (outer, _) = shape.split_at_axis(along.axis);
            let (_, inner) = shape.split_at_axis(along.axis + 1);
            shape = shape.with(along.axis, along.extent)?;
            steps.push(Step { along, extent, outer, inner, elements: shape.elements() });
        }
        Ok((steps, shape))
    }
}
