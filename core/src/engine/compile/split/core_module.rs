//! The core modules of a component, and the change to the main one.

use wasm_encoder::{Encode, EntityType, Function, Module, RawSection, SectionId};
use wasmparser::{
    BinaryReader, ConstExpr, DataKind, ExternalKind, GlobalType, MemoryType, Operator, Parser,
    Payload, TypeRef, ValType,
};

use super::{MEMORY, READ_GLOBAL, READ_HEAD, READ_MEMORY, Refusal, STATE, malformed};
use crate::engine::bindings::RESET;

/// A core module of a component.
#[derive(Default)]
pub(super) struct CoreModule<'a> {
    sections: Vec<RawSection<'a>>,
    types: u32,
    imported_functions: u32,
    imported_globals: u32,
    defined_globals: u32,
    imports_memory: bool,
    functions: u32,
    pub(super) tables: u32,
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<MutableGlobal>,
    /// The data section, without its id and size.
    pub(super) data: Option<&'a [u8]>,
    has_start: bool,
}

/// A mutable global that a core module defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MutableGlobal {
    /// Its index in the module.
    index: u32,
    ty: ValType,
    /// The bits of its value when an instance starts.
    pub(super) initial: i64,
}

impl<'a> CoreModule<'a> {
    /// Reads a module. Refuses one whose state is more than one memory and plain globals.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut module = CoreModule::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.read_section(bytes, payload.map_err(malformed)?)?;
        }
        Ok(module)
    }

    /// True if an instance has nothing that could change, except for tables.
    pub(super) fn is_stateless(&self) -> bool {
        self.memories.is_empty()
            && self.globals.is_empty()
            && self.data.is_none()
            && !self.has_start
    }

    fn read_section(&mut self, bytes: &'a [u8], payload: Payload<'a>) -> Result<(), Refusal> {
        if let Some((id, range)) = payload.as_section() {
            let data = bytes.get(range).ok_or("a section is cut off")?;
            self.sections.push(RawSection { id, data });
        }

        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    let types = group.map_err(malformed)?.types().len();
                    self.types += u32::try_from(types).map_err(|_| "it has too many types")?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.count_import(import.map_err(malformed)?.ty);
                }
            }
            Payload::FunctionSection(section) => self.functions = section.count(),
            Payload::TableSection(section) => self.tables = section.count(),
            Payload::MemorySection(section) => {
                let memories = section.into_iter().collect::<Result<_, _>>();
                self.memories = memories.map_err(malformed)?;
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global.map_err(malformed)?;
                    self.add_global(global.ty, &global.init_expr)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    if export.map_err(malformed)?.name.starts_with("wardian-") {
                        return Err("it exports a name that begins with wardian-".into());
                    }
                }
            }
            Payload::StartSection { .. } => self.has_start = true,
            Payload::DataSection(section) => {
                self.data = bytes.get(section.range());
                for segment in section {
                    check_segment(&segment.map_err(malformed)?.kind)?;
                }
            }
            Payload::TagSection(_) => return Err("it has tags".into()),
            _ => {}
        }
        Ok(())
    }

    fn count_import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => self.imported_functions += 1,
            TypeRef::Global(_) => self.imported_globals += 1,
            TypeRef::Memory(_) => self.imports_memory = true,
            TypeRef::Table(_) | TypeRef::Tag(_) => {}
        }
    }

    fn add_global(&mut self, ty: GlobalType, value: &ConstExpr<'_>) -> Result<(), Refusal> {
        let index = self.imported_globals + self.defined_globals;
        self.defined_globals += 1;
        if ty.mutable {
            let initial = constant(value)?;
            self.globals.push(MutableGlobal { index, ty: ty.content_type, initial });
        }
        Ok(())
    }
}

/// Refuses data that is not copied when an instance starts, or to a place that depends on it.
fn check_segment(kind: &DataKind<'_>) -> Result<(), Refusal> {
    match kind {
        DataKind::Active { memory_index: 0, offset_expr } => constant(offset_expr).map(|_| ()),
        DataKind::Active { .. } => Err("it has several memories".into()),
        DataKind::Passive => Err("it has passive data segments".into()),
    }
}

/// Returns the bits of a constant. Refuses other expressions.
fn constant(expression: &ConstExpr<'_>) -> Result<i64, Refusal> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read().map_err(malformed)? {
        Operator::I32Const { value } => i64::from(value),
        Operator::I64Const { value } => value,
        Operator::F32Const { value } => i64::from(value.bits().cast_signed()),
        Operator::F64Const { value } => value.bits().cast_signed(),
        _ => return Err("an initial value is not a number".into()),
    };

    match operators.read().map_err(malformed)? {
        Operator::End => Ok(value),
        _ => Err("an initial value is not a number".into()),
    }
}

// === the main module ===

impl CoreModule<'_> {
    /// Returns the module with its memory imported, without data, and with functions that read the
    /// memory and the globals, and reset the globals.
    pub(super) fn without_state(&self) -> Result<Vec<u8>, Refusal> {
        let memory = self.memory()?;
        let mut module = Module::new();
        let mut imports_memory = false;

        for section in &self.sections {
            // The import section follows that of the types, and may be missing.
            if !imports_memory && section.id >= SectionId::Import as u8 {
                let imports = (section.id == SectionId::Import as u8).then_some(section.data);
                module.section(&imported(imports, memory)?);
                imports_memory = true;
            }
            if let Some(section) = self.changed(section)? {
                module.section(&section);
            } else if Self::is_kept(section) {
                module.section(section);
            }
        }

        Ok(module.finish())
    }

    /// A section with what the added functions need; `None` if they need nothing in it.
    fn changed(&self, section: &RawSection<'_>) -> Result<Option<OwnedSection>, Refusal> {
        let is = |id: SectionId| section.id == id as u8;
        let (count, items) = if is(SectionId::Type) {
            (ADDED_TYPES, added_types())
        } else if is(SectionId::Function) {
            (self.added(), self.added_functions())
        } else if is(SectionId::Export) {
            (self.added(), self.added_exports())
        } else if is(SectionId::Code) {
            (self.added(), self.added_bodies()?)
        } else {
            return Ok(None);
        };
        extended(section, count, &items).map(Some)
    }

    /// True for a section that the module keeps as it is.
    fn is_kept(section: &RawSection<'_>) -> bool {
        let dropped = [SectionId::Import, SectionId::Memory, SectionId::Data, SectionId::DataCount];
        if section.id == SectionId::Custom as u8 {
            return is_name_section(section.data);
        }
        !dropped.iter().any(|id| section.id == *id as u8)
    }

    /// The memory, as the module defines it. Refuses a module whose state is not one plain memory.
    pub(super) fn memory(&self) -> Result<wasm_encoder::MemoryType, Refusal> {
        let [memory] = self.memories[..] else { return Err("it has several memories".into()) };
        let has = |id: SectionId| self.sections.iter().any(|section| section.id == id as u8);

        let refused = [
            (self.imports_memory, "it has several memories"),
            (memory.memory64 || memory.shared, "its memory is shared or has 64-bit addresses"),
            (memory.page_size_log2.is_some(), "its memory has pages of another size"),
            (memory.initial == 0, "its memory is empty"),
            (self.has_start, "its main module has a start function"),
            (
                !has(SectionId::Function) || !has(SectionId::Export),
                "its main module exports nothing",
            ),
        ];
        if let Some((_, reason)) = refused.iter().find(|(applies, _)| *applies) {
            return Err((*reason).into());
        }

        Ok(wasm_encoder::MemoryType {
            minimum: memory.initial,
            maximum: memory.maximum,
            memory64: false,
            shared: false,
            page_size_log2: None,
        })
    }

    /// The types of the added functions, in the order of [`CoreModule::added_exports`].
    fn added_functions(&self) -> Vec<u8> {
        let [address, passed, number] = [0, 1, 2].map(|added| self.types + added);
        let numbers = (0..=self.globals.len()).map(|_| number);

        let mut types = Vec::new();
        [address, passed].into_iter().chain(numbers).for_each(|ty| ty.encode(&mut types));
        types
    }

    fn added_exports(&self) -> Vec<u8> {
        let names = [READ_MEMORY, RESET, READ_HEAD].map(str::to_owned).into_iter();
        let names = names.chain((0..self.globals.len()).map(global_reader));

        let mut exports = Vec::new();
        for (index, name) in (self.imported_functions + self.functions..).zip(names) {
            name.as_str().encode(&mut exports);
            exports.push(ExternalKind::Func as u8);
            index.encode(&mut exports);
        }
        exports
    }

    fn added_bodies(&self) -> Result<Vec<u8>, Refusal> {
        let mut bodies = Vec::new();
        read_memory().encode(&mut bodies);
        reset_globals(&self.globals)?.encode(&mut bodies);
        read_head().encode(&mut bodies);
        for global in &self.globals {
            read_global(global)?.encode(&mut bodies);
        }
        Ok(bodies)
    }

    /// The number of added functions.
    fn added(&self) -> u32 {
        3 + self.globals.len() as u32
    }
}

/// The name of the function that reads a mutable global, by its number among them.
pub(super) fn global_reader(number: usize) -> String {
    format!("{READ_GLOBAL}{number}")
}

/// Types of the added functions: `() -> i32`, `(i32) -> i32` and `() -> i64`.
const ADDED_TYPES: u32 = 3;

fn added_types() -> Vec<u8> {
    vec![0x60, 0, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7e]
}

/// Returns the whole memory as a list. Its address and length lie where the memory begins, so those
/// eight bytes are read before by [`read_head`].
fn read_memory() -> Function {
    let place = |offset| wasm_encoder::MemArg { offset, align: 2, memory_index: 0 };
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.i32_const(0).i32_const(0).i32_store(place(0));
    code.i32_const(0).memory_size(0).i32_const(16).i32_shl().i32_store(place(4));
    code.i32_const(0).end();
    function
}

/// Returns the first eight bytes of the memory.
fn read_head() -> Function {
    let place = wasm_encoder::MemArg { offset: 0, align: 3, memory_index: 0 };
    let mut function = Function::new([]);
    function.instructions().i32_const(0).i64_load(place).end();
    function
}

/// Returns the bits of a global.
fn read_global(global: &MutableGlobal) -> Result<Function, Refusal> {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.global_get(global.index);
    match global.ty {
        ValType::I32 => code.i64_extend_i32_s(),
        ValType::I64 => &mut code,
        ValType::F32 => code.i32_reinterpret_f32().i64_extend_i32_s(),
        ValType::F64 => code.i64_reinterpret_f64(),
        ValType::V128 | ValType::Ref(_) => return Err(NOT_A_NUMBER.into()),
    }
    .end();
    Ok(function)
}

/// Sets every mutable global to its first value, and returns its parameter.
fn reset_globals(globals: &[MutableGlobal]) -> Result<Function, Refusal> {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    for global in globals {
        match global.ty {
            ValType::I32 => code.i32_const(global.initial as i32),
            ValType::I64 => code.i64_const(global.initial),
            ValType::F32 => code.i32_const(global.initial as i32).f32_reinterpret_i32(),
            ValType::F64 => code.i64_const(global.initial).f64_reinterpret_i64(),
            ValType::V128 | ValType::Ref(_) => return Err(NOT_A_NUMBER.into()),
        }
        .global_set(global.index);
    }
    code.local_get(0).end();
    Ok(function)
}

const NOT_A_NUMBER: &str = "a mutable global is not a number";

/// A section whose content is made here.
struct OwnedSection {
    id: u8,
    data: Vec<u8>,
}

impl Encode for OwnedSection {
    fn encode(&self, sink: &mut Vec<u8>) {
        self.data.encode(sink);
    }
}

impl wasm_encoder::Section for OwnedSection {
    fn id(&self) -> u8 {
        self.id
    }
}

/// The import section with the memory of the state added.
fn imported(
    section: Option<&[u8]>,
    memory: wasm_encoder::MemoryType,
) -> Result<OwnedSection, Refusal> {
    let mut import = Vec::new();
    STATE.encode(&mut import);
    MEMORY.encode(&mut import);
    EntityType::Memory(memory).encode(&mut import);

    let section = RawSection { id: SectionId::Import as u8, data: section.unwrap_or(&[0]) };
    extended(&section, 1, &import)
}

/// A section that is a list, with encoded items added at its end.
fn extended(section: &RawSection<'_>, added: u32, items: &[u8]) -> Result<OwnedSection, Refusal> {
    let mut reader = BinaryReader::new(section.data, 0);
    let count = reader.read_var_u32().map_err(malformed)?;
    let rest = reader.read_bytes(reader.bytes_remaining()).map_err(malformed)?;

    let mut data = Vec::with_capacity(section.data.len() + items.len() + 4);
    count.saturating_add(added).encode(&mut data);
    data.extend_from_slice(rest);
    data.extend_from_slice(items);
    Ok(OwnedSection { id: section.id, data })
}

/// True for the section with the names of functions, which a trap's backtrace needs.
fn is_name_section(custom: &[u8]) -> bool {
    BinaryReader::new(custom, 0).read_string().is_ok_and(|name| name == "name")
}
