//! True if a command printed what a page says.
//!
//! The two must be equal, apart from white space at the ends of lines and of the text, and from
//! these:
//!
//! - `…` on a page stands for any text within a line, and a line that is nothing but `…` for any
//!   lines.
//! - A number before a unit of time or size (`0.46 s`, `420.2 KiB`), before `functions`, or after
//!   `byte`, stands for any number. After the directive `numbers vary`, every number does.
//! - Lines that tell the progress of a command are not on a page: a terminal shows a spinner in
//!   their place.
//! - `127.0.0.1:8080` on a page is the address of the server under test.

/// Returns true if `printed` is what the page shows.
pub(super) fn agrees(shown: &str, printed: &str, numbers_vary: bool) -> bool {
    let lines = |text: &str| {
        let lines = text.trim_end().lines().filter(|line| !is_progress(line));
        let text = loosened(&lines.collect::<Vec<_>>().join("\n"), numbers_vary);
        text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    lines_agree(&lines(shown), &lines(printed))
}

/// Returns true for a line such as `   0.06 s  reading files`.
fn is_progress(line: &str) -> bool {
    let Some((seconds, _)) = line.split_once(" s  ") else { return false };
    line.starts_with(" ") && seconds.trim_start().parse::<f64>().is_ok()
}

fn lines_agree(shown: &[String], printed: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((line, rest)), _) if line == "…" => {
            (0..=printed.len()).any(|skip| lines_agree(rest, &printed[skip..]))
        }
        (Some((line, rest)), Some((other, others))) => {
            line_agrees(line, other) && lines_agree(rest, others)
        }
        _ => false,
    }
}

fn line_agrees(shown: &str, printed: &str) -> bool {
    let Some((before, after)) = shown.split_once('…') else { return shown == printed };
    let Some(rest) = printed.strip_prefix(before) else { return false };
    let starts = rest.char_indices().map(|(start, _)| start).chain([rest.len()]);
    starts.into_iter().any(|start| line_agrees(after, &rest[start..]))
}

/// Returns the text with `#` in place of each number that may differ.
fn loosened(text: &str, all: bool) -> String {
    let mut loosened = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let length = number.find(|character: char| !character.is_ascii_digit() && character != '.');
        let (number, after) = number.split_at(length.unwrap_or(number.len()));
        loosened.push_str(before);
        let varies = all || varies(&loosened, after);
        loosened.push_str(if varies { "#" } else { number });
        rest = after;
    }
    loosened + rest
}

const UNITS: [&str; 7] = [" s", " ms", " us", " KiB", " MiB", " functions", " requests/s"];

fn varies(before: &str, after: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|character: char| character.is_alphanumeric());
    let unit = UNITS.iter().any(|unit| after.strip_prefix(unit).is_some_and(ends));
    unit || before.ends_with("byte ")
}

#[cfg(test)]
mod tests {
    use super::agrees;

    #[test]
    fn only_marked_parts_of_an_output_may_differ() {
        for (shown, printed) in [
            ("a", "a\n"),
            ("[…,{\"b\":1},…]", "[{\"a\":0},{\"b\":1},{\"c\":2}]"),
            ("a\n…\nd", "a\nb\nc\nd"),
            ("OK in 0.46 s, 1.1 MiB", "OK in 12 s, 3.0 MiB"),
            ("1 of 1 OK", "   0.06 s  reading files\n  11.77 s  load\n1 of 1 OK"),
            ("the section at byte 2004 ends", "the section at byte 7 ends"),
        ] {
            assert!(agrees(shown, printed, false), "{shown}");
        }
        for (shown, printed) in [
            ("a", "b"),
            ("a…b", "a-c"),
            ("0.25 seconds", "0.26 seconds"),
            ("[0.9784924982845288]", "[0.9784924982845289]"),
            ("a", "a\nb"),
            ("a\n…\nd", "a\nb"),
        ] {
            assert!(!agrees(shown, printed, false), "{shown}");
        }
        assert!(agrees("mean 2.675, p50 2", "mean 1, p50 4.5", true));
        assert!(!agrees("mean 2.675, p50 2", "mean 1, p90 4.5", false));
    }
}
