//! ONNX's own operator.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::movement::concatenate;
use onnx_executor::tensor::{ElementType, Tensor};

use super::heads::{Causal, Heads, Scoring, join_heads, split_heads};
use super::mask::{limited, with_keys};
use super::{FLOAT, find_count};

pub(super) fn attention(node: &Node<'_>) -> Result<Kernel, Error> {
    let (query_heads, key_heads) =
        (find_count(node, "q_num_heads"), find_count(node, "kv_num_heads"));
    let scale = node.find_float("scale");
    let softcap = node.float("softcap", 0.0);
    let is_causal = node.flag("is_causal", false);
    let mode = node.integer("qk_matmul_output_mode", 0);
    let _ = node.attribute("softmax_precision");
    if softcap < 0.0 || !(0..4).contains(&mode) {
        return Err(Error::failed("softcap or qk_matmul_output_mode is not valid"));
    }
    for index in [1, 2, 4, 5] {
        node.expect(index, FLOAT)?;
    }
    node.expect(3, &[ElementType::F32, ElementType::Bool])?;
    node.expect(6, &[ElementType::I64])?;
    // From version 24 on, mode 1 is after the soft cap, and 2 after the mask.
    let gives = node.has_output(3).then_some(mode);
    Ok(Kernel::many([ElementType::F32; 4], move |arguments| {
        let is_joined = arguments.get(0)?.shape().len() == 3;
        let query = split_heads(arguments.get(0)?, query_heads)?;
        let mut key = split_heads(arguments.get(1)?, key_heads)?;
        let mut value = split_heads(arguments.get(2)?, key_heads)?;
        let mut offset = 0;
        if let (Some(past_key), Some(past_value)) = (arguments.find(4), arguments.find(5)) {
            if past_key.shape().len() != 4 || past_value.shape().len() != 4 {
                return Err(Error::rejected("past keys and values have four dimensions"));
            }
            offset = past_key.shape()[2] as i64;
            key = concatenate(&[past_key, &key], 2)?;
            value = concatenate(&[past_value, &value], 2)?;
        }
        let size = *query.shape().last().or_rejected("queries without a size")? as f32;
        let scale = scale.unwrap_or(1.0 / size.sqrt());
        let (rows, keys) = (query.shape()[2], key.shape()[2]);
        let mut mask = arguments.find(3).map(|mask| with_keys(mask, keys)).transpose()?;
        let mut causal = if is_causal { Causal::All(offset) } else { Causal::None };
        if let Some(lengths) = arguments.find(6) {
            let lengths = lengths.values::<i64>()?;
            if lengths.len() != query.shape()[0] {
                return Err(Error::rejected("there is not one length for each item of the batch"));
            }
            if is_causal {
                causal = Causal::Each(
                    lengths.iter().map(|length| length.saturating_sub(rows as i64)).collect(),
                );
            }
            mask = Some(limited(mask.as_ref(), lengths, [rows, keys])?);
        }
        let (key_now, value_now) = (key.clone(), value.clone());
        let heads = Heads { query, key, value };
        let scoring = Scoring { scale, softcap, gives };
        let (output, scores) = heads.attend(scoring, mask.as_ref(), &causal, arguments)?;
        let output = if is_joined { join_heads(&output)? } else { output };
        let scores = match scores {
            Some(scores) => scores,
            None => Tensor::vector(Vec::<f32>::new())?,
        };
        Ok(vec![output, key_now, value_now, scores])
    }))
}
