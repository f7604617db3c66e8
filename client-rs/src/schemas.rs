//! Whether handlers still take and give what a program was built against.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pycrust_protocol::reserved::MethodInfo;
use pycrust_protocol::{Code, ErrorPayload};
use pycrust_transport::ProcessLocal;
use pycrust_transport::sync::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, SCHEMA_MISMATCH};
use crate::options::Pin;

/// The details of such a refusal, and of each method that a check finds wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mismatch {
    pub(crate) method: String,
    /// The hash that the caller was built against.
    pub(crate) pinned: u64,
    /// The hash that the handler has; 0 if there is none.
    pub(crate) live: u64,
    /// From 1; 0 if there is none.
    pub(crate) version: u32,
    /// What differs, where that is known.
    pub(crate) changes: Vec<String>,
}

/// What is known of one handler whose schema is another one than a method was built against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing that concerns the caller differs: calls are pinned to this hash.
    Fits(u64),
    /// This differs.
    Breaks(Arc<Mismatch>),
}

#[derive(Debug)]
struct Known {
    method: String,
    live: u64,
    verdict: Verdict,
}

/// What a client has found out of schemas that are not those that its program was built against.
#[derive(Debug)]
pub(crate) struct Schemas {
    /// Whether there is anything: calls look no further otherwise.
    any: AtomicBool,
    /// By the hash that was built against. Locked for a look.
    known: ProcessLocal<Mutex<HashMap<u64, Vec<Known>>>>,
    /// Of the calls that are refused at the same moment, one asks, and the others find what it was told.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            known: ProcessLocal::new(Mutex::default()),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// The hash to send with a call that was built against this one.
    pub(crate) fn sent(&self, method: &str, built: u64) -> u64 {
        if !self.any.load(Ordering::Relaxed) || !self.known.is_here() {
            return built;
        }
        let known = self.known.lock();
        let found = known.get(&built).and_then(|all| all.iter().find(|known| known.method == method));
        match found {
            Some(Known { verdict: Verdict::Fits(live), .. }) => *live,
            _ => built,
        }
    }

    /// What is known of a handler that has this hash now.
    pub(crate) fn verdict(&self, method: &str, built: u64, live: u64) -> Option<Verdict> {
        let known = self.known.lock();
        let all = known.get(&built)?;
        let found = all.iter().find(|known| known.method == method && known.live == live)?;
        Some(found.verdict.clone())
    }

    /// Keeps what was found out, in the place of what was known before.
    pub(crate) fn learn(&self, method: &str, built: u64, live: u64, verdict: Verdict) {
        let mut known = self.known.lock();
        let all = known.entry(built).or_default();
        all.retain(|known| known.method != method);
        if live != built {
            all.push(Known { method: method.into(), live, verdict });
        }
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether a handler fits a described method; kept for the calls of it.
    pub(crate) fn judge(&self, pin: Pin<'_>, live: &MethodInfo) -> Verdict {
        let Pin { method, built, described } = pin;
        let changes = if live.schema_hash == built { Vec::new() } else { breaking(described, &live.schema) };
        let verdict = if changes.is_empty() {
            Verdict::Fits(live.schema_hash)
        } else {
            Verdict::Breaks(Arc::new(differs(pin, live, changes)))
        };
        self.learn(method, built, live.schema_hash, verdict.clone());
        verdict
    }

    /// What is wrong with a method, if anything.
    fn compare(&self, pin: Pin<'_>, live: Option<&MethodInfo>) -> Option<Mismatch> {
        let Some(live) = live else {
            return Some(Mismatch { method: pin.method.into(), pinned: pin.built, ..Mismatch::default() });
        };
        match pin {
            Pin { built: 0, .. } => None,
            Pin { described: "", built, .. } => {
                (built != live.schema_hash).then(|| differs(pin, live, Vec::new()))
            }
            _ => match self.judge(pin, live) {
                Verdict::Fits(_) => None,
                Verdict::Breaks(mismatch) => Some(Mismatch::clone(&mismatch)),
            },
        }
    }

    /// Compares methods with the worker's own.
    ///
    /// # Errors
    /// Every one that is not there or does not fit.
    pub(crate) fn compare_all(
        &self,
        endpoint: &str,
        pins: &[Pin<'_>],
        methods: &[MethodInfo],
    ) -> Result<(), Error> {
        let live = |pin: &Pin<'_>| methods.iter().find(|live| live.name == pin.method);
        let wrong: Vec<_> = pins.iter().filter_map(|pin| self.compare(*pin, live(pin))).collect();
        if wrong.is_empty() { Ok(()) } else { Err(told(endpoint, &wrong, pins.len(), methods)) }
    }
}

fn differs(pin: Pin<'_>, live: &MethodInfo, changes: Vec<String>) -> Mismatch {
    let Pin { method, built, .. } = pin;
    let (live, version) = (live.schema_hash, live.version);
    Mismatch { method: method.into(), pinned: built, live, version, changes }
}

/// What differs between two schemas, each JSON text, for somebody who was built against the first.
fn breaking(built: &str, live: &str) -> Vec<String> {
    let read = |what: &str, text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("{what} schema can't be read: {error}"))
    };
    match (read("the caller's", built), read("the handler's", live)) {
        (Ok(built), Ok(live)) => {
            let changes = pycrust_schema::changes(&built, &live);
            let breaking = changes.into_iter().filter(|change| change.breaking);
            breaking.map(|change| format!("{}: {}", change.path, change.what)).collect()
        }
        (Err(reason), _) | (_, Err(reason)) => vec![reason],
    }
}

/// What to do about it.
fn advice(endpoint: &str) -> String {
    format!("generate the client again: pycrust types {endpoint} -o FILE")
}

fn one(mismatch: &Mismatch) -> String {
    let Mismatch { pinned, live, version, changes, .. } = mismatch;
    let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) };
    format!("built against schema {pinned:#018x}, version {version} has {live:#018x}{changes}")
}

/// The error of a check that found these wrong, of so many.
fn told(endpoint: &str, wrong: &[Mismatch], all: usize, methods: &[MethodInfo]) -> Error {
    let mut there: Vec<_> = methods.iter().map(|live| format!("{:?}", live.name)).collect();
    there.sort_unstable();
    let there = if there.is_empty() { "nothing".into() } else { there.join(", ") };
    let each = wrong.iter().map(|mismatch| match mismatch.version {
        0 => format!("{:?} is not there", mismatch.method),
        _ => format!("{:?} was {}", mismatch.method, one(mismatch)),
    });
    let missing = wrong.iter().filter(|mismatch| mismatch.version == 0).count();
    let there = if missing > 0 { format!("; there is {there}") } else { String::new() };
    let advice = if missing < wrong.len() { format!("; {}", advice(endpoint)) } else { String::new() };
    let message = format!(
        "{} of {all} methods of {endpoint:?} are not what this program was built against: {}{there}{advice}",
        wrong.len(),
        each.collect::<Vec<_>>().join("; "),
    );
    let code = if missing == wrong.len() { Code::Unimplemented } else { Code::FailedPrecondition };
    let details = rmp_serde::to_vec_named(wrong).unwrap_or_default();
    Error::from_parts(code, "check", ErrorPayload { details, ..ErrorPayload::message(message) })
}

/// The error of a call that a handler refused, with what differs.
pub(crate) fn refused(endpoint: &str, method: &str, mismatch: &Mismatch) -> Error {
    let payload = ErrorPayload {
        exception: SCHEMA_MISMATCH.into(),
        details: rmp_serde::to_vec_named(mismatch).unwrap_or_default(),
        ..ErrorPayload::message(format!("the caller was {}; {}", one(mismatch), advice(endpoint)))
    };
    Error::from_parts(Code::FailedPrecondition, method, payload)
}
