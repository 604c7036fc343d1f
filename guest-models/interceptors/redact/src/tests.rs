use proptest::prelude::*;
use wardian_sdk::{Parameter, Tensor};

use super::*;

fn redacted(text: &str) -> String {
    String::from_utf8_lossy(&redact(text.as_bytes())).into_owned()
}

#[test]
fn personal_data_is_removed() {
    for (text, becomes) in [
        ("Write to jane.doe+news@mail.example.co.uk.", "Write to [e-mail]."),
        ("<o'neil_7@a-b.example>", "<[e-mail]>"),
        ("jörg@müller.example, and x@y.xn--p1ai", "[e-mail], and [e-mail]"),
        ("IBAN DE89 3704 0044 0532 0130 00 by Monday", "IBAN [IBAN] by Monday"),
        ("gb82WEST12345698765432;NO9386011117947", "[IBAN];[IBAN]"),
        ("card 4111 1111 1111 1111 or 5500-0000-0000-0004.", "card [card] or [card]."),
        ("378282246310005", "[card]"),
        ("call +49 (0)171 2345678 now", "call [phone] now"),
        ("0171/2345678, 01.23.45.67.89", "[phone], [phone]"),
        ("(555) 234-5678 and 1-555-234-5678", "[phone] and [phone]"),
        ("+14155552671", "[phone]"),
    ] {
        assert_eq!(redacted(text), becomes, "{text}");
    }
}

#[test]
fn other_data_remains() {
    for text in [
        "",
        "no one @ home, a@b, @x.example, a@.de, a@b.c1",
        "DE11 ABCD 0044 EFGH 0130 01 has another checksum",
        "order 4111111111111112, of 2024-01-02 10:20:30",
        "0.123456789, 3.14159265358979, 12345678, 192.168.0.1",
        "00000000-0000-0000-0000-000000000000x",
        "abc4111111111111111, 41111111111111110000000",
        "+12 and (5) and 0",
        "ünïcödé ☂ 漢字",
    ] {
        assert!(
            matches!(redact(text.as_bytes()), Cow::Borrowed(_)),
            "{text} became {}",
            redacted(text)
        );
    }
}

#[test]
fn other_parts_of_a_request_are_unchanged() {
    let texts = Tensor::from_strings("text", [2], [b"a@b.example".as_slice(), &[0xff, b'@']]);
    let number = Tensor::new("x", [1], [4_111_111_111_111_111_i64]);
    let parameters = vec![Parameter { name: "top".into(), value: 3.into() }];
    let request = Request {
        id: "id".into(),
        parameters,
        inputs: vec![texts, number],
        outputs: vec!["y".into()],
    };
    let context = Context {
        tenant: "t".into(),
        model: "m".into(),
        version: 1,
        request_id: "r".into(),
        key: "".into(),
    };
    let Ok(passed) = Redact.before_call(&context, request) else { panic!("it refuses nothing") };
    assert_eq!(passed.inputs[0].blobs().ok(), Some(vec![b"[e-mail]".as_slice(), &[0xff, b'@']]));
    assert_eq!(
        passed.inputs[1].view::<i64>().map(|x| x.iter().next()).ok(),
        Some(Some(4_111_111_111_111_111))
    );
    assert_eq!((passed.id.as_str(), passed.parameters.len(), passed.outputs.len()), ("id", 1, 1));
}

#[test]
fn a_huge_text_takes_linear_time() {
    const LENGTH: usize = 256 << 10;
    for pattern in ["@", "1", "1 ", "a@", "DE89 ", "+1", "(0", "a.", "4111 1111 1111 1112 "] {
        let text = pattern.repeat(LENGTH / pattern.len());
        assert!(redact(text.as_bytes()).len() <= 8 * text.len(), "{pattern}");
    }
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(text: Vec<u8>) {
        let once = redact(&text).into_owned();
        prop_assert_eq!(redact(&once).into_owned(), once);
    }

    #[test]
    fn a_text_without_personal_data_is_unchanged(text in "[^0-9@]{0,200}") {
        prop_assert!(matches!(redact(text.as_bytes()), Cow::Borrowed(_)));
    }

    #[test]
    fn an_address_is_found_at_any_position(before in "[^@]{0,40} ", local in "[a-z0-9]{1,20}", after in " [^@]{0,40}") {
        let text = redacted(&format!("{before}{local}@mail.example{after}"));
        prop_assert!(text.contains("[e-mail]") && !text.contains("mail.example"), "{}", text);
    }

    #[test]
    fn every_valid_card_number_is_found(digits in "[1-9][0-9]{14}", separator in "[ -]?") {
        let check = (b'0'..=b'9').map(char::from).find(|check| luhn(&format!("{digits}{check}")));
        let number = format!("{digits}{}", check.unwrap_or('0'));
        let groups = number.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>();
        let text = redacted(&format!("pay with {} please", groups.join(&separator)));
        prop_assert_eq!(text, "pay with [card] please");
    }
}

/// Luhn's algorithm as the standard describes it, unlike the implementation of the scanner.
fn luhn(number: &str) -> bool {
    let digits: Vec<u32> = number.chars().filter_map(|char| char.to_digit(10)).collect();
    let doubled = |digit: u32| [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][digit as usize];
    let odd = digits.len() % 2;
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(at, &digit)| if at % 2 == odd { doubled(digit) } else { digit })
        .sum();
    sum.is_multiple_of(10)
}
