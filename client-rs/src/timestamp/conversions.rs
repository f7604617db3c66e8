//! Moments of other libraries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{SECOND, Timestamp, TimestampError};

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self { seconds: after.as_secs().cast_signed(), nanoseconds: after.subsec_nanos() },
            Err(error) => {
                let before = error.duration();
                let seconds = -before.as_secs().cast_signed();
                match before.subsec_nanos() {
                    0 => Self { seconds, nanoseconds: 0 },
                    nanos => Self { seconds: seconds - 1, nanoseconds: SECOND - nanos },
                }
            }
        }
    }
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = TimestampError;

    fn try_from(moment: Timestamp) -> Result<Self, TimestampError> {
        let seconds = Duration::from_secs(moment.seconds.unsigned_abs());
        let whole = match moment.seconds {
            0.. => UNIX_EPOCH.checked_add(seconds),
            _ => UNIX_EPOCH.checked_sub(seconds),
        };
        whole
            .and_then(|whole| whole.checked_add(Duration::from_nanos(moment.nanoseconds.into())))
            .ok_or(TimestampError::Range(moment))
    }
}

#[cfg(feature = "chrono")]
impl<Z: chrono::TimeZone> From<chrono::DateTime<Z>> for Timestamp {
    /// A leap second, which `chrono` counts as more than 10^9 nanoseconds, is the second that follows it.
    fn from(time: chrono::DateTime<Z>) -> Self {
        let nanos = time.timestamp_subsec_nanos();
        Self { seconds: time.timestamp() + i64::from(nanos / SECOND), nanoseconds: nanos % SECOND }
    }
}

#[cfg(feature = "chrono")]
impl TryFrom<Timestamp> for chrono::DateTime<chrono::Utc> {
    type Error = TimestampError;

    fn try_from(moment: Timestamp) -> Result<Self, TimestampError> {
        Self::from_timestamp(moment.seconds, moment.nanoseconds).ok_or(TimestampError::Range(moment))
    }
}

#[cfg(feature = "time")]
impl From<time::OffsetDateTime> for Timestamp {
    fn from(time: time::OffsetDateTime) -> Self {
        Self { seconds: time.unix_timestamp(), nanoseconds: time.nanosecond() }
    }
}

#[cfg(feature = "time")]
impl TryFrom<Timestamp> for time::OffsetDateTime {
    type Error = TimestampError;

    fn try_from(moment: Timestamp) -> Result<Self, TimestampError> {
        let whole = Self::from_unix_timestamp(moment.seconds).map_err(|_| TimestampError::Range(moment))?;
        whole.replace_nanosecond(moment.nanoseconds).map_err(|_| TimestampError::Range(moment))
    }
}
