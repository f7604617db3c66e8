//! A stream's items in order, beside a map that does the same.

use std::collections::BTreeMap;

use pycrust_protocol::order::InOrder;

use crate::cursor::Cursor;

/// Items come out in order, once each, and none from afar is taken.
pub fn order(data: &[u8]) {
    let mut input = Cursor::new(data);
    let (mut items, mut model) = (InOrder::default(), BTreeMap::new());
    let mut next = 0_u32;
    let mut step = 0_u32;
    while !input.is_empty() {
        step += 1;
        if input.byte() < 0x60 {
            let expected = model.remove(&next);
            assert_eq!(items.take(), expected);
            next = next.wrapping_add(u32::from(expected.is_some()));
        } else {
            let position = match input.byte() {
                far @ 0xf0.. => u32::MAX - u32::from(far & 15),
                near => next.wrapping_add(u32::from(near)).wrapping_sub(16),
            };
            let room = u64::from(input.byte()) * 2;
            let fits = u64::from(position.wrapping_sub(next)) < room && !model.contains_key(&position);
            assert_eq!(items.put(position, step, room), fits, "{position} after {next}, room for {room}");
            if fits {
                model.insert(position, step);
            }
        }
        assert_eq!(items.position(), next);
        if items.is_empty() {
            assert!(model.is_empty());
        }
    }
}
