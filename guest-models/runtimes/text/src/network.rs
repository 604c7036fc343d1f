//! The network: rows of tokens in, rows of numbers out.

use model_file::{Predictor, SavedMetadata};
use wardian_sdk::{Datatype, Error, OrError, Parameter, Request, Tensor, TensorSpec, View};

use crate::folder::Folder;
use crate::tokens::Tokens;

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";

/// Tokens of the rows that run together, with those that fill them. The memory of attention grows
/// with rows times the square of their length.
const MAX_TOKENS: usize = 2048;

/// A network that reads tokens.
pub(crate) struct Network {
    predictor: Box<dyn Predictor>,
    inputs: Vec<TensorSpec>,
    /// The tokens of every row, if the file has a fixed length.
    length: Option<usize>,
    /// True if rows may run together.
    joins: bool,
}

/// Numbers of a row: the last dimension is `width`.
pub(crate) struct Row {
    pub(crate) values: Vec<f32>,
    pub(crate) width: usize,
}

impl Network {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// Failed if it is not served, or has inputs other than tokens.
    pub(crate) fn read(
        file: Vec<u8>,
        saved: &SavedMetadata,
        folder: &Folder<'_>,
    ) -> Result<Self, Error> {
        let predictor = neural_operators::open(file, saved, &|name| folder.read(name))?;
        let metadata = predictor.metadata();
        let required = metadata.inputs.into_iter().filter(|input| !input.optional);
        let inputs: Vec<_> = required.collect();
        inputs.iter().try_for_each(check_input)?;

        let ids = inputs.iter().find(|input| input.name == IDS);
        let ids = ids.or_failed(format_args!("the network has no input {IDS}"))?;
        let shape = |axis: usize| ids.shape.get(axis).copied().unwrap_or(-1);
        let length = usize::try_from(shape(1)).ok();
        // Numbers that a network takes from all rows at once, as the scales of dynamic
        // quantization, would make an answer depend on its neighbours.
        let quantizes = metadata.properties.iter().any(is_dynamic);
        let joins = shape(0) == -1 && metadata.max_batch_size > 0 && !quantizes;
        Ok(Self { predictor, length, joins, inputs })
    }

    /// Returns the outputs.
    pub(crate) fn outputs(&self) -> Vec<TensorSpec> {
        self.predictor.metadata().outputs
    }

    /// Returns the tokens of every row, if the file has a fixed length.
    pub(crate) fn length(&self) -> Option<usize> {
        self.length
    }

    /// Runs all texts. Each has a row of the output, in their order; those of tokens that fill rows
    /// are cut off if `by_token` is true.
    ///
    /// # Errors
    /// Rejected or Failed as the network says.
    pub(crate) fn run(&self, texts: &[Tokens], plan: &Plan<'_>) -> Result<Vec<Row>, Error> {
        let mut rows: Vec<_> = texts.iter().map(|_| None).collect();
        for group in self.groups(texts) {
            for (index, row) in group.iter().zip(self.run_group(texts, &group, plan)?) {
                if let Some(place) = rows.get_mut(*index) {
                    *place = Some(row);
                }
            }
        }
        rows.into_iter().collect::<Option<Vec<_>>>().or_failed("the network left out a row")
    }

    /// Texts that run together: of similar length, so that little is filled, and few enough for the
    /// memory.
    fn groups(&self, texts: &[Tokens]) -> Vec<Vec<usize>> {
        let length = |index: usize| texts.get(index).map_or(0, |text| text.ids.len());
        let mut order: Vec<_> = (0..texts.len()).collect();
        order.sort_by_key(|index| length(*index));

        let has_mask = self.inputs.iter().any(|input| input.name == MASK);
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for index in order {
            let longest = length(index);
            let fits = |group: &Vec<usize>| {
                let shortest = group.first().map_or(0, |first| length(*first));
                let similar = if has_mask { longest - longest / 4 } else { longest };
                self.joins && shortest >= similar && (group.len() + 1) * longest <= MAX_TOKENS
            };
            match groups.last_mut().filter(|group| fits(group)) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups
    }

    fn run_group(
        &self,
        texts: &[Tokens],
        group: &[usize],
        plan: &Plan<'_>,
    ) -> Result<Vec<Row>, Error> {
        let texts: Vec<_> = group.iter().filter_map(|index| texts.get(*index)).collect();
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or_default();
        let length = self.length.unwrap_or(longest);

        let inputs = self.inputs.iter().map(|input| fill(input, &texts, length, plan.pad));
        let request = Request {
            id: String::new(),
            parameters: Vec::new(),
            inputs: inputs.collect(),
            outputs: vec![plan.output.to_owned()],
        };
        let response = self.predictor.predict(&request)?;
        let output = response.outputs.iter().find(|output| output.name == plan.output);
        let output = output.or_failed(format_args!("there is no output '{}'", plan.output))?;
        rows(output, &texts, plan)
    }
}

/// The treatment of every row.
pub(crate) struct Plan<'a> {
    /// The output.
    pub(crate) output: &'a str,
    /// The token that fills rows.
    pub(crate) pad: u32,
    /// True if the output has numbers for each token.
    pub(crate) by_token: bool,
}

/// Returns true for the list of operators, if one of them takes its scale from all rows.
fn is_dynamic(property: &Parameter) -> bool {
    let operators = property.value.as_text().unwrap_or_default();
    property.name == "operators" && operators.contains("DynamicQuantize")
}

fn check_input(input: &TensorSpec) -> Result<(), Error> {
    let TensorSpec { name, datatype, shape, .. } = input;
    if ![IDS, MASK, TYPES].contains(&name.as_str()) {
        return Err(Error::failed(format_args!(
            "the network has the input '{name}', and a network for texts has {IDS}, {MASK} and \
             {TYPES}; export it for feature extraction or classification (`optimum-cli export onnx \
             --task`), or remove tokenizer.json to serve it for numbers of tokens"
        )));
    }
    if ![Datatype::Int64, Datatype::Int32].contains(datatype) || shape.len() != 2 {
        return Err(Error::failed(format_args!(
            "the input '{name}' is {datatype} {shape:?}, and tokens are INT64 or INT32 [-1, -1]"
        )));
    }
    if shape.first().is_some_and(|rows| *rows > 1) {
        return Err(Error::failed(format_args!(
            "the input '{name}' has a fixed number of rows; export it with dynamic ones"
        )));
    }
    Ok(())
}

fn fill(input: &TensorSpec, texts: &[&Tokens], length: usize, pad: u32) -> Tensor {
    let (kind, filler) = match input.name.as_str() {
        MASK => (Kind::Mask, 0),
        TYPES => (Kind::Types, 0),
        _ => (Kind::Ids, pad),
    };
    let row = |text: &&Tokens| {
        let mut row = match kind {
            Kind::Ids => text.ids.clone(),
            Kind::Types => text.types.clone(),
            Kind::Mask => vec![1; text.ids.len()],
        };
        row.resize(length, filler);
        row
    };

    let values = texts.iter().flat_map(row);
    let shape = [texts.len(), length];
    if input.datatype == Datatype::Int32 {
        return Tensor::new(&input.name, shape, values.map(|value| value as i32));
    }
    Tensor::new(&input.name, shape, values.map(i64::from))
}

#[derive(Clone, Copy)]
enum Kind {
    Ids,
    Types,
    Mask,
}

fn rows(output: &Tensor, texts: &[&Tokens], plan: &Plan<'_>) -> Result<Vec<Row>, Error> {
    let wrong = || {
        Error::failed(format_args!(
            "the output '{}' has the shape {:?} for {} texts",
            plan.output,
            output.shape,
            texts.len()
        ))
    };
    let wanted = if plan.by_token { 3 } else { 2 };
    let extents = output.shape.as_slice();
    if extents.len() != wanted || extents.first() != Some(&(texts.len() as u64)) {
        return Err(wrong());
    }

    let width = extents.last().copied().unwrap_or_default() as usize;
    let take = |(row, text): (View<'_, f32>, &&Tokens)| {
        let wanted = if plan.by_token { text.ids.len() * width } else { width };
        let values: Vec<_> = row.iter().take(wanted).collect();
        (values.len() == wanted).then_some(Row { values, width }).ok_or_else(wrong)
    };
    output.view::<f32>()?.rows().zip(texts).map(take).collect()
}
