//! Everything of a PyCrust worker that is not Python: which methods there are, who may call, which call
//! runs next and on which thread, what is answered without the interpreter, and how long it all took.
//!
//! The engine never calls Python. The binding's dispatch threads ask it for the [next](Engine::next)
//! call while they are detached from the interpreter, run it attached, and [answer](Job::respond).
//!
//! A frame's way: `intake` receives it (the leader's work), `admission` bounds it, `queue` holds it,
//! `scheduler` starts it, `job` is it while it runs, `deliver` sends the answer or leaves it in the
//! `outbox`. `native` answers the worker's own methods, `watchdog` takes the lead from a leader whose
//! call is long, `metrics` counts.
#![forbid(unsafe_code)]

mod admission;
mod average;
mod call;
mod config;
mod connections;
mod courier;
mod deliver;
mod dispatch;
mod engine;
mod intake;
mod job;
mod metrics;
mod native;
mod outbox;
mod queue;
mod registry;
mod roster;
mod scheduler;
mod spin;
mod text;
mod watchdog;

pub use self::config::Config;
pub use self::engine::{Engine, Spawn};
pub use self::job::Job;
pub use self::registry::Change;
pub use self::roster::DispatchThread;
