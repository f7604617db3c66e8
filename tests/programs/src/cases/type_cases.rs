//! Every type of the table, to a Python handler and back, in both encodings: `type_cases --endpoint types`.
//!
//! Each value goes to three handlers: one that declares its type, one that takes a model which holds it, and one that
//! declares nothing. It prints each row of the table whose values all came back equal.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test program: what fails ends it")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::Parser;
use pycrust_client::{Code, Encoding, Raw, RpcClient, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::json;

/// Sends every type and compares what comes back.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
}

/// A value as a struct's field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Holder<T> {
    id: u32,
    value: T,
    more: Vec<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Metres(f64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(i32, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pose {
    x: f64,
    y: f64,
    label: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum External {
    Market,
    Limit(f64),
    Range(f64, f64),
    Stop { trigger: f64, after: Duration },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Market,
    Stop { trigger: f64, id: uuid::Uuid },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Market,
    Limit(f64),
    Stop { trigger: f64, at: Timestamp },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Count(i64),
    Name(String),
    Pose(Pose),
}

/// What serde looks at by itself before it is read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Answer {
    Raw { raw: Vec<u8>, at: chrono::DateTime<chrono::Utc> },
}

struct Cases {
    client: RpcClient,
    encoding: Encoding,
    rows: BTreeSet<&'static str>,
}

impl Cases {
    /// Sends a value in three ways, and expects it back.
    async fn check<T>(&mut self, row: &'static str, method: &str, value: T)
    where
        T: Debug + PartialEq + Clone + Serialize + DeserializeOwned,
    {
        self.check_declared(row, method, value.clone()).await;
        let echoed: T = self.call(row, "echo", &(value.clone(),)).await;
        assert_eq!(echoed, value, "{row}: echo");
    }

    /// The same without a handler that declares nothing.
    async fn check_declared<T>(&mut self, row: &'static str, method: &str, value: T)
    where
        T: Debug + PartialEq + Clone + Serialize + DeserializeOwned,
    {
        let declared: T = self.call(row, method, &(value.clone(),)).await;
        assert_eq!(declared, value, "{row}: {method}");
        let holder = Holder { id: 7, value: value.clone(), more: vec![value.clone(), value] };
        let held: Holder<T> = self.call(row, &format!("{method}_held"), &(holder.clone(),)).await;
        assert_eq!(held, holder, "{row}: {method}_held");
        self.rows.insert(row);
    }

    async fn call<R: DeserializeOwned>(&self, row: &str, method: &str, args: &impl Serialize) -> R {
        self.client.call(method, args).await.unwrap_or_else(|error| panic!("{row}: {error}"))
    }

    async fn basics(&mut self) {
        self.check("`bool`", "bool", true).await;
        let row = "`i8` to `i64`, `u8` to `u64`";
        self.check(row, "int", i8::MIN).await;
        self.check(row, "int", i64::MIN).await;
        self.check(row, "int", u64::MAX).await;
        let row = "`i128`, `u128`";
        for value in [i128::MIN, i128::from(i64::MIN) - 1, -1, 0, i128::from(u64::MAX) + 1, i128::MAX] {
            self.check(row, "int", value).await;
        }
        // The ASCII digits of 42, were they taken for text.
        self.check(row, "int", u128::from_be_bytes(*b"0000000000000042")).await;
        self.check(row, "int", u128::MAX).await;
        self.check("`f32`, `f64`", "float", 0.1_f32).await;
        self.check("`f32`, `f64`", "float", f64::MIN_POSITIVE).await;
        self.check("`char`, `String`", "str", 'é').await;
        self.check("`char`, `String`", "str", "naïve ✓".to_owned()).await;
        let row = "`Vec<u8>`, `[u8; N]`, `serde_bytes`";
        self.check(row, "bytes", vec![0_u8, 127, 128, 255]).await;
        self.check(row, "bytes", [1_u8, 255, 3]).await;
        self.check(row, "bytes", ByteBuf::from(vec![0_u8, 255])).await;
        self.check(row, "bytes", Vec::<u8>::new()).await;
        self.check("`Option<T>`", "optional", Some(3_i64)).await;
        self.check("`Option<T>`", "optional", None::<i64>).await;
        self.check("`()`, unit structs", "none", ()).await;
        self.check("`()`, unit structs", "none", Unit).await;
    }

    async fn containers(&mut self) {
        let row = "`Vec<T>`, `VecDeque<T>`, `[T; N]`";
        self.check(row, "ints", vec![1_i64, -2, 3]).await;
        self.check(row, "ints", VecDeque::from([1_i64, 2])).await;
        self.check(row, "ints", [1_i64, 2, 3]).await;
        self.check("tuples, tuple structs", "pair", (1_i32, "a".to_owned())).await;
        self.check("tuples, tuple structs", "pair", Pair(2, "b".into())).await;
        self.check("`HashSet<T>`, `BTreeSet<T>`", "set", HashSet::from([1_i64, 2])).await;
        self.check("`HashSet<T>`, `BTreeSet<T>`", "set", BTreeSet::from([3_i64])).await;
        let row = "`HashMap<K, V>`, `BTreeMap<K, V>`";
        self.check(row, "by_name", HashMap::from([("a".to_owned(), 1.5)])).await;
        self.check(row, "by_number", BTreeMap::from([(-1_i64, "x".to_owned()), (7, "y".to_owned())])).await;
        self.check(row, "by_id", BTreeMap::from([(uuid::Uuid::from_u128(5), 1_i64)])).await;
        let pose = Pose { x: 1.5, y: -2.0, label: None };
        self.check("structs", "pose", pose.clone()).await;
        self.check("structs", "pose", Pose { label: Some("é".into()), ..pose }).await;
        self.check("newtypes", "float", Metres(1.25)).await;
    }

    async fn enums(&mut self) {
        let row = "enums";
        let after = Duration::from_millis(1_500);
        for value in [
            External::Market,
            External::Limit(1.5),
            External::Range(1.0, 2.0),
            External::Stop { trigger: 2.5, after },
        ] {
            self.check(row, "external", value).await;
        }
        let row = "enums, `#[serde(tag = \"…\")]`";
        for value in [Internal::Market, Internal::Stop { trigger: 2.5, id: uuid::Uuid::from_u128(9) }] {
            self.check(row, "internal", value).await;
        }
        let row = "enums, `#[serde(tag = \"…\", content = \"…\")]`";
        let at = Timestamp::new(1_772_368_215, 123_456_000).unwrap();
        for value in [Adjacent::Market, Adjacent::Limit(1.5), Adjacent::Stop { trigger: 2.5, at }] {
            // As arrays serde writes them and does not read them: a handler that declares nothing gives those back.
            match self.encoding {
                Encoding::Map => self.check(row, "adjacent", value).await,
                _ => self.check_declared(row, "adjacent", value).await,
            }
        }
        let row = "enums, `#[serde(untagged)]`";
        let pose = Pose { x: 1.0, y: 2.0, label: None };
        for value in [Untagged::Count(3), Untagged::Name("three".into()), Untagged::Pose(pose)] {
            self.check(row, "untagged", value).await;
        }
    }

    async fn libraries(&mut self) {
        self.check("`uuid::Uuid`", "uuid", uuid::Uuid::from_u128(0x1234_5678_9abc_def0)).await;
        let row = "`IpAddr`, `Ipv4Addr`, `Ipv6Addr`";
        self.check(row, "ip", IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        self.check(row, "ip", IpAddr::V6(Ipv6Addr::LOCALHOST)).await;
        self.check(row, "ip", Ipv4Addr::new(10, 0, 0, 1)).await;
        let decimal: rust_decimal::Decimal = "-12345.678900".parse().unwrap();
        self.check("`rust_decimal::Decimal`", "decimal", decimal).await;
        self.check("`PathBuf`", "path", PathBuf::from("/tmp/é")).await;
        let value = json!({"a": [1, 2.5, null, true, {"b": "c"}], "big": u64::MAX});
        self.check("`serde_json::Value`", "anything", value.clone()).await;
        self.check("`Raw`", "anything", Raw::of(&value).unwrap()).await;
    }

    async fn times(&mut self) {
        let row = "`std::time::Duration`";
        self.check(row, "timedelta", Duration::new(90_061, 123_456_000)).await;
        self.check(row, "timedelta", Duration::ZERO).await;
        let row = "`chrono::TimeDelta`, `time::Duration`";
        self.check(row, "timedelta", chrono::TimeDelta::new(-2, 500_000_000).unwrap()).await;
        self.check(row, "timedelta", chrono::TimeDelta::days(3)).await;
        self.check(row, "timedelta", time::Duration::new(-1, -500_000_000)).await;
        let row = "`SystemTime`, `Timestamp`";
        let (seconds, micros, nanos) = (1_772_368_215, 123_456_000, 123_456_789);
        self.check(row, "datetime", UNIX_EPOCH + Duration::new(seconds, micros)).await;
        self.check(row, "datetime", Timestamp::new(-1, micros).unwrap()).await;
        self.check(row, "timestamp", UNIX_EPOCH + Duration::new(seconds, nanos)).await;
        self.check(row, "timestamp", Timestamp::new(-70_000_000_000, 1).unwrap()).await;
        self.check(row, "timestamp", Timestamp::new(i64::MAX, 999_999_999).unwrap()).await;
        let row = "`chrono::DateTime<Z>`";
        let utc = chrono::DateTime::from_timestamp(1_772_368_215, micros).unwrap();
        self.check(row, "datetime", utc).await;
        self.check(row, "datetime", utc.with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap())).await;
        self.check(row, "timestamp", chrono::DateTime::from_timestamp(1_772_368_215, nanos).unwrap()).await;
        let row = "`chrono::NaiveDateTime`, `NaiveDate`, `NaiveTime`";
        self.check(row, "naive", utc.naive_utc()).await;
        self.check(row, "date", utc.date_naive()).await;
        self.check(row, "time", utc.time()).await;
        let row = "`time::OffsetDateTime`";
        let moment = time::OffsetDateTime::from_unix_timestamp_nanos(1_772_368_215_123_456_000).unwrap();
        self.check(row, "datetime", moment).await;
        self.check(row, "datetime", moment.to_offset(time::UtcOffset::from_hms(-3, -30, 0).unwrap())).await;
        let row = "`time::PrimitiveDateTime`, `Date`, `Time`";
        self.check(row, "naive", time::PrimitiveDateTime::new(moment.date(), moment.time())).await;
        self.check(row, "date", moment.date()).await;
        self.check(row, "time", moment.time()).await;
    }

    /// What Python has for values that no Rust type of this table is sent as.
    async fn answers(&self) {
        // A datetime and bytes in what came as JSON.
        let value: serde_json::Value = self.call("JSON", "mixture", &()).await;
        let expected =
            json!({"at": "2026-03-01T12:30:15.123456Z", "raw": [0, 255], "in": [[{"d": "PT1.5S"}]]});
        assert_eq!(value, expected);
        let back: bool = self.call("JSON", "is_mixture", &(&value,)).await;
        assert!(back, "what came as JSON is taken back");
        // A variant among which serde looks by itself.
        let Answer::Raw { raw, at } = self.call("untagged", "mixture", &()).await;
        assert_eq!((raw, at.timestamp_subsec_micros()), (vec![0, 255], 123_456));
    }

    /// Nothing is cut: it arrives whole, or it is an error.
    async fn refusals(&self) {
        let fine = UNIX_EPOCH + Duration::new(1, 1);
        self.refused("datetime", &(fine,), "nanoseconds").await;
        self.refused("datetime", &(chrono::DateTime::from_timestamp(1, 1).unwrap(),), "nanoseconds").await;
        self.refused("datetime", &(time::OffsetDateTime::from(fine),), "nanoseconds").await;
        self.refused("timedelta", &(Duration::from_nanos(1),), "nanoseconds").await;
        self.refused("timedelta", &(chrono::TimeDelta::nanoseconds(1),), "nanoseconds").await;
        self.refused("time", &(chrono::NaiveTime::from_hms_nano_opt(1, 2, 3, 4).unwrap(),), "nanoseconds")
            .await;
        self.refused("datetime", &(Timestamp::new(1 << 50, 0).unwrap(),), "years 1 to 9999").await;
        self.refused("bytes", &(vec![256_u16],), "bytes").await;
        let before =
            self.client.call::<_, ()>("echo", &[UNIX_EPOCH - Duration::from_secs(1)]).await.unwrap_err();
        assert_eq!(before.code(), Code::InvalidArgument);
        assert!(before.message().contains("at [0]: "), "{before}");
        // Python's integers are of any size.
        let large = self.client.call::<_, i128>("power", &(127,)).await.unwrap_err();
        assert!(large.message().contains("i128"), "{large}");
        let larger = self.client.call::<_, i128>("power", &(128,)).await.unwrap_err();
        assert_eq!(larger.code(), Code::Internal, "{larger}");
    }

    async fn refused(&self, method: &str, args: &impl Serialize, why: &str) {
        let error = self.client.call::<_, serde::de::IgnoredAny>(method, args).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains(why), "{error}");
    }
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let mut rows = BTreeSet::new();
    for encoding in [Encoding::Map, Encoding::Array] {
        let client = RpcClient::builder(&options.endpoint).encoding(encoding).connect().await.unwrap();
        let mut cases = Cases { client, encoding, rows: BTreeSet::new() };
        cases.basics().await;
        cases.containers().await;
        cases.enums().await;
        cases.libraries().await;
        cases.times().await;
        cases.answers().await;
        cases.refusals().await;
        cases.client.close().await;
        rows = cases.rows;
    }
    for row in rows {
        println!("{row}");
    }
}
