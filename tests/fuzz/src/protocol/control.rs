//! Control messages, beside what `rmpv` makes of them.

use pycrust_protocol::Code;
use pycrust_protocol::control::{Request, Response, put_request_head, put_response_head};
use pycrust_protocol::limits::MAX_METHOD_LEN;
use rmpv::Value;

use crate::oracle;

/// The three values of a control message; `None` if it is no array of three and nothing else.
fn three(data: &[u8]) -> Option<[Value; 3]> {
    let Value::Array(items) = oracle::whole(data)? else { return None };
    items.try_into().ok()
}

/// Offset of the first value in an array.
fn first_at(data: &[u8]) -> usize {
    match data.first() {
        Some(0xdc) => 3,
        Some(0xdd) => 5,
        _ => 1,
    }
}

/// Whether an integer is written in a form for numbers that may be negative, which control messages do not have.
fn signed_form(data: &[u8], at: usize) -> bool {
    matches!(data.get(at), Some(0xd0..=0xd3 | 0xe0..))
}

/// A request is taken exactly if it is `(u64, str, bin)`, and written as it was read.
pub fn request(data: &[u8]) {
    let read = Request::decode(data);
    let expected = three(data).and_then(|items| match items {
        [Value::Integer(id), Value::String(method), Value::Binary(payload)]
            if !signed_form(data, first_at(data)) =>
        {
            let method = method.into_str().filter(|name| (1..=MAX_METHOD_LEN).contains(&name.len()))?;
            Some((id.as_u64()?, method, payload))
        }
        _ => None,
    });
    match (&read, &expected) {
        (Ok(read), Some((id, method, payload))) => {
            assert_eq!((read.id, read.method, read.payload), (*id, &**method, &**payload));
            assert_eq!(Request::decode_id(data), Some(read.id));
            let mut again = Vec::new();
            put_request_head(&mut again, read.id, read.method, read.payload.len());
            again.extend_from_slice(read.payload);
            assert!(again.len() <= data.len(), "another form is shorter than ours");
            assert_eq!(Request::decode(&again).as_ref(), Ok(read));
        }
        (Err(refused), None) => assert!(refused.offset <= data.len(), "{refused}"),
        other => panic!("{other:?} of {data:x?}"),
    }
}

/// A response is taken exactly if it is `(u64, status, bin)`, and written as it was read.
pub fn response(data: &[u8]) {
    let read = Response::decode(data);
    let expected = three(data).and_then(|items| match items {
        [Value::Integer(id), Value::Integer(status), Value::Binary(payload)] => {
            let at = first_at(data);
            let next = at + oracle::first(&data[at..])?.1;
            if signed_form(data, at) || signed_form(data, next) {
                return None;
            }
            let status = Code::from_u8(u8::try_from(status.as_u64()?).ok()?)?;
            Some((id.as_u64()?, status, payload))
        }
        _ => None,
    });
    match (&read, &expected) {
        (Ok(read), Some((id, status, payload))) => {
            assert_eq!((read.id, read.status, read.payload), (*id, *status, &**payload));
            let mut again = Vec::new();
            put_response_head(&mut again, read.id, read.status, read.payload.len());
            again.extend_from_slice(read.payload);
            assert!(again.len() <= data.len(), "another form is shorter than ours");
            assert_eq!(Response::decode(&again).as_ref(), Ok(read));
        }
        (Err(refused), None) => assert!(refused.offset <= data.len(), "{refused}"),
        other => panic!("{other:?} of {data:x?}"),
    }
}
