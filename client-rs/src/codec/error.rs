//! Why a value can't be written or read, and where in it.

use std::fmt::{self, Display};

/// Characters of a reason that are kept: serde quotes the value, which can be of any size.
const MAX_REASON: usize = 400;

/// What went wrong, and the path to it. Boxed, so that a result fits into registers.
#[derive(Debug)]
pub(crate) struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    /// Innermost first: it grows while the error travels outwards.
    path: Vec<Step>,
    reason: String,
}

/// One step inwards.
#[derive(Debug)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

impl Error {
    #[cold]
    pub(crate) fn new(reason: impl Display) -> Self {
        let mut reason = reason.to_string();
        if let Some((at, _)) = reason.char_indices().nth(MAX_REASON) {
            reason.truncate(at);
            reason.push('…');
        }
        Self(Box::new(Inner { path: Vec::new(), reason }))
    }

    #[cold]
    pub(crate) fn within(mut self, step: Step) -> Self {
        self.0.path.push(step);
        self
    }

    /// Where it is, outermost first.
    #[cfg(feature = "testing")]
    pub(crate) fn location(&self) -> Vec<pycrust_protocol::error::Location> {
        use pycrust_protocol::error::Location;
        let step = |step: &Step| match step {
            Step::Field(name) => Location::Field(name.clone()),
            Step::Index(index) => Location::Index(i64::try_from(*index).unwrap_or(i64::MAX)),
        };
        self.0.path.iter().rev().map(step).collect()
    }

    /// What is wrong there.
    #[cfg(feature = "testing")]
    pub(crate) fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The same error in other words, if it arose right here.
    #[cold]
    pub(crate) fn reworded(mut self, reword: impl FnOnce(&str) -> Option<String>) -> Self {
        if self.0.path.is_empty()
            && let Some(reason) = reword(&self.0.reason)
        {
            self.0.reason = reason;
        }
        self
    }
}

impl Display for Error {
    /// `at legs[2].price: reason`, or the reason alone where it is the whole value's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.path.iter().rev().enumerate() {
            if number == 0 {
                f.write_str("at ")?;
            }
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) if number == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
            }
        }
        if !self.0.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.0.reason)
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: Display>(reason: T) -> Self {
        Self::new(reason)
    }
}

impl serde::de::Error for Error {
    fn custom<T: Display>(reason: T) -> Self {
        Self::new(reason)
    }
}
