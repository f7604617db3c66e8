//! Values: Python objects to MessagePack and arrays, and back.

pub(crate) mod attached;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod keys;
pub(crate) mod memory;
pub(crate) mod plain;
pub(crate) mod records;
pub(crate) mod step;
pub(crate) mod strided;
pub(crate) mod timestamp;
