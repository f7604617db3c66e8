use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::tensor::{Tensor, TensorView};
use crate::timestamp::Timestamp;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Envelope {
    id: u8,
    content: Raw,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    more: Option<Raw>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Any { content: Raw },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Other(Raw),
}

/// Through the codec, with what travels beside it.
fn through<T: Serialize, R: DeserializeOwned>(value: &T) -> R {
    Raw::of(value).expect("it can be written").read().expect("it can be read")
}

fn raw(bytes: &[u8]) -> Raw {
    Raw::from_bytes(bytes.to_vec()).expect("well formed")
}

#[test]
fn the_bytes_stay_as_they_are() {
    // An integer in more bytes than it needs, a map with a key twice, an extension that nobody knows.
    let odd = raw(b"\x94\xd3\0\0\0\0\0\0\0\x01\x82\xa1a\x01\xa1a\x02\xd4\x05\x09\xd9\x01x");
    assert_eq!(through::<_, Raw>(&odd), odd);
    let envelope = Envelope { id: 1, content: odd.clone(), more: None };
    assert_eq!(through::<_, Envelope>(&envelope), envelope);
    assert_eq!(Raw::of(&envelope).expect("plain").bytes().len(), 1 + 3 + 1 + 8 + odd.bytes().len());
    let envelope = Envelope { id: 1, content: Raw::default(), more: Some(odd.clone()) };
    assert_eq!(through::<_, Envelope>(&envelope), envelope);
    let map = BTreeMap::from([("x", vec![Some(odd.clone()), None])]);
    assert_eq!(through::<_, BTreeMap<String, Vec<Option<Raw>>>>(&map)["x"], [Some(odd), None]);
}

#[test]
fn it_is_rebuilt_where_serde_keeps_values() {
    let content = Raw::of(&json!({"a": [1, -1, 2.5, "x", null, true], "b": {}})).expect("plain");
    let tagged = Tagged::Any { content: content.clone() };
    assert_eq!(through::<_, Tagged>(&tagged), tagged);
    let other = Untagged::Other(content.clone());
    assert_eq!(through::<_, Untagged>(&other), other);
    assert_eq!(through::<_, Untagged>(&5), Untagged::Number(5));
    // The keys of a map stay what they are.
    let keyed = BTreeMap::from([(7, true)]);
    let Untagged::Other(read) = through(&keyed) else { panic!("a map is no number") };
    assert_eq!(read.read::<BTreeMap<u8, bool>>().expect("the same"), keyed);
    // In and out of other formats it is what it shows.
    let text = serde_json::to_string(&content).expect("plain");
    assert_eq!(serde_json::from_str::<Raw>(&text).expect("plain"), content);
}

#[test]
fn arrays_stay_with_their_value() {
    let (left, right) = (Tensor::new(&[2, 2], vec![1_u8, 2, 3, 4]), Tensor::new(&[1], vec![0.5_f32]));
    let (left, right) = (left.expect("4 bytes"), right.expect("1 number"));
    let both = Raw::of(&([&left, &left], &right)).expect("plain");
    assert_eq!(
        both.json(),
        json!([[{"dtype": "uint8", "shape": [2, 2]}, {"dtype": "uint8", "shape": [2, 2]}],
            {"dtype": "float32", "shape": [1]}])
    );
    let bytes = |view: &TensorView| view.as_slice::<u8>().expect("bytes").to_vec();
    let (all, last): (Vec<TensorView>, TensorView) = both.read().expect("what was written");
    assert_eq!((bytes(&all[1]), last.as_slice::<f32>().expect("a number")), (vec![1, 2, 3, 4], &[0.5][..]));

    // Some of it, inside of something else, beside others.
    let (some, last): (Raw, Raw) = both.read().expect("two values");
    assert_eq!(last.arrays.len(), 1, "only its own");
    let outer = Raw::of(&(&right, &last, &some)).expect("plain");
    let (first, second, third): (TensorView, TensorView, Vec<TensorView>) =
        outer.read().expect("four arrays");
    assert_eq!(first.as_slice::<f32>().expect("a number"), second.as_slice::<f32>().expect("a number"));
    assert_eq!(bytes(&third[0]), [1, 2, 3, 4]);
    assert_eq!(last, Raw::of(&right).expect("plain"));
    assert_ne!(last, Raw::of(&Tensor::new(&[1], vec![0.25_f32]).expect("1 number")).expect("plain"));

    // Where serde keeps values.
    let other = Untagged::Other(some);
    assert_eq!(through::<_, Untagged>(&other), other);

    let alone = Raw::from_bytes(last.into_bytes()).expect_err("there are no elements");
    assert!(alone.message().contains("Raw::of"), "{alone}");
}

#[test]
fn what_is_malformed_is_refused() {
    for (bytes, part) in [
        (&b""[..], "announced"),
        (b"\x01\x02", "1 bytes follow"),
        (b"\x92\x01", "announced"),
        (b"\xc1", "no meaning"),
        (b"\xa1\xff", "UTF-8"),
        (b"\xdd\xff\xff\xff\xff\x01", "announced"),
    ] {
        let error = Raw::from_bytes(bytes.to_vec()).expect_err("malformed");
        assert!(error.message().contains(part), "{part:?} is not in {error}");
    }
    let deep = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    raw(&deep(128)).json();
    Raw::from_bytes(deep(129)).expect_err("nested too deep");
    Raw::from_bytes([vec![0x91; 100_000], vec![0xc0]].concat()).expect_err("nested too deep");
    // What is built may be deeper; it can be looked at and dropped.
    let built = (0..2000).fold(Raw::default(), |inner, _| vec![inner].into());
    built.json();
    let number = Raw::of(&1).expect("plain").read::<String>().expect_err("a number");
    assert_eq!((number.code(), number.message().contains("String")), (Code::InvalidArgument, true));
}

#[test]
fn json_shows_what_it_has_no_form_for() {
    let moment = Timestamp::new(1, 500_000_000).expect("less than a second");
    let all = (
        (serde_bytes::Bytes::new(b"foo"), moment, u64::MAX, i128::from(i64::MIN) - 1, u128::MAX),
        (f64::NAN, f32::INFINITY, 0.1_f32, 2.0_f64),
        BTreeMap::from([(7, 1)]),
    );
    assert_eq!(
        Raw::of(&all).expect("plain").json(),
        json!([
            ["Zm9v", "1970-01-01T00:00:01.5Z", u64::MAX, "-9223372036854775809",
                "340282366920938463463374607431768211455"],
            [null, null, 0.1, 2.0],
            {"7": 1},
        ])
    );
    assert_eq!(raw(b"\xd4\x05\x09").json(), json!({"extension": 5, "data": "CQ=="}));
    assert_eq!(raw(b"\x82\xc3\x01\xc0\x02").json(), json!({"true": 1, "null": 2}));
    assert_eq!(format!("{:?}", Raw::from("x")), "\"x\"");
}

#[test]
fn what_is_plain_becomes_one() {
    fn kept(raw: impl Into<Raw>) -> Raw {
        raw.into()
    }
    let all = vec![
        kept(true),
        kept(-1_i8),
        kept(2_u64),
        kept(0.5),
        kept("text"),
        kept(String::from("text")),
        kept(None::<u8>),
        kept(Some("text")),
        kept(()),
        kept(vec![kept(1), kept("two")]),
        kept(BTreeMap::from([("a".to_owned(), kept(1))])),
    ];
    assert_eq!(
        kept(all).json(),
        json!([true, -1, 2, 0.5, "text", "text", null, "text", null, [1, "two"], {"a": 1}])
    );
    assert!(Raw::default().is_nil() && !kept(0).is_nil());
    let hash = |raw| BuildHasherDefault::<DefaultHasher>::default().hash_one::<Raw>(raw);
    assert_eq!((hash(kept(1)), kept(1)), (hash(kept(1_u64)), kept(1_u64)));
    assert_ne!((hash(kept(1)), kept(1)), (hash(kept("1")), kept("1")));
}

proptest! {
    #[test]
    fn any_bytes_are_kept_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(raw) = Raw::from_bytes(bytes.clone()) {
            prop_assert_eq!(raw.bytes(), &bytes);
            raw.json();
            prop_assert_eq!(through::<_, (Raw, u8)>(&(&raw, 1)), (raw, 1));
        }
    }
}
