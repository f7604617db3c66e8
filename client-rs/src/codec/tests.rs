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
    let leg = Leg { price: 1.5, note: Some("n".into()), lots: 3 };
    let map = bytes(&leg, Encoding::Map);
    assert_eq!(value(&map).to_string(), r#"{"price": 1.5, "note": "n", "lots": 3}"#);
    assert_eq!(read::<Leg>(&map).expect("the names say it"), leg);
    let array = bytes(&leg, Encoding::Array);
    assert_eq!(value(&array).to_string(), r#"[1.5, "n", 3]"#);
    assert_eq!(read::<Leg>(&array).expect("all are there"), leg);
}

#[test]
fn a_struct_that_leaves_a_field_out_is_a_map() {
    let leg = Leg { price: 1.5, note: None, lots: 3 };
    let whole = Leg { note: Some("n".into()), ..leg.clone() };
    for encoding in [Encoding::Map, Encoding::Array] {
        let written = bytes(&leg, encoding);
        assert_eq!(value(&written).to_string(), r#"{"price": 1.5, "lots": 3}"#);
        assert_eq!(read::<Leg>(&written).expect("the names say it"), leg);
    }
    let order = Order { symbol: "A".into(), legs: vec![leg, whole] };
    let array = bytes(&order, Encoding::Array);
    assert_eq!(value(&array).to_string(), r#"["A", [{"price": 1.5, "lots": 3}, [1.5, "n", 3]]]"#);
    assert_eq!(read::<Order>(&array).expect("both forms"), order);
}

#[test]
fn a_struct_that_does_not_give_all_that_it_announced_is_a_map() {
    struct Short;
    impl Serialize for Short {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct;
            let mut fields = serializer.serialize_struct("Short", 3)?;
            fields.serialize_field("a", &Leg { price: 0.5, note: None, lots: 1 })?;
            fields.serialize_field("c", "text")?;
            fields.end()
        }
    }
    let short = bytes(&(Short, 1), Encoding::Array);
    assert_eq!(value(&short).to_string(), r#"[{"a": {"price": 0.5, "lots": 1}, "c": "text"}, 1]"#);
    // A moment's two numbers are no fields.
    let both = bytes(&(Timestamp::new(1, 0), Short), Encoding::Array);
    assert_eq!(both[..2], [0x92, 0xd6]);
}

/// A struct of any fields, some of which may be left out.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(u64),
    List(Vec<Tree>),
    /// As the content of a variant, or not.
    Struct(bool, Vec<(Tree, bool)>),
}

const NAMES: [&str; 20] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "o",
    "p",
    "q",
    "r",
    "s",
    "a name that is longer than thirty-one bytes",
];

impl Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeStruct, SerializeStructVariant};
        let (variant, fields) = match self {
            Self::Leaf(number) => return number.serialize(serializer),
            Self::List(items) => return items.serialize(serializer),
            Self::Struct(variant, fields) => (variant, fields),
        };
        let len = fields.iter().filter(|(_, skipped)| !skipped).count();
        macro_rules! give {
            ($open:expr) => {{
                let mut open = $open;
                for (name, (value, skipped)) in NAMES.into_iter().zip(fields) {
                    if *skipped { open.skip_field(name)? } else { open.serialize_field(name, value)? }
                }
                open.end()
            }};
        }
        if *variant {
            give!(serializer.serialize_struct_variant("Tree", 0, "V", len)?)
        } else {
            give!(serializer.serialize_struct("Tree", len)?)
        }
    }
}

impl Tree {
    fn expected(&self, named: bool) -> rmpv::Value {
        match self {
            Self::Leaf(number) => (*number).into(),
            Self::List(items) => rmpv::Value::Array(items.iter().map(|item| item.expected(named)).collect()),
            Self::Struct(variant, fields) => {
                let given = NAMES.into_iter().zip(fields).filter(|(_, (_, skipped))| !skipped);
                let values = given.clone().map(|(_, (value, _))| value.expected(named));
                let fields = if named || fields.iter().any(|(_, skipped)| *skipped) {
                    rmpv::Value::Map(given.map(|(name, _)| name.into()).zip(values).collect())
                } else {
                    rmpv::Value::Array(values.collect())
                };
                if *variant { rmpv::Value::Map(vec![("V".into(), fields)]) } else { fields }
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    any::<u64>().prop_map(Tree::Leaf).prop_recursive(6, 200, 20, |inner| {
        let fields =
            proptest::collection::vec((inner.clone(), proptest::bool::weighted(0.2)), 0..NAMES.len());
        prop_oneof![
            proptest::collection::vec(inner, 0..20).prop_map(Tree::List),
            (any::<bool>(), fields).prop_map(|(variant, fields)| Tree::Struct(variant, fields)),
        ]
    })
}

/// What leaves fields out in the ways that serde has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sparse {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u8>,
    middle: Vec<Inner>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last: Option<Box<Sparse>>,
    #[serde(skip)]
    never: (),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Inner {
    Variant {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<String>,
        number: i32,
    },
    Flat(Flat),
    Tagged(Tagged),
    Whole(Leg),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    #[serde(flatten)]
    rest: Leg2,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Leg2 {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    price: Option<f64>,
    lots: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Limit {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        price: Option<i64>,
        lots: u8,
    },
}

fn inners() -> impl Strategy<Value = Inner> {
    let note = || proptest::option::of("[a-z]{0,40}");
    prop_oneof![
        (note(), any::<i32>()).prop_map(|(note, number)| Inner::Variant { note, number }),
        (note(), proptest::option::of(-1e9..1e9), any::<u8>())
            .prop_map(|(note, price, lots)| Inner::Flat(Flat { note, rest: Leg2 { price, lots } })),
        (proptest::option::of(any::<i64>()), any::<u8>())
            .prop_map(|(price, lots)| Inner::Tagged(Tagged::Limit { price, lots })),
        (-1e9..1e9, note(), any::<u8>()).prop_map(|(price, note, lots)| Inner::Whole(Leg {
            price,
            note,
            lots
        })),
    ]
}

fn sparse() -> impl Strategy<Value = Sparse> {
    let one = (proptest::option::of(any::<u8>()), proptest::collection::vec(inners(), 0..5));
    let leaf = one.prop_map(|(first, middle)| Sparse { first, middle, last: None, never: () });
    leaf.prop_recursive(4, 16, 1, |inner| {
        let one = (proptest::option::of(any::<u8>()), proptest::collection::vec(inners(), 0..5), inner);
        one.prop_map(|(first, middle, last)| Sparse { first, middle, last: Some(Box::new(last)), never: () })
    })
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
    fn structs_are_named_where_they_leave_something_out(tree in trees()) {
        for encoding in [Encoding::Map, Encoding::Array] {
            let written = bytes(&tree, encoding);
            prop_assert_eq!(value(&written), tree.expected(encoding == Encoding::Map));
        }
    }

    #[test]
    fn what_leaves_fields_out_comes_back(sparse in sparse()) {
        for encoding in [Encoding::Map, Encoding::Array] {
            let written = bytes(&sparse, encoding);
            prop_assert_eq!(&read::<Sparse>(&written).expect("both forms"), &sparse);
        }
    }

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
