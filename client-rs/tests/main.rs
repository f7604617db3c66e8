//! The client, over the real transport: one program for all that can share a process, since each takes seconds to link.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod arrays;
mod blocking;
mod calls;
mod cancel;
mod death;
mod endings;
mod limits;
mod methods;
mod ready;
mod records;
mod runtimes;
mod states;
mod streams;
mod support;

/// The worker that some tests start as a process of its own.
#[test]
fn worker_process() {
    support::worker_process();
}
