//! What the two sides say to each other on the control socket: MessagePack maps, one a message.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::Malformed;

/// Says who calls; the first message, from the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's protocol version.
    pub protocol: u16,
    /// The endpoint it wants.
    pub endpoint: String,
    /// A name for the client that a person recognises; by default its executable's.
    pub client: String,
}

/// The worker's answer, with the file descriptors beside it: the doorbell that wakes the worker, the
/// doorbell that wakes the client, and the memory of the flag words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The worker's protocol version.
    pub protocol: u16,
    /// The worker's process.
    pub pid: u32,
    /// Tells this worker's life from any other's.
    pub generation: u64,
    /// This connection's number in that life.
    pub connection: u64,
    /// The iceoryx2 prefix that both sides use.
    pub prefix: String,
    /// The service that carries requests.
    pub request_service: String,
    /// The service that carries responses.
    pub response_service: String,
    /// Calls that this connection may have in flight.
    pub max_in_flight: u32,
}

/// Any message on the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Message {
    /// The client's first message.
    Hello(Hello),
    /// The worker's answer to it.
    Welcome(Welcome),
    /// The worker does not serve this client: why, and what to do about it.
    Refused {
        /// The status that the caller sees.
        code: crate::Code,
        /// For a person.
        reason: String,
    },
    /// The client has opened its ends of the services.
    Opened,
    /// The worker receives on this connection from now on.
    Serving,
    /// The sender has made its end of the bulk service in its direction.
    BulkOffered {
        /// The service's name.
        service: String,
    },
    /// The receiver has opened the bulk service that was offered.
    BulkOpened {
        /// The service's name.
        service: String,
    },
    /// The sender of this is about to close the connection in good order.
    Goodbye {
        /// For a person.
        reason: String,
    },
}

impl Message {
    /// The message as MessagePack.
    pub fn encode(&self) -> Vec<u8> {
        // Plain data into a Vec: there is nothing in it that can fail.
        rmp_serde::to_vec_named(self).unwrap_or_default()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no such map.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    rmp_serde::from_slice(bytes).map_err(|error| Malformed::new(0, format!("not a control message: {error}")))
}
