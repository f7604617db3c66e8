//! What the two sides say to each other on the control socket: MessagePack maps, one a message.

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::error::Malformed;
use crate::limits::{MAX_CLIENT_LEN, MAX_HANDSHAKE_LEN, MAX_IN_FLIGHT, MAX_REASON_LEN, fitting};
use crate::payload;
use crate::reader::Reader;

/// Says who calls; the first message, from the client.
///
/// Whatever a version of the protocol puts into it, the version is there: so what an older or newer one leaves out is
/// empty, and what it adds is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's protocol version.
    pub protocol: u16,
    /// The endpoint it wants.
    #[serde(default)]
    pub endpoint: String,
    /// A name for the client that a person recognises; by default its executable's.
    #[serde(default)]
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
    /// In a hello's place: another process of the user is about to serve the name. The worker says goodbye, drains and
    /// stops.
    HandOver {
        /// The endpoint's name.
        endpoint: String,
    },
    /// The worker's answer to a hello.
    Welcome(Welcome),
    /// The worker does not serve this client: why, and what to do about it.
    Refused {
        /// The status that the caller sees.
        code: Code,
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
    /// The receiver can't open the bulk service now: the frame is not sent, and a later one may be offered again.
    BulkRefused {
        /// The service's name.
        service: String,
        /// For a person.
        reason: String,
    },
    /// The sender of this is about to close the connection in good order.
    Goodbye {
        /// For a person.
        reason: String,
    },
}

impl Message {
    /// The message as MessagePack. A client's name or a reason that is too long is cut, so that what a
    /// person typed can't make a message that the other side must refuse.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::handshake::Message;
    ///
    /// assert_eq!(Message::Opened.encode(), b"\x81\xa3say\xa6opened");
    /// assert_eq!(Message::decode(b"\x81\xa3say\xa6opened")?, Message::Opened);
    /// # Ok::<(), pycrust_protocol::Malformed>(())
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) if hello.client.len() > MAX_CLIENT_LEN => {
                let client = fitting(&hello.client, MAX_CLIENT_LEN).to_owned();
                to_bytes(&Self::Hello(Hello { client, ..hello.clone() }))
            }
            Self::BulkRefused { service, reason } if reason.len() > MAX_REASON_LEN => {
                let reason = fitting(reason, MAX_REASON_LEN).to_owned();
                to_bytes(&Self::BulkRefused { service: service.clone(), reason })
            }
            Self::Refused { code, reason } if reason.len() > MAX_REASON_LEN => {
                to_bytes(&Self::Refused { code: *code, reason: fitting(reason, MAX_REASON_LEN).to_owned() })
            }
            Self::Goodbye { reason } if reason.len() > MAX_REASON_LEN => {
                to_bytes(&Self::Goodbye { reason: fitting(reason, MAX_REASON_LEN).to_owned() })
            }
            fits => to_bytes(fits),
        }
    }

    /// Reads a message; `bytes` must hold it and nothing else.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are too many, are not one MessagePack map, or not one of the messages;
    /// for a refusal with status 0, and for a welcome to no calls or to more than
    /// [`MAX_IN_FLIGHT`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_HANDSHAKE_LEN {
            return Err(Malformed::new(
                MAX_HANDSHAKE_LEN,
                format!("a message of {} bytes, at most {MAX_HANDSHAKE_LEN} are allowed", bytes.len()),
            ));
        }
        Reader::new(bytes).map_len("a message")?;
        // What passes is complete, one value, and no deeper than a recursive decoder can go.
        payload::check(bytes)?;
        let message = rmp_serde::from_slice(bytes)
            .map_err(|error| Malformed::new(0, format!("not a control message: {error}")))?;
        match &message {
            Self::Refused { code: Code::Ok, .. } => Err(Malformed::new(0, "a refusal with status 0")),
            Self::Welcome(welcome) if !(1..=MAX_IN_FLIGHT).contains(&(welcome.max_in_flight as usize)) => {
                let calls = welcome.max_in_flight;
                Err(Malformed::new(0, format!("{calls} calls in flight, 1 to {MAX_IN_FLIGHT} are possible")))
            }
            _ => Ok(message),
        }
    }
}

fn to_bytes(message: &Message) -> Vec<u8> {
    // Plain data into a Vec: there is nothing in it that can fail.
    rmp_serde::to_vec_named(message).unwrap_or_default()
}
