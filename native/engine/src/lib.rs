//! Everything of a PyCrust worker that is not Python: which methods there are, who may call, which call
//! runs next and on which thread, what is answered without the interpreter, and how long it all took.
//!
//! The engine never calls Python. The binding's dispatch threads ask it for the [next](Engine::next)
//! call while they are detached from the interpreter, run it attached, and [answer](Job::respond).
//!
//! A frame's way: `receiving::intake` takes it (the leader's work), `queueing::admission` bounds it, `queue` holds
//! it, in the order that `lanes` has, `scheduler` starts it, `running::job` is it while it runs, `answering::deliver` sends the answer or leaves it
//! in the client's `outbox`. `receiving::builtin` answers the worker's own methods, `queueing::watchdog` takes the
//! lead from a leader whose call is long, `measuring::metrics` counts,
//! `receiving::exposed` tells monitoring of it. `clients::ongoing` is what a caller says later:
//! cancel, credit, more arguments. `recording::recorder` keeps the last calls, as many as `sampler` lets it; `scrub`
//! takes out what is not to be stored or shown, by the names that `naming` knows of what has none in a payload, and
//! `secrets` what repeats it; `items` are those of a stream, `output` is what a handler printed.
//!
//! [`Engine`] is made of what stands below it (`clients`, `queueing`, `recording`, `measuring`); what stands above
//! (`answering`, `running`, `receiving`, `lifecycle`) is what it does.
#![forbid(unsafe_code)]

mod answering;
mod clients;
mod config;
mod engine;
mod lifecycle;
mod measuring;
mod queueing;
mod receiver;
mod receiving;
mod recording;
mod refusals;
mod running;
mod threads;

pub use self::clients::ongoing::{Argument, Listener, Ongoing};
pub use self::config::Config;
pub use self::engine::{Engine, Helper, NameLost, Spawn};
pub use self::measuring::exposition::{Format, exposition};
pub use self::measuring::probe::Attach;
pub use self::queueing::registry::{Batching, Change};
pub use self::recording::naming::Naming;
pub use self::recording::output::{Channel, Output};
pub use self::recording::recorder::{Ended, Origin, Record, Recorder, RecorderState, Recording, Side};
pub use self::recording::scrub::{Scrub, Scrubbed, matches};
pub use self::recording::secrets::Secrets;
pub use self::recording::settings::MethodRecording;
pub use self::running::arguments::Arguments;
pub use self::running::context::CallContext;
pub use self::running::job::{Job, Lent, RunningCall};
pub use self::threads::DispatchThread;
