//! Decodes characters as SQLite does, also from invalid UTF-8.

/// Iterates over the characters of a text.
#[derive(Clone, Copy)]
pub(super) struct Characters<'t> {
    text: &'t [u8],
    pub(super) at: usize,
}

impl<'t> Characters<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Characters { text, at: 0 }
    }

    /// Returns the next byte; 0 at the end.
    pub(super) fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Reads a character; 0 at the end.
    pub(super) fn read(&mut self) -> u32 {
        let Some(&first) = self.text.get(self.at) else { return 0 };

        self.at += 1;

        if first < 0xc0 {
            return u32::from(first);
        }

        let mut character =
            u32::from(first) & 0x7f_u32.checked_shr(first.leading_ones()).unwrap_or(0);

        while let Some(&next) = self.text.get(self.at).filter(|next| **next & 0xc0 == 0x80) {
            character = (character << 6).wrapping_add(u32::from(next) & 0x3f);
            self.at += 1;
        }

        let is_none = character < 0x80
            || character & 0xffff_f800 == 0xd800
            || character & 0xffff_fffe == 0xfffe;

        if is_none { 0xfffd } else { character }
    }

    /// Skips a character and its continuation bytes.
    pub(super) fn skip(&mut self) {
        let Some(&first) = self.text.get(self.at) else { return };

        self.at += 1;

        if first >= 0xc0 {
            while self.peek() & 0xc0 == 0x80 {
                self.at += 1;
            }
        }
    }
}
