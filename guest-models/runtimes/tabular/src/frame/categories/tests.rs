use serde_json::value::RawValue;

use super::Categories;

fn read(json: &str) -> Result<Categories, String> {
    let list: Vec<&RawValue> = serde_json::from_str(json).unwrap();
    Categories::read(&list).map_err(|error| error.to_string())
}

#[test]
fn numbers_are_found_to_the_last_bit() {
    let categories = read("[9, 0.30000000000000004, -0.0, true, 2251799813685249.5]").unwrap();
    let codes = [9.0, 0.1 + 0.2, 0.0, -0.0, 1.0, 2_251_799_813_685_249.5];
    assert_eq!(
        codes.map(|number| categories.code_of_number(number)),
        [0.0, 1.0, 2.0, 2.0, 3.0, 4.0]
    );
    assert!(
        categories.code_of_number(0.3).is_nan() && categories.code_of_number(f64::NAN).is_nan()
    );
    assert_eq!(categories.to_json().to_string(), "[9,0.30000000000000004,0,1,2251799813685249.5]");
}

#[test]
fn texts_keep_every_character() {
    let categories = read(r#"["", "a\"b", "\u00e4 ☂", "1"]"#).unwrap();
    let codes = ["", "a\"b", "ä ☂", "1"].map(|text| categories.code_of_text(text));
    assert_eq!(codes, [0.0, 1.0, 2.0, 3.0]);
    assert!(categories.code_of_text("A\"b").is_nan() && categories.code_of_number(1.0).is_nan());
}

#[test]
fn other_lists_are_refused() {
    for json in [r#"["a", 1]"#, "[null]", "[[1]]", r#"[{}]"#] {
        assert!(read(json).unwrap_err().contains("not all texts or all numbers"), "{json}");
    }
    for json in [r#"["a", "a"]"#, "[1, 1.0]", "[9007199254740992, 9007199254740993]"] {
        assert!(read(json).unwrap_err().contains("twice"), "{json}");
    }
    assert!(!read("[]").unwrap().are_texts());
}
