//! Blocks of pixels as channels, and back.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::Operator;
use onnx_executor::tensor::{ElementType, Shape, Tensor};

const ALL: &[ElementType] = ElementType::ALL;

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("DepthToSpace", 1, ALL, depth_to_space),
    Operator::onnx("SpaceToDepth", 1, ALL, space_to_depth),
];

fn block_size(node: &Node<'_>) -> Result<usize, Error> {
    let size = node.find_integer("blocksize").and_then(|size| usize::try_from(size).ok());
    size.filter(|size| (1..1 << 14).contains(size)).or_failed("it has no valid blocksize")
}

fn images(tensor: &Tensor) -> Result<[usize; 4], Error> {
    match **tensor.shape() {
        [batch, channels, height, width] => Ok([batch, channels, height, width]),
        _ => Err(Error::rejected("it takes images of two axes")),
    }
}

/// Returns a tensor through other dimensions, in another order.
fn moved(
    tensor: &Tensor,
    through: &[usize],
    order: &[usize],
    shape: [usize; 4],
) -> Result<Tensor, Error> {
    let tensor = tensor.clone().reshape(Shape::new(through)?)?;
    tensor.transpose(order)?.reshape(Shape::new(&shape)?)
}

/// True if the places of a block come before the channels.
fn is_depth_first(node: &Node<'_>) -> Result<bool, Error> {
    match node.text("mode", "DCR")? {
        "DCR" => Ok(true),
        "CRD" => Ok(false),
        other => Err(Error::failed(format_args!("the mode {other:?} is not known"))),
    }
}

fn depth_to_space(node: &Node<'_>) -> Result<Kernel, Error> {
    let size = block_size(node)?;
    let is_depth_first = is_depth_first(node)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let [batch, channels, height, width] = images(tensor)?;
        if channels % (size * size) != 0 {
            return Err(Error::rejected(format_args!("{channels} channels in blocks of {size}")));
        }
        let kept = channels / (size * size);
        let shape = [batch, kept, height * size, width * size];
        match is_depth_first {
            true => {
                let through = [batch, size, size, kept, height, width];
                moved(tensor, &through, &[0, 3, 4, 1, 5, 2], shape)
            }
            false => {
                let through = [batch, kept, size, size, height, width];
                moved(tensor, &through, &[0, 1, 4, 2, 5, 3], shape)
            }
        }
    }))
}

fn space_to_depth(node: &Node<'_>) -> Result<Kernel, Error> {
    let size = block_size(node)?;
    let is_depth_first = is_depth_first(node)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let [batch, channels, height, width] = images(tensor)?;
        if height % size != 0 || width % size != 0 {
            return Err(Error::rejected(format_args!("{height} by {width} in blocks of {size}")));
        }
        let (rows, columns) = (height / size, width / size);
        let through = [batch, channels, rows, size, columns, size];
        let shape = [batch, channels * size * size, rows, columns];
        let order = if is_depth_first { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
        moved(tensor, &through, &order, shape)
    }))
}
