//! The first items of a stream, kept for its call's record.

/// Bytes of one stream's items that are kept.
const MAX_BYTES: usize = 64 << 10;

/// Items in a row, from the first one on: as long as none is missing between them.
#[derive(Debug, Default)]
pub(crate) struct FirstItems {
    /// Their MessagePack, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// How many they are.
    pub(crate) count: u64,
}

impl FirstItems {
    /// Keeps the item that has this position, if there is room and it is the next one.
    pub(crate) fn add(&mut self, position: u64, item: &[u8]) {
        if position == self.count && self.bytes.len() + item.len() <= MAX_BYTES {
            self.bytes.extend_from_slice(item);
            self.count += 1;
        }
    }

    /// All of them as one MessagePack array.
    pub(crate) fn array(&self) -> Box<[u8]> {
        // More would need more bytes than are kept.
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        [&[0xdd], &count.to_be_bytes()[..], &self.bytes].concat().into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_kept_in_a_row_and_within_bounds() {
        let mut items = FirstItems::default();
        items.add(0, &[1]);
        items.add(2, &[3]);
        items.add(1, &[2]);
        assert_eq!(*items.array(), [0xdd, 0, 0, 0, 2, 1, 2]);
        items.add(2, &vec![0; MAX_BYTES]);
        items.add(3, &[4]);
        assert_eq!((items.count, items.bytes.len()), (2, 2), "none after one that had no room");
    }
}
