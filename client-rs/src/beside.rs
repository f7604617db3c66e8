//! What travels beside MessagePack while it is written and read: serde knows nothing of it, so it is kept by
//! the thread.

use std::cell::RefCell;

use pycrust_transport::{Attachment, Attachments, View};

thread_local! {
    /// The attachments of what this thread is encoding; none if it is nothing of ours.
    static OUT: RefCell<Option<Vec<Attachment>>> = const { RefCell::new(None) };
    /// The attachments of what this thread is decoding.
    static IN: RefCell<Attachments> = const { RefCell::new(Attachments::none()) };
}

/// Puts back what was there before, also when encoding panics.
struct Restore(Option<Vec<Attachment>>);

impl Drop for Restore {
    fn drop(&mut self) {
        OUT.with(|out| out.replace(self.0.take()));
    }
}

/// Collects what [`attach`] is given while `encode` runs.
pub(crate) fn collecting<T>(encode: impl FnOnce() -> T) -> (T, Vec<Attachment>) {
    let restore = Restore(OUT.with(|out| out.replace(Some(Vec::new()))));
    let written = encode();
    let collected = OUT.with(RefCell::take).unwrap_or_default();
    drop(restore);
    (written, collected)
}

/// Adds an attachment to what this thread is encoding: its number. `None` if it is nothing of ours.
pub(crate) fn attach(attachment: impl FnOnce() -> Attachment) -> Option<u32> {
    if !OUT.with_borrow(Option::is_some) {
        return None;
    }
    let attachment = attachment();
    OUT.with_borrow_mut(|out| {
        let collected = out.as_mut()?;
        collected.push(attachment);
        Some((collected.len() - 1) as u32)
    })
}

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
