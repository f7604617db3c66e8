//! Dates, times and durations as text, and the numbers behind them.

use std::fmt::{self, Write};

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
const NANOS: u32 = 1_000_000_000;

/// A date, a time of day, or both, and perhaps the offset from UTC in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    /// Days since 1970.
    pub(crate) days: Option<i64>,
    /// Seconds of the day, and nanoseconds.
    pub(crate) time: Option<(u32, u32)>,
    pub(crate) offset: Option<i32>,
}

/// Reads ISO 8601's extended form: `2026-03-01`, `12:30:15.5`, `2026-03-01T12:30:15Z`, also with a space for the `T`.
pub(crate) fn parse_civil(text: &str) -> Option<Civil> {
    let mut rest = text;
    let mut days = None;
    if let Some((date, after)) = date(rest) {
        days = Some(date);
        rest = match after.strip_prefix(['T', 't', ' ']) {
            Some(time) => time,
            None if after.is_empty() => return Some(Civil { days, time: None, offset: None }),
            None => return None,
        };
    }
    let (time, after) = time(rest)?;
    let offset = match after {
        "" => None,
        "Z" | "z" => Some(0),
        _ => Some(offset(after.trim_start())?),
    };
    Some(Civil { days, time: Some(time), offset })
}

fn date(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (year, rest) = text.split_once('-')?;
    let year: i64 = digits(year, 4..=12)?;
    let (month, rest) = two(rest)?;
    let (day, rest) = two(rest.strip_prefix('-')?)?;
    let year = sign * year;
    let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| (days_from(year, month, day), rest))
}

fn time(text: &str) -> Option<((u32, u32), &str)> {
    let (hour, rest) = two(text)?;
    let (minute, mut rest) = two(rest.strip_prefix(':')?)?;
    let (mut second, mut nanos) = (0, 0);
    if let Some(more) = rest.strip_prefix(':') {
        (second, rest) = two(more)?;
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            let end = fraction.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(fraction.len());
            nanos = nanoseconds(&fraction[..end])?;
            rest = &fraction[end..];
        }
    }
    (hour < 24 && minute < 60 && second < 60).then_some(((hour * 3600 + minute * 60 + second, nanos), rest))
}

fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = two(&text[1..])?;
    let (minutes, rest) =
        if rest.is_empty() { (0, rest) } else { two(rest.strip_prefix(':').unwrap_or(rest))? };
    let (seconds, rest) = if rest.is_empty() { (0, rest) } else { two(rest.strip_prefix(':')?)? };
    let valid = rest.is_empty() && hours < 24 && minutes < 60 && seconds < 60;
    valid.then(|| sign * (hours * 3600 + minutes * 60 + seconds).cast_signed())
}

fn two(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(2)?;
    Some((digits(number, 2..=2)?, rest))
}

fn digits<T: std::str::FromStr>(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<T> {
    let valid = lengths.contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    valid.then(|| text.parse().ok())?
}

/// A second's fraction; `None` where it is finer than a nanosecond.
fn nanoseconds(fraction: &str) -> Option<u32> {
    let (kept, rest) = fraction.split_at(fraction.len().min(9));
    if kept.is_empty() || rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let value: u32 = digits(kept, 1..=9)?;
    Some(value * 10_u32.pow(9 - kept.len() as u32))
}

/// Days since 1970 of a date of the proleptic Gregorian calendar.
///
/// Howard Hinnant's `days_from_civil`: <https://howardhinnant.github.io/date_algorithms.html>.
pub(crate) fn days_from(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970: year, month, day (the same page's `civil_from_days`).
pub(crate) fn date_of(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * of_year + 2) / 153;
    let day = of_year - (153 * part + 2) / 5 + 1;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    // Both are small and above 0.
    (year, month.unsigned_abs() as u32, day.unsigned_abs() as u32)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The year of a day since 1970, and the day's number in it, from 1.
pub(super) fn ordinal(days: i64) -> (i64, i64) {
    let (year, ..) = date_of(days);
    (year, days - days_from(year, 1, 1) + 1)
}

/// Writes seconds with as many digits of their fraction as there are.
fn write_fraction(out: &mut impl Write, nanos: u32) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let text = format!("{nanos:09}");
    write!(out, ".{}", text.trim_end_matches('0'))
}

/// Writes a moment as RFC 3339 has it, in UTC; years beyond 9999 with a sign, as ISO 8601 wants them.
pub(crate) fn write_moment(out: &mut impl Write, seconds: i64, nanos: u32) -> fmt::Result {
    let (year, month, day) = date_of(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    match year {
        0..=9999 => write!(out, "{year:04}")?,
        _ => write!(out, "{year:+05}")?,
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    write!(out, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    write_fraction(out, nanos)?;
    out.write_char('Z')
}

/// A duration in ISO 8601's form: in seconds only, with days before them where they are more than Pydantic reads (32 bits).
pub(super) fn duration_text(seconds: u64, nanos: u32) -> String {
    let day = DAY.unsigned_abs();
    let mut text = match u32::try_from(seconds) {
        Ok(seconds) => format!("PT{seconds}"),
        Err(_) => format!("P{}DT{}", seconds / day, seconds % day),
    };
    // Writing into a string can't fail.
    let _ = write_fraction(&mut text, nanos);
    text.push('S');
    text
}

/// Reads ISO 8601's form of a duration: whole seconds, rounded down, and the nanoseconds above them. `None` if it is
/// none, has months, or is finer than a nanosecond.
///
/// A year is 365 days, as Pydantic writes and reads them
/// (`speedate`'s [`Duration`](https://docs.rs/speedate/latest/speedate/struct.Duration.html)).
pub(super) fn parse_duration(text: &str) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix('P')?;
    let (days, times) = text.split_once('T').unwrap_or((text, ""));
    let (mut seconds, mut nanos) = (0_i64, 0);
    for (part, units) in [
        (days, &[('Y', 365 * DAY), ('W', 7 * DAY), ('D', DAY)][..]),
        (times, &[('H', 3600), ('M', 60), ('S', 1)]),
    ] {
        let mut rest = part;
        while !rest.is_empty() {
            let end = rest.find(|digit: char| digit.is_ascii_alphabetic())?;
            let unit = rest[end..].chars().next()?;
            let (_, each) = units.iter().find(|(name, _)| *name == unit)?;
            let (whole, fraction) = rest[..end].split_once(['.', ',']).unwrap_or((&rest[..end], ""));
            if !fraction.is_empty() {
                if unit != 'S' {
                    return None;
                }
                nanos = nanoseconds(fraction)?;
            }
            let count: i64 = digits(whole, 1..=19)?;
            seconds = seconds.checked_add(count.checked_mul(*each)?)?;
            rest = &rest[end + 1..];
        }
    }
    if days.is_empty() && times.is_empty() {
        return None;
    }
    match (negative, nanos) {
        (false, _) => Some((seconds, nanos)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, NANOS - nanos)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_is_read_as_it_was_written(seconds in -70_000_000_000_000_i64..70_000_000_000_000, nanos in 0..NANOS) {
            let mut text = String::new();
            write_moment(&mut text, seconds, nanos).expect("a string takes it");
            let civil = parse_civil(&text).expect(&text);
            let expected = Civil {
                days: Some(seconds.div_euclid(DAY)),
                time: Some((seconds.rem_euclid(DAY) as u32, nanos)),
                offset: Some(0),
            };
            prop_assert_eq!(civil, expected, "{}", text);
        }

        #[test]
        fn a_duration_is_read_as_it_was_written(seconds in 0..i64::MAX as u64, nanos in 0..NANOS) {
            prop_assert_eq!(parse_duration(&duration_text(seconds, nanos)), Some((seconds.cast_signed(), nanos)));
        }

        #[test]
        fn any_text_is_looked_at(text in "[-+PTWDHMSZ0-9.: ]{0,24}") {
            let _ = (parse_civil(&text), parse_duration(&text));
        }
    }

    #[test]
    fn known_moments() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2024-02-29T23:59:59.999999999Z", Some((1_709_251_199, 999_999_999))),
            ("2026-03-01 12:30:15.5 +02:00:00", Some((1_772_361_015, 500_000_000))),
            ("0001-01-01T00:00:00Z", Some((-62_135_596_800, 0))),
            ("2023-02-29T00:00:00Z", None),
            ("2026-03-01T24:00:00Z", None),
            ("2026-03-01T12:30:15.0000000001Z", None),
        ] {
            let found = parse_civil(text).map(|civil| {
                let (days, (of_day, nanos)) = (civil.days.expect("a date"), civil.time.expect("a time"));
                (days * DAY + i64::from(of_day) - i64::from(civil.offset.expect("an offset")), nanos)
            });
            assert_eq!(found, expected, "{text}");
        }
        for (text, expected) in [
            ("P1DT2H", Some((93_600, 0))),
            ("-PT1.5S", Some((-2, 500_000_000))),
            ("PT0S", Some((0, 0))),
            ("P1Y", Some((31_536_000, 0))),
            ("-P2739726Y9DT23H59M59S", Some((-86_400_000_000_000 + 1, 0))),
            ("P1M", None),
            ("P", None),
            ("PT", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
