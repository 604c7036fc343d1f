//! The core module with the state of one model.

use std::ops::Range;

use wasm_encoder::{
    ConstExpr, DataSection, Encode, ExportKind, ExportSection, MemorySection, MemoryType, Module,
    RawSection, SectionId,
};

use super::MEMORY;

/// A module that defines a memory and exports it.
pub(super) struct StateModule {
    pub(super) memory: MemoryType,
}

impl StateModule {
    /// The module with the data section of another one.
    pub(super) fn with_data_section(&self, data: Option<&[u8]>) -> Vec<u8> {
        let mut module = self.with_memory(self.memory);
        if let Some(data) = data {
            module.section(&RawSection { id: SectionId::Data as u8, data });
        }
        module.finish()
    }

    /// The module whose memory has that content.
    pub(super) fn with_content(&self, content: &[u8]) -> Vec<u8> {
        let pages = (content.len() / PAGE) as u64;
        let mut module = self.with_memory(MemoryType { minimum: pages, ..self.memory });

        if let Some(used) = used_pages(content) {
            // Encoded here, because the encoder takes data byte by byte.
            let offset = ConstExpr::i32_const((used.start as u32).cast_signed());
            let mut segment = vec![ACTIVE];
            offset.encode(&mut segment);
            content[used].encode(&mut segment);

            let mut data = DataSection::new();
            data.raw(&segment);
            module.section(&data);
        }
        module.finish()
    }

    fn with_memory(&self, memory: MemoryType) -> Module {
        let mut module = Module::new();
        module.section(MemorySection::new().memory(memory));
        module.section(ExportSection::new().export(MEMORY, ExportKind::Memory, 0));
        module
    }
}

/// The kind of a data segment that is copied into the first memory.
const ACTIVE: u8 = 0;

/// Bytes of a page of WebAssembly memory.
const PAGE: usize = 64 << 10;

/// The bytes from the first to the last page of the machine that is not empty; `None` if all are.
fn used_pages(content: &[u8]) -> Option<Range<usize>> {
    // Whole pages are compared at once, because most of a memory is an unused stack.
    const EMPTY: [u8; 4096] = [0; 4096];
    let pages = content.len() / EMPTY.len();
    let is_used = |page: &usize| content[page * EMPTY.len()..][..EMPTY.len()] != EMPTY;
    let first = (0..pages).find(is_used)?;
    let last = (0..pages).rev().find(is_used)?;
    Some(first * EMPTY.len()..(last + 1) * EMPTY.len())
}
