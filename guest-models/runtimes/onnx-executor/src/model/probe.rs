//! Trial runs when a file is read: files declare the shapes of outputs loosely, and some wrongly.

use wardian_sdk::Error;

use super::inputs::ModelInput;
use super::outputs::ModelOutput;
use crate::Program;
use crate::graph::Compiled;
use crate::tensor::{Data, ElementType, Shape, Tensor, Text, filled};

/// Operators whose outputs have a size that depends on values.
const BY_VALUE: &[&str] = &["Compress", "NonZero", "Unique"];

/// Steps of work of a trial. A model for which that is not enough is described as its file says,
/// and takes no joined requests, which would gain it little.
const MAX_WORK: u64 = 1 << 28;

/// Sets the shapes of outputs to those that two runs show. An extent that differs between them
/// varies. Where a run fails, an input has no rows, or shapes depend on values, the declared shape
/// stays. Every extent of it varies if zeros have another shape.
pub(super) fn shapes(compiled: &Compiled, inputs: &[ModelInput], outputs: &mut [ModelOutput]) {
    set_seen(compiled, inputs, outputs);
    if outputs.iter().any(|output| output.shape.is_none()) {
        set_ranks(&compiled.program, inputs, outputs);
    }
    if can_depend_on_values(compiled, inputs) {
        loosen(&compiled.program, inputs, outputs);
    }
}

fn set_seen(compiled: &Compiled, inputs: &[ModelInput], outputs: &mut [ModelOutput]) {
    // Two runs do not show the extents that depend on other ones than the rows.
    let others_vary = required(inputs).any(|input| input.shape.iter().skip(1).any(|e| *e == -1));
    if others_vary {
        return;
    }
    let runs = [2, 3].map(|rows| run(&compiled.program, inputs, rows, 0));
    if let [Ok(two), Ok(three)] = runs
        && !has_sizes_by_value(compiled)
    {
        let have_rows = have_rows(inputs);
        for ((output, two), three) in outputs.iter_mut().zip(two).zip(three) {
            let seen = common(two.shape(), three.shape());
            let declared = output.shape.take();
            output.shape = if have_rows { seen.or(declared) } else { declared.or(seen) };
        }
    }
}

/// Sets the number of dimensions where the shape is not known.
fn set_ranks(program: &Program, inputs: &[ModelInput], outputs: &mut [ModelOutput]) {
    let Ok(seen) = run_with_zeros(program, inputs, 2) else { return };
    for (output, seen) in outputs.iter_mut().zip(seen) {
        output.shape.get_or_insert_with(|| vec![-1; seen.shape().len()]);
    }
}

/// Lets all extents of an output vary if a request of zeros, which a server sends before it
/// publishes a model, has an answer of another shape.
fn loosen(program: &Program, inputs: &[ModelInput], outputs: &mut [ModelOutput]) {
    let Ok(seen) = run_with_zeros(program, inputs, 1) else { return };
    for (output, seen) in outputs.iter_mut().zip(seen) {
        if !output.fits(seen.shape()) {
            output.depends_on_values = true;
            output.shape = Some(vec![-1; output.described().len()]);
        }
    }
}

/// Returns true if values may decide shapes. A number or a list may be an axis, a size or a limit,
/// and texts may be split or left out.
fn can_depend_on_values(compiled: &Compiled, inputs: &[ModelInput]) -> bool {
    let may_decide =
        |input: &ModelInput| input.shape.len() < 2 || input.element == ElementType::Text;
    has_sizes_by_value(compiled) || required(inputs).any(may_decide)
}

fn has_sizes_by_value(compiled: &Compiled) -> bool {
    BY_VALUE.iter().any(|operator| compiled.operators.contains_key(*operator))
}

/// Returns true if every input has rows. One without them may be an axis or a shape, on whose value
/// extents depend.
fn have_rows(inputs: &[ModelInput]) -> bool {
    required(inputs).count() > 0 && required(inputs).all(ModelInput::has_rows)
}

fn required(inputs: &[ModelInput]) -> impl Iterator<Item = &ModelInput> {
    inputs.iter().filter(|input| input.default.is_none())
}

fn common(two: &Shape, three: &Shape) -> Option<Vec<i64>> {
    let extents = || two.iter().zip(three.iter());
    let extent = |(two, three): (&usize, &usize)| if two == three { *two as i64 } else { -1 };
    (two.len() == three.len()).then(|| extents().map(extent).collect())
}

/// Runs a program with `rows` rows. Numbers count from `first` on and repeat, so that rows differ.
///
/// # Errors
/// Rejected if the graph does not take these values.
pub(super) fn run(
    program: &Program,
    inputs: &[ModelInput],
    rows: usize,
    first: usize,
) -> Result<Vec<Tensor>, Error> {
    let tensors = inputs.iter().map(|input| sample(input, rows, Some(first)));
    program.run_within(tensors.collect::<Result<_, _>>()?, MAX_WORK)
}

/// Runs a program with zeros, which are indices in every table, and with empty texts.
fn run_with_zeros(
    program: &Program,
    inputs: &[ModelInput],
    rows: usize,
) -> Result<Vec<Tensor>, Error> {
    let tensors = inputs.iter().map(|input| sample(input, rows, None));
    program.run_within(tensors.collect::<Result<_, _>>()?, MAX_WORK)
}

/// Makes a value of an input: of values that differ, or of zeros and empty texts if there is no
/// first number.
fn sample(input: &ModelInput, rows: usize, first: Option<usize>) -> Result<Tensor, Error> {
    if let Some(default) = &input.default {
        return Ok(default.clone());
    }
    let mut extents = Vec::with_capacity(input.shape.len());
    for (axis, extent) in input.shape.iter().enumerate() {
        let varying = if axis == 0 { rows } else { 1 };
        extents.push(usize::try_from(*extent).unwrap_or(varying));
    }
    let shape = Shape::new(&extents)?;
    let length = shape.elements();
    let width = length.checked_div(rows).unwrap_or_default().max(1);
    let number = move |index: usize| match first {
        Some(first) => ((index / width + first) * 5 + index % width) % 11,
        None => 0,
    };
    let text = |index: usize| match first {
        Some(_) => format!("word {}", number(index)).into(),
        None => Text::default(),
    };

    macro_rules! numbers {
        ($($variant:ident($number:ty)),*) => {
            match input.element {
                $(ElementType::$variant => {
                    let mut values = filled(length, <$number>::default())?;
                    let places = values.iter_mut().enumerate();
                    places.for_each(|(index, value)| *value = number(index) as u8 as $number);
                    Data::$variant(values)
                })*
                ElementType::Bool => Data::Bool((0..length).map(|i| number(i) % 2 == 1).collect()),
                ElementType::Text => Data::Text((0..length).map(text).collect()),
                ElementType::F16 => Data::F16(filled(length, Default::default())?),
                ElementType::Bf16 => Data::Bf16(filled(length, Default::default())?),
            }
        };
    }
    let data = numbers!(
        F32(f32),
        F64(f64),
        I64(i64),
        I32(i32),
        I16(i16),
        I8(i8),
        U64(u64),
        U32(u32),
        U16(u16),
        U8(u8)
    );
    Tensor::from_data(shape, data)
}
