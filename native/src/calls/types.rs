//! The engine's types, for handlers of Python's.

use pycrust_engine::{Arguments, Engine, Job, Lent};
use pycrust_transport::Connection;
use pyo3::Py;

use crate::calls::handler::Handler;

pub(crate) type PyArguments = Arguments<Py<Handler>, Connection>;
pub(crate) type PyEngine = Engine<Py<Handler>, Connection>;
pub(crate) type PyJob = Job<Py<Handler>, Connection>;
pub(crate) type PyLent = Lent<Py<Handler>, Connection>;
