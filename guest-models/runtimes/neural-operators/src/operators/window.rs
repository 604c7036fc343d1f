//! Windows that move over images: the geometry of convolutions and pools, of any number of axes.

use wardian_sdk::{Error, OrError};

use onnx_executor::node::Node;

/// The largest stride, dilation, padding or extent of a window.
const MAX: i64 = 1 << 28;

/// The attributes of a window.
pub(super) struct Window {
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    padding: Padding,
    rounds_up: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Padding {
    /// As the attribute says.
    Given,
    /// As many positions as the image has steps; of odd padding the larger half is at the end.
    SameUpper,
    /// The same with the larger half at the beginning.
    SameLower,
    /// None.
    Valid,
}

/// A window over an image of known extents.
#[derive(Clone)]
pub(super) struct Geometry {
    pub(super) input: Vec<usize>,
    pub(super) output: Vec<usize>,
    pub(super) kernel: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    /// At the beginning of each axis.
    pub(super) begins: Vec<usize>,
    /// At the end of each axis.
    pub(super) ends: Vec<usize>,
}

/// Pairs of a block: they stay in the cache while all channels pass by.
const BLOCK: usize = 1 << 14;

/// Positions of a window that follow each other.
pub(super) struct Block {
    /// The first position.
    first: usize,
    /// For each position, the end of its pairs.
    ends: Vec<usize>,
    /// Elements of the window and of the image.
    pairs: Vec<(usize, usize)>,
}

impl Block {
    /// Returns each position with its pairs.
    pub(super) fn positions(&self) -> impl Iterator<Item = (usize, &[(usize, usize)])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let pairs = starts.zip(&self.ends).map(|(start, end)| &self.pairs[start..*end]);
        (self.first..).zip(pairs)
    }
}

impl Window {
    /// Reads the attributes of a node.
    ///
    /// # Errors
    /// Failed if one is not valid.
    pub(super) fn read(node: &Node<'_>) -> Result<Self, Error> {
        let padding = match node.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => Padding::Given,
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            "VALID" => Padding::Valid,
            other => return Err(Error::failed(format_args!("auto_pad {other:?} is not known"))),
        };
        Ok(Self {
            strides: sizes("strides", node.integers("strides"), 1)?,
            dilations: sizes("dilations", node.integers("dilations"), 1)?,
            pads: sizes("pads", node.integers("pads"), 0)?,
            padding,
            rounds_up: false,
        })
    }

    /// Reads `ceil_mode` too.
    pub(super) fn rounding(mut self, node: &Node<'_>) -> Self {
        self.rounds_up = node.flag("ceil_mode", false);
        self
    }

    /// Returns the geometry for an image.
    ///
    /// # Errors
    /// Rejected if the attributes are for another number of axes, or the window is larger than the
    /// padded image.
    pub(super) fn over(&self, input: &[usize], kernel: &[usize]) -> Result<Geometry, Error> {
        let axes = input.len();
        let fits = |list: &[usize], count| list.is_empty() || list.len() == count;
        let are_whole = fits(&self.strides, axes) && fits(&self.dilations, axes);
        if kernel.len() != axes || !are_whole || !fits(&self.pads, axes * 2) {
            return Err(Error::rejected(format_args!("its window is not for {axes} axes")));
        }

        let or = |list: &[usize], axis: usize, default| list.get(axis).copied().unwrap_or(default);
        let mut geometry = Geometry {
            input: input.to_vec(),
            output: Vec::with_capacity(axes),
            kernel: kernel.to_vec(),
            strides: (0..axes).map(|axis| or(&self.strides, axis, 1)).collect(),
            dilations: (0..axes).map(|axis| or(&self.dilations, axis, 1)).collect(),
            begins: Vec::with_capacity(axes),
            ends: Vec::with_capacity(axes),
        };
        for axis in 0..axes {
            let pads = [or(&self.pads, axis, 0), or(&self.pads, axes + axis, 0)];
            let (extent, kernel) = (input[axis] as u64, kernel[axis] as u64);
            let reach = kernel.saturating_sub(1) * geometry.dilations[axis] as u64 + 1;
            let (output, pads) = self.along(
                extent,
                reach,
                geometry.strides[axis] as u64,
                pads.map(|pad| pad as u64),
            )?;
            geometry.output.push(usize::try_from(output).or_rejected("an extent")?);
            geometry.begins.push(usize::try_from(pads[0]).or_rejected("a padding")?);
            geometry.ends.push(usize::try_from(pads[1]).or_rejected("a padding")?);
        }
        Ok(geometry)
    }

    /// Returns the positions and the padding along an axis.
    fn along(
        &self,
        extent: u64,
        reach: u64,
        stride: u64,
        pads: [u64; 2],
    ) -> Result<(u64, [u64; 2]), Error> {
        let pads = match self.padding {
            Padding::Given => pads,
            Padding::Valid => [0, 0],
            Padding::SameUpper | Padding::SameLower => {
                let output = extent.div_ceil(stride);
                let total = (output.saturating_sub(1) * stride + reach).saturating_sub(extent);
                let small = total / 2;
                let pads = [small, total - small];
                let is_lower = self.padding == Padding::SameLower;
                return Ok((output, if is_lower { [pads[1], pads[0]] } else { pads }));
            }
        };
        let padded = extent + pads[0] + pads[1];
        let room = padded.checked_sub(reach).filter(|_| extent > 0);
        let room = room.or_rejected(format_args!("a window of {reach} over {padded} elements"))?;
        if !self.rounds_up || self.padding == Padding::Valid {
            return Ok((room / stride + 1, pads));
        }

        // A window that would start in the padding at the end is left out.
        let output = room.div_ceil(stride) + 1;
        let starts_outside = (output - 1) * stride >= extent + pads[0];
        Ok((if starts_outside { output - 1 } else { output }, pads))
    }
}

impl Geometry {
    /// Returns the place in the image under an element of the window along an axis; `None` if that
    /// is in the padding.
    pub(super) fn place(&self, axis: usize, position: usize, element: usize) -> Option<usize> {
        let place = position * self.strides[axis] + element * self.dilations[axis];
        place.checked_sub(self.begins[axis]).filter(|place| *place < self.input[axis])
    }

    /// Returns, for each position and each element of the window along an axis, the place in the
    /// image.
    fn places(&self, axis: usize) -> Vec<Vec<Option<usize>>> {
        let position = |position| {
            (0..self.kernel[axis]).map(|element| self.place(axis, position, element)).collect()
        };
        (0..self.output[axis]).map(position).collect()
    }

    /// Calls a function for blocks of positions, with the pairs of elements of the window and of
    /// the image that are inside of the image.
    pub(super) fn for_each_block(&self, mut visit: impl FnMut(&Block)) {
        let places: Vec<_> = (0..self.input.len()).map(|axis| self.places(axis)).collect();
        let mut position = vec![0; self.output.len()];
        let (mut pairs, mut next) = (Vec::new(), Vec::new());
        let mut block = Block { first: 0, ends: Vec::new(), pairs: Vec::new() };
        for index in 0..self.output_size() {
            pairs.clear();
            pairs.push((0, 0));
            for (axis, places) in places.iter().enumerate() {
                next.clear();
                for (element, image) in &pairs {
                    let along = places[position[axis]].iter().enumerate();
                    next.extend(along.filter_map(|(k, place)| {
                        let image = image * self.input[axis] + (*place)?;
                        Some((element * self.kernel[axis] + k, image))
                    }));
                }
                std::mem::swap(&mut pairs, &mut next);
            }
            block.pairs.extend_from_slice(&pairs);
            block.ends.push(block.pairs.len());
            advance(&mut position, &self.output);

            if block.pairs.len() >= BLOCK {
                visit(&block);
                block = Block { first: index + 1, ends: Vec::new(), pairs: Vec::new() };
            }
        }
        if !block.ends.is_empty() {
            visit(&block);
        }
    }

    /// Returns the elements of the image.
    pub(super) fn input_size(&self) -> usize {
        self.input.iter().product()
    }

    /// Returns the positions.
    pub(super) fn output_size(&self) -> usize {
        self.output.iter().product()
    }

    /// Returns the elements of the window.
    pub(super) fn kernel_size(&self) -> usize {
        self.kernel.iter().product()
    }
}

/// Goes to the next place in row-major order.
pub(super) fn advance(place: &mut [usize], extents: &[usize]) {
    for (index, extent) in place.iter_mut().zip(extents).rev() {
        *index += 1;
        if *index < *extent {
            return;
        }
        *index = 0;
    }
}

/// Returns numbers of an attribute, each of them at least `least`.
///
/// # Errors
/// Failed if one is not.
pub(super) fn sizes(name: &str, numbers: &[i64], least: i64) -> Result<Vec<usize>, Error> {
    let size = |number: &i64| {
        let size = Some(*number).filter(|number| (least..=MAX).contains(number));
        let size = size.and_then(|number| usize::try_from(number).ok());
        size.or_failed(format_args!("the attribute {name:?} has the value {number}"))
    };
    numbers.iter().map(size).collect()
}
