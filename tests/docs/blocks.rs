//! Runs the block of Rust of the documentation that its argument names.
include!(env!("PYCRUST_DOCS_BLOCKS"));
