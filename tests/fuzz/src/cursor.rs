//! Choices made of an input's bytes, so that a small change of the input is a small change of what is tried.

/// A position in an input. What is taken beyond its end is 0.
#[derive(Debug)]
pub struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { left: data }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// The next `len` bytes, or fewer at the end.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, left) = self.left.split_at(len.min(self.left.len()));
        self.left = left;
        taken
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    /// Eight bytes as a number.
    pub fn word(&mut self) -> u64 {
        let mut raw = [0; 8];
        let taken = self.bytes(8);
        raw[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(raw)
    }

    /// A number below `count`, which is at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Whether the next byte says so, which it seldom does.
    pub fn seldom(&mut self) -> bool {
        self.byte() >= 0xe0
    }

    /// A number, among them those at which arithmetic goes wrong.
    pub fn number(&mut self) -> u64 {
        const EDGES: [u64; 12] = [
            0,
            1,
            63,
            64,
            4096,
            u16::MAX as u64,
            1 << 16,
            i32::MAX as u64,
            u32::MAX as u64,
            i64::MAX as u64,
            u64::MAX - 63,
            u64::MAX,
        ];
        match self.byte() {
            edge @ 0..12 => EDGES[usize::from(edge)],
            12..40 => self.word(),
            40..60 => self.word() >> 32,
            small => u64::from(small - 60),
        }
    }
}
