//! Everything of a PyCrust worker that is not Python: which methods there are, who may call, which call
//! runs next and on which thread, what is answered without the interpreter, and how long it all took.
//!
//! The engine never calls Python. The binding's dispatch threads ask it for the [next](Engine::next)
//! call while they are detached from the interpreter, run it attached, and [answer](Job::respond).
//!
//! A frame's way: `intake` receives it (the leader's work), `admission` bounds it, `queue` holds it,
//! `scheduler` starts it, `job` is it while it runs, `deliver` sends the answer or leaves it in the
//! `outbox`. `native` answers the worker's own methods, `watchdog` takes the lead from a leader whose
//! call is long, `metrics` counts. `ongoing` is what a caller says later: cancel, credit, more arguments.
//! `recorder` keeps the last calls, as many as `sampler` lets it; `scrub` takes out what is
//! not to be stored or shown, by the names that `naming` knows of what has none in a payload, and `secrets` what
//! repeats it; `items` are those of a stream, `output` is what a handler printed.
#![forbid(unsafe_code)]

mod admission;
mod arguments;
mod average;
mod call;
mod config;
mod connections;
mod context;
mod courier;
mod deliver;
mod dispatch;
mod engine;
mod intake;
mod items;
mod job;
mod metrics;
mod naming;
mod native;
mod ongoing;
mod outbox;
mod output;
mod queue;
mod recorder;
mod recording;
mod registry;
mod roster;
mod sampler;
mod scheduler;
mod scrub;
mod secrets;
mod spin;
mod text;
mod visits;
mod watchdog;

pub use self::arguments::Arguments;
pub use self::config::Config;
pub use self::context::CallContext;
pub use self::engine::{Engine, NameLost, Spawn};
pub use self::job::{Job, Lent, RunningCall};
pub use self::naming::Naming;
pub use self::ongoing::{Argument, Listener, Ongoing};
pub use self::output::{Channel, Output};
pub use self::recorder::{Ended, Origin, Record, Recorder, RecorderState, Recording, Side};
pub use self::registry::{Batching, Change, MethodRecording};
pub use self::roster::DispatchThread;
pub use self::scrub::{Scrub, Scrubbed, matches};
pub use self::secrets::Secrets;
