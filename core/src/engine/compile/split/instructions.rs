//! Instructions that change more than the memory.

use wasmparser::{Operator, Parser, Payload};

use super::{Refusal, malformed};

/// Refuses a component with instructions that change a table or drop a segment: an instance that
/// has run them differs from a fresh one by more than its memory.
pub(in crate::engine::compile) fn check_instructions(component: &[u8]) -> Result<(), Refusal> {
    for payload in Parser::new(0).parse_all(component) {
        let Payload::CodeSectionEntry(body) = payload.map_err(malformed)? else { continue };
        let mut operators = body.get_operators_reader().map_err(malformed)?;

        while !operators.eof() {
            if let Some(name) = refused(&operators.read().map_err(malformed)?) {
                return Err(format!("it uses the instruction {name}"));
            }
        }
    }
    Ok(())
}

fn refused(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        Operator::ElemDrop { .. } => "elem.drop",
        Operator::DataDrop { .. } => "data.drop",
        Operator::MemoryInit { .. } => "memory.init",
        _ => return None,
    })
}
