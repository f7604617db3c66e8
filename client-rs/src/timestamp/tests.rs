use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::{Timestamp, TimestampError};

proptest! {
    #[test]
    fn the_system_clock_keeps_it(seconds in -1_i64 << 40..1 << 40, nanos in 0..1_000_000_000_u32) {
        let moment = Timestamp::new(seconds, nanos).expect("less than a second");
        let time = SystemTime::try_from(moment).expect("in its range");
        prop_assert_eq!(Timestamp::from(time), moment);
    }

    #[test]
    fn its_text_is_read_again(seconds in any::<i64>(), nanos in 0..1_000_000_000_u32) {
        let moment = Timestamp::new(seconds, nanos).expect("less than a second");
        prop_assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn json_keeps_it(seconds in any::<i64>(), nanos in 0..1_000_000_000_u32) {
        let moment = Timestamp::new(seconds, nanos).expect("less than a second");
        let text = serde_json::to_string(&moment).expect("two numbers");
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&text).expect("what was written"), moment);
        let plain = rmp_serde::to_vec(&moment).expect("two numbers");
        prop_assert_eq!(rmp_serde::from_slice::<Timestamp>(&plain).expect("what was written"), moment);
    }

    #[cfg(all(feature = "chrono", feature = "time"))]
    #[test]
    fn chrono_and_time_keep_it(seconds in -60_000_000_000_i64..250_000_000_000, nanos in 0..1_000_000_000_u32) {
        let moment = Timestamp::new(seconds, nanos).expect("less than a second");
        let chrono = chrono::DateTime::<chrono::Utc>::try_from(moment).expect("in its range");
        let time = time::OffsetDateTime::try_from(moment).expect("in its range");
        prop_assert_eq!((Timestamp::from(chrono), Timestamp::from(time)), (moment, moment));
        prop_assert_eq!(chrono.timestamp(), time.unix_timestamp());
    }
}

#[test]
fn before_1970_nanoseconds_count_forward() {
    let moment = Timestamp::from(UNIX_EPOCH - Duration::from_nanos(1));
    assert_eq!((moment.seconds(), moment.nanoseconds()), (-1, 999_999_999));
    assert_eq!(Timestamp::new(0, 1_000_000_000), None);
}

#[test]
fn what_can_not_hold_it_says_so() {
    let far = Timestamp::new(i64::MAX, 999_999_999).expect("less than a second");
    assert_eq!(SystemTime::try_from(far).map(Timestamp::from), Ok(far));
    #[cfg(feature = "chrono")]
    assert_eq!(chrono::DateTime::<chrono::Utc>::try_from(far), Err(TimestampError::Range(far)));
    #[cfg(feature = "time")]
    assert_eq!(time::OffsetDateTime::try_from(far), Err(TimestampError::Range(far)));
    assert_eq!("2026-03-01".parse::<Timestamp>(), Err(TimestampError::Text("2026-03-01".into())));
}
