//! Values by chance, of every type that generated code has.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use pycrust_client::{Raw, Timestamp};
use rust_decimal::Decimal;
use serde_bytes::ByteBuf;
use uuid::Uuid;

use crate::typed::{
    Circle, Defaults, DefaultsMode, Everything, EverythingAdjacent, EverythingChoice, EverythingExternal,
    EverythingFigure, EverythingFigureCircle, EverythingLate, EverythingMixed, EverythingMixedChoice,
    EverythingMixedChoice2, EverythingUntagged, Late, LateType, Later, LaterType, Leaf, Level, Node, Open,
    Options, PagePoint, Point, Renamed, Side, Square, StopFields, Tree,
};

/// Where chance comes from: a linear congruential generator, which a seed repeats.
///
/// Its constants are those of Knuth's MMIX (Numerical Recipes, 3rd edition, 7.1.4).
pub(crate) struct Source(u64);

impl Source {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The upper half is the better one.
        let high = self.0 >> 32;
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        high << 32 | self.0 >> 32
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }
}

/// A type of which there are values by chance.
pub(crate) trait Random {
    fn random(source: &mut Source) -> Self;
}

macro_rules! leaves {
    ($($type:ty: |$source:ident| $value:expr;)*) => {$(
        impl Random for $type {
            fn random($source: &mut Source) -> Self {
                $value
            }
        }
    )*};
}

/// Every field of a struct by chance.
macro_rules! structs {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl Random for $type {
            fn random(source: &mut Source) -> Self {
                Self { $($field: Random::random(source)),* }
            }
        }
    )*};
}

/// One of these.
macro_rules! choices {
    ($($type:ident: |$source:ident| [$($value:expr),* $(,)?];)*) => {$(
        impl Random for $type {
            fn random($source: &mut Source) -> Self {
                let choices: &[fn(&mut Source) -> Self] = &[$(|$source| {
                    let _ = &$source;
                    $value
                }),*];
                let chosen = $source.below(choices.len() as u64);
                choices[chosen as usize]($source)
            }
        }
    )*};
}

/// Microseconds, of what Python counts so.
fn micros(source: &mut Source) -> u32 {
    source.below(1_000_000) as u32 * 1_000
}

fn date(source: &mut Source) -> NaiveDate {
    // Of the years 1 to 9999, which Python has.
    NaiveDate::from_num_days_from_ce_opt(1 + source.below(3_652_058) as i32).unwrap()
}

fn text(source: &mut Source) -> String {
    let letters = ['a', 'Z', '0', ' ', '"', '\\', '\n', 'ß', '字', '🦀', '\u{7f}'];
    (0..source.below(12)).map(|_| letters[source.below(letters.len() as u64) as usize]).collect()
}

leaves! {
    bool: |source| source.bits() & 1 == 0;
    i64: |source| if source.bits() & 1 == 0 { source.bits().cast_signed() } else { source.below(300).cast_signed() - 150 };
    u64: |source| if source.bits() & 1 == 0 { source.bits() } else { source.below(300) };
    f64: |source| match source.below(4) {
        0 => 0.0,
        1 => source.below(1000) as f64,
        _ => Some(f64::from_bits(source.bits())).filter(|value| value.is_finite()).unwrap_or(-1.5),
    };
    String: |source| text(source);
    ByteBuf: |source| ByteBuf::from((0..source.below(20)).map(|_| source.bits() as u8).collect::<Vec<_>>());
    NaiveDate: |source| date(source);
    NaiveTime: |source| NaiveTime::from_num_seconds_from_midnight_opt(source.below(86_400) as u32, micros(source)).unwrap();
    NaiveDateTime: |source| NaiveDate::random(source).and_time(NaiveTime::random(source));
    Duration: |source| Duration::new(source.below(1 << 40), micros(source));
    Uuid: |source| Uuid::from_u64_pair(source.bits(), source.bits());
    Decimal: |source| Decimal::new(source.bits().cast_signed(), source.below(20) as u32);
    Ipv4Addr: |source| Self::from(source.bits() as u32);
    Ipv6Addr: |source| Self::from(u128::from(source.bits()) << 64 | u128::from(source.bits()));
    IpAddr: |source| if source.bits() & 1 == 0 { Ipv4Addr::random(source).into() } else { Ipv6Addr::random(source).into() };
    PathBuf: |source| PathBuf::from(format!("/data/{}/x.bin", source.below(1000)));
    Raw: |source| match source.below(4) {
        0 => Self::default(),
        1 => i64::random(source).into(),
        2 => text(source).into(),
        _ => Self::of(&(text(source), vec![bool::random(source)], [("k", f64::random(source))].into_iter().collect::<HashMap<_, _>>())).unwrap(),
    };
}

/// A moment that Python's `datetime` can hold.
fn moment(source: &mut Source) -> Timestamp {
    let seconds = NaiveDateTime::random(source).and_utc().timestamp();
    Timestamp::new(seconds, micros(source)).unwrap()
}

impl<T: Random> Random for Option<T> {
    fn random(source: &mut Source) -> Self {
        (source.bits() & 1 == 0).then(|| T::random(source))
    }
}

impl<T: Random> Random for Vec<T> {
    fn random(source: &mut Source) -> Self {
        (0..source.below(4)).map(|_| T::random(source)).collect()
    }
}

impl<T: Random + Eq + Hash> Random for HashSet<T> {
    fn random(source: &mut Source) -> Self {
        (0..source.below(4)).map(|_| T::random(source)).collect()
    }
}

impl<K: Random + Eq + Hash, V: Random> Random for HashMap<K, V> {
    fn random(source: &mut Source) -> Self {
        (0..source.below(4)).map(|_| (K::random(source), V::random(source))).collect()
    }
}

impl<A: Random, B: Random> Random for (A, B) {
    fn random(source: &mut Source) -> Self {
        (A::random(source), B::random(source))
    }
}

structs! {
    Point { x, y }
    Square { side }
    StopFields { trigger, after }
    Options { a, b }
    PagePoint { items, next }
    Renamed { type_, camel_case, is_dashed }
}

choices! {
    Side: |_source| [Self::Buy, Self::SellShort];
    Level: |_source| [Self::Low, Self::High];
    EverythingChoice: |_source| [Self::N1m, Self::N5m, Self::Type];
    EverythingMixed: |_source| [
        EverythingMixedChoice::Auto.into(),
        EverythingMixedChoice2::Value1.into(),
        EverythingMixedChoice2::Value2.into(),
    ];
    DefaultsMode: |_source| [Self::Fast, Self::Slow];
    EverythingFigure: |source| [
        Self::Circle(EverythingFigureCircle { radius: 0.5 + source.below(9) as f64 }),
        Self::Square(Square::random(source)),
        Self::Nothing,
    ];
    EverythingLate: |source| [
        Self::Late(Late { name: text(source), type_: LateType::Late }),
        Self::Later(Later { name: text(source), more: Random::random(source), type_: LaterType::Later }),
    ];
    EverythingExternal: |source| [Self::Market, Self::Limit(Random::random(source)), Self::Stop(Random::random(source))];
    EverythingAdjacent: |source| [Self::Marked(Random::random(source)), Self::Unmarked];
    EverythingUntagged: |source| [
        Self::Integer(Random::random(source)),
        Self::Text(Random::random(source)),
        Self::Point(Random::random(source)),
    ];
}

leaves! {
    // What is not said comes back as what it is by default.
    Defaults: |source| Self {
        count: Random::random(source),
        ratio: Random::random(source),
        large: Random::random(source),
        name: Random::random(source),
        side: Random::random(source),
        level: Random::random(source),
        flags: Random::random(source),
        names: Random::random(source),
        tags: Some(Random::random(source)),
        at: Some(Random::random(source)),
        mode: Random::random(source),
        near: Random::random(source),
        table: Random::random(source),
    };
    Circle: |source| Self::new(0.5 + source.below(9) as f64);
    Node: |source| {
        let deeper = source.below(3) == 0;
        Self {
            value: Random::random(source),
            children: if deeper { vec![Self::random(source), Self::new(1)] } else { Vec::new() },
            parent: deeper.then(|| Box::new(Self::new(2))),
        }
    };
    Tree: |source| Self { left: source.below(3).eq(&0).then(|| Box::new(Leaf::random(source))), right: None };
    Leaf: |source| Self {
        leaf: source.below(3).eq(&0).then(|| Box::new(Tree::random(source))),
        size: Random::random(source),
    };
    Open: |source| Self { known: Random::random(source), rest: [("other".to_owned(), Raw::random(source))].into() };
    Everything: |source| Self {
        flag: Random::random(source),
        number: Random::random(source),
        count: Random::random(source),
        small: source.below(11),
        real: Random::random(source),
        text: Random::random(source),
        raw: Random::random(source),
        at: moment(source),
        aware: moment(source),
        naive: Random::random(source),
        exact: Timestamp::new(source.bits().cast_signed() >> 20, source.below(1_000_000_000) as u32).unwrap(),
        day: Random::random(source),
        clock: Random::random(source),
        wait: Random::random(source),
        id: Random::random(source),
        price: Random::random(source),
        v4: Random::random(source),
        v6: Random::random(source),
        address: Random::random(source),
        path: Random::random(source),
        anything: Random::random(source),
        numbers: Random::random(source),
        unique: Random::random(source),
        words: Random::random(source),
        pair: Random::random(source),
        many: Random::random(source),
        by_name: Random::random(source),
        by_number: Random::random(source),
        by_id: Random::random(source),
        by_side: Random::random(source),
        side: Random::random(source),
        level: Random::random(source),
        choice: Random::random(source),
        mixed: Random::random(source),
        maybe: Random::random(source),
        nested: Random::random(source),
        figure: Random::random(source),
        figures: Random::random(source),
        circle: Random::random(source),
        late: Random::random(source),
        external: Random::random(source),
        adjacent: Random::random(source),
        untagged: Random::random(source),
        any_number: Random::random(source),
        node: Random::random(source),
        tree: Random::random(source),
        point: Random::random(source),
        options: Random::random(source),
        named: Random::random(source),
        page: Random::random(source),
        ids: Random::random(source),
        open: Random::random(source),
        renamed: Random::random(source),
        defaults: Random::random(source),
    };
}
