use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Error, read, write};
use crate::options::Encoding;
use crate::timestamp::Timestamp;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Leg {
    price: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    lots: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    symbol: String,
    legs: Vec<Leg>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Duration")]
struct Own {
    hours: u32,
    minutes: u32,
}

fn bytes<T: Serialize + ?Sized>(value: &T, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value, encoding).expect("it can be written");
    out
}

fn refused<T: DeserializeOwned + std::fmt::Debug>(value: &impl Serialize) -> String {
    read::<T>(&bytes(value, Encoding::Map)).expect_err("it is something else").to_string()
}

fn value(bytes: &[u8]) -> rmpv::Value {
    rmpv::decode::read_value(&mut &*bytes).expect("MessagePack")
}

#[test]
fn structs_are_maps_or_arrays() {
    let leg = Leg { price: 1.5, note: None, lots: 3 };
    let map = bytes(&leg, Encoding::Map);
    assert_eq!(value(&map).to_string(), r#"{"price": 1.5, "lots": 3}"#);
    assert_eq!(read::<Leg>(&map).expect("the names say it"), leg);
    // The trap that the documentation names.
    let array = bytes(&leg, Encoding::Array);
    assert_eq!(value(&array).to_string(), "[1.5, 3]");
    assert_eq!(
        read::<Leg>(&array).expect_err("shifted").to_string(),
        "at [1]: invalid type: integer `3`, expected a string"
    );
}

#[test]
fn what_does_not_fit_is_named_with_its_place() {
    let legs =
        serde_json::json!({"symbol": "BUND", "legs": [{"price": 1, "lots": 1}, {"price": 2, "lots": 300}]});
    assert_eq!(refused::<Order>(&legs), "at legs[1].lots: invalid value: integer `300`, expected u8");
    assert_eq!(
        refused::<Order>(&serde_json::json!({"symbol": 3, "legs": []})),
        "at symbol: invalid type: integer `3`, expected a string"
    );
    assert_eq!(refused::<Order>(&serde_json::json!({"symbol": "A"})), "missing field `legs`");
    assert_eq!(
        refused::<BTreeMap<u8, u8>>(&BTreeMap::from([(7, -1)])),
        "at 7: invalid value: integer `-1`, expected u8"
    );
    let long = refused::<u8>(&"x".repeat(10_000));
    assert!(long.len() < 500 && long.ends_with('…'), "{long}");
}

#[test]
fn a_wrong_length_says_how_many_and_which() {
    assert_eq!(refused::<Order>(&("A",)), "1 value came where 2 are expected (symbol, legs)");
    let many: Vec<Leg> = Vec::new();
    assert_eq!(refused::<Order>(&("A", many, 1)), "3 values came where 2 are expected (symbol, legs)");
    assert_eq!(refused::<(u8, u8)>(&[1, 2, 3]), "3 values came where 2 are expected");
}

#[test]
fn what_can_not_be_written_is_named_with_its_place() {
    struct Stubborn;
    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it does not want to"))
        }
    }
    #[derive(Serialize)]
    struct Outer {
        inner: BTreeMap<&'static str, Vec<Stubborn>>,
    }
    let stubborn = (1, Outer { inner: BTreeMap::from([("a", vec![Stubborn])]) });
    let error = write(&mut Vec::new(), &stubborn, Encoding::Map).expect_err("it does not want to");
    assert_eq!(error.to_string(), "at [1].inner.a[0]: it does not want to");
}

#[test]
fn moments_and_durations_have_forms_of_their_own() {
    let moment = Timestamp::new(1, 500_000_000).expect("less than a second");
    let wait = Duration::new(90, 500_000_000);
    for encoding in [Encoding::Map, Encoding::Array] {
        let both = bytes(&(moment, wait), encoding);
        assert_eq!(
            both,
            [&[0x92, 0xd7, 0xff, 0x77, 0x35, 0x94, 0, 0, 0, 0, 1, 0xa7][..], b"PT90.5S"].concat()
        );
        assert_eq!(read::<(Timestamp, Duration)>(&both).expect("what was written"), (moment, wait));
        assert_eq!(read::<(String, String)>(&both).expect("as text").0, "1970-01-01T00:00:01.5Z");
    }
    // Another struct of that name stays what it is.
    let own = bytes(&Own { hours: 1, minutes: 2 }, Encoding::Map);
    assert_eq!(value(&own).to_string(), r#"{"hours": 1, "minutes": 2}"#);
    assert_eq!(read::<Own>(&own).expect("what was written"), Own { hours: 1, minutes: 2 });
}

#[test]
fn other_forms_of_large_integers_are_read() {
    let old = rmp_serde::to_vec(&u128::MAX).expect("16 bytes");
    assert_eq!(read::<u128>(&old).expect("as rmp_serde writes it"), u128::MAX);
    assert_eq!(refused::<u64>(&u128::MAX), "invalid type: an integer beyond 64 bits, expected u64");
}

#[test]
fn messagepack_values_stay_as_they_are() {
    let all = rmpv::Value::Array(vec![
        rmpv::Value::Nil,
        rmpv::Value::Binary(vec![1, 2]),
        rmpv::Value::Ext(-1, vec![0, 0, 0, 1]),
        rmpv::Value::F32(0.5),
        rmpv::Value::Map(vec![(rmpv::Value::from(1), rmpv::Value::from("x"))]),
    ]);
    assert_eq!(read::<rmpv::Value>(&bytes(&all, Encoding::Map)).expect("what was written"), all);
}

#[test]
fn flattened_fields_are_counted() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    for count in [0, 3, 15, 40] {
        let rest = (0..count).map(|number| (format!("k{number:02}"), number)).collect();
        let flat = Flat { id: 1, rest };
        assert_eq!(read::<Flat>(&bytes(&flat, Encoding::Map)).expect("what was written"), flat);
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    #[derive(Serialize)]
    struct Nest(Vec<Nest>);
    let deep = (0..127).fold(Nest(Vec::new()), |inner, _| Nest(vec![inner]));
    bytes(&deep, Encoding::Map);
    let full = Nest(vec![deep]);
    bytes(&full, Encoding::Map);
    write(&mut Vec::new(), &Nest(vec![full]), Encoding::Map).expect_err("an array inside of 129 others");
    assert!(read::<serde_json::Value>(&[vec![0x91; 129], vec![0xc0]].concat()).is_err());
    for innermost in [0x90, 0x80, 0xc0] {
        read::<serde_json::Value>(&[vec![0x91; 128], vec![innermost]].concat())
            .expect("inside of 128 others");
    }
    // What nobody looks at takes no stack.
    read::<serde::de::IgnoredAny>(&[vec![0x91; 100_000], vec![0xc0]].concat()).expect("well formed");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _: Result<serde_json::Value, Error> = read(&raw);
        let _: Result<rmpv::Value, Error> = read(&raw);
        let _: Result<Order, Error> = read(&raw);
        let _: Result<(Timestamp, Duration, Option<i128>), Error> = read(&raw);
        let _: Result<serde::de::IgnoredAny, Error> = read(&raw);
    }

    #[test]
    fn what_rmp_serde_writes_is_read(symbol in ".{0,40}", prices in proptest::collection::vec(any::<i32>(), 0..40)) {
        let legs = prices.into_iter().map(|price| Leg { price: price.into(), note: Some("n".into()), lots: 1 });
        let order = Order { symbol, legs: legs.collect() };
        let array = rmp_serde::to_vec(&order).expect("plain data");
        prop_assert_eq!(&bytes(&order, Encoding::Array), &array);
        prop_assert_eq!(&read::<Order>(&array).expect("an array"), &order);
        let map = rmp_serde::to_vec_named(&order).expect("plain data");
        prop_assert_eq!(&bytes(&order, Encoding::Map), &map);
        prop_assert_eq!(&read::<Order>(&map).expect("a map"), &order);
    }
}
