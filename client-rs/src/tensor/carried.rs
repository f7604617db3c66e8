//! What travels beside MessagePack while it is written and read: serde knows nothing of it, so it is kept by
//! the thread.

use std::cell::RefCell;

use pycrust_transport::{Attachments, View};

use crate::tensor::arrays::{Array, Arrays, Home};

thread_local! {
    /// The arrays of what this thread is encoding; none if it is nothing of ours.
    static OUT: RefCell<Option<Arrays>> = const { RefCell::new(None) };
    /// The attachments of what this thread is decoding.
    static IN: RefCell<Attachments> = const { RefCell::new(Attachments::none()) };
}

/// Puts back what was there before, also when encoding panics.
struct Restore(Option<Arrays>);

impl Drop for Restore {
    fn drop(&mut self) {
        OUT.with(|out| out.replace(self.0.take()));
    }
}

/// Collects what [`attach`] is given while `encode` runs.
pub(crate) fn collecting<T>(encode: impl FnOnce() -> T) -> (T, Arrays) {
    let restore = Restore(OUT.with(|out| out.replace(Some(Arrays::default()))));
    let written = encode();
    let collected = OUT.with(RefCell::take).unwrap_or_default();
    drop(restore);
    (written, collected)
}

/// Adds an array to what this thread is encoding: its number. `None` if it is nothing of ours.
pub(crate) fn attach(array: impl FnOnce() -> Array) -> Option<u32> {
    OUT.with_borrow_mut(|out| Some(out.as_mut()?.push(array())))
}

/// The same for an array that was built in place, which may be there twice. An error if it was sent.
pub(crate) fn attach_built(home: &Home) -> Option<Result<u32, Gone>> {
    OUT.with_borrow_mut(|out| {
        let arrays = out.as_mut()?;
        let number = arrays.number(home).or_else(|| home.array().map(|array| arrays.push(array)));
        Some(number.ok_or(Gone))
    })
}

/// An array was sent before, and is not there any more.
pub(crate) struct Gone;

/// Puts back what was there before, also when decoding panics.
struct RestoreIn(Attachments);

impl Drop for RestoreIn {
    fn drop(&mut self) {
        IN.with(|given| given.replace(std::mem::take(&mut self.0)));
    }
}

/// Lets [`attached`] find these while `decode` runs.
pub(crate) fn giving<T>(attachments: &Attachments, decode: impl FnOnce() -> T) -> T {
    if attachments.is_empty() && IN.with_borrow(Attachments::is_empty) {
        return decode();
    }
    let _restore = RestoreIn(IN.with(|given| given.replace(attachments.clone())));
    decode()
}

/// One attachment of what this thread is decoding.
pub(crate) fn attached(number: u32) -> Option<View> {
    IN.with_borrow(|given| given.get(number as usize))
}
