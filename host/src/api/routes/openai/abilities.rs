//! The abilities of a model for OpenAI's clients: told by the property `task` of its metadata, or
//! by the names of its inputs and outputs.

use crate::api::generated_text::text_output;
use crate::model::{Datatype, Metadata, ParameterValue, TensorSpec};

/// The input and the output of a model that writes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writer<'m> {
    pub(super) input: &'m TensorSpec,
    /// True if the input takes the messages of a chat as JSON.
    pub(super) takes_messages: bool,
    pub(super) output: &'m TensorSpec,
}

/// The input and the output of a model that embeds texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Embedder<'m> {
    pub(super) input: &'m TensorSpec,
    pub(super) output: &'m TensorSpec,
}

const PROMPTS: [&str; 2] = ["text_input", "prompt"];
const EMBEDDINGS: [&str; 2] = ["embedding", "embeddings"];

impl<'m> Writer<'m> {
    /// Returns the parts of a model that chats. Fails with a text for the caller.
    pub(super) fn of_chat(metadata: &'m Metadata) -> Result<Self, String> {
        let messages = texts(&metadata.inputs).find(|spec| spec.name == "messages");
        let input = messages
            .map(|input| (input, true))
            .or_else(|| prompt(metadata, &["chat", "completion"]).map(|input| (input, false)));

        let writer = input
            .zip(text_output(metadata))
            .map(|((input, takes_messages), output)| Writer { input, takes_messages, output });
        writer.ok_or_else(|| {
            "'model': it does not chat; a model that does has the input 'messages' or 'text_input' \
             and an output 'text_output', or the property task = \"chat\""
                .into()
        })
    }

    /// Returns the parts of a model that completes texts. Fails with a text for the caller.
    pub(super) fn of_completion(metadata: &'m Metadata) -> Result<Self, String> {
        let input = prompt(metadata, &["completion", "chat"]);

        let writer = input.zip(text_output(metadata)).map(|(input, output)| Writer {
            input,
            takes_messages: false,
            output,
        });
        writer.ok_or_else(|| {
            "'model': it does not complete texts; a model that does has the input 'text_input' and \
             an output 'text_output', or the property task = \"completion\""
                .into()
        })
    }
}

impl<'m> Embedder<'m> {
    /// Returns the parts of a model that embeds. Fails with a text for the caller.
    pub(super) fn of(metadata: &'m Metadata) -> Result<Self, String> {
        let is_float = |spec: &&TensorSpec| {
            use Datatype::{Bf16, Fp16, Fp32, Fp64};
            matches!(spec.datatype, Bf16 | Fp16 | Fp32 | Fp64)
        };
        let floats = || metadata.outputs.iter().filter(is_float);

        let named = floats().find(|spec| EMBEDDINGS.contains(&spec.name.as_str()));
        let output = match named {
            None if has_task(metadata, &["embedding"]) => only(floats()),
            named => named,
        };

        let embedder =
            only_text(metadata).zip(output).map(|(input, output)| Embedder { input, output });
        embedder.ok_or_else(|| {
            "'model': it does not embed texts; a model that does has a text as its only required \
             input and an output 'embedding', or the property task = \"embedding\""
                .into()
        })
    }
}

/// Returns the input that takes a prompt.
fn prompt<'m>(metadata: &'m Metadata, tasks: &[&str]) -> Option<&'m TensorSpec> {
    let named = texts(&metadata.inputs).find(|spec| PROMPTS.contains(&spec.name.as_str()));
    named.or_else(|| only_text(metadata).filter(|_| has_task(metadata, tasks)))
}

/// Returns the only required input, if it is a text.
fn only_text(metadata: &Metadata) -> Option<&TensorSpec> {
    let required = metadata.inputs.iter().filter(|spec| !spec.optional);
    only(required).filter(|spec| spec.datatype == Datatype::Bytes)
}

fn only<T>(mut values: impl Iterator<Item = T>) -> Option<T> {
    values.next().filter(|_| values.next().is_none())
}

fn texts(specs: &[TensorSpec]) -> impl Iterator<Item = &TensorSpec> {
    specs.iter().filter(|spec| spec.datatype == Datatype::Bytes)
}

fn has_task(metadata: &Metadata, tasks: &[&str]) -> bool {
    metadata.properties.iter().any(|property| {
        let ParameterValue::Text(task) = &property.value else { return false };
        property.name == "task" && tasks.contains(&task.as_str())
    })
}

/// True if the model declares a parameter, as a property of its metadata.
pub(super) fn declares(metadata: &Metadata, name: &str) -> bool {
    metadata.properties.iter().any(|property| property.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Parameter;

    fn spec(name: &str, datatype: Datatype) -> TensorSpec {
        TensorSpec { name: name.into(), datatype, shape: vec![-1], optional: false }
    }

    fn model(input: &str, output: TensorSpec, task: &str) -> Metadata {
        let value = ParameterValue::Text(task.into());
        Metadata {
            inputs: vec![spec(input, Datatype::Bytes)],
            outputs: vec![output],
            properties: vec![Parameter { name: "task".into(), value }].into(),
            ..Metadata::default()
        }
    }

    fn abilities(metadata: &Metadata) -> [bool; 3] {
        [
            Writer::of_chat(metadata).is_ok(),
            Writer::of_completion(metadata).is_ok(),
            Embedder::of(metadata).is_ok(),
        ]
    }

    #[test]
    fn names_or_the_task_tell_what_a_model_does() {
        let text = |name| spec(name, Datatype::Bytes);
        let numbers = |name| spec(name, Datatype::Fp32);

        for (metadata, expected) in [
            (model("text_input", text("text_output"), ""), [true, true, false]),
            (model("prompt", text("answer"), ""), [true, true, false]),
            (model("messages", text("answer"), ""), [true, false, false]),
            (model("question", text("answer"), "chat"), [true, true, false]),
            (model("question", text("answer"), "completion"), [true, true, false]),
            (model("text", text("text"), ""), [false, false, false]),
            (model("text", numbers("embedding"), ""), [false, false, true]),
            (model("text", numbers("vector"), "embedding"), [false, false, true]),
            (model("text", numbers("vector"), ""), [false, false, false]),
            (model("text_input", numbers("scores"), "chat"), [false, false, false]),
        ] {
            assert_eq!(abilities(&metadata), expected, "{metadata:?}");
        }
    }

    #[test]
    fn two_required_inputs_are_not_asked() {
        let mut metadata = model("text", spec("embedding", Datatype::Fp32), "");
        metadata.inputs.push(spec("text_pair", Datatype::Bytes));
        assert!(Embedder::of(&metadata).is_err());

        metadata.inputs[1].optional = true;
        assert_eq!(Embedder::of(&metadata).unwrap().input.name, "text");
    }
}
