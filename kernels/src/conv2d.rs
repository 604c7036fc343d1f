//! Two-dimensional convolutions of `f32` images.

mod depthwise;
mod im2col;
mod packing;
mod rows;
mod small;
mod window;

use crate::error::{exactly, length, positive, product};
use crate::team::Alone;
use crate::{Activation, Checkpoint, Error, InstructionSet, Team};

/// A convolution: the output is `activation(input * filters + bias + residual)`.
///
/// Images are dense: all rows of a channel in order, then the next channel. The filters of a model
/// are `[output channels, input channels of a group, height, width]`, and are packed once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// Images.
    pub batch: u32,
    /// Channels of an input image.
    pub input_channels: u32,
    /// The height and the width of an input image.
    pub input: [u32; 2],
    /// Channels of an output image.
    pub output_channels: u32,
    /// The height and the width of a filter.
    pub kernel: [u32; 2],
    /// The distances of two filter positions, down and to the right.
    pub strides: [u32; 2],
    /// The distances of two elements of a filter in the image, down and to the right.
    pub dilations: [u32; 2],
    /// Zeros around an image: at the top, at the left, at the bottom and at the right.
    pub pads: [u32; 4],
    /// Groups of channels. Each group of output channels sees its group of input channels alone.
    pub groups: u32,
    /// There is a bias for each output channel.
    pub bias: bool,
    /// Images like the output are added before the activation.
    pub residual: bool,
    /// Applied last.
    pub activation: Activation,
}

/// The slices of a [`Conv2d`].
#[derive(Debug)]
pub struct Conv2dData<'a> {
    /// The input images.
    pub input: &'a [f32],
    /// The filters, packed by [`Conv2d::pack`].
    pub filters: &'a [f32],
    /// A bias for each output channel, or empty.
    pub bias: &'a [f32],
    /// Images like the output, or empty.
    pub residual: &'a [f32],
    /// The output images. They are overwritten.
    pub output: &'a mut [f32],
}

/// The sizes of a checked convolution, on this machine.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    groups: usize,
    /// Input channels of a group.
    inputs: usize,
    /// Output channels of a group.
    outputs: usize,
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// At the top and at the left.
    pads: [usize; 2],
}

impl Sizes {
    fn input_pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn kernel_area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Elements of a filter.
    fn depth(&self) -> usize {
        self.inputs * self.kernel_area()
    }

    /// Returns the same convolution with long rows. Images and filters of one column lie in memory
    /// as those of one row do.
    fn with_long_rows(self) -> Self {
        let is_column = self.input[1] == 1 && self.kernel[1] == 1 && self.output[1] == 1;
        if !is_column || self.pads[1] > 0 {
            return self;
        }

        let exchanged = |[height, width]: [usize; 2]| [width, height];
        Sizes {
            input: exchanged(self.input),
            output: exchanged(self.output),
            kernel: exchanged(self.kernel),
            strides: exchanged(self.strides),
            dilations: exchanged(self.dilations),
            pads: exchanged(self.pads),
            ..self
        }
    }
}

/// The largest height or width of an image with its zeros. An index in it fits into 32 bits.
const MAX_PADDED: u64 = i32::MAX as u64;

/// The most elements of a filter that [`depthwise`] computes. Larger filters are computed as
/// products of matrices.
const MAX_DEPTHWISE_AREA: u64 = 64;

impl Conv2d {
    /// Returns the height and the width of an output image.
    ///
    /// # Errors
    /// If a size is 0 or too large, or the filter is larger than the padded image.
    pub fn output_size(&self) -> Result<[u32; 2], Error> {
        let [top, left, bottom, right] = self.pads;
        Ok([self.output_extent(0, top, bottom)?, self.output_extent(1, left, right)?])
    }

    fn output_extent(&self, axis: usize, before: u32, after: u32) -> Result<u32, Error> {
        let input = positive(self.input[axis], "a size of the input")?;
        let kernel = positive(self.kernel[axis], "a size of the filters")?;
        let stride = positive(self.strides[axis], "a stride")?;
        let dilation = positive(self.dilations[axis], "a dilation")?;

        let padded = input + u64::from(before) + u64::from(after);
        if padded > MAX_PADDED {
            return Err(Error::TooLarge("the padded image"));
        }
        let reach = (kernel - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1));
        let reach = reach.ok_or(Error::TooLarge("the reach of the filters"))?;
        let free = padded.checked_sub(reach);
        let free = free.ok_or(Error::Misfit("the filters are larger than the padded image"))?;

        u32::try_from(free / stride + 1).map_err(|_| Error::TooLarge("the output"))
    }

    /// Returns the numbers of the packed filters. They depend on the channels, the groups and the
    /// size of a filter alone.
    ///
    /// # Errors
    /// If a size is 0 or too large, or the groups do not divide the channels.
    pub fn packed_len(&self) -> Result<u64, Error> {
        let [inputs, outputs] = self.channels_of_group()?;
        let area = self.filter_area()?;
        let groups = u64::from(self.groups);

        if self.is_depthwise(inputs, area) {
            return product(&[groups, outputs, area], "the filters");
        }
        packing::packed_len(groups, product(&[inputs, area], "the filters")?, outputs)
    }

    /// Packs filters, from the position `start`, which is 0 at first. Returns the position at which
    /// to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If the description is not valid or does not fit the slices.
    pub fn pack(
        &self,
        filters: &[f32],
        packed: &mut [f32],
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        let [inputs, outputs] = self.channels_of_group()?;
        let area = self.filter_area()?;
        let groups = u64::from(self.groups);

        exactly(packed, self.packed_len()?, "the packed filters")?;
        exactly(filters, product(&[groups, outputs, inputs, area], "the filters")?, "the filters")?;

        if self.is_depthwise(inputs, area) {
            return packing::copy(filters, packed, start, checkpoint);
        }

        let depth = length(inputs * area, "the filters")?;
        let outputs = length(outputs, "the filters")?;
        packing::pack(filters, packed, depth, outputs, start, checkpoint)
    }

    /// Computes from the position `start`, which is 0 at first, with the best instruction set.
    /// Returns the position at which to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If the description is not valid or does not fit the slices. Nothing is written then.
    pub fn run(
        &self,
        data: Conv2dData<'_>,
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_with(InstructionSet::best(), data, start, checkpoint)
    }

    /// [`Conv2d::run`] with a given instruction set.
    ///
    /// # Errors
    /// As [`Conv2d::run`].
    pub fn run_with(
        &self,
        set: InstructionSet,
        data: Conv2dData<'_>,
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_by(set, data, start, &mut Alone(checkpoint))
    }

    /// [`Conv2d::run_with`] on the threads of a team.
    ///
    /// # Errors
    /// As [`Conv2d::run`].
    pub fn run_by(
        &self,
        set: InstructionSet,
        data: Conv2dData<'_>,
        start: u64,
        team: &mut dyn Team,
    ) -> Result<Option<u64>, Error> {
        let sizes = self.check(&data)?.with_long_rows();

        if self.is_depthwise(sizes.inputs as u64, sizes.kernel_area() as u64) {
            depthwise::run(sizes, self.activation, data, set, start, team)
        } else if small::serves(&sizes) {
            small::run(sizes, self.activation, data, set, start, team)
        } else {
            im2col::run(sizes, self.activation, data, set, start, team)
        }
    }

    /// Returns the channels of a group, of the input and of the output.
    fn channels_of_group(&self) -> Result<[u64; 2], Error> {
        let groups = positive(self.groups, "the number of groups")?;
        let inputs = positive(self.input_channels, "the number of input channels")?;
        let outputs = positive(self.output_channels, "the number of output channels")?;

        if inputs % groups != 0 || outputs % groups != 0 {
            return Err(Error::Misfit("the groups do not divide the channels"));
        }
        Ok([inputs / groups, outputs / groups])
    }

    fn filter_area(&self) -> Result<u64, Error> {
        let [height, width] = self.kernel;
        let height = positive(height, "a size of the filters")?;
        product(&[height, positive(width, "a size of the filters")?], "the filters")
    }

    fn is_depthwise(&self, inputs: u64, area: u64) -> bool {
        inputs == 1 && self.groups > 1 && area <= MAX_DEPTHWISE_AREA
    }

    fn check(&self, data: &Conv2dData<'_>) -> Result<Sizes, Error> {
        let batch = positive(self.batch, "the batch")?;
        let [inputs, outputs] = self.channels_of_group()?;
        let output = self.output_size()?;

        let images = |channels: u32, [height, width]: [u32; 2], name| {
            product(&[batch, channels.into(), height.into(), width.into()], name)
        };
        let input_elements = images(self.input_channels, self.input, "the input")?;
        let output_elements = images(self.output_channels, output, "the output")?;

        exactly(data.input, input_elements, "the input")?;
        exactly(data.output, output_elements, "the output")?;
        exactly(data.filters, self.packed_len()?, "the packed filters")?;

        let outputs_of_all = if self.bias { self.output_channels.into() } else { 0 };
        exactly(data.bias, outputs_of_all, "the bias")?;
        exactly(data.residual, if self.residual { output_elements } else { 0 }, "the residual")?;

        let pair = |[height, width]: [u32; 2]| [height as usize, width as usize];
        Ok(Sizes {
            batch: self.batch as usize,
            groups: self.groups as usize,
            inputs: length(inputs, "the input")?,
            outputs: length(outputs, "the output")?,
            input: pair(self.input),
            output: pair(output),
            kernel: pair(self.kernel),
            strides: pair(self.strides),
            dilations: pair(self.dilations),
            pads: [self.pads[0] as usize, self.pads[1] as usize],
        })
    }
}
