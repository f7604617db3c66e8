//! The methods by name and their versions.
//!
//! A method's number (`method_key`) belongs to its name for the life of the worker, and so does the
//! count of its versions: both go on after the method is removed and registered again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::reserved::MethodInfo;

use crate::recording::settings::MethodRecording;

/// How many near matches an unknown method's error names.
const NEAR_MATCHES: usize = 3;
/// Names longer than this aren't compared: the distance costs the product of the lengths.
const NEAR_MAX_LEN: usize = 64;
/// Methods that an unknown name is compared with, at most.
const NEAR_MAX_METHODS: usize = 128;

/// How calls are gathered for a handler that takes many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Calls that one batch has at most; 0 counts as 1.
    pub max_size: usize,
    /// How long the first call of a batch waits for others.
    pub max_wait: Duration,
}

/// One step of a publication.
#[derive(Debug)]
pub enum Change<H> {
    /// Makes `handler` the live version of `method`.
    Register {
        /// The method's name.
        method: String,
        /// What the binding runs.
        handler: H,
        /// Calls of this version that may run at once; 0 counts as 1.
        concurrency: usize,
        /// Whether it waits for running calls of older versions too, instead of overlapping with them.
        exclusive: bool,
        /// Whether a call that would not be answered in time is refused when it comes.
        refuses_late: bool,
        /// Whether its calls run many at once; one batch then counts as one call of `concurrency`.
        batching: Option<Batching>,
        /// The hash of the schema; 0 where there is none.
        schema_hash: u64,
        /// The JSON Schemas of request and response, as JSON text.
        schema_json: String,
        /// The hashes of earlier schemas whose callers go on working.
        compatible_schemas: Vec<u64>,
        /// What a caller that was built against another schema and has to change is told, by that schema's hash.
        schema_changes: Vec<(u64, Vec<String>)>,
        /// The first line of the documentation.
        doc: String,
        /// Whether its calls are recorded, and how.
        recording: MethodRecording,
    },
    /// Removes `method`: calls received before still run, later ones get UNIMPLEMENTED.
    Remove {
        /// The method's name.
        method: String,
    },
}

/// One immutable version of a method.
#[derive(Debug)]
pub(crate) struct Version<H> {
    /// The method's name.
    pub(crate) method: Arc<str>,
    /// The method's number, from 1.
    pub(crate) key: u32,
    /// This version's number, from 1.
    pub(crate) number: u32,
    /// What the binding runs.
    pub(crate) handler: H,
    /// Calls of this version that may run at once.
    pub(crate) concurrency: usize,
    /// Whether running calls of older versions count.
    pub(crate) exclusive: bool,
    /// Whether a call that would not be answered in time is refused when it comes.
    pub(crate) refuses_late: bool,
    /// Whether its calls run many at once.
    pub(crate) batching: Option<Batching>,
    /// The hash of the schema; 0 where there is none.
    pub(crate) schema_hash: u64,
    /// The JSON Schemas, as JSON text.
    pub(crate) schema_json: String,
    /// The hashes of earlier schemas whose callers go on working.
    pub(crate) compatible_schemas: Vec<u64>,
    /// How this schema breaks callers of earlier ones, by their hash.
    pub(crate) schema_changes: Vec<(u64, Vec<String>)>,
    /// The first line of the documentation.
    pub(crate) doc: String,
    /// Whether its calls are recorded, and how.
    pub(crate) recording: Arc<MethodRecording>,
}

impl<H> Version<H> {
    /// Whether a caller that was built against the schema with this hash may be answered; 0 is any.
    pub(crate) fn accepts(&self, schema_hash: u64) -> bool {
        schema_hash == 0 || schema_hash == self.schema_hash || self.compatible_schemas.contains(&schema_hash)
    }

    /// What callers of the schema with this hash have to change for, where that is known.
    pub(crate) fn changes_since(&self, schema_hash: u64) -> &[String] {
        let changes = self.schema_changes.iter().find(|(hash, _)| *hash == schema_hash);
        changes.map_or(&[], |(_, changes)| changes)
    }
}

/// A name that was registered at least once.
struct Entry<H> {
    /// The method's name.
    name: Arc<str>,
    /// The number of its newest version.
    last_number: u32,
    /// The version that calls run from now on; `None` once removed.
    live: Option<Arc<Version<H>>>,
    /// A removed version that still has calls in the queue.
    draining: Option<Arc<Version<H>>>,
}

/// The table of methods. It lives under the scheduler's lock, so that a publication and the start
/// of a call can't interleave.
pub(crate) struct Registry<H> {
    /// By name: the index into `entries`, which is the method's number less 1.
    by_name: HashMap<Arc<str>, usize>,
    /// By number.
    entries: Vec<Entry<H>>,
    /// Names that are to be registered.
    expected: HashSet<String>,
}

/// A name that was registered at least once, in few words.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The method's number less 1.
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    /// The number of its newest version.
    pub(crate) last_number: u32,
    /// Whether it can be called.
    pub(crate) live: bool,
}

/// What a name means at the moment.
pub(crate) enum Lookup {
    /// A live method, by its index.
    Live(usize),
    /// Not registered yet, but expected.
    Expected,
    /// No such method.
    Unknown,
}

impl<H> Registry<H> {
    pub(crate) fn new() -> Self {
        Self { by_name: HashMap::new(), entries: Vec::new(), expected: HashSet::new() }
    }

    /// Applies one registration. The replaced version goes to `retired`: dropping a handler may take
    /// locks of the binding's own, so the caller drops it when it holds none.
    pub(crate) fn register(
        &mut self,
        name: &str,
        make: impl FnOnce(Arc<str>, u32, u32) -> Version<H>,
        retired: &mut Vec<Arc<Version<H>>>,
    ) -> (usize, u32) {
        let index = self.by_name.get(name).copied().unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            self.entries.push(Entry { name: name.clone(), last_number: 0, live: None, draining: None });
            self.by_name.insert(name, self.entries.len() - 1);
            self.entries.len() - 1
        });
        let entry = &mut self.entries[index];
        entry.last_number += 1;
        let number = entry.last_number;
        let version = make(entry.name.clone(), index as u32 + 1, number);
        retired.extend(entry.live.replace(Arc::new(version)));
        retired.extend(entry.draining.take());
        (index, number)
    }

    /// Removes a method; while `has_queue`, its last version is kept for the calls in the queue.
    /// Answers the version's number, or 0 if there was none.
    pub(crate) fn remove(
        &mut self,
        name: &str,
        has_queue: impl FnOnce(usize) -> bool,
        retired: &mut Vec<Arc<Version<H>>>,
    ) -> u32 {
        let Some(index) = self.by_name.get(name).copied() else { return 0 };
        let entry = &mut self.entries[index];
        let Some(version) = entry.live.take() else { return 0 };
        let number = version.number;
        if has_queue(index) {
            entry.draining = Some(version);
        } else {
            retired.push(version);
        }
        number
    }

    /// Adds names that answer UNAVAILABLE until they are registered.
    pub(crate) fn expect(&mut self, methods: Vec<String>) {
        self.expected.extend(methods);
    }

    pub(crate) fn lookup(&self, name: &str) -> Lookup {
        match self.by_name.get(name) {
            Some(index) if self.entries[*index].live.is_some() => Lookup::Live(*index),
            None if self.expected.contains(name) => Lookup::Expected,
            // Once registered and then removed, a name is no longer awaited.
            Some(_) | None => Lookup::Unknown,
        }
    }

    /// The version that a call of this method that comes now will run, unless it is replaced first.
    pub(crate) fn live_version(&self, index: usize) -> Option<&Arc<Version<H>>> {
        self.entries.get(index)?.live.as_ref()
    }

    /// The version that a call of this method starts on now.
    pub(crate) fn to_start(&self, index: usize) -> Option<&Arc<Version<H>>> {
        let entry = self.entries.get(index)?;
        entry.live.as_ref().or(entry.draining.as_ref())
    }

    /// The queue of a removed method is empty: gives back what was kept for it.
    pub(crate) fn drained(&mut self, index: usize) -> Option<Arc<Version<H>>> {
        self.entries.get_mut(index)?.draining.take()
    }

    /// The name of the method with this index.
    pub(crate) fn name(&self, index: usize) -> Option<&Arc<str>> {
        self.entries.get(index).map(|entry| &entry.name)
    }

    /// Every name that was registered, in order of the methods' numbers.
    pub(crate) fn known(&self) -> Vec<Known> {
        let entries = self.entries.iter().enumerate();
        entries
            .map(|(index, entry)| Known {
                index,
                name: Arc::clone(&entry.name),
                last_number: entry.last_number,
                live: entry.live.is_some(),
            })
            .collect()
    }

    /// The live versions, in order of their names.
    pub(crate) fn live(&self) -> Vec<Arc<Version<H>>> {
        let mut live: Vec<_> = self.entries.iter().filter_map(|entry| entry.live.clone()).collect();
        live.sort_by(|a, b| a.method.cmp(&b.method));
        live
    }

    /// Names of live methods, to compare an unknown one with.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let live = self.entries.iter().filter(|entry| entry.live.is_some());
        live.take(NEAR_MAX_METHODS).map(|entry| entry.name.clone()).collect()
    }
}

/// The names that look like `name`, the nearest first.
pub(crate) fn near<'a>(name: &str, names: &'a [Arc<str>]) -> Vec<&'a str> {
    if name.len() > NEAR_MAX_LEN {
        return Vec::new();
    }
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .filter(|candidate| candidate.len() <= NEAR_MAX_LEN)
        .map(|candidate| (strsim::osa_distance(name, candidate), &**candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()).div_ceil(3))
        .collect();
    near.sort_unstable();
    near.into_iter().take(NEAR_MATCHES).map(|(_, name)| name).collect()
}

/// The entries of the answer to `pycrust.methods`.
pub(crate) fn describe<H>(live: &[Arc<Version<H>>]) -> Vec<MethodInfo> {
    live.iter()
        .map(|version| MethodInfo {
            name: version.method.to_string(),
            version: version.number,
            schema_hash: version.schema_hash,
            doc: version.doc.clone(),
            schema: version.schema_json.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(method: Arc<str>, key: u32, number: u32) -> Version<u32> {
        Version {
            method,
            key,
            number,
            handler: number,
            concurrency: 1,
            exclusive: false,
            refuses_late: false,
            batching: None,
            schema_hash: 0,
            schema_json: String::new(),
            compatible_schemas: Vec::new(),
            schema_changes: Vec::new(),
            doc: String::new(),
            recording: Arc::default(),
        }
    }

    #[test]
    fn numbers_go_on_after_removal() {
        let mut registry = Registry::new();
        let mut retired = Vec::new();
        assert_eq!(registry.register("a", version, &mut retired), (0, 1));
        assert_eq!(registry.register("b", version, &mut retired), (1, 1));
        assert_eq!(registry.register("a", version, &mut retired), (0, 2));
        assert_eq!(retired.iter().map(|old| old.number).collect::<Vec<_>>(), [1]);
        assert_eq!(registry.remove("a", |_| false, &mut retired), 2);
        assert!(matches!(registry.lookup("a"), Lookup::Unknown));
        assert_eq!(registry.remove("a", |_| false, &mut retired), 0);
        assert_eq!(registry.register("a", version, &mut retired), (0, 3));
        assert_eq!(registry.to_start(0).map(|live| (live.key, live.number)), Some((1, 3)));
    }

    #[test]
    fn a_removed_version_serves_its_queue() {
        let mut registry = Registry::new();
        let mut retired = Vec::new();
        registry.register("a", version, &mut retired);
        registry.remove("a", |_| true, &mut retired);
        assert!(retired.is_empty());
        assert!(matches!(registry.lookup("a"), Lookup::Unknown));
        assert_eq!(registry.to_start(0).map(|version| version.number), Some(1));
        assert_eq!(registry.drained(0).map(|version| version.number), Some(1));
        assert!(registry.to_start(0).is_none());
    }

    #[test]
    fn callers_of_a_compatible_schema_are_accepted() {
        let live = Version {
            schema_hash: 9,
            compatible_schemas: vec![7, 8],
            schema_changes: vec![(6, vec!["request.b: removed".into()])],
            ..version("a".into(), 1, 1)
        };
        assert_eq!([0, 5, 6, 7, 8, 9].map(|pin| live.accepts(pin)), [true, false, false, true, true, true]);
        assert_eq!(live.changes_since(6), ["request.b: removed"]);
        assert!(live.changes_since(5).is_empty());
    }

    #[test]
    fn unknown_names_find_what_is_near() {
        let mut registry = Registry::new();
        let mut retired = Vec::new();
        for name in ["predict", "predict_batch", "reset"] {
            registry.register(name, version, &mut retired);
        }
        registry.expect(vec!["later".into()]);
        let names = registry.names();
        assert_eq!(near("pedict", &names), ["predict"]);
        assert!(near("zzzzzzzzzzzz", &names).is_empty());
        assert!(near(&"x".repeat(256), &names).is_empty());
        assert!(matches!(registry.lookup("later"), Lookup::Expected));
        registry.register("later", version, &mut retired);
        assert!(matches!(registry.lookup("later"), Lookup::Live(3)));
    }
}
