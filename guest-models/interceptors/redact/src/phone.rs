//! Telephone numbers: those that begin with `+` or `0`, and those of North America. Others cannot
//! be distinguished from other numbers.

use std::ops::Range;

use crate::scan::{digits, within_word};

pub(crate) fn at(text: &[u8], _from: usize, place: usize) -> Option<Range<usize>> {
    let rest = &text[place..];
    let first = match rest {
        [b'+' | b'(', b'0'..=b'9', ..] => place + 1,
        [b'+', b'(', b'0'..=b'9', ..] | [b'(', b'+', b'0'..=b'9', ..] => place + 2,
        [b'0'..=b'9', ..] if !within_word(text, place) => place,
        _ => return None,
    };
    let digits = digits(text, first, b" -./()");
    let last = *digits.last()?;
    let international = rest.starts_with(b"+") || rest.starts_with(b"(+");
    let known = international && (7..=15).contains(&digits.len())
        || text[first] == b'0' && is_national(text, &digits)
        || is_north_american(text, &digits);
    (known && !within_word(text, last + 1)).then(|| place..last + 1)
}

/// `0171 2345678`, but not `0.123456789`: a group of one digit begins a fraction.
fn is_national(text: &[u8], digits: &[usize]) -> bool {
    let groups = groups(digits);
    let fraction = groups.first() == Some(&1)
        && digits.first().is_some_and(|first| text.get(first + 1) == Some(&b'.'));
    (9..=15).contains(&digits.len()) && !fraction
}

/// `555-123-4567`, `(555) 123-4567`, `1 555 123 4567`: separators are required, because it could be
/// any number without them.
fn is_north_american(text: &[u8], digits: &[usize]) -> bool {
    let dotted_alike = digits.windows(2).all(|pair| pair[1] - pair[0] <= 3);
    let begins =
        |index: usize| digits.get(index).is_some_and(|place| (b'2'..=b'9').contains(&text[*place]));
    dotted_alike
        && match groups(digits).as_slice() {
            [3, 3, 4] => begins(0) && begins(3),
            [1, 3, 3, 4] => {
                digits.first().is_some_and(|place| text[*place] == b'1') && begins(1) && begins(4)
            }
            _ => false,
        }
}

/// Returns the lengths of the groups of digits.
fn groups(digits: &[usize]) -> Vec<usize> {
    let mut groups = vec![1];
    for pair in digits.windows(2) {
        match groups.last_mut() {
            Some(group) if pair[1] == pair[0] + 1 => *group += 1,
            _ => groups.push(1),
        }
    }
    groups
}
