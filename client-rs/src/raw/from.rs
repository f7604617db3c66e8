//! What becomes a [`Raw`] without a doubt.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Raw;

/// What can always be written.
fn plain<T: Serialize + ?Sized>(value: &T) -> Raw {
    #[expect(clippy::expect_used, reason = "only what is larger than memory mostly is: 2^32 bytes of text")]
    Raw::of(value).expect("plain data")
}

macro_rules! from {
    ($($type:ty,)*) => {
        $(impl From<$type> for Raw {
            fn from(value: $type) -> Self {
                plain(&value)
            }
        })*
    };
}

from! {
    bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64, char, &str, String, (), Vec<Raw>,
    BTreeMap<String, Raw>,
}

impl<T: Into<Raw>> From<Option<T>> for Raw {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::default, Into::into)
    }
}

impl TryFrom<Value> for Raw {
    type Error = crate::Error;

    /// # Errors
    /// Those of [`Raw::of`]: JSON can be nested deeper than a call's arguments may.
    fn try_from(value: Value) -> Result<Self, crate::Error> {
        Self::of(&value)
    }
}
