//! Embeddings of texts: those of their tokens, pooled as sentence-transformers does.

use serde::Deserialize;
use serde_json::Value;
use wardian_sdk::{Error, Metadata, Request, Tensor};

use super::Answered;
use crate::folder::Folder;
use crate::network::Row;

/// The output with the number of tokens of each text.
const TOKENS: &str = "prompt_tokens";
/// The list of modules of sentence-transformers.
const MODULES: &str = "modules.json";
/// The smallest length by which a vector is divided, as in torch.
const SMALLEST: f32 = 1e-12;

/// The way in which the embedding of a text is made of those of its tokens.
pub(crate) struct Embedding {
    by_token: bool,
    poolings: Vec<Pooling>,
    normalizes: bool,
    width: usize,
}

/// A way to make one vector of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pooling {
    First,
    Last,
    Max,
    Mean,
    /// The sum, divided by the square root of the number of tokens.
    MeanOfRoot,
    /// The mean in which the first token counts once, the second twice, and so on.
    Weighted,
}

/// The names of the poolings in both forms of the file, in the order of their results.
const POOLINGS: [(&str, &str, Pooling); 6] = [
    ("cls", "pooling_mode_cls_token", Pooling::First),
    ("max", "pooling_mode_max_tokens", Pooling::Max),
    ("mean", "pooling_mode_mean_tokens", Pooling::Mean),
    ("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", Pooling::MeanOfRoot),
    ("weightedmean", "pooling_mode_weightedmean_tokens", Pooling::Weighted),
    ("lasttoken", "pooling_mode_lasttoken", Pooling::Last),
];

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: std::collections::BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

impl Embedding {
    /// Reads `modules.json` and the configuration of the pooling. Without them it is the mean, as
    /// in sentence-transformers. If the network makes embeddings of texts itself, they stay as they
    /// are.
    ///
    /// # Errors
    /// Failed if a module or a pooling is not served, or a file is not valid.
    pub(super) fn read(folder: &Folder<'_>, by_token: bool) -> Result<Self, Error> {
        let mut embedding =
            Self { by_token, poolings: vec![Pooling::Mean], normalizes: false, width: 0 };
        if !by_token {
            return Ok(embedding);
        }

        let modules: Vec<Module> = folder.json(MODULES)?.unwrap_or_default();
        for module in modules {
            let (_, kind) = module.r#type.rsplit_once('.').unwrap_or(("", &module.r#type));
            match kind {
                "Transformer" => {}
                "Pooling" => embedding.poolings = poolings(folder, &module.path)?,
                "Normalize" => embedding.normalizes = true,
                _ => {
                    return Err(Error::failed(format_args!(
                        "{MODULES}: the module {kind:?} is not served; those that are: Transformer, \
                         Pooling, Normalize. Export the whole model, so that the network has the \
                         output sentence_embedding"
                    )));
                }
            }
        }
        Ok(embedding)
    }

    /// Notes the width of the network's output, and describes the embeddings.
    pub(super) fn describe(&mut self, width: usize, metadata: Metadata) -> Metadata {
        self.width = if self.by_token { width * self.poolings.len() } else { width };
        let named = POOLINGS.iter().filter(|(.., pooling)| self.poolings.contains(pooling));
        let names: Vec<_> = named.map(|(name, ..)| *name).collect();
        let pooling = if self.by_token { names.join(", ") } else { "network".to_owned() };
        metadata
            .output::<f32>("embedding", [-1, self.width as i64])
            .optional_output::<i64>(TOKENS, [-1])
            .property("task", "embedding")
            .property("pooling", pooling)
            .property("normalized", self.normalizes)
    }

    /// Returns the embeddings, and the number of tokens of each text if the request names that
    /// output: those who do not ask for it keep their answers.
    pub(super) fn outputs(&self, request: &Request, answered: &Answered<'_>) -> Vec<Tensor> {
        let Answered { rows, tokens, .. } = answered;
        let values = rows.iter().flat_map(|row| self.embed(row));
        let mut outputs = vec![Tensor::new("embedding", [rows.len(), self.width], values)];

        if request.outputs.iter().any(|name| name == TOKENS) {
            let counts = tokens.iter().map(|tokens| tokens.ids.len() as i64);
            outputs.push(Tensor::new(TOKENS, [tokens.len()], counts));
        }
        outputs
    }

    fn embed(&self, row: &Row) -> Vec<f32> {
        if !self.by_token {
            return row.values.clone();
        }
        let tokens: Vec<_> = row.values.chunks_exact(row.width.max(1)).collect();
        let pooled = self.poolings.iter().flat_map(|pooling| pooling.pool(&tokens, row.width));
        let mut pooled: Vec<_> = pooled.collect();
        if self.normalizes {
            let length = pooled.iter().map(|value| value * value).sum::<f32>().sqrt();
            pooled.iter_mut().for_each(|value| *value /= length.max(SMALLEST));
        }
        pooled
    }
}

impl Pooling {
    /// Makes one vector of one or more.
    fn pool(self, tokens: &[&[f32]], width: usize) -> Vec<f32> {
        let count = tokens.len() as f32;
        match self {
            Pooling::First => tokens.first().copied().unwrap_or_default().to_vec(),
            Pooling::Last => tokens.last().copied().unwrap_or_default().to_vec(),
            Pooling::Max => fold(tokens, width, f32::NEG_INFINITY, |_, one, other| one.max(other)),
            Pooling::Mean => divided(sum(tokens, width), count),
            Pooling::MeanOfRoot => divided(sum(tokens, width), count.sqrt()),
            Pooling::Weighted => {
                let sum =
                    fold(tokens, width, 0.0, |index, sum, value| sum + value * (index + 1) as f32);
                divided(sum, count * (count + 1.0) / 2.0)
            }
        }
    }
}

fn sum(tokens: &[&[f32]], width: usize) -> Vec<f32> {
    fold(tokens, width, 0.0, |_, sum, value| sum + value)
}

fn divided(values: Vec<f32>, divisor: f32) -> Vec<f32> {
    values.into_iter().map(|value| value / divisor).collect()
}

fn fold(
    tokens: &[&[f32]],
    width: usize,
    first: f32,
    step: impl Fn(usize, f32, f32) -> f32,
) -> Vec<f32> {
    let mut folded = vec![first; width];
    for (index, token) in tokens.iter().enumerate() {
        for (folded, value) in folded.iter_mut().zip(*token) {
            *folded = step(index, *folded, *value);
        }
    }
    folded
}

/// Reads the configuration of the pooling in a module's folder.
fn poolings(folder: &Folder<'_>, path: &str) -> Result<Vec<Pooling>, Error> {
    // A version has files and no folders, so the host offers the file under this name.
    let name = format!("{path}_config.json");
    let config: Option<Value> = folder.json(&name)?;
    let Some(config) = config else {
        return Err(Error::failed(format_args!(
            "{MODULES} names the pooling {path:?}, and there is no {path}/config.json"
        )));
    };

    let new_form = &config["pooling_mode"];
    let names: Vec<_> = match new_form {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => {
            let is_set = |key: &&(&str, &str, Pooling)| config[key.1] == Value::Bool(true);
            POOLINGS.iter().filter(is_set).map(|(name, ..)| *name).collect()
        }
    };
    let find = |name: &&str| {
        let found = POOLINGS.iter().find(|(known, ..)| known == name);
        found.map(|(.., pooling)| *pooling)
    };
    if let Some(unknown) = names.iter().find(|name| find(name).is_none()) {
        let known = POOLINGS.map(|(name, ..)| name).join(", ");
        return Err(Error::failed(format_args!(
            "{path}/config.json: the pooling {unknown:?} is not served; those that are: {known}"
        )));
    }
    if names.is_empty() {
        return Err(Error::failed(format_args!("{path}/config.json names no pooling")));
    }
    // Those of several follow each other in the order of the library, whatever that of the file.
    let chosen = POOLINGS.iter().filter(|(name, ..)| names.contains(name));
    Ok(chosen.map(|(.., pooling)| *pooling).collect())
}

/// Returns the text that sentence-transformers puts before every other.
///
/// # Errors
/// Failed if the default prompt is not there, or the file is not valid.
pub(crate) fn default_prompt(folder: &Folder<'_>) -> Result<String, Error> {
    const FILE: &str = "config_sentence_transformers.json";
    let Prompts { mut prompts, default_prompt_name } = folder.json(FILE)?.unwrap_or_default();
    let Some(name) = default_prompt_name else { return Ok(String::new()) };
    let missing = || Error::failed(format_args!("{FILE} has no prompt {name:?}, its default"));
    prompts.remove(&name).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poolings_are_those_of_sentence_transformers() {
        let tokens: [&[f32]; 4] = [&[1.0, 8.0], &[2.0, -4.0], &[3.0, 0.0], &[6.0, 4.0]];
        let pooled = POOLINGS.map(|(_, _, pooling)| pooling.pool(&tokens, 2));
        let expected = [[1.0, 8.0], [6.0, 8.0], [3.0, 2.0], [6.0, 4.0], [3.8, 1.6], [6.0, 4.0]];
        assert_eq!(pooled.map(|pooled| [pooled[0], pooled[1]]), expected);
    }

    #[test]
    fn several_poolings_follow_each_other() {
        let poolings = vec![Pooling::First, Pooling::Mean];
        let embedding = Embedding { by_token: true, poolings, normalizes: true, width: 4 };
        let row = Row { values: vec![3.0, 0.0, -3.0, 8.0], width: 2 };
        assert_eq!(embedding.embed(&row), [0.6, 0.0, 0.0, 0.8]);
    }
}
