//! How the calls of a method are recorded.

use std::sync::Arc;

use crate::recording::naming::Naming;

/// How the calls of one version are recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodRecording {
    /// They are not.
    pub off: bool,
    /// The names of its arguments by position.
    pub parameters: Vec<String>,
    /// The names of all that its payloads give by position, for what is taken out by name.
    pub naming: Arc<Naming>,
}
