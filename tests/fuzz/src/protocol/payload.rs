//! Payloads and what else is MessagePack, beside what `rmpv` makes of it.

use pycrust_protocol::limits::{MAX_DEPTH, MAX_METADATA_LEN};
use pycrust_protocol::reader::{Reader, Shape};
use pycrust_protocol::{ErrorPayload, ValidationIssue, metadata, payload as check};
use rmpv::{Utf8String, Value};

use crate::oracle;

/// Why our reader gives no value.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// The bytes end too early.
    Cut,
    /// `rmpv` reads the byte that means nothing as nil.
    Reserved,
    /// It is deeper than a test's stack.
    Deep,
}

/// The value that our reader finds, as `rmpv` would have it.
fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Value, Unread> {
    if depth > MAX_DEPTH {
        return Err(Unread::Deep);
    }
    let take =
        |reader: &mut Reader<'_>, len| reader.take(len, "it").map(<[u8]>::to_vec).map_err(|_| Unread::Cut);
    let at = reader.at();
    Ok(match reader.shape("it").map_err(|_| Unread::Cut)? {
        Shape::Nil => Value::Nil,
        Shape::Bool(value) => value.into(),
        Shape::Unsigned(value) => value.into(),
        Shape::Signed(value) => value.into(),
        Shape::Float(4) => {
            let raw = take(reader, 4)?;
            Value::F32(f32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]))
        }
        Shape::Float(len) => {
            let raw = take(reader, len)?;
            Value::F64(f64::from_bits(raw.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))))
        }
        Shape::Str(len) => {
            let raw = take(reader, len)?;
            let text = String::from_utf8(raw).map(Utf8String::from);
            match text {
                Ok(text) => Value::String(text),
                // As `rmpv` keeps what is no text.
                Err(_) => oracle::first(reader.since(at)).ok_or(Unread::Cut)?.0,
            }
        }
        Shape::Bin(len) => Value::Binary(take(reader, len)?),
        Shape::Array(len) => {
            let mut items = Vec::new();
            for _ in 0..len {
                items.push(read(reader, depth + 1)?);
            }
            Value::Array(items)
        }
        Shape::Map(len) => {
            let mut entries = Vec::new();
            for _ in 0..len {
                entries.push((read(reader, depth + 1)?, read(reader, depth + 1)?));
            }
            Value::Map(entries)
        }
        Shape::Extension(len) => {
            let kind = take(reader, 1)?[0].cast_signed();
            Value::Ext(kind, take(reader, len)?)
        }
        Shape::Reserved => return Err(Unread::Reserved),
    })
}

/// The reader sees the value that `rmpv` sees, and the check lets pass exactly what the specification does.
pub fn payload(data: &[u8]) {
    let mut reader = Reader::new(data);
    let ours = read(&mut reader, 0);
    let theirs = oracle::first(data);
    match (&ours, &theirs) {
        (Ok(ours), Some((theirs, len))) => {
            assert_eq!(reader.at(), *len);
            assert!(oracle::same(ours, theirs), "{ours:?} and {theirs:?}");
        }
        (Err(Unread::Cut), None) | (Err(Unread::Deep | Unread::Reserved), _) => {}
        other => panic!("{other:?} of {data:x?}"),
    }
    let passes = ours.as_ref().is_ok_and(|value| oracle::crosses(value, 0)) && reader.left() == 0;
    match check::check(data) {
        Ok(()) => assert!(passes, "{ours:?} passes"),
        Err(refused) => {
            assert!(!passes, "{refused}: {ours:?}");
            assert!(refused.offset <= data.len() && !refused.reason.is_empty());
        }
    }
}

/// Metadata passes exactly if it is nothing, or a map from strings to strings or binary.
pub fn beside(data: &[u8]) {
    let allowed = |value: &Value| match value {
        Value::String(text) => text.as_str().is_some(),
        Value::Binary(_) => true,
        _ => false,
    };
    let passes = data.is_empty()
        || data.len() <= MAX_METADATA_LEN
            && matches!(oracle::whole(data), Some(Value::Map(entries)) if entries
                .iter()
                .all(|(name, value)| name.as_str().is_some() && allowed(value)));
    assert_eq!(metadata::check(data).is_ok(), passes, "{:?}", metadata::check(data));
}

/// An error's payload is read as far as it is one, and as it was written.
pub fn error(data: &[u8]) {
    let read = ErrorPayload::decode(data);
    assert_eq!(ErrorPayload::decode(&read.encode()), read);
    if !read.details.is_empty() {
        assert_eq!(check::check(&read.details), Ok(()));
        // Whatever they are: they are read, or they are not.
        drop(rmp_serde::from_slice::<Vec<ValidationIssue>>(&read.details));
    }
    let Some(Value::Map(entries)) = oracle::whole(data) else { return };
    let said = |key: &str| {
        let mut found = entries.iter().filter(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    };
    // A map that may cross and has each key once says the same to both.
    let sound = check::check(data).is_ok();
    if let (true, Some(message)) = (sound, said("message").and_then(Value::as_str))
        && let Some(Value::Boolean(run)) = said("may_have_run")
        && ["type", "traceback"].iter().all(|key| said(key).is_none_or(Value::is_str))
    {
        assert_eq!((&*read.message, read.may_have_run), (message, *run));
    }
}
