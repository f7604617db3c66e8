//! Types whose form in serde is not Python's: moments and durations, which travel as timestamps and as text.

use serde::de::Error as _;

use super::calendar::{self, DAY, parse_civil, parse_duration};
use super::error::Error;
use super::token::Token;
use super::{MOMENT, calendar::Civil};

/// The name and fields of [`Timestamp`](crate::Timestamp).
pub(crate) const TIMESTAMP: (&str, [&str; 2]) = ("pycrust_client::Timestamp", ["seconds", "nanoseconds"]);
const SYSTEM_TIME: (&str, [&str; 2]) = ("SystemTime", ["secs_since_epoch", "nanos_since_epoch"]);
const DURATION: (&str, [&str; 2]) = ("Duration", ["secs", "nanos"]);

/// A struct of seconds and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Moment,
    Duration,
}

/// Which of them a struct is, by its name and fields.
pub(super) fn form(name: &str, fields: &[&str]) -> Option<Form> {
    [(TIMESTAMP, Form::Moment), (SYSTEM_TIME, Form::Moment), (DURATION, Form::Duration)]
        .into_iter()
        .find_map(|((known, its), form)| (name == known && fields == its).then_some(form))
}

/// The name of such a struct, and its fields.
pub(super) fn named(name: &str, len: usize) -> Option<[&'static str; 2]> {
    if len != 2 {
        return None;
    }
    [TIMESTAMP, SYSTEM_TIME, DURATION]
        .into_iter()
        .find_map(|(known, fields)| (name == known).then_some(fields))
}

/// Writes a struct's two numbers as what they are.
pub(super) fn put(out: &mut Vec<u8>, form: Form, seconds: i128, nanos: u32) -> Result<(), Error> {
    match form {
        Form::Moment => {
            let seconds = i64::try_from(seconds).map_err(Error::custom)?;
            put_moment(out, seconds, nanos);
        }
        Form::Duration => {
            let seconds = u64::try_from(seconds).map_err(Error::custom)?;
            let text = calendar::duration_text(seconds, nanos);
            rmp::encode::write_str(out, &text).map_err(Error::custom)?;
        }
    }
    Ok(())
}

/// The shortest of MessagePack's three forms.
fn put_moment(out: &mut Vec<u8>, seconds: i64, nanos: u32) {
    match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(short), _) if nanos == 0 => {
            out.extend_from_slice(&[0xd6, 0xff]);
            out.extend_from_slice(&short.to_be_bytes());
        }
        (_, Ok(unsigned)) if unsigned >> 34 == 0 => {
            out.extend_from_slice(&[0xd7, 0xff]);
            out.extend_from_slice(&(u64::from(nanos) << 34 | unsigned).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[0xc7, 12, 0xff]);
            out.extend_from_slice(&nanos.to_be_bytes());
            out.extend_from_slice(&seconds.to_be_bytes());
        }
    }
}

/// Seconds and nanoseconds of a timestamp.
pub(super) fn moment(data: &[u8]) -> Result<(i64, u32), Error> {
    let (seconds, nanos) = if let Ok(raw) = <[u8; 4]>::try_from(data) {
        (u32::from_be_bytes(raw).into(), 0)
    } else if let Ok(raw) = <[u8; 8]>::try_from(data) {
        let both = u64::from_be_bytes(raw);
        ((both & 0x3_ffff_ffff).cast_signed(), (both >> 34) as u32)
    } else if let Some((nanos, seconds)) = data.split_first_chunk()
        && let Ok(seconds) = seconds.try_into()
    {
        (i64::from_be_bytes(seconds), u32::from_be_bytes(*nanos))
    } else {
        let len = data.len();
        return Err(Error::new(format_args!("a timestamp of {len} bytes, 4, 8 or 12 are allowed")));
    };
    if nanos > 999_999_999 {
        return Err(Error::new(format_args!("a timestamp with {nanos} nanoseconds")));
    }
    Ok((seconds, nanos))
}

/// A timestamp as text.
pub(crate) fn moment_text(data: &[u8]) -> Result<String, Error> {
    let (seconds, nanos) = moment(data)?;
    let mut text = String::new();
    calendar::write_moment(&mut text, seconds, nanos).map_err(Error::custom)?;
    Ok(text)
}

/// The two numbers of such a struct, where something else than a struct came for it.
pub(super) fn numbers(form: Form, token: Token<'_>) -> Result<Option<[i64; 2]>, Error> {
    let found = match (form, token) {
        (Form::Moment, Token::Ext(MOMENT, data)) => Some(moment(data)?),
        (Form::Moment, Token::Str(text)) => parse_moment(text),
        (Form::Duration, Token::Str(text)) => parse_duration(text),
        _ => None,
    };
    Ok(found.map(|(seconds, nanos)| [seconds, nanos.into()]))
}

/// A moment's text as seconds since 1970 and nanoseconds; `None` without a date, a time and an offset.
pub(crate) fn parse_moment(text: &str) -> Option<(i64, u32)> {
    parse_civil(text).and_then(Civil::moment)
}

impl Civil {
    fn moment(self) -> Option<(i64, u32)> {
        let (of_day, nanos) = self.time?;
        let seconds =
            i128::from(self.days?) * i128::from(DAY) + i128::from(of_day) - i128::from(self.offset?);
        Some((i64::try_from(seconds).ok()?, nanos))
    }
}

/// What came, as the tuple of this length that the crates `time` and `chrono` ask for: a duration, a date, a time of
/// day, a date and time, or one with its offset.
pub(super) fn parts(len: usize, token: Token<'_>) -> Result<Option<Vec<i64>>, Error> {
    let civil = match token {
        Token::Str(text) if len == 2 && parse_duration(text).is_some() => {
            return Ok(parse_duration(text).map(|(seconds, nanos)| vec![seconds, nanos.into()]));
        }
        Token::Str(text) => parse_civil(text),
        Token::Ext(MOMENT, data) => {
            let (seconds, nanos) = moment(data)?;
            let time = Some((seconds.rem_euclid(DAY) as u32, nanos));
            Some(Civil { days: Some(seconds.div_euclid(DAY)), time, offset: Some(0) })
        }
        _ => None,
    };
    Ok(civil.and_then(|civil| civil_parts(len, civil)))
}

fn civil_parts(len: usize, civil: Civil) -> Option<Vec<i64>> {
    let date = civil.days.map(calendar::ordinal).map(|(year, day)| [year, day]);
    let time = civil.time.map(|(of_day, nanos)| {
        let of_day = i64::from(of_day);
        [of_day / 3600, of_day / 60 % 60, of_day % 60, nanos.into()]
    });
    let offset = civil.offset.map(i64::from).map(|offset| [offset / 3600, offset / 60 % 60, offset % 60]);
    match (len, date, time, offset) {
        (2, Some(date), None, None) => Some(date.to_vec()),
        (4, None, Some(time), None) => Some(time.to_vec()),
        (6, Some(date), Some(time), None | Some([0, 0, 0])) => Some([&date[..], &time].concat()),
        (9, Some(date), Some(time), Some(offset)) => Some([&date[..], &time, &offset].concat()),
        _ => None,
    }
}

/// The tuple that a type of the crate `time` takes where it asks for anything: with that crate's feature
/// `serde-human-readable`, and then it reads no text but its own.
pub(super) fn tuple_of(type_name: &str) -> Option<usize> {
    match type_name.strip_prefix("time::")?.rsplit("::").next()? {
        "Date" | "Duration" | "SignedDuration" => Some(2),
        "Time" => Some(4),
        "PrimitiveDateTime" | "PlainDateTime" | "UtcDateTime" => Some(6),
        "OffsetDateTime" => Some(9),
        _ => None,
    }
}
