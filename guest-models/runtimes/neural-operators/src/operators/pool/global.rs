//! Pools of whole images.

use wardian_sdk::Error;

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{Shape, Tensor};

/// One number of each image.
pub(super) fn global<T: Number>(
    node: &Node<'_>,
    function: impl Fn(&[T]) -> T + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let [batch, channels, image @ ..] = &*shape else {
            return Err(Error::rejected(format_args!("{shape:?} is no shape of images")));
        };
        let extents = [*batch, *channels].into_iter().chain(image.iter().map(|_| 1));
        let result = Shape::new(&extents.collect::<Vec<_>>())?;
        let size: usize = image.iter().product();
        if size == 0 {
            return Err(Error::rejected("images without pixels"));
        }
        let images = tensor.values::<T>()?.chunks_exact(size);
        Tensor::new(result, images.map(&function).collect())
    }))
}

/// Returns the highest number; NaN if one is NaN.
pub(super) fn highest<T: Number>(image: &[T]) -> T {
    let (groups, rest) = image.as_chunks::<16>();
    let mut highest = [T::LOWEST; 16];
    for group in groups {
        highest.iter_mut().zip(group).for_each(|(most, value)| *most = most.larger(*value));
    }
    highest.iter().chain(rest).copied().fold(T::LOWEST, T::larger)
}

/// Returns the mean.
pub(super) fn mean<T: Number>(image: &[T]) -> T {
    let (groups, rest) = image.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for group in groups {
        sums.iter_mut().zip(group).for_each(|(sum, value)| *sum += value.to_f64());
    }
    let sum = sums.into_iter().chain(rest.iter().map(|value| value.to_f64())).sum::<f64>();
    T::from_f64(sum / image.len() as f64)
}
