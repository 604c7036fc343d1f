//! Runtimes: components that serve model files.

/// Declares that a component is a runtime: the model files that it serves, in a custom section that
/// the host reads without running anything.
///
/// The host gives a version to the runtime when its model file has one of the formats, or, if the
/// host knows no format for its content, one of the extensions. In `load` the runtime reads the
/// file that [`artifacts::model_file`](crate::artifacts::model_file) names. The name is that of the
/// runtime's file, without `.wasm`.
///
/// ```
/// wardian_sdk::runtime! {
///     name: "tabular",
///     formats: ["onnx", "lightgbm"],
///     extensions: ["onnx", "txt"],
/// }
/// ```
#[macro_export]
macro_rules! runtime {
    (name: $name:literal, formats: [$($format:literal),* $(,)?], extensions: [$($extension:literal),* $(,)?] $(,)?) => {
        const _: () = {
            #[cfg_attr(not(target_family = "wasm"), allow(dead_code))]
            const DECLARATION: &str = concat!(
                "{\"name\":\"", $name, "\",\"formats\":[", $crate::texts!($($format),*),
                "],\"extensions\":[", $crate::texts!($($extension),*), "]}",
            );

            #[cfg(target_family = "wasm")]
            #[used]
            #[unsafe(link_section = "wardian:runtime")]
            static SECTION: [u8; DECLARATION.len()] = $crate::runtime::bytes(DECLARATION);
        };
    };
}

/// Literals in quotes, with commas between them.
#[doc(hidden)]
#[macro_export]
macro_rules! texts {
    () => { "" };
    ($first:literal $(, $other:literal)*) => { concat!("\"", $first, "\"" $(, ",\"", $other, "\"")*) };
}

/// Returns the bytes of a text of `N` bytes.
#[doc(hidden)]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut index = 0;
    while index < N {
        bytes[index] = text.as_bytes()[index];
        index += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_become_the_items_of_a_list() {
        assert_eq!(crate::texts!(), "");
        assert_eq!(crate::texts!("a"), "\"a\"");
        assert_eq!(crate::texts!("a", "b"), "\"a\",\"b\"");
        assert_eq!(super::bytes::<2>("ab"), *b"ab");
    }
}
