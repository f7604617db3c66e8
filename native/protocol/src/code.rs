//! Status codes: gRPC's canonical codes with gRPC's numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// A status code: 0 is success, 1 to 16 are gRPC's canonical error codes.
        ///
        /// Numbers and meanings are those of
        /// <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
        ///
        /// # Examples
        /// ```
        /// use pycrust_protocol::Code;
        ///
        /// assert_eq!(Code::from_u8(4), Some(Code::DeadlineExceeded));
        /// assert_eq!(Code::DeadlineExceeded.name(), "DEADLINE_EXCEEDED");
        /// assert_eq!(Code::from_u8(17), None);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        #[serde(into = "u8", try_from = "u8")]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant = $number,)* }

        impl Code {
            /// Every code, in order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code with this number, if there is one.
            pub const fn from_u8(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// gRPC's name for it, such as `DEADLINE_EXCEEDED`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The call succeeded.
    Ok = 0, "OK";
    /// The caller cancelled the call or went away.
    Cancelled = 1, "CANCELLED";
    /// The handler raised an exception of its own.
    Unknown = 2, "UNKNOWN";
    /// The arguments don't validate, or the frame that carried them is malformed.
    InvalidArgument = 3, "INVALID_ARGUMENT";
    /// The deadline passed before the call ended.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED";
    /// What the call asks for does not exist.
    NotFound = 5, "NOT_FOUND";
    /// What the call would create exists already.
    AlreadyExists = 6, "ALREADY_EXISTS";
    /// The caller may not do this.
    PermissionDenied = 7, "PERMISSION_DENIED";
    /// A queue, a pool or the shared memory is full.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED";
    /// The system is not in a state that the call needs.
    FailedPrecondition = 9, "FAILED_PRECONDITION";
    /// The call was aborted, typically by a conflict.
    Aborted = 10, "ABORTED";
    /// A value lies outside its valid range.
    OutOfRange = 11, "OUT_OF_RANGE";
    /// There is no handler of this name.
    Unimplemented = 12, "UNIMPLEMENTED";
    /// An invariant broke, or a result can't be serialised.
    Internal = 13, "INTERNAL";
    /// No worker, or the worker stopped or died.
    Unavailable = 14, "UNAVAILABLE";
    /// Data was lost or corrupted beyond recovery.
    DataLoss = 15, "DATA_LOSS";
    /// The caller's credentials are missing or invalid.
    Unauthenticated = 16, "UNAUTHENTICATED";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code as Self
    }
}

impl TryFrom<u8> for Code {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::from_u8(number).ok_or_else(|| format!("{number} is not a status code (0 to 16)"))
    }
}
