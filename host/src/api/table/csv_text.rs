//! The quotes and the empty lines of CSV, which its reader takes as they come.

/// The state between two bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Cell,
    /// Within a cell without quotes.
    Plain,
    /// Within a cell in quotes.
    Quoted,
    /// After a quote within a cell in quotes: its end, or the first of two.
    Quote,
}

impl State {
    /// Returns the state after a byte; `None` if the byte may not follow a cell in quotes.
    fn after(self, byte: u8) -> Option<State> {
        match (self, byte) {
            (State::Quoted, b'"') => Some(State::Quote),
            (State::Quoted, _) | (State::Cell | State::Quote, b'"') => Some(State::Quoted),
            (_, b',' | b'\n' | b'\r') => Some(State::Cell),
            (State::Quote, _) => None,
            (State::Cell | State::Plain, _) => Some(State::Plain),
        }
    }
}

/// Checks that every cell in quotes ends with a quote. Calls `pause` every `step` bytes. Fails with
/// the line.
pub(super) fn check_quotes(
    text: &[u8],
    step: usize,
    pause: &mut impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let (mut state, mut line, mut opened) = (State::Cell, 1u64, 1u64);

    for part in text.chunks(step) {
        pause()?;
        for &byte in part {
            let next = state.after(byte).ok_or_else(|| {
                format!("line {line} of the CSV: a cell in quotes goes on after its last quote")
            })?;
            if state == State::Cell && next == State::Quoted {
                opened = line;
            }
            line += u64::from(byte == b'\n');
            state = next;
        }
    }

    if state == State::Quoted {
        return Err(format!("line {opened} of the CSV: a quote is never closed"));
    }
    Ok(())
}

/// Writes empty lines after the first line with text as cells in quotes.
pub(super) fn fill_empty_lines(text: &[u8]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len() + text.len() / 8);
    let (mut state, mut has_header, mut is_empty) = (State::Cell, false, true);
    let mut before = 0;

    for &byte in text {
        let next = state.after(byte).unwrap_or(State::Plain);
        let ends = next == State::Cell && byte != b',';
        // The two bytes of a line's end are one.
        let is_second = byte == b'\n' && before == b'\r' && is_empty && state == State::Cell;
        if ends && is_empty && has_header && !is_second {
            filled.extend_from_slice(b"\"\"");
        }
        filled.push(byte);

        has_header |= !ends;
        is_empty = ends;
        before = byte;
        state = next;
    }

    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotes(text: &str) -> Result<(), String> {
        check_quotes(text.as_bytes(), 3, &mut || Ok(()))
    }

    #[test]
    fn cells_in_quotes_end_with_a_quote() {
        for text in ["", "a,b\n", "\"a\"\n\"b\"", "\"a\"\"b\",\"\"\r\n", "a\"b\n", "\"a\nb\"\n\"\""]
        {
            assert_eq!(quotes(text), Ok(()), "{text:?}");
        }
        for (text, says) in [
            ("a\n\"b\nc\nd\n", "line 2 of the CSV: a quote is never closed"),
            ("a\n\"ab\"c\n", "line 2 of the CSV: a cell in quotes goes on"),
            ("a,b\n1,\"1\"2\n", "line 2 of the CSV: a cell in quotes goes on"),
            ("\"a\" ,b\n", "line 1"),
            ("\"", "line 1 of the CSV: a quote is never closed"),
        ] {
            assert!(quotes(text).unwrap_err().starts_with(says), "{text:?}");
        }
    }

    #[test]
    fn a_check_pauses_between_parts() {
        let mut pauses = 0;
        let stopped = check_quotes(&[b'a'; 10], 3, &mut || {
            pauses += 1;
            if pauses < 3 { Ok(()) } else { Err("late".into()) }
        });
        assert_eq!((stopped, pauses), (Err("late".into()), 3));
    }

    #[test]
    fn empty_lines_become_empty_texts() {
        for (text, filled) in [
            ("\ntext\na\n\nb\n", "\ntext\na\n\"\"\nb\n"),
            ("text\r\n\r\na\r\n", "text\r\n\"\"\r\na\r\n"),
            ("text\n\n", "text\n\"\"\n"),
            ("text\n\"a\n\nb\"\n", "text\n\"a\n\nb\"\n"),
            ("text\ra\r\rb", "text\ra\r\"\"\rb"),
            ("text", "text"),
            ("", ""),
        ] {
            assert_eq!(fill_empty_lines(text.as_bytes()), filled.as_bytes(), "{text:?}");
        }
    }
}
