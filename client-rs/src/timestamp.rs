//! Moments in time, to the nanosecond.

mod conversions;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::codec::{TIMESTAMP, parse_moment};

/// Nanoseconds of a second.
const SECOND: u32 = 1_000_000_000;

/// A moment: seconds and nanoseconds since 1970-01-01 in UTC, as MessagePack's timestamps have them.
///
/// In arguments and results it is such a timestamp, to the nanosecond; a handler gets an aware `datetime` for it, or a
/// `pycrust.Timestamp` where a `datetime` can't hold it. In other formats than this crate's it is a struct of its two
/// numbers. It comes from and becomes a [`SystemTime`], with the features `chrono` and `time` a
/// `chrono::DateTime<Utc>` and a `time::OffsetDateTime`; what can't hold it says so.
///
/// # Examples
/// ```
/// use std::time::SystemTime;
///
/// use pycrust_client::Timestamp;
///
/// let moment: Timestamp = "2026-03-01T12:30:15.123456789+02:00".parse()?;
/// assert_eq!((moment.seconds(), moment.nanoseconds()), (1_772_361_015, 123_456_789));
/// assert_eq!(moment.to_string(), "2026-03-01T10:30:15.123456789Z");
/// assert_eq!(Timestamp::from(SystemTime::try_from(moment)?), moment);
/// # Ok::<(), pycrust_client::TimestampError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    seconds: i64,
    /// Less than a second, also before 1970.
    nanoseconds: u32,
}

/// A moment can't be read, or what it is to become can't hold it.
///
/// # Examples
/// ```
/// use pycrust_client::{Timestamp, TimestampError};
///
/// let error = "yesterday".parse::<Timestamp>().unwrap_err();
/// assert_eq!(error, TimestampError::Text("yesterday".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampError {
    /// It is no moment as RFC 3339 writes it: a date, a time to the nanosecond at most, and an offset from UTC.
    Text(String),
    /// It lies beyond what the other type holds.
    Range(Timestamp),
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?} is no moment: 2026-03-01T12:30:15.5Z is one"),
            Self::Range(moment) => write!(f, "{moment} lies beyond what the type can hold"),
        }
    }
}

impl std::error::Error for TimestampError {}

impl Timestamp {
    /// The moment so many seconds and nanoseconds after 1970 began. The nanoseconds count forward, also before 1970;
    /// `None` where they make a second or more.
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < SECOND { Some(Self { seconds, nanoseconds }) } else { None }
    }

    /// What the clock says now.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds above them.
    pub const fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339 has it, in UTC, with the digits of a second that are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::codec::write_moment(f, self.seconds, self.nanoseconds)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let (seconds, nanoseconds) = parse_moment(text).ok_or_else(|| TimestampError::Text(text.into()))?;
        Ok(Self { seconds, nanoseconds })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, [seconds, nanoseconds]) = TIMESTAMP;
        let mut fields = serializer.serialize_struct(name, 2)?;
        fields.serialize_field(seconds, &self.seconds)?;
        fields.serialize_field(nanoseconds, &self.nanoseconds)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static FIELDS: [&str; 2] = TIMESTAMP.1;
        deserializer.deserialize_struct(TIMESTAMP.0, &FIELDS, Numbers)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a moment in time")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Timestamp, A::Error> {
        let missing = || de::Error::custom("a moment is its seconds and its nanoseconds");
        let seconds = numbers.next_element()?.ok_or_else(missing)?;
        moment(seconds, numbers.next_element()?.ok_or_else(missing)?)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Timestamp, A::Error> {
        let (mut seconds, mut nanoseconds) = (None, None);
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "seconds" => seconds = Some(fields.next_value()?),
                "nanoseconds" => nanoseconds = Some(fields.next_value()?),
                other => return Err(de::Error::unknown_field(other, &["seconds", "nanoseconds"])),
            }
        }
        let missing = de::Error::missing_field;
        moment(seconds.ok_or_else(|| missing("seconds"))?, nanoseconds.ok_or_else(|| missing("nanoseconds"))?)
    }
}

fn moment<E: de::Error>(seconds: i64, nanoseconds: u32) -> Result<Timestamp, E> {
    Timestamp::new(seconds, nanoseconds).ok_or_else(|| E::custom("a second has less than 10^9 nanoseconds"))
}
