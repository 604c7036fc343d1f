//! The rewriting of a component into its code.

use wasm_encoder::reencode::component_utils::parse_component_alias_section;
use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentSectionId,
    ComponentTypeRef, ComponentTypeSection, ComponentValType, CoreTypeSection, EntityType,
    ExportKind, InstanceSection, ModuleArg, ModuleType, PrimitiveValType, RawSection,
};
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentAlias, ComponentExternalKind, Encoding, ExternalKind,
    Instance, Parser, Payload, SectionLimited,
};

use super::core_module::{CoreModule, global_reader};
use super::state_module::StateModule;
use super::{MEMORY, READ_HEAD, READ_MEMORY, Refusal, STATE, malformed};
use crate::engine::bindings::RESET;

/// A component taken apart into its code and the state in which its instances start.
pub(in crate::engine::compile) struct SplitComponent {
    /// The component that imports the state.
    pub(in crate::engine::compile) code: Vec<u8>,
    /// The state before `load`, a core module.
    pub(in crate::engine::compile) initial_state: Vec<u8>,
    /// Tables of an instance.
    pub(in crate::engine::compile) tables: u32,
    /// The memory that the state defines.
    pub(super) memory: StateModule,
    /// The bits of the mutable globals when an instance starts.
    pub(super) globals: Vec<i64>,
}

impl SplitComponent {
    /// Splits a component. Refuses with the reason if its state may be more than one memory.
    pub(in crate::engine::compile) fn new(component: &[u8]) -> Result<Self, Refusal> {
        let parts = Parts::read(component)?;
        let main = parts.main_module()?;
        let module = &parts.modules[main];

        let memory = StateModule { memory: module.memory()? };
        Ok(SplitComponent {
            code: parts.code(main, memory.memory)?,
            initial_state: memory.with_data_section(module.data),
            tables: parts.modules.iter().map(|module| module.tables).sum(),
            memory,
            globals: module.globals.iter().map(|global| global.initial).collect(),
        })
    }
}

/// The sections of a component, and the sizes of its index spaces.
#[derive(Default)]
struct Parts<'a> {
    sections: Vec<RawSection<'a>>,
    modules: Vec<CoreModule<'a>>,
    /// The module of each core instance; `None` for one that is made of exports.
    instances: Vec<Option<usize>>,
    core_functions: u32,
    core_memories: u32,
    functions: u32,
    types: u32,
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut parts = Parts::default();
        let mut depth = 0_u32;

        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(malformed)?;
            if let Payload::End(_) = payload {
                depth = depth.saturating_sub(1);
            } else if depth == 0 {
                parts.read_section(bytes, &payload)?;
            }

            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                _ => {}
            }
        }

        Ok(parts)
    }

    fn read_section(&mut self, bytes: &'a [u8], payload: &Payload<'a>) -> Result<(), Refusal> {
        let Some((id, range)) = payload.as_section() else {
            return match payload {
                Payload::Version { encoding: Encoding::Module, .. } => {
                    Err("it is not a component".into())
                }
                _ => Ok(()),
            };
        };
        let data = bytes.get(range).ok_or("a section is cut off")?;
        if !matches!(payload, Payload::CustomSection(_)) {
            self.sections.push(RawSection { id, data });
        }

        match payload {
            Payload::ModuleSection { .. } => {
                if !self.instances.is_empty() {
                    return Err("it defines a module after an instance".into());
                }
                self.modules.push(CoreModule::read(data)?);
            }
            Payload::ComponentSection { .. } => check_nested(data)?,
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    self.add_instance(&instance.map_err(malformed)?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.count_alias(&alias.map_err(malformed)?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section.clone() {
                    match function.map_err(malformed)? {
                        CanonicalFunction::Lift { .. } => self.functions += 1,
                        // Handles of its own resources would be state beside the memory.
                        CanonicalFunction::ResourceNew { .. }
                        | CanonicalFunction::ResourceRep { .. } => {
                            return Err("it defines a resource".into());
                        }
                        _ => self.core_functions += 1,
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    let import = import.map_err(malformed)?;
                    if import.name.name == STATE {
                        return Err(format!("it imports {STATE}"));
                    }
                    self.count(import.ty.kind())?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(malformed)?;
                    if export.name.name.starts_with("wardian-") {
                        return Err("it exports a name that begins with wardian-".into());
                    }
                    self.count(export.kind)?;
                }
            }
            Payload::ComponentTypeSection(section) => self.types += section.count(),
            Payload::CoreTypeSection(_) => return Err("it has types of core modules".into()),
            Payload::ComponentStartSection { .. } => return Err("it has a start function".into()),
            _ => {}
        }
        Ok(())
    }

    fn add_instance(&mut self, instance: &Instance<'_>) -> Result<(), Refusal> {
        let module = match instance {
            Instance::FromExports(_) => None,
            Instance::Instantiate { module_index, args } => {
                let module = *module_index as usize;
                if self.instances.contains(&Some(module)) {
                    return Err("it instantiates a module twice".into());
                }
                if args.iter().any(|argument| argument.name == STATE) {
                    return Err(format!("a module of it imports {STATE}"));
                }
                Some(module)
            }
        };
        self.instances.push(module);
        Ok(())
    }

    fn count_alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), Refusal> {
        match alias {
            ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, .. } => {
                self.core_functions += 1;
            }
            ComponentAlias::CoreInstanceExport { kind: ExternalKind::Memory, .. } => {
                self.core_memories += 1;
            }
            ComponentAlias::CoreInstanceExport { .. } => {}
            ComponentAlias::InstanceExport { kind, .. } => self.count(*kind)?,
            ComponentAlias::Outer { .. } => return Err("it refers to an outer component".into()),
        }
        Ok(())
    }

    fn count(&mut self, kind: ComponentExternalKind) -> Result<(), Refusal> {
        match kind {
            ComponentExternalKind::Func => self.functions += 1,
            ComponentExternalKind::Type => self.types += 1,
            ComponentExternalKind::Instance => {}
            ComponentExternalKind::Module
            | ComponentExternalKind::Component
            | ComponentExternalKind::Value => {
                return Err("it imports or exports a module, a component or a value".into());
            }
        }
        Ok(())
    }

    /// The index of the only module with state.
    fn main_module(&self) -> Result<usize, Refusal> {
        let mut with_state =
            self.modules.iter().enumerate().filter(|(_, module)| !module.is_stateless());
        match (with_state.next(), with_state.next()) {
            (Some((main, _)), None) if self.instances.contains(&Some(main)) => Ok(main),
            (_, None) => Err("it has no memory".into()),
            (_, Some(_)) => Err("several of its modules have memories, globals or data".into()),
        }
    }

    /// Encodes the code.
    fn code(&self, main: usize, memory: wasm_encoder::MemoryType) -> Result<Vec<u8>, Refusal> {
        let mut code = Component::new();
        let mut modules = 0;
        let mut has_state = false;

        for section in &self.sections {
            let is = |id: ComponentSectionId| section.id == id as u8;

            if is(ComponentSectionId::CoreModule) && modules == main {
                let id = ComponentSectionId::CoreModule as u8;
                let data = self.modules[main].without_state()?;
                code.section(&RawSection { id, data: &data });
            } else if is(ComponentSectionId::CoreInstance) {
                if !has_state {
                    self.import_state(&mut code, memory);
                    has_state = true;
                }
                code.section(&shifted_instances(section.data, main)?);
            } else if is(ComponentSectionId::Alias) {
                code.section(&shifted_aliases(section.data)?);
            } else {
                code.section(section);
            }

            modules += usize::from(is(ComponentSectionId::CoreModule));
        }

        self.export_added_functions(&mut code, main)?;
        Ok(code.finish())
    }

    /// Imports the state and instantiates it, as the first core instance.
    fn import_state(&self, code: &mut Component, memory: wasm_encoder::MemoryType) {
        let mut state = ModuleType::new();
        state.export(MEMORY, EntityType::Memory(memory));
        let mut types = CoreTypeSection::new();
        types.ty().module(&state);
        code.section(&types);

        let mut imports = ComponentImportSection::new();
        imports.import(STATE, ComponentTypeRef::Module(0));
        code.section(&imports);

        let mut instances = InstanceSection::new();
        let none: [(&str, ModuleArg); 0] = [];
        instances.instantiate(self.modules.len() as u32, none);
        code.section(&instances);
    }

    /// Exports the functions that read and reset the state.
    fn export_added_functions(&self, code: &mut Component, main: usize) -> Result<(), Refusal> {
        let instance = self.instances.iter().position(|module| *module == Some(main));
        let instance = shifted(instance.ok_or("its main module is not used")? as u32);
        let globals = self.modules[main].globals.len();
        let numbers = [READ_HEAD.to_owned()].into_iter().chain((0..globals).map(global_reader));
        let numbers: Vec<_> = numbers.collect();

        let mut aliases = ComponentAliasSection::new();
        let mut alias = |instance, kind, name: &str| {
            aliases.alias(Alias::CoreInstanceExport { instance, kind, name });
        };
        alias(0, ExportKind::Memory, MEMORY);
        alias(instance, ExportKind::Func, READ_MEMORY);
        alias(instance, ExportKind::Func, RESET);
        for name in &numbers {
            alias(instance, ExportKind::Func, name);
        }
        code.section(&aliases);

        let [list, read_list, reset, read_number] = [0, 1, 2, 3].map(|added| self.types + added);
        let mut types = ComponentTypeSection::new();
        let none: [(&str, ComponentValType); 0] = [];
        let passed: ComponentValType = PrimitiveValType::S32.into();
        types.defined_type().list(PrimitiveValType::U8);
        types.function().params(none).result(Some(ComponentValType::Type(list)));
        types.function().params([("passed", passed)]).result(Some(passed));
        types.function().params(none).result(Some(PrimitiveValType::S64.into()));
        code.section(&types);

        // The memory lets the host reset its content while it passes the parameter.
        let memory = CanonicalOption::Memory(self.core_memories);
        let mut lifts = CanonicalFunctionSection::new();
        lifts.lift(self.core_functions, read_list, [memory]);
        lifts.lift(self.core_functions + 1, reset, [memory]);
        for number in (2..).take(numbers.len()) {
            lifts.lift(self.core_functions + number, read_number, []);
        }
        code.section(&lifts);

        let mut exports = ComponentExportSection::new();
        let mut export = |name: &str, index| {
            exports.export(name, ComponentExportKind::Func, index, None);
        };
        let names = [READ_MEMORY, RESET].into_iter().chain(numbers.iter().map(String::as_str));
        // An export adds a function of its own to the index space, behind the lifted ones.
        for (name, index) in names.zip(self.functions..) {
            export(name, index);
        }
        code.section(&exports);
        Ok(())
    }
}

/// Refuses a nested component that has core modules or instances of its own.
fn check_nested(bytes: &[u8]) -> Result<(), Refusal> {
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } | Payload::InstanceSection(_) => {
                return Err("a component within it has core modules".into());
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::Outer { kind, .. } = alias.map_err(malformed)?
                        && kind != wasmparser::ComponentOuterAliasKind::Type
                    {
                        return Err("a component within it refers to its modules".into());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The index of a core instance behind that of the state.
fn shifted(instance: u32) -> u32 {
    instance + 1
}

/// Shifts the indices of core instances.
struct Shift;

impl Reencode for Shift {
    type Error = std::convert::Infallible;
}

impl ReencodeComponent for Shift {
    fn instance_index(&mut self, index: u32) -> u32 {
        shifted(index)
    }
}

fn shifted_aliases(data: &[u8]) -> Result<ComponentAliasSection, Refusal> {
    let section = SectionLimited::new(BinaryReader::new(data, 0)).map_err(malformed)?;
    let mut aliases = ComponentAliasSection::new();
    parse_component_alias_section(&mut Shift, &mut aliases, section)
        .map_err(|error| error.to_string())?;
    Ok(aliases)
}

/// The section with the state as one more argument of the main module.
fn shifted_instances(data: &[u8], main: usize) -> Result<InstanceSection, Refusal> {
    let section: SectionLimited<'_, Instance<'_>> =
        SectionLimited::new(BinaryReader::new(data, 0)).map_err(malformed)?;
    let mut instances = InstanceSection::new();

    for instance in section {
        match instance.map_err(malformed)? {
            Instance::Instantiate { module_index, args } if module_index as usize == main => {
                let args = args
                    .iter()
                    .map(|argument| (argument.name, ModuleArg::Instance(shifted(argument.index))));
                let args = args.chain([(STATE, ModuleArg::Instance(0))]);
                instances.instantiate(module_index, args.collect::<Vec<_>>());
            }
            other => {
                Shift.parse_instance(&mut instances, other).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(instances)
}
