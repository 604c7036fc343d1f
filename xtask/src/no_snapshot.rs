//! Makes a component of which no snapshot can be taken.
//!
//! Compilers emit none of the instructions that forbid a snapshot, so one is patched in. The
//! guest's code holds, once, a number that occurs nowhere else. The instruction that pushes it has
//! 11 bytes: room for an `elem.drop` and for pushing zero instead. The instruction's presence
//! forbids the snapshot, even if it never runs.

use anyhow::{Result, ensure};

/// `i64.const 0x5EED_CAFE_0DD5_EA75`, as `tests/guests/scripted/src/behaviour.rs` has it.
const PUSH_THE_NUMBER: [u8; 11] =
    [0x42, 0xf5, 0xd4, 0xd7, 0xee, 0xe0, 0xdf, 0xf2, 0xf6, 0xde, 0x00];

/// `elem.drop 0`, six times `nop`, `i64.const 0`.
const DROP_AND_PUSH_ZERO: [u8; 11] = [0xfc, 0x0d, 0x00, 1, 1, 1, 1, 1, 1, 0x42, 0x00];

pub(crate) fn forbid_snapshot(mut component: Vec<u8>) -> Result<Vec<u8>> {
    let windows = component.windows(PUSH_THE_NUMBER.len()).enumerate();
    let places: Vec<usize> =
        windows.filter(|(_, window)| *window == PUSH_THE_NUMBER).map(|(at, _)| at).collect();
    ensure!(
        places.len() == 1,
        "the number to be replaced occurs {} times in the guest, not once",
        places.len()
    );
    component[places[0]..][..DROP_AND_PUSH_ZERO.len()].copy_from_slice(&DROP_AND_PUSH_ZERO);
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_number_and_nothing_else() {
        let component = [&[1, 2], &PUSH_THE_NUMBER[..], &[3]].concat();
        let patched = forbid_snapshot(component).unwrap_or_default();
        assert_eq!(patched, [&[1, 2], &DROP_AND_PUSH_ZERO[..], &[3]].concat());
    }

    #[test]
    fn a_guest_without_the_number_is_an_error() {
        assert!(forbid_snapshot(vec![0; 100]).is_err());
    }
}
