//! Models written in WebAssembly's text format, for code that no compiler emits.

/// Addresses of the response in a written model: one response with one tensor.
pub(crate) mod address {
    /// The result of `infer`: 0 for a response, which follows.
    pub(crate) const RESULT: u32 = 1536;
    /// The only tensor of the response: address and length of the name, number of the datatype,
    /// address and length of the shape, address and length of the data; four bytes each.
    pub(crate) const TENSOR: u32 = 1600;
    /// The address at which the host writes its arguments.
    pub(crate) const HANDED: u32 = 1 << 16;
}

const METADATA: u32 = 1024;
const SPEC: u32 = 1100;
const NAME: u32 = 1200;
const SHAPE: u32 = 1216;
const NUMBER: u32 = 2048;
const INT64: u32 = 8;

/// A model without inputs, with one output, `answer` INT64 [1]. The value is the result of the
/// function `$answer` of this core module. The module may use four pages of memory except for the
/// addresses above.
pub(crate) fn wat_model(module: &str) -> Vec<u8> {
    wat_model_with("", "", module)
}

/// Like `wat_model`, with additional imports of the component. `functions` are core functions that
/// the core module imports from `host`.
pub(crate) fn wat_model_with(imports: &str, functions: &str, module: &str) -> Vec<u8> {
    let (memory, data) = (memory(), data());
    let text = format!(
        r#"(component
        {TYPES}
        {imports_of_base}
        {imports}
        (core module $code
            (import "base" "memory" (memory 4))
            {module}
            (func (export "load") (result i32) (i32.const {METADATA}))
            (func (export "infer") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (i64.store (i32.const {NUMBER}) (call $answer))
                (i32.const {result}))
            {data})
        (core instance $instance (instantiate $code
            (with "base" (instance $base)) (with "host" (instance {functions}))))
        (func $load (result (result $metadata (error $error)))
            (canon lift (core func $instance "load") (memory $memory)))
        (func $infer (param "request" $request) (result (result $response (error $error)))
            (canon lift (core func $instance "infer") (memory $memory) (realloc $realloc)))
        (instance $inference (export "load" (func $load)) (export "infer" (func $infer)))
        (export "wardian:model/inference@0.1.0" (instance $inference)))"#,
        imports_of_base = memory,
        result = address::RESULT,
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// The memory, with space for the host's arguments, which are never read.
fn memory() -> String {
    format!(
        r#"(core module $memory_alone
            (memory (export "memory") 4)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const {})))
        (core instance $base (instantiate $memory_alone))
        (alias core export $base "memory" (core memory $memory))
        (alias core export $base "realloc" (core func $realloc))"#,
        address::HANDED
    )
}

/// The return values of `load` and `infer`, in the layout of the component model.
fn data() -> String {
    let metadata = [0, 0, 0, 0, 0, SPEC, 1, 0, 0, 0];
    let spec = [NAME, 6, INT64, SHAPE, 1, 0];
    let result = [0, 0, 0, address::TENSOR, 1];
    let tensor = [NAME, 6, INT64, SHAPE, 1, NUMBER, 8];
    let words = [
        words(METADATA, &metadata),
        words(SPEC, &spec),
        words(address::RESULT, &result),
        words(address::TENSOR, &tensor),
        words(SHAPE, &[1, 0]),
    ];
    format!(r#"{} (data (i32.const {NAME}) "answer")"#, words.concat())
}

fn words(place: u32, words: &[u32]) -> String {
    let bytes =
        words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}"));
    format!("(data (i32.const {place}) \"{}\")", bytes.collect::<String>())
}

/// The types of `wit/types.wit`.
const TYPES: &str = r#"
    (import "wardian:model/types@0.1.0" (instance $types
        (type $a (enum "bool" "uint8" "uint16" "uint32" "uint64" "int8" "int16" "int32" "int64"
            "fp16" "bf16" "fp32" "fp64" "bytes"))
        (export "datatype" (type $datatype (eq $a)))
        (type $b (record (field "name" string) (field "datatype" $datatype)
            (field "shape" (list u64)) (field "data" (list u8))))
        (export "tensor" (type $tensor (eq $b)))
        (type $c (record (field "name" string) (field "datatype" $datatype)
            (field "shape" (list s64)) (field "optional" bool)))
        (export "tensor-spec" (type $spec (eq $c)))
        (type $d (variant (case "boolean" bool) (case "integer" s64) (case "number" f64) (case "text" string)))
        (export "parameter-value" (type $value (eq $d)))
        (type $e (record (field "name" string) (field "value" $value)))
        (export "parameter" (type $parameter (eq $e)))
        (type $f (record (field "description" string) (field "inputs" (list $spec)) (field "outputs" (list $spec))
            (field "max-batch-size" u32) (field "properties" (list $parameter))))
        (export "metadata" (type (eq $f)))
        (type $g (record (field "id" string) (field "parameters" (list $parameter))
            (field "inputs" (list $tensor)) (field "outputs" (list string))))
        (export "request" (type (eq $g)))
        (type $h (record (field "parameters" (list $parameter)) (field "outputs" (list $tensor))))
        (export "response" (type (eq $h)))
        (type $i (variant (case "rejected" string) (case "failed" string)))
        (export "error" (type (eq $i)))))
    (alias export $types "metadata" (type $metadata))
    (alias export $types "request" (type $request))
    (alias export $types "response" (type $response))
    (alias export $types "error" (type $error))"#;
