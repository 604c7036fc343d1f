//! LIKE and GLOB with SQLite's semantics.

use super::characters::Characters;
use super::{Call, StopCheck, invalid};

/// Limit of a pattern, in bytes. Matching takes time in the product of the lengths of pattern and
/// text.
pub(in super::super) const MAX_PATTERN: usize = 256;

/// Special characters of a pattern. 0 means that there is no such character.
#[derive(Clone, Copy)]
struct Wildcards {
    any_number: u32,
    any: u32,
    /// Starts a set, or escapes the next character.
    other: u32,
    has_sets: bool,
    ignores_case: bool,
}

const LIKE: Wildcards = Wildcards {
    any_number: '%' as u32,
    any: '_' as u32,
    other: 0,
    has_sets: false,
    ignores_case: true,
};
const GLOB: Wildcards = Wildcards {
    any_number: '*' as u32,
    any: '?' as u32,
    other: '[' as u32,
    has_sets: true,
    ignores_case: false,
};

/// `like(P, X)` and `like(P, X, E)`: implements `X LIKE P ESCAPE E`.
pub(super) fn like(call: &Call<'_>) -> rusqlite::Result<Option<bool>> {
    if call.context.len() < 3 {
        return matches(call, LIKE);
    }

    check_length(call)?;

    let Some(escape) = call.text_to_zero(2)? else { return Ok(None) };

    let (mut characters, mut counted) = (Characters::new(&escape), Characters::new(&escape));
    let escape = characters.read();

    counted.skip();

    if escape == 0 || !counted.is_at_end() {
        return Err(invalid("ESCAPE expression must be a single character"));
    }

    let without = |meaning: u32| if meaning == escape { 0 } else { meaning };
    matches(
        call,
        Wildcards {
            any_number: without(LIKE.any_number),
            any: without(LIKE.any),
            other: escape,
            ..LIKE
        },
    )
}

/// `glob(P, X)`: implements `X GLOB P`.
pub(super) fn glob(call: &Call<'_>) -> rusqlite::Result<Option<bool>> {
    matches(call, GLOB)
}

fn check_length(call: &Call<'_>) -> rusqlite::Result<()> {
    let is_long = call.text(0)?.is_some_and(|pattern| pattern.len() > MAX_PATTERN);
    if is_long { Err(invalid("LIKE or GLOB pattern too complex")) } else { Ok(()) }
}

fn matches(call: &Call<'_>, meaning: Wildcards) -> rusqlite::Result<Option<bool>> {
    check_length(call)?;

    let (Some(pattern), Some(text)) = (call.text_to_zero(0)?, call.text_to_zero(1)?) else {
        return Ok(None);
    };

    let matcher = Matcher { wildcards: meaning, check: call.check };
    let outcome = matcher.compare(Characters::new(&pattern), Characters::new(&text))?;

    Ok(Some(outcome == MatchResult::Match))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MatchResult {
    Match,
    NoMatch,
    /// No match, even if an earlier wildcard of the pattern consumed more of the text.
    NoMatchAnywhere,
}

struct Matcher<'a> {
    wildcards: Wildcards,
    check: &'a StopCheck,
}

impl Matcher<'_> {
    fn compare(
        &self,
        mut pattern: Characters<'_>,
        mut text: Characters<'_>,
    ) -> rusqlite::Result<MatchResult> {
        let meaning = self.wildcards;
        let mut escaped = None;
        loop {
            self.check.add_steps(1)?;

            let mut wanted = pattern.read();
            if wanted == 0 {
                return Ok(if text.is_at_end() {
                    MatchResult::Match
                } else {
                    MatchResult::NoMatch
                });
            }

            if wanted == meaning.any_number {
                return self.compare_rest(pattern, text);
            }

            if wanted == meaning.other {
                if meaning.has_sets {
                    if !self.is_in_set(&mut pattern, text.read())? {
                        return Ok(MatchResult::NoMatch);
                    }
                    continue;
                }

                wanted = pattern.read();
                if wanted == 0 {
                    return Ok(MatchResult::NoMatch);
                }

                escaped = Some(pattern.at);
            }

            let found = text.read();
            let any = wanted == meaning.any && escaped != Some(pattern.at) && found != 0;
            if !(self.is_same(wanted, found) || any) {
                return Ok(MatchResult::NoMatch);
            }
        }
    }

    /// Matches the rest of the pattern after a wildcard for any number of characters.
    fn compare_rest(
        &self,
        mut pattern: Characters<'_>,
        mut text: Characters<'_>,
    ) -> rusqlite::Result<MatchResult> {
        let meaning = self.wildcards;
        let mut wanted = pattern.read();
        while wanted == meaning.any_number || wanted == meaning.any && meaning.any != 0 {
            if wanted == meaning.any && text.read() == 0 {
                return Ok(MatchResult::NoMatchAnywhere);
            }

            if wanted == 0 {
                break;
            }

            wanted = pattern.read();
        }

        if wanted == 0 {
            return Ok(MatchResult::Match);
        }

        if wanted == meaning.other {
            if meaning.has_sets {
                pattern.at -= 1;
                return self.compare_at_each(pattern, text);
            }

            wanted = pattern.read();
            if wanted == 0 {
                return Ok(MatchResult::NoMatchAnywhere);
            }
        }

        loop {
            self.check.add_steps(1)?;

            let found = text.read();
            if found == 0 {
                return Ok(MatchResult::NoMatchAnywhere);
            }

            if self.is_same(wanted, found) {
                let outcome = self.compare(pattern, text)?;
                if outcome != MatchResult::NoMatch {
                    return Ok(outcome);
                }
            }
        }
    }

    fn compare_at_each(
        &self,
        pattern: Characters<'_>,
        mut text: Characters<'_>,
    ) -> rusqlite::Result<MatchResult> {
        while !text.is_at_end() {
            let outcome = self.compare(pattern, text)?;
            if outcome != MatchResult::NoMatch {
                return Ok(outcome);
            }

            text.skip();
        }

        Ok(MatchResult::NoMatchAnywhere)
    }

    /// Reads a set from the pattern. Returns true if it contains the character.
    fn is_in_set(&self, pattern: &mut Characters<'_>, character: u32) -> rusqlite::Result<bool> {
        if character == 0 {
            return Ok(false);
        }

        let (mut before, mut seen, mut next) = (0, false, pattern.read());
        let inverted = next == '^' as u32;
        if inverted {
            next = pattern.read();
        }

        if next == ']' as u32 {
            seen = character == ']' as u32;
            next = pattern.read();
        }

        while next != 0 && next != ']' as u32 {
            self.check.add_steps(1)?;

            if next == '-' as u32 && pattern.peek() != b']' && pattern.peek() != 0 && before > 0 {
                next = pattern.read();
                seen |= (before..=next).contains(&character);
                before = 0;
            } else {
                seen |= character == next;
                before = next;
            }

            next = pattern.read();
        }

        Ok(next != 0 && seen != inverted)
    }

    fn is_same(&self, one: u32, other: u32) -> bool {
        one == other
            || self.wildcards.ignores_case
                && one < 0x80
                && other < 0x80
                && lower(one) == lower(other)
    }
}

fn lower(character: u32) -> u32 {
    if (u32::from(b'A')..=u32::from(b'Z')).contains(&character) {
        character + 32
    } else {
        character
    }
}
