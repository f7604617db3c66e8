//! What a failed call says.

use std::fmt;
use std::io;

use pycrust_protocol::{Code, ErrorPayload, ValidationIssue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::metadata::Metadata;
use crate::options::Encoding;
use crate::timing::Timing;

/// The exception with which a worker refuses a call that is pinned to another schema than its handler has.
pub(crate) const SCHEMA_MISMATCH: &str = "pycrust.errors.SchemaMismatch";

/// Why a call, or a connection, failed.
///
/// # Examples
/// ```
/// use pycrust_client::{Code, Details, Error};
///
/// fn explain(error: &Error) -> String {
///     match error.details() {
///         Details::Validation(issues) => format!("{} fields are wrong", issues.len()),
///         _ if error.code() == Code::Unavailable && error.may_have_run() => "ask before trying again".into(),
///         _ => error.to_string(),
///     }
/// }
/// ```
///
/// Its `Debug` reads like its message, with the handler's traceback below: it is what a `main` that returns it prints.
/// The traceback is also its [source](std::error::Error::source), so that `anyhow` and the like print it, too.
#[derive(Clone)]
// Boxed: a result of a call is otherwise as large as its error.
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    /// What was called: a method, or nothing where the failure concerns the connection.
    subject: String,
    /// The rest of the failure, as the worker sent it or as this side found it.
    payload: ErrorPayload,
    /// The details, read.
    details: Details,
    /// The handler's traceback, where the endpoint allows it.
    traceback: Option<Traceback>,
    /// What came beside it, if a worker answered it.
    beside: Beside,
}

/// What an answer says beside its value or error.
#[derive(Debug, Clone, Default)]
struct Beside {
    version: u32,
    timing: Timing,
    metadata: Metadata,
}

/// What a handler raised, line by line.
#[derive(Debug, Clone)]
struct Traceback(String);

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl std::error::Error for Traceback {}

/// The details of an error.
///
/// # Examples
/// ```
/// use pycrust_client::Details;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let refused = client.call::<_, i32>("add", &("ten", 20)).await.unwrap_err();
/// let Details::Validation(issues) = refused.details() else { panic!("{refused}") };
/// for issue in issues {
///     println!("{:?}: {} ({})", issue.loc, issue.msg, issue.kind);
/// }
/// # assert_eq!(issues.len(), 1);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Details {
    /// There are none.
    #[default]
    None,
    /// What is wrong with the arguments, field by field, as Pydantic lists it.
    Validation(Vec<ValidationIssue>),
    /// Anything else, as MessagePack; [`Error::details_as`] reads it.
    Raw(Vec<u8>),
}

impl Error {
    /// An error of a program's own, for code that gives or takes this type: a test's double, a layer around a client.
    ///
    /// # Examples
    /// ```
    /// use pycrust_client::{Code, Error};
    ///
    /// let error = Error::new(Code::NotFound, "no arm 3");
    /// assert_eq!(error.to_string(), "NOT_FOUND: no arm 3");
    /// assert!(!error.may_have_run());
    /// ```
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::of_call(code, "", message)
    }

    /// The same with details, which [`details_as`](Self::details_as) reads. What can't be encoded is none.
    ///
    /// # Examples
    /// ```
    /// use pycrust_client::{Code, Error};
    ///
    /// let error = Error::new(Code::NotFound, "no arm 3").with_details(&[1, 2]);
    /// assert_eq!(error.details_as::<Vec<u8>>(), Some(vec![1, 2]));
    /// ```
    #[must_use]
    pub fn with_details<T: Serialize + ?Sized>(self, details: &T) -> Self {
        let mut payload = self.payload();
        payload.details.clear();
        if codec::write(&mut payload.details, details, Encoding::Map).is_err() {
            payload.details.clear();
        }
        let Inner { code, subject, beside: Beside { version, timing, metadata }, .. } = *self.0;
        Self::from_parts(code, &subject, payload).with(version, timing, metadata)
    }

    /// The same, of a call whose handler may have started: [`may_have_run`](Self::may_have_run).
    #[must_use]
    pub fn having_run(self) -> Self {
        self.maybe_run()
    }

    /// What a worker sends of it.
    pub(crate) fn payload(&self) -> ErrorPayload {
        let traceback = self.0.traceback.as_ref().map(|traceback| traceback.0.clone());
        ErrorPayload { traceback: traceback.unwrap_or_default(), ..self.0.payload.clone() }
    }

    /// A failure that this side found, of a call that was not sent.
    pub(crate) fn of_call(code: Code, subject: &str, message: impl Into<String>) -> Self {
        Self::from_parts(code, subject, ErrorPayload::message(message))
    }

    /// The same failure, of a call that may have run.
    pub(crate) fn maybe_run(mut self) -> Self {
        self.0.payload.may_have_run = true;
        self
    }

    /// The same failure, of this call.
    pub(crate) fn of(mut self, method: &str) -> Self {
        self.0.subject = method.into();
        self
    }

    /// A failure for want of a thread of the client's own.
    pub(crate) fn no_thread(subject: &str, error: &io::Error) -> Self {
        let reason = format!(
            "the system gives this process no more threads ({error}), and the client needs one for this: allow more \
             (ulimit -u, or the container's pids limit)"
        );
        Self::of_call(Code::ResourceExhausted, subject, reason)
    }

    /// A failure to wait on the caller's runtime.
    pub(crate) fn not_waited_for(subject: &str, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::Unsupported => Code::FailedPrecondition,
            _ => Code::ResourceExhausted,
        };
        Self::of_call(code, subject, format!("the connection can't be waited for: {error}"))
    }

    /// The same failure, with what the answer to the call said beside it.
    pub(crate) fn with(mut self, version: u32, timing: Timing, metadata: Metadata) -> Self {
        self.0.beside = Beside { version, timing, metadata };
        self
    }

    pub(crate) fn from_parts(code: Code, subject: &str, mut payload: ErrorPayload) -> Self {
        let traceback = std::mem::take(&mut payload.traceback);
        let traceback = Some(Traceback(traceback)).filter(|traceback| !traceback.0.is_empty());
        let details = match code {
            _ if payload.details.is_empty() => Details::None,
            Code::InvalidArgument => codec::read(&payload.details)
                .map_or_else(|_| Details::Raw(payload.details.clone()), Details::Validation),
            _ => Details::Raw(payload.details.clone()),
        };
        let beside = Beside::default();
        Self(Box::new(Inner { code, subject: subject.into(), payload, details, traceback, beside }))
    }

    /// The status code, one of gRPC's.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened, where, and what to do about it.
    pub fn message(&self) -> &str {
        &self.0.payload.message
    }

    /// What more the worker said.
    pub fn details(&self) -> &Details {
        &self.0.details
    }

    /// The details as a type of the caller's; `None` if there are none or they don't fit.
    pub fn details_as<T: DeserializeOwned>(&self) -> Option<T> {
        codec::read(&self.0.payload.details).ok()
    }

    /// The qualified name of the Python exception that the handler raised, if it raised one.
    pub fn exception(&self) -> Option<&str> {
        Some(self.0.payload.exception.as_str()).filter(|name| !name.is_empty())
    }

    /// The Python traceback, where the endpoint allows it.
    pub fn traceback(&self) -> Option<&str> {
        self.0.traceback.as_ref().map(|traceback| traceback.0.as_str())
    }

    /// The handler version that failed, from 1; 0 if none answered.
    pub fn version(&self) -> u32 {
        self.0.beside.version
    }

    /// Where the time went; all zero if no worker answered.
    pub fn timing(&self) -> Timing {
        self.0.beside.timing
    }

    /// What the handler sent beside its error; empty if no worker answered.
    pub fn metadata(&self) -> &Metadata {
        &self.0.beside.metadata
    }

    /// Whether the handler may have started. A call for which this is `false` has had no effect.
    pub fn may_have_run(&self) -> bool {
        self.0.payload.may_have_run
    }
}

impl fmt::Display for Error {
    /// `CODE: method: message`, with the Python exception, the fields that are wrong, and for a call whose
    /// end is not known whether it may have run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { code, subject, payload, details, .. } = &*self.0;
        write!(f, "{code}: ")?;
        if !subject.is_empty() {
            write!(f, "{subject}: ")?;
        }
        // That of arguments that don't fit, and that of an error with a code, says no more than the code.
        let tells = *code != Code::InvalidArgument && !payload.exception.starts_with("pycrust.errors.");
        if tells && !payload.exception.is_empty() && !payload.message.starts_with(&payload.exception) {
            write!(f, "{}: ", payload.exception)?;
        }
        f.write_str(&payload.message)?;
        if let Details::Validation(issues) = details {
            for issue in issues {
                let path: Vec<_> = issue.loc.iter().map(step).collect();
                // The message of a validation error usually lists its issues already.
                if !payload.message.contains(&issue.msg) {
                    write!(f, "; {}: {}", path.join("."), issue.msg)?;
                }
            }
        }
        match code {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled if payload.may_have_run => {
                f.write_str(" (the call may have run)")
            }
            Code::Unavailable | Code::DeadlineExceeded => f.write_str(" (the call did not run)"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match &self.0.traceback {
            Some(traceback) => write!(f, "\n\n{traceback}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    /// The handler's traceback, if there is one.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.traceback.as_ref().map(|traceback| traceback as _)
    }
}

fn step(location: &pycrust_protocol::error::Location) -> String {
    use pycrust_protocol::error::Location;
    match location {
        Location::Index(index) => index.to_string(),
        Location::Field(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use pycrust_protocol::error::Location;

    use super::*;

    #[test]
    fn validation_details_are_read_and_shown() {
        let place = [Location::Field("legs".into()), Location::Index(2)];
        let issue = ValidationIssue::new(place, "int_parsing", "Input should be a valid integer");
        let details = rmp_serde::to_vec_named(&vec![issue.clone()]).expect("plain data");
        let payload = ErrorPayload { details, ..ErrorPayload::message("the arguments don't validate") };
        let error = Error::from_parts(Code::InvalidArgument, "walk", ErrorPayload::decode(&payload.encode()));
        assert_eq!(error.details(), &Details::Validation(vec![issue]));
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT: walk: the arguments don't validate; legs.2: Input should be a valid integer"
        );
    }

    #[test]
    fn a_lost_call_says_whether_it_may_have_run() {
        let lost = Error::of_call(Code::Unavailable, "add", "the worker is gone");
        assert_eq!(lost.to_string(), "UNAVAILABLE: add: the worker is gone (the call did not run)");
        let lost = lost.maybe_run();
        assert!(lost.may_have_run());
        assert_eq!(lost.to_string(), "UNAVAILABLE: add: the worker is gone (the call may have run)");
    }

    /// An error of a program that makes calls.
    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("the arm does not answer")]
        Arm(#[from] Error),
    }

    #[test]
    fn debug_reads_like_the_message_with_the_traceback_in_lines() {
        let payload = ErrorPayload {
            exception: "ZeroDivisionError".into(),
            traceback:
                "Traceback (most recent call last):\n  File \"cell\", line 2, in f\nZeroDivisionError: no\n"
                    .into(),
            may_have_run: true,
            ..ErrorPayload::message("no")
        };
        let error = Error::from_parts(Code::Unknown, "divide", payload);
        let told = "UNKNOWN: divide: ZeroDivisionError: no";
        let lines =
            "Traceback (most recent call last):\n  File \"cell\", line 2, in f\nZeroDivisionError: no";
        assert_eq!(error.to_string(), told);
        for debug in [format!("{error:?}"), format!("{error:#?}")] {
            assert_eq!(debug, format!("{told}\n\n{lines}"));
        }
        let anyhow = format!("{:?}", anyhow::Error::from(error.clone()));
        assert!(anyhow.starts_with(told) && anyhow.contains("line 2, in f\n"), "{anyhow}");
        let plain = Error::new(Code::NotFound, "no arm 3");
        assert_eq!(
            (format!("{plain:?}"), plain.to_string()),
            ("NOT_FOUND: no arm 3".into(), "NOT_FOUND: no arm 3".into())
        );
        assert!(std::error::Error::source(&plain).is_none());

        let wrapped: Failure = error.into();
        let source = std::error::Error::source(&wrapped).expect("the call's error");
        assert_eq!(source.to_string(), told);
    }

    #[test]
    fn an_exception_that_says_no_more_than_the_code_is_left_out() {
        let told = |code, exception: &str| {
            let payload = ErrorPayload { exception: exception.into(), ..ErrorPayload::message("why") };
            Error::from_parts(code, "f", payload).to_string()
        };
        assert_eq!(told(Code::InvalidArgument, "pydantic_core.ValidationError"), "INVALID_ARGUMENT: f: why");
        assert_eq!(told(Code::NotFound, "pycrust.errors.NotFound"), "NOT_FOUND: f: why");
        assert_eq!(told(Code::NotFound, "shop.Closed"), "NOT_FOUND: f: shop.Closed: why");
    }

    #[test]
    fn other_details_are_read_on_request() {
        let details = rmp_serde::to_vec(&("09:30", 5)).expect("plain data");
        let payload = ErrorPayload {
            details: details.clone(),
            exception: "shop.Closed".into(),
            ..ErrorPayload::message("the market is closed")
        };
        let error = Error::from_parts(Code::PermissionDenied, "buy", ErrorPayload::decode(&payload.encode()));
        assert_eq!(error.details(), &Details::Raw(details));
        assert_eq!(error.details_as::<(String, u8)>(), Some(("09:30".into(), 5)));
        assert_eq!(error.exception(), Some("shop.Closed"));
        assert_eq!(error.traceback(), None);
        assert_eq!(error.to_string(), "PERMISSION_DENIED: buy: shop.Closed: the market is closed");
    }
}
