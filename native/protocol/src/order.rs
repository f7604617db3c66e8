//! Putting a stream's items in order: small and bulk frames travel apart and may overtake each other.

use std::collections::VecDeque;

/// Items by their positions, given out in order. Positions wrap after 2^32.
///
/// # Examples
/// ```
/// use pycrust_protocol::order::InOrder;
///
/// let mut items = InOrder::default();
/// assert!(items.put(1, "second", 64));
/// assert_eq!(items.take(), None);
/// assert!(items.put(0, "first", 64));
/// assert_eq!((items.take(), items.take(), items.take()), (Some("first"), Some("second"), None));
/// assert_eq!(items.position(), 2);
/// ```
#[derive(Debug)]
pub struct InOrder<T> {
    /// The position of the next item to be taken.
    next: u32,
    /// What has come of the items from there on.
    items: VecDeque<Option<T>>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { next: 0, items: VecDeque::new() }
    }
}

impl<T> InOrder<T> {
    /// Adds an item, if it is one of the next `room` and has not come before.
    pub fn put(&mut self, position: u32, item: T, room: u64) -> bool {
        let at = position.wrapping_sub(self.next) as usize;
        if at as u64 >= room {
            return false;
        }
        if self.items.len() <= at {
            self.items.resize_with(at + 1, || None);
        }
        self.items[at].is_none() && {
            self.items[at] = Some(item);
            true
        }
    }

    /// The next item, if it has come.
    pub fn take(&mut self) -> Option<T> {
        let item = self.items.front_mut()?.take()?;
        self.items.pop_front();
        self.next = self.next.wrapping_add(1);
        Some(item)
    }

    /// Whether nothing has come that was not taken.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The position of the next item to be taken.
    pub fn position(&self) -> u32 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_wrap_and_none_is_taken_twice_or_from_afar() {
        let mut items = InOrder { next: u32::MAX, items: VecDeque::new() };
        assert!(items.put(0, 'b', 2));
        assert!(!items.put(1, 'c', 2), "no room");
        assert!(!items.put(0, 'x', 2), "twice");
        assert!(!items.put(u32::MAX - 1, 'x', 2), "taken before");
        assert!(items.put(u32::MAX, 'a', 2));
        assert_eq!((items.take(), items.take(), items.take()), (Some('a'), Some('b'), None));
        assert_eq!(items.position(), 1);
    }
}
