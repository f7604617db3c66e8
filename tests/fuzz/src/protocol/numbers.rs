//! Arrays' descriptors and integers beyond 64 bits.

use pycrust_protocol::integer::Integer;
use pycrust_protocol::tensor::{DType, Tensor, bytes_of};

use crate::oracle;

/// A descriptor is taken exactly if it keeps every rule, says how many bytes there are, and is written as it was read.
pub fn tensor(data: &[u8]) {
    let expected = oracle::tensor(data);
    match Tensor::decode(data) {
        Ok(read) => {
            assert_eq!(read.len(), expected);
            assert_eq!(read.is_empty(), read.len() == Some(0));
            assert_eq!(bytes_of(read.item_size(), &read.shape), expected);
            assert_eq!(read.layout.is_some(), read.dtype == DType::Record);
            assert_eq!(DType::named(read.dtype.name()), Some(read.dtype));
            let mut again = Vec::new();
            read.put(&mut again);
            assert_eq!(again, data);
        }
        Err(refused) => {
            assert_eq!(expected, None, "{refused}");
            assert!(refused.offset <= data.len());
        }
    }
}

/// An integer is taken exactly if it is of 128 bits, and written as it was read.
pub fn integer(data: &[u8]) {
    let read = Integer::decode(data);
    assert_eq!(read.is_ok(), oracle::integer(data), "{read:?}");
    let Ok(read) = read else { return };
    assert_eq!(read.encode()[..], *data);
    match read {
        Integer::Signed(value) => assert!(value < 0, "what is not below zero is unsigned"),
        Integer::Unsigned(value) => assert_eq!(value.to_be_bytes()[..], data[1..]),
    }
}
