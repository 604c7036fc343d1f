//! Graphs inside nodes.

use wardian_sdk::{Error, OrError};

use super::Operator;
use super::movement::{concatenate, part};
use crate::Program;
use crate::kernel::{Arguments, Kernel, Outputs};
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, axis_of};
use crate::value_type::ValueType;

const ALL: &[ElementType] = ElementType::ALL;

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("If", 1, &[ElementType::Bool], branch),
    Operator::onnx("Loop", 1, &[ElementType::I64], repeat),
    Operator::onnx("Scan", 9, ALL, scan),
];

fn branch(node: &Node<'_>) -> Result<Kernel, Error> {
    let then_branch = node.program("then_branch", &[])?;
    let else_branch = node.program("else_branch", &[])?;
    if then_branch.output_types != else_branch.output_types {
        return Err(Error::failed("its branches have outputs of different types"));
    }
    let outputs = then_branch.output_types.clone();
    let run = move |arguments: &mut Arguments<'_>| {
        let condition =
            arguments.values::<bool>(0)?.first().copied().or_rejected("no condition")?;
        let branch = if condition { &then_branch } else { &else_branch };
        let captured = branch.captured(arguments)?;
        Ok(Outputs::Many(branch.run_with(Vec::new(), &captured, arguments.work)?))
    };
    Ok(Kernel::of(outputs, run))
}

/// A graph that runs while its condition holds.
struct Loop {
    body: Program,
    /// The number of values that go from one round into the next.
    carried: usize,
    made: usize,
    has_limit: bool,
    has_condition: bool,
}

fn repeat(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, &[ElementType::Bool])?;
    let carried = node.inputs().checked_sub(2).or_failed("it has no values to carry")?;
    let number = ValueType::Tensor(ElementType::I64);
    let mut types = vec![number, ValueType::Tensor(ElementType::Bool)];
    for index in 2..node.inputs() {
        types.push(ValueType::Tensor(node.input_type(index)?));
    }
    let body = node.program("body", &types)?;
    let outputs = body.output_types.get(1..).unwrap_or_default().to_vec();
    if outputs.len() < carried || outputs[..carried] != types[2..] {
        return Err(Error::failed("its graph changes the types of the values that it carries"));
    }
    if body.output_types[0] != types[1] {
        return Err(Error::failed("its graph has no condition"));
    }
    let made = outputs.len() - carried;
    let (has_limit, has_condition) = (node.has_input(0), node.has_input(1));
    let repeat = Loop { body, carried, made, has_limit, has_condition };
    let run = move |arguments: &mut Arguments<'_>| repeat.run(arguments).map(Outputs::Many);
    Ok(Kernel::of(outputs, run))
}

impl Loop {
    fn run(&self, arguments: &mut Arguments<'_>) -> Result<Vec<Tensor>, Error> {
        let captured = self.body.captured(arguments)?;
        let limit = match self.has_limit {
            true => arguments.values::<i64>(0)?.first().copied().or_rejected("no limit")?,
            false => i64::MAX,
        };
        let mut holds = match self.has_condition {
            true => arguments.values::<bool>(1)?.first().copied().or_rejected("no condition")?,
            false => true,
        };
        let mut values = Vec::with_capacity(self.carried);
        for index in 0..self.carried {
            values.push(arguments.take(index + 2)?);
        }

        let mut made: Vec<Vec<Tensor>> = (0..self.made).map(|_| Vec::new()).collect();
        let mut round = 0;
        while holds && round < limit {
            arguments.charge(1)?;
            let mut inputs = vec![Tensor::scalar(round), Tensor::scalar(holds)];
            inputs.append(&mut values);
            let mut outputs = self.body.run_with(inputs, &captured, arguments.work)?;
            values = outputs.split_off(1);
            let goes_on =
                outputs.first().map(|condition| condition.values::<bool>()).transpose()?;
            holds = goes_on.and_then(<[bool]>::first).copied().or_rejected("no condition")?;
            let outputs = values.split_off(self.carried);
            made.iter_mut().zip(outputs).for_each(|(list, output)| list.push(output));
            round += 1;
        }
        let scanned = Scanned { axis: 0, is_backward: false };
        for (index, list) in made.into_iter().enumerate() {
            values.push(match list.is_empty() {
                true => self.nothing(index)?,
                false => scanned.join(list)?,
            });
        }
        Ok(values)
    }

    /// An output of no round, whose shape beyond the rounds is not known.
    fn nothing(&self, index: usize) -> Result<Tensor, Error> {
        let element = self.body.output_types.get(self.carried + 1 + index);
        let element = element.or_failed("an output is missing")?.element()?;
        let data = super::cast::cast(Tensor::vector(Vec::<f32>::new())?.data(), element)?;
        Tensor::from_data(Shape::new(&[0])?, data)
    }
}

/// A graph that runs for each element along an axis of its scanned inputs.
struct Scan {
    body: Program,
    /// The number of inputs whose last value is that of the round before.
    states: usize,
    inputs: Vec<Scanned>,
    outputs: Vec<Scanned>,
}

/// An input or output that has one element along an axis for each round.
struct Scanned {
    axis: i64,
    is_backward: bool,
}

fn scan(node: &Node<'_>) -> Result<Kernel, Error> {
    let scanned =
        node.find_integer("num_scan_inputs").and_then(|count| usize::try_from(count).ok());
    let states =
        scanned.filter(|count| *count > 0).and_then(|count| node.inputs().checked_sub(count));
    let states = states.or_failed("num_scan_inputs is not within its inputs")?;
    let types = (0..node.inputs()).map(|index| node.input_type(index).map(ValueType::Tensor));
    let types: Vec<_> = types.collect::<Result<_, _>>()?;
    let body = node.program("body", &types)?;

    let outputs = body.output_types.clone();
    if outputs.len() < states || outputs[..states] != types[..states] {
        return Err(Error::failed("its graph changes the types of states"));
    }
    let inputs =
        scanned_axes(node, "scan_input_axes", "scan_input_directions", types.len() - states)?;
    let made = outputs.len() - states;
    let made = scanned_axes(node, "scan_output_axes", "scan_output_directions", made)?;
    let scan = Scan { body, states, inputs, outputs: made };
    let run = move |arguments: &mut Arguments<'_>| scan.run(arguments).map(Outputs::Many);
    Ok(Kernel::of(outputs, run))
}

fn scanned_axes<'a>(
    node: &Node<'a>,
    axes: &'a str,
    directions: &'a str,
    count: usize,
) -> Result<Vec<Scanned>, Error> {
    let (axes, directions) = (node.integers(axes), node.integers(directions));
    let fits = |list: &[i64]| list.is_empty() || list.len() == count;
    if !fits(axes) || !fits(directions) {
        return Err(Error::failed("there is not one axis and direction for each scanned value"));
    }
    let scanned = |index: usize| Scanned {
        axis: axes.get(index).copied().unwrap_or_default(),
        is_backward: directions.get(index).is_some_and(|direction| *direction != 0),
    };
    Ok((0..count).map(scanned).collect())
}

impl Scan {
    fn run(&self, arguments: &mut Arguments<'_>) -> Result<Vec<Tensor>, Error> {
        let captured = self.body.captured(arguments)?;
        let rounds = self.rounds(arguments)?;
        let mut states = Vec::with_capacity(self.states);
        for index in 0..self.states {
            states.push(arguments.take(index)?);
        }

        let mut made: Vec<Vec<Tensor>> = self.outputs.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            let mut inputs = std::mem::take(&mut states);
            for (index, scanned) in self.inputs.iter().enumerate() {
                let tensor = arguments.get(self.states + index)?;
                inputs.push(scanned.element(tensor, round, rounds)?);
            }
            arguments.charge(1)?;
            states = self.body.run_with(inputs, &captured, arguments.work)?;
            let outputs = states.split_off(self.states);
            made.iter_mut().zip(outputs).for_each(|(list, output)| list.push(output));
        }
        for (scanned, list) in self.outputs.iter().zip(made) {
            states.push(scanned.join(list)?);
        }
        Ok(states)
    }

    /// The number of rounds, in which all scanned inputs agree.
    fn rounds(&self, arguments: &Arguments<'_>) -> Result<usize, Error> {
        let mut rounds = None;
        for (index, scanned) in self.inputs.iter().enumerate() {
            let shape = arguments.get(self.states + index)?.shape();
            let extent = shape[shape.axis(scanned.axis)?];
            if *rounds.get_or_insert(extent) != extent {
                return Err(Error::rejected("its scanned inputs are not of one length"));
            }
        }
        Ok(rounds.unwrap_or_default())
    }
}

impl Scanned {
    fn element(&self, tensor: &Tensor, round: usize, rounds: usize) -> Result<Tensor, Error> {
        let index = if self.is_backward { rounds - 1 - round } else { round };
        let axis = tensor.shape().axis(self.axis)?;
        let (before, after) = tensor.shape().split_at(axis);
        let extents: Vec<_> = before.iter().chain(&after[1..]).copied().collect();
        part(tensor, axis, index, 1)?.reshape(Shape::new(&extents)?)
    }

    /// Joins the outputs of all rounds.
    fn join(&self, mut list: Vec<Tensor>) -> Result<Tensor, Error> {
        if self.is_backward {
            list.reverse();
        }
        let first = list.first().or_rejected("it takes at least one element to scan")?;
        let axis = axis_of(self.axis, first.shape().len() + 1)?;
        let (before, after) = first.shape().split_at(axis);
        let extents: Vec<_> = before.iter().chain(&[1]).chain(after).copied().collect();
        let shape = Shape::new(&extents)?;
        let list = list.into_iter().map(|tensor| tensor.reshape(shape));
        let list: Vec<_> = list.collect::<Result<_, _>>()?;
        concatenate(&list.iter().collect::<Vec<_>>(), axis)
    }
}
