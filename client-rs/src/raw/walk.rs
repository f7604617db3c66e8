//! Passes over MessagePack that nobody has looked at yet.

use std::ops::Range;

use pycrust_protocol::limits::MAX_DEPTH;
use pycrust_protocol::tensor::TENSOR_EXTENSION;

use crate::codec::{Error, Token, token};

/// Passes over one value, and shows where the descriptions of its arrays are.
///
/// # Errors
/// If it is malformed, or nested too deep.
pub(super) fn walk(bytes: &[u8], at: &mut usize, mut array: impl FnMut(Range<usize>)) -> Result<(), Error> {
    // Values that are still to come in each of the containers around this place.
    let mut left = [0; MAX_DEPTH + 1];
    let mut depth = 0;
    left[0] = 1;
    loop {
        while left[depth] == 0 {
            if depth == 0 {
                return Ok(());
            }
            depth -= 1;
        }
        left[depth] -= 1;
        let within = match token(bytes, at)? {
            Token::Array(len) => len,
            Token::Map(len) => 2 * len,
            Token::Ext(TENSOR_EXTENSION, data) => {
                array(*at - data.len()..*at);
                0
            }
            _ => 0,
        };
        if within > 0 {
            if depth == MAX_DEPTH {
                return Err(Error::new(format_args!("nested deeper than {MAX_DEPTH}")));
            }
            depth += 1;
            left[depth] = within;
        }
    }
}
