//! The client's side of the handshake.

use pycrust_protocol::name::EndpointName;

use crate::connection::Connection;
use crate::error::ConnectError;
use crate::runtime::Runtime;

/// Connects to the worker that serves `name`. Blocks for some milliseconds, at most five seconds a step.
///
/// `client` is a name for this process that a person recognises.
///
/// # Errors
/// [`ConnectError::NotFound`] if nobody serves the name, [`ConnectError::Refused`] if the worker does not
/// want this client, [`ConnectError::Transport`] otherwise.
pub fn connect(runtime: &Runtime, name: &EndpointName, _client: &str) -> Result<Connection, ConnectError> {
    Err(ConnectError::NotFound {
        endpoint: name.to_string(),
        looked_in: runtime.dir().into(),
        live: runtime.live_endpoints(),
    })
}
