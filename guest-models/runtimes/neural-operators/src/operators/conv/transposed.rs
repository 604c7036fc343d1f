//! Convolutions backwards.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

use super::super::window::{Geometry, sizes};
use super::{Plan, check_biases, columns};

/// A convolution backwards: each input pixel adds a filter to the output.
pub(super) fn kernel(node: &Node<'_>) -> Result<Kernel, Error> {
    let backward = Backward {
        padding: node.text("auto_pad", "NOTSET")?.to_owned(),
        groups: sizes("group", &[node.integer("group", 1)], 1)?[0],
        kernel: sizes("kernel_shape", node.integers("kernel_shape"), 1)?,
        strides: sizes("strides", node.integers("strides"), 1)?,
        dilations: sizes("dilations", node.integers("dilations"), 1)?,
        pads: sizes("pads", node.integers("pads"), 0)?,
        extra: sizes("output_padding", node.integers("output_padding"), 0)?,
        extents: sizes("output_shape", node.integers("output_shape"), 1)?,
    };
    if !["NOTSET", "", "SAME_UPPER", "SAME_LOWER", "VALID"].contains(&backward.padding.as_str()) {
        return Err(Error::failed(format_args!("auto_pad {:?} is not known", backward.padding)));
    }
    Ok(match node.input_type(0)? {
        ElementType::F32 => Kernel::new(ElementType::F32, move |arguments| {
            backward.run::<f32>(arguments, columns::add)
        }),
        _ => Kernel::new(ElementType::F64, move |arguments| {
            backward.run::<f64>(arguments, |plan, images, filters, results| {
                plan.scatter(images, filters, results);
                Ok(())
            })
        }),
    })
}

/// The attributes of a convolution backwards.
struct Backward {
    padding: String,
    groups: usize,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    extra: Vec<usize>,
    extents: Vec<usize>,
}

impl Backward {
    /// Computes a convolution with a function that adds the products to the results.
    fn run<T: Number>(
        &self,
        arguments: &mut Arguments<'_>,
        add: impl Fn(&Plan, &[T], &[T], &mut [T]) -> Result<(), Error>,
    ) -> Result<Tensor, Error> {
        let plan = self.plan(arguments.get(0)?.shape(), arguments.get(1)?.shape())?;
        let pixels = arguments.get(0)?.len() as u64;
        let each = plan.outputs as u64 * plan.geometry.kernel_size() as u64;
        arguments.charge(pixels.saturating_mul(each))?;

        let mut results = filled(plan.shape.elements(), T::ZERO)?;
        if let Some(biases) = arguments.find(2) {
            let biases = biases.values::<T>()?;
            check_biases(biases.len(), &plan)?;
            let channels = results.chunks_exact_mut(plan.geometry.input_size().max(1));
            channels.zip(biases.iter().cycle()).for_each(|(channel, bias)| channel.fill(*bias));
        }
        add(&plan, arguments.values::<T>(0)?, arguments.values::<T>(1)?, &mut results)?;
        Tensor::new(plan.shape, results)
    }

    /// Plans it: in the plan's geometry the output is the image that windows move over.
    fn plan(&self, input: &Shape, filters: &Shape) -> Result<Plan, Error> {
        let misfit = || format!("filters of {filters:?} for images of {input:?}");
        let ([batch, channels, image @ ..], [inputs, outputs, kernel @ ..]) =
            (&**input, &**filters)
        else {
            return Err(Error::rejected(misfit()));
        };
        let axes = image.len();
        let given = |list: &[usize], count: usize| list.is_empty() || list.len() == count;
        let fits = axes > 0
            && axes == kernel.len()
            && channels == inputs
            && channels % self.groups == 0
            && (self.kernel.is_empty() || self.kernel == kernel)
            && [&self.strides, &self.dilations, &self.extra].iter().all(|list| given(list, axes))
            && given(&self.extents, axes)
            && given(&self.pads, axes * 2);
        if !fits {
            return Err(Error::rejected(misfit()));
        }
        let or = |list: &[usize], axis: usize, default| list.get(axis).copied().unwrap_or(default);
        let mut geometry = Geometry {
            input: Vec::new(),
            output: image.to_vec(),
            kernel: kernel.to_vec(),
            strides: (0..axes).map(|axis| or(&self.strides, axis, 1)).collect(),
            dilations: (0..axes).map(|axis| or(&self.dilations, axis, 1)).collect(),
            begins: Vec::new(),
            ends: vec![0; axes],
        };
        for axis in 0..axes {
            let reach =
                (kernel[axis].saturating_sub(1) as u64) * geometry.dilations[axis] as u64 + 1;
            let stride = geometry.strides[axis] as u64;
            let extra = or(&self.extra, axis, 0) as u64;
            let full = stride * (image[axis] as u64).saturating_sub(1) + reach + extra;
            let is_same = self.padding.starts_with("SAME");
            let (extent, begin) = if is_same || !self.extents.is_empty() {
                let same = image[axis] as u64 * stride;
                let extent = self.extents.get(axis).map_or(same, |extent| *extent as u64);
                let total = full.saturating_sub(extent);
                let begin = match self.padding.as_str() {
                    "SAME_UPPER" => total / 2,
                    _ => total - total / 2,
                };
                (extent, begin)
            } else {
                let [begin, end] = match self.padding.as_str() {
                    "VALID" => [0, 0],
                    _ => [or(&self.pads, axis, 0), or(&self.pads, axes + axis, 0)],
                };
                let extent = full.checked_sub(begin as u64 + end as u64);
                (extent.or_rejected("its padding is larger than its output")?, begin as u64)
            };
            geometry.input.push(usize::try_from(extent).or_rejected("an extent")?);
            geometry.begins.push(usize::try_from(begin).or_rejected("a padding")?);
        }
        let all = outputs.checked_mul(self.groups).or_rejected("too many channels")?;
        let shape: Vec<_> = [*batch, all].into_iter().chain(geometry.input.clone()).collect();
        Ok(Plan {
            geometry,
            batch: *batch,
            groups: self.groups,
            inputs: channels / self.groups,
            outputs: *outputs,
            shape: Shape::new(&shape)?,
        })
    }
}

impl Plan {
    fn scatter<T: Number>(&self, images: &[T], filters: &[T], results: &mut [T]) {
        let (pixels, output) = (self.geometry.output_size(), self.geometry.input_size());
        let kernel = self.geometry.kernel_size();
        self.geometry.for_each_block(|block| {
            for image in 0..self.batch * self.groups {
                let group = image % self.groups;
                for source in 0..self.inputs {
                    let pixels = &images[(image * self.inputs + source) * pixels..];
                    let filter = (group * self.inputs + source) * self.outputs * kernel;
                    for channel in 0..self.outputs {
                        let filter = &filters[filter + channel * kernel..];
                        let result = &mut results[(image * self.outputs + channel) * output..];
                        for (position, pairs) in block.positions() {
                            for (element, place) in pairs {
                                let product = pixels[position].times(filter[*element]);
                                result[*place] = result[*place].plus(product);
                            }
                        }
                    }
                }
            }
        });
    }
}
