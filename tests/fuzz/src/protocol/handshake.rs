//! Messages on the control socket.

use pycrust_protocol::handshake::{Hello, Message};
use pycrust_protocol::limits::{MAX_CLIENT_LEN, MAX_HANDSHAKE_LEN, MAX_REASON_LEN};
use pycrust_protocol::payload;
use rmpv::Value;

use crate::oracle;

/// What is read is a map that says what it is, and is read again from what it is written as.
pub fn handshake(data: &[u8]) {
    let Ok(message) = Message::decode(data) else { return };
    assert!(data.len() <= MAX_HANDSHAKE_LEN);
    assert_eq!(payload::check(data), Ok(()));
    let Some(Value::Map(entries)) = oracle::whole(data) else { panic!("no map: {message:?}") };
    assert!(entries.iter().any(|(key, _)| key.as_str() == Some("say")), "{message:?}");

    let again = message.encode();
    let read = Message::decode(&again).expect("what is written is read");
    assert_eq!(read.encode(), again);
    let cut = match &message {
        Message::Hello(Hello { client, .. }) => client.len() > MAX_CLIENT_LEN,
        Message::Refused { reason, .. }
        | Message::BulkRefused { reason, .. }
        | Message::Goodbye { reason } => reason.len() > MAX_REASON_LEN,
        _ => false,
    };
    if !cut {
        assert_eq!(read, message);
    }
}
