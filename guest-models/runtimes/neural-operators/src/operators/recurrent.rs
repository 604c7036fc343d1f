//! RNN, GRU and LSTM.

use wardian_sdk::kernels::Strides;
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::Operator;
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

use super::product::multiply;
use crate::kernels::size;

const FLOAT: &[ElementType] = &[ElementType::F32];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("RNN", 7, FLOAT, |node| recurrent(node, Cell::Simple)),
    Operator::onnx("GRU", 7, FLOAT, |node| recurrent(node, Cell::Gru)),
    Operator::onnx("LSTM", 7, FLOAT, |node| recurrent(node, Cell::Lstm)),
];

#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Simple,
    Gru,
    Lstm,
}

impl Cell {
    /// The matrices of a cell in the weights.
    fn gates(self) -> usize {
        match self {
            Cell::Simple => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    fn default_functions(self) -> &'static [&'static str] {
        match self {
            Cell::Simple => &["Tanh"],
            Cell::Gru => &["Sigmoid", "Tanh"],
            Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// An activation function with its parameters.
#[derive(Clone, Copy)]
struct Function {
    function: fn(f32, f32, f32) -> f32,
    alpha: f32,
    beta: f32,
}

impl Function {
    fn apply(self, value: f32) -> f32 {
        (self.function)(value, self.alpha, self.beta)
    }
}

fn function(name: &str) -> Result<Function, Error> {
    let (function, alpha, beta): (fn(f32, f32, f32) -> f32, _, _) = match name {
        "Sigmoid" => (|x, _, _| 1.0 / (1.0 + (-x).exp()), 0.0, 0.0),
        "Tanh" => (|x, _, _| x.tanh(), 0.0, 0.0),
        "Relu" => (|x, _, _| if x < 0.0 { 0.0 } else { x }, 0.0, 0.0),
        "LeakyRelu" => (|x, alpha, _| if x < 0.0 { alpha * x } else { x }, 0.01, 0.0),
        "ThresholdedRelu" => (|x, alpha, _| if x > alpha { x } else { 0.0 }, 1.0, 0.0),
        "ScaledTanh" => (|x, alpha, beta| alpha * (beta * x).tanh(), 1.0, 1.0),
        "HardSigmoid" => (|x, alpha, beta| (alpha * x + beta).clamp(0.0, 1.0), 0.2, 0.5),
        "Elu" => (|x, alpha, _| if x < 0.0 { alpha * x.exp_m1() } else { x }, 1.0, 0.0),
        "Softsign" => (|x, _, _| x / (1.0 + x.abs()), 0.0, 0.0),
        "Softplus" => (|x, _, _| x.max(0.0) + (-x.abs()).exp().ln_1p(), 0.0, 0.0),
        "Affine" => (|x, alpha, beta| alpha * x + beta, 1.0, 0.0),
        other => return Err(Error::failed(format_args!("the activation {other:?}"))),
    };
    Ok(Function { function, alpha, beta })
}

/// The attributes.
struct Recurrent {
    cell: Cell,
    hidden: usize,
    /// For each direction, true if it goes backwards.
    directions: Vec<bool>,
    functions: Vec<Function>,
    clip: Option<f32>,
    /// The batch comes before the steps.
    is_batch_first: bool,
    /// GRU: the reset gate is applied after the product.
    resets_after: bool,
    /// LSTM: the forget gate is the rest of the input gate.
    couples: bool,
}

fn recurrent(node: &Node<'_>, cell: Cell) -> Result<Kernel, Error> {
    let hidden = node.find_integer("hidden_size").and_then(|size| usize::try_from(size).ok());
    let hidden =
        hidden.filter(|size| (1..1 << 20).contains(size)).or_failed("it has no hidden_size")?;
    let directions = match node.text("direction", "forward")? {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => return Err(Error::failed(format_args!("the direction {other:?}"))),
    };
    let names = node.texts("activations")?;
    let each = cell.default_functions().len();
    let names: Vec<&str> = match names.is_empty() {
        true => {
            cell.default_functions().iter().copied().cycle().take(each * directions.len()).collect()
        }
        false => names.iter().map(|name| &**name).collect(),
    };
    if names.len() != each * directions.len() {
        return Err(Error::failed(format_args!("{} activations", names.len())));
    }
    let mut functions: Vec<_> = names.into_iter().map(function).collect::<Result<_, _>>()?;
    for (function, alpha) in functions.iter_mut().zip(node.floats("activation_alpha")) {
        function.alpha = *alpha;
    }
    for (function, beta) in functions.iter_mut().zip(node.floats("activation_beta")) {
        function.beta = *beta;
    }
    for index in [1, 2, 3, 5, 6, 7] {
        node.expect(index, FLOAT)?;
    }
    node.expect(4, &[ElementType::I32])?;
    if node.integer("output_sequence", 1) != 1 {
        return Err(Error::failed("output_sequence is not served"));
    }
    let recurrent = Recurrent {
        cell,
        hidden,
        directions,
        functions,
        clip: node.find_float("clip"),
        is_batch_first: node.flag("layout", false),
        resets_after: cell == Cell::Gru && node.flag("linear_before_reset", false),
        couples: cell == Cell::Lstm && node.flag("input_forget", false),
    };
    let outputs = if cell == Cell::Lstm { 3 } else { 2 };
    Ok(Kernel::many(vec![ElementType::F32; outputs], move |arguments| recurrent.run(arguments)))
}

/// The sizes of a request.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    inputs: usize,
}

/// The parameters of a direction.
struct Parameters<'a> {
    weights: &'a [f32],
    recurrence: &'a [f32],
    bias: Option<&'a [f32]>,
    peepholes: Option<&'a [f32]>,
}

impl Recurrent {
    fn run(&self, arguments: &mut Arguments<'_>) -> Result<Vec<Tensor>, Error> {
        let input = arguments.get(0)?;
        let input = if self.is_batch_first { input.transpose(&[1, 0, 2])? } else { input.clone() };
        let [steps, batch, inputs] = **input.shape() else {
            return Err(Error::rejected("it takes three dimensions"));
        };
        let sizes = Sizes { steps, batch, inputs };
        let (hidden, directions, gates) = (self.hidden, self.directions.len(), self.cell.gates());
        let work = (steps * batch * directions) as u64;
        arguments.charge(work.saturating_mul(((inputs + hidden) * gates * hidden) as u64))?;

        let lengths = self.lengths(arguments, sizes)?;
        let list = |index, length: usize| part(arguments, index, directions * length);
        let weights = list(1, gates * hidden * inputs)?.or_rejected("it has no weights")?;
        let recurrence = list(2, gates * hidden * hidden)?.or_rejected("it has no recurrence")?;
        let bias = list(3, 2 * gates * hidden)?;
        let first = self.state(arguments, 5, sizes)?;
        let first_cell = self.state(arguments, 6, sizes)?;
        let peepholes = match self.cell {
            Cell::Lstm => list(7, 3 * hidden)?,
            _ => None,
        };

        let whole = Shape::new(&[steps, directions, batch, hidden])?;
        let mut outputs = filled(whole.elements(), 0.0)?;
        let (mut last, mut last_cell) = (Vec::new(), Vec::new());
        for (direction, is_backward) in self.directions.iter().enumerate() {
            let of = |list: &'_ [f32]| -> std::ops::Range<usize> {
                let each = list.len() / directions;
                direction * each..(direction + 1) * each
            };
            let parameters = Parameters {
                weights: &weights[of(weights)],
                recurrence: &recurrence[of(recurrence)],
                bias: bias.map(|bias| &bias[of(bias)]),
                peepholes: peepholes.map(|list| &list[of(list)]),
            };
            let mut state = first[of(&first)].to_vec();
            let mut cell = first_cell[of(&first_cell)].to_vec();
            let projected = project(input.values::<f32>()?, &parameters, sizes, gates * hidden)?;
            let run = Run { parameters, lengths: &lengths, sizes, is_backward: *is_backward };
            self.direction(&run, direction, &projected, &mut state, &mut cell, &mut outputs)?;
            last.extend(state);
            last_cell.extend(cell);
        }
        self.results(whole, outputs, last, last_cell)
    }

    fn results(
        &self,
        whole: Shape,
        outputs: Vec<f32>,
        last: Vec<f32>,
        last_cell: Vec<f32>,
    ) -> Result<Vec<Tensor>, Error> {
        let [_, directions, batch, hidden] = *whole else {
            return Err(Error::failed("an output without four dimensions"));
        };
        let state = Shape::new(&[directions, batch, hidden])?;
        let mut results = vec![Tensor::new(whole, outputs)?, Tensor::new(state, last)?];
        if self.cell == Cell::Lstm {
            results.push(Tensor::new(state, last_cell)?);
        }
        if self.is_batch_first {
            let orders: [&[usize]; 3] = [&[2, 0, 1, 3], &[1, 0, 2], &[1, 0, 2]];
            let moved = results.iter().zip(orders).map(|(result, order)| result.transpose(order));
            results = moved.collect::<Result<_, _>>()?;
        }
        Ok(results)
    }

    fn lengths(&self, arguments: &Arguments<'_>, sizes: Sizes) -> Result<Vec<usize>, Error> {
        let Some(lengths) = arguments.find(4) else { return Ok(vec![sizes.steps; sizes.batch]) };
        let lengths = lengths.values::<i32>()?.iter().map(|length| usize::try_from(*length));
        let lengths: Vec<_> = lengths.collect::<Result<_, _>>().or_rejected("a length")?;
        let fits =
            lengths.len() == sizes.batch && lengths.iter().all(|length| *length <= sizes.steps);
        fits.then_some(lengths).or_rejected("lengths that are not of its batch and steps")
    }

    fn state(
        &self,
        arguments: &Arguments<'_>,
        index: usize,
        sizes: Sizes,
    ) -> Result<Vec<f32>, Error> {
        let length = self.directions.len() * sizes.batch * self.hidden;
        let is_cell = index == 6;
        if is_cell && self.cell != Cell::Lstm {
            return filled(length, 0.0);
        }
        match arguments.find(index) {
            Some(tensor) if self.is_batch_first => {
                let moved = tensor.transpose(&[1, 0, 2])?;
                let values = moved.into_values::<f32>()?;
                (values.len() == length).then_some(values).or_rejected("a first state")
            }
            _ => match part(arguments, index, length)? {
                Some(values) => Ok(values.to_vec()),
                None => filled(length, 0.0),
            },
        }
    }

    fn direction(
        &self,
        run: &Run<'_>,
        direction: usize,
        projected: &[f32],
        state: &mut [f32],
        cell: &mut [f32],
        outputs: &mut [f32],
    ) -> Result<(), Error> {
        let Sizes { steps, batch, .. } = run.sizes;
        let (hidden, gates) = (self.hidden, self.cell.gates());
        let width = gates * hidden;
        let mut recurrent = filled(batch * width, 0.0)?;
        for step in 0..steps {
            product(state, run.parameters.recurrence, [batch, hidden, width], &mut recurrent)?;
            for row in 0..batch {
                if step >= run.lengths[row] {
                    continue;
                }
                let place = if run.is_backward { run.lengths[row] - 1 - step } else { step };
                let x = &projected[(place * batch + row) * width..][..width];
                let h = &mut recurrent[row * width..][..width];
                let state = &mut state[row * hidden..][..hidden];
                let cell = &mut cell[row * hidden..][..hidden];
                self.step(&run.parameters, direction, x, h, state, cell)?;
                let output = (place * self.directions.len() + direction) * batch + row;
                outputs[output * hidden..][..hidden].copy_from_slice(state);
            }
        }
        Ok(())
    }

    /// Computes the next state of a row from the products of the input and of the state.
    fn step(
        &self,
        parameters: &Parameters<'_>,
        direction: usize,
        x: &[f32],
        h: &mut [f32],
        state: &mut [f32],
        cell: &mut [f32],
    ) -> Result<(), Error> {
        let hidden = self.hidden;
        let bias = |gate: usize, unit: usize, of_state: usize| {
            let place = (of_state * self.cell.gates() + gate) * hidden + unit;
            parameters.bias.map_or(0.0, |bias| bias[place])
        };
        let clip =
            |value: f32| self.clip.map_or(value, |clip| value.clamp(-clip.abs(), clip.abs()));
        let each = self.cell.default_functions().len();
        let function = |index: usize| self.functions[direction * each + index];
        let sum = |gate: usize, unit: usize, h: &[f32]| {
            let place = gate * hidden + unit;
            x[place] + h[place] + bias(gate, unit, 0) + bias(gate, unit, 1)
        };
        match self.cell {
            Cell::Simple => {
                for (unit, state) in state.iter_mut().enumerate() {
                    *state = function(0).apply(clip(sum(0, unit, h)));
                }
            }
            Cell::Gru => {
                let (f, g) = (function(0), function(1));
                let update: Vec<_> =
                    (0..hidden).map(|unit| f.apply(clip(sum(0, unit, h)))).collect();
                let reset: Vec<_> =
                    (0..hidden).map(|unit| f.apply(clip(sum(1, unit, h)))).collect();
                let before = if self.resets_after {
                    let product =
                        |unit: usize| reset[unit] * (h[2 * hidden + unit] + bias(2, unit, 1));
                    (0..hidden).map(product).collect()
                } else {
                    let kept: Vec<_> =
                        state.iter().zip(&reset).map(|(h, reset)| h * reset).collect();
                    let weights = &parameters.recurrence[2 * hidden * hidden..][..hidden * hidden];
                    let mut products = filled(hidden, 0.0)?;
                    product(&kept, weights, [1, hidden, hidden], &mut products)?;
                    products
                        .iter_mut()
                        .enumerate()
                        .for_each(|(unit, sum)| *sum += bias(2, unit, 1));
                    products
                };
                for unit in 0..hidden {
                    let input = x[2 * hidden + unit] + bias(2, unit, 0);
                    let fresh = g.apply(clip(input + before[unit]));
                    state[unit] = (1.0 - update[unit]) * fresh + update[unit] * state[unit];
                }
            }
            Cell::Lstm => {
                let (f, g, out) = (function(0), function(1), function(2));
                let peephole = |gate: usize, unit: usize, cell: f32| {
                    parameters.peepholes.map_or(0.0, |list| list[gate * hidden + unit] * cell)
                };
                for unit in 0..hidden {
                    // In the file: input, output, forget, cell; the peepholes without the last.
                    let old = cell[unit];
                    let input = f.apply(clip(sum(0, unit, h) + peephole(0, unit, old)));
                    let forget = match self.couples {
                        true => 1.0 - input,
                        false => f.apply(clip(sum(2, unit, h) + peephole(2, unit, old))),
                    };
                    let fresh = g.apply(clip(sum(3, unit, h)));
                    let new = forget * old + input * fresh;
                    let output = f.apply(clip(sum(1, unit, h) + peephole(1, unit, new)));
                    cell[unit] = new;
                    state[unit] = output * out.apply(new);
                }
            }
        }
        Ok(())
    }
}

/// A direction of a request.
struct Run<'a> {
    parameters: Parameters<'a>,
    lengths: &'a [usize],
    sizes: Sizes,
    is_backward: bool,
}

/// Returns the numbers of an input, if it is given.
fn part<'a>(
    arguments: &'a Arguments<'_>,
    index: usize,
    length: usize,
) -> Result<Option<&'a [f32]>, Error> {
    let Some(tensor) = arguments.find(index) else { return Ok(None) };
    let values = tensor.values::<f32>()?;
    let fits = (values.len() == length).then_some(values);
    fits.map(Some)
        .or_rejected(format_args!("input {index} has {} numbers, not {length}", values.len()))
}

/// The products of all inputs with the weights.
fn project(
    input: &[f32],
    parameters: &Parameters<'_>,
    sizes: Sizes,
    width: usize,
) -> Result<Vec<f32>, Error> {
    let rows = sizes.steps * sizes.batch;
    let mut projected = filled(Shape::new(&[rows, width])?.elements(), 0.0)?;
    product(input, parameters.weights, [rows, sizes.inputs, width], &mut projected)?;
    Ok(projected)
}

/// Multiplies rows with weights, of which each row makes a column.
fn product(
    left: &[f32],
    weights: &[f32],
    [rows, inner, columns]: [usize; 3],
    output: &mut [f32],
) -> Result<(), Error> {
    let left = (left, Strides::dense(size(rows)?, size(inner)?));
    let right = (weights, Strides::transposed(size(inner)?, size(columns)?));
    multiply(left, right, [1, rows, inner, columns], 1.0, output)
}
