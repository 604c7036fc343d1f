//! The heads of frames (RFC 6455, section 5.2). Pure.

use super::message::MessageKind;

/// The longest payload of a control frame in bytes.
pub(super) const MAX_CONTROL: usize = 125;

/// The longest head of a frame that the server sends, in bytes.
const MAX_HEAD: usize = 10;

/// The purpose of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// A further part of a message.
    Continuation,
    /// A message, or its first part.
    Message(MessageKind),
    /// The end of the connection.
    Close,
    /// A question whether the other side is there.
    Ping,
    /// The answer to a ping.
    Pong,
}

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) opcode: Opcode,
    /// True for the last frame of a message, and for control frames.
    pub(super) is_final: bool,
    /// The length of the payload in bytes.
    pub(super) length: u64,
    /// The payload is XORed with these bytes in turn.
    pub(super) mask: [u8; 4],
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0 => Opcode::Continuation,
            1 => Opcode::Message(MessageKind::Text),
            2 => Opcode::Message(MessageKind::Binary),
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Message(MessageKind::Text) => 1,
            Opcode::Message(MessageKind::Binary) => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        }
    }

    /// True if the frame is no part of a message.
    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// Reads the head of a frame, and returns it with its length; `None` if more bytes are needed.
/// Fails with the rule that the client has broken.
pub(super) fn read_head(bytes: &[u8]) -> Result<Option<(FrameHead, usize)>, &'static str> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    let opcode = Opcode::from_bits(first & 0x0f).ok_or("a frame has an unknown opcode")?;
    let is_final = first & 0x80 != 0;
    let short = second & 0x7f;

    if first & 0x70 != 0 {
        return Err("a frame uses an extension, and none was agreed on");
    }
    if second & 0x80 == 0 {
        return Err("a frame of a client has no mask");
    }
    if opcode.is_control() && (!is_final || usize::from(short) > MAX_CONTROL) {
        return Err("a control frame is too long or fragmented");
    }

    let Some((length, rest)) = read_length(short, rest)? else { return Ok(None) };
    let Some((&mask, rest)) = rest.split_first_chunk() else { return Ok(None) };

    Ok(Some((FrameHead { opcode, is_final, length, mask }, bytes.len() - rest.len())))
}

/// Reads the length of a payload, and returns it with the bytes after it.
fn read_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, &'static str> {
    let (length, least, rest) = match short {
        126 => match rest.split_first_chunk() {
            Some((&length, rest)) => (u16::from_be_bytes(length).into(), 126, rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((&length, rest)) => (u64::from_be_bytes(length), 1 << 16, rest),
            None => return Ok(None),
        },
        short => (short.into(), 0, rest),
    };

    if length < least || length > i64::MAX as u64 {
        return Err("the length of a frame is not in its shortest form");
    }
    Ok(Some((length, rest)))
}

/// Removes the mask of a part of a payload that begins at `offset`.
pub(super) fn unmask(part: &mut [u8], mask: [u8; 4], offset: u64) {
    let mut mask = mask;
    mask.rotate_left((offset % 4) as usize);

    // Whole words first, which the compiler makes wide operations of.
    let (words, rest) = part.as_chunks_mut::<4>();
    for word in words {
        word.iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
    }
    rest.iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
}

/// Returns the head of a frame that the server sends.
pub(super) fn write_head(opcode: Opcode, is_final: bool, length: usize) -> Vec<u8> {
    let mut head = Vec::with_capacity(MAX_HEAD);
    head.push(opcode.bits() | if is_final { 0x80 } else { 0 });

    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => head.push(length),
        (_, Ok(length)) => {
            head.push(126);
            head.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }

    head
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Opcode = Opcode::Message(MessageKind::Text);
    const MASK: [u8; 4] = [1, 2, 3, 4];

    #[test]
    fn heads_are_read_with_lengths_of_all_forms() {
        for (bytes, length, is_final) in [
            (&[0x81, 0x80][..], 0, true),
            (&[0x01, 0xfd], 125, false),
            (&[0x81, 0xfe, 0, 126], 126, true),
            (&[0x81, 0xfe, 0xff, 0xff], 0xffff, true),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0], 0x10000, true),
        ] {
            let whole = [bytes, &MASK, b"rest"].concat();
            let head = FrameHead { opcode: TEXT, is_final, length, mask: MASK };
            assert_eq!(read_head(&whole), Ok(Some((head, bytes.len() + 4))), "{bytes:?}");

            for cut in 0..bytes.len() + 4 {
                assert_eq!(read_head(&whole[..cut]), Ok(None), "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn heads_that_break_a_rule_are_refused() {
        for (bytes, says) in [
            (&[0x83, 0x80][..], "unknown opcode"),
            (&[0x8b, 0x80], "unknown opcode"),
            (&[0xc1, 0x80], "extension"),
            (&[0x91, 0x80], "extension"),
            (&[0x81, 0x05], "no mask"),
            (&[0x09, 0x80], "control frame"),
            (&[0x89, 0xfe], "control frame"),
            (&[0x81, 0xfe, 0, 125], "shortest form"),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], "shortest form"),
            (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], "shortest form"),
        ] {
            let refused = read_head(bytes).unwrap_err();
            assert!(refused.contains(says), "{bytes:?}: {refused}");
        }
    }

    #[test]
    fn a_mask_is_removed_in_parts() {
        let plain: Vec<u8> = (0..=255).collect();
        for cut in [0, 1, 3, 4, 7, 100, 256] {
            let masked = plain.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key);
            let mut bytes: Vec<u8> = masked.collect();
            let (first, second) = bytes.split_at_mut(cut);
            unmask(first, MASK, 0);
            unmask(second, MASK, cut as u64);
            assert_eq!(bytes, plain, "cut at {cut}");
        }
    }

    #[test]
    fn heads_are_written_in_the_shortest_form() {
        for (length, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x10000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(write_head(TEXT, true, length), expected);
        }
        assert_eq!(write_head(Opcode::Continuation, false, 1), [0, 1]);
    }
}
