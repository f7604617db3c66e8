//! The walk through two schemas at once, place by place.

use std::collections::HashSet;

use serde_json::Value;

use super::Change;
use super::bounds;
use super::choices::Side;
use super::describe::{self, said};
use super::document::{Choice, Document, Unfollowed, is_aside, is_same, is_same_value, keywords, refers};
use super::shape::{Shape, are_all};

/// Schemas within schemas that are compared.
const MAX_DEPTH: usize = 32;
/// Places, fields, choices and values that one comparison looks at.
const MAX_STEPS: usize = 100_000;
/// Changes that are listed; so many are a new method.
const MAX_CHANGES: usize = 2_000;

/// A schema that says nothing: what stands where there is none.
pub(super) static ANYTHING: &Value = &Value::Bool(true);

/// Who writes what the other one reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Callers of the older version write, the newer one reads.
    Request,
    /// The newer version writes, callers of the older one read.
    Response,
}

/// A comparison of two versions' requests or responses.
pub(super) struct Walk<'a> {
    pub(super) direction: Direction,
    pub(super) old: Document<'a>,
    pub(super) new: Document<'a>,
    found: Vec<Change>,
    /// Pairs of schemas that were compared or are being compared, and the order in which they came: references may lead
    /// to one again, and in circles.
    seen: HashSet<(*const Value, *const Value)>,
    order: Vec<(*const Value, *const Value)>,
    steps: usize,
    gave_up: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(direction: Direction, old: Option<&'a Value>, new: Option<&'a Value>) -> Self {
        Self {
            direction,
            old: Document::new(old.unwrap_or(ANYTHING)),
            new: Document::new(new.unwrap_or(ANYTHING)),
            found: Vec::new(),
            seen: HashSet::new(),
            order: Vec::new(),
            steps: 0,
            gave_up: false,
        }
    }

    /// What differs.
    pub(super) fn changes(mut self, part: &str) -> Vec<Change> {
        let (old, new) = (self.old.root, self.new.root);
        self.place(part, old, new, 0);
        if self.direction == Direction::Request {
            self.no_schema_at_all(part);
        }
        if self.gave_up {
            self.found.push(Change::new(part, "differs too much, or is too large, to be compared", true));
        }
        self.found
    }

    /// Arguments without a schema may be anything, or what no schema can describe.
    fn no_schema_at_all(&mut self, part: &str) {
        let is_bare = |document: Document<'_>| matches!(Shape::of(document.root), Shape::Anything);
        if is_bare(self.new) && !is_bare(self.old) {
            self.found
                .iter_mut()
                .filter(|change| change.path == part)
                .for_each(|change| change.breaking = true);
        }
    }

    /// What stands in the writer's place and what in the reader's.
    pub(super) fn by_role<T>(&self, old: T, new: T) -> Roles<T> {
        match self.direction {
            Direction::Request => Roles { reader: new, writer: old },
            Direction::Response => Roles { reader: old, writer: new },
        }
    }

    pub(super) fn tell(&mut self, path: &str, what: impl Into<String>, breaking: bool) {
        if self.found.len() >= MAX_CHANGES {
            self.gave_up = true;
        } else {
            self.found.push(Change::new(path, what, breaking));
        }
    }

    /// Counts what is about to be looked at; whether there is to be more.
    pub(super) fn goes_on(&mut self, steps: usize) -> bool {
        self.steps = self.steps.saturating_add(steps);
        self.gave_up |= self.steps > MAX_STEPS;
        !self.gave_up
    }

    /// Compares what stands at one place: two schemas, references and unions among them.
    pub(super) fn place(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        if !self.goes_on(1) {
            return;
        }
        let (was, is) = match (self.old.choices(old), self.new.choices(new)) {
            (Ok(was), Ok(is)) => (was, is),
            (Err(Unfollowed::Reference(_)), Err(Unfollowed::Reference(_))) if old == new => return,
            (one, other) => return self.unfollowed(path, one.err(), other.err()),
        };
        if !self.goes_on(was.all.len() + is.all.len()) {
            return;
        }
        self.opaque(path, &was.beside, &is.beside);
        if let ([one], [other]) = (&*was.all, &*is.all) {
            self.tags(path, *one, *other);
            self.one(path, one.schema, other.schema, depth);
        } else {
            let (one, other) = (Side { given: old, all: &was.all }, Side { given: new, all: &is.all });
            self.unions(path, one, other, depth);
        }
        if let (Some(was), Some(is)) = (self.old.default(old), self.new.default(new))
            && was != is
        {
            self.tell(path, format!("default {} → {}", said(Some(was)), said(Some(is))), false);
        }
    }

    fn unfollowed(&mut self, path: &str, old: Option<Unfollowed<'_>>, new: Option<Unfollowed<'_>>) {
        let text = |unfollowed| match unfollowed {
            Some(Unfollowed::Reference(name)) => {
                format!("what {} refers to", describe::clipped(name, describe::MAX_NAME))
            }
            Some(Unfollowed::TooMany) => "more choices than are compared".to_owned(),
            None => "another schema".to_owned(),
        };
        self.tell(path, format!("{} → {}", text(old), text(new)), true);
    }

    /// Whether what the one describes may be written where the other is read.
    pub(super) fn fits(&mut self, old: Choice<'a>, new: Choice<'a>, depth: usize) -> bool {
        self.tried(|walk| walk.choice(old, new, depth), |change| change.breaking)
    }

    /// Whether nothing differs.
    pub(super) fn is_same(&mut self, old: Choice<'a>, new: Choice<'a>, depth: usize) -> bool {
        self.tried(|walk| walk.choice(old, new, depth), |_| true)
    }

    /// As `fits`, of schemas as they stand at a place.
    pub(super) fn place_fits(&mut self, old: &'a Value, new: &'a Value, depth: usize) -> bool {
        self.tried(|walk| walk.place("", old, new, depth + 1), |change| change.breaking)
    }

    fn choice(&mut self, old: Choice<'a>, new: Choice<'a>, depth: usize) {
        self.tags("", old, new);
        self.one("", old.schema, new.schema, depth + 1);
    }

    /// Compares, and forgets what was found: whether none of it was to be `avoided`.
    fn tried(&mut self, compare: impl FnOnce(&mut Self), avoided: impl Fn(&Change) -> bool) -> bool {
        let (found, seen) = (self.found.len(), self.order.len());
        compare(self);
        let fits = !self.gave_up && !self.found[found..].iter().any(avoided);
        self.found.truncate(found);
        // What was taken for granted in a trial must be compared again outside of it.
        for pair in self.order.drain(seen..) {
            self.seen.remove(&pair);
        }
        fits
    }

    /// A union that tells its choices apart by a field takes only what has that field.
    pub(super) fn tags(&mut self, path: &str, old: Choice<'a>, new: Choice<'a>) {
        let Roles { reader, writer } = self.by_role(old, new);
        let Some(tag) = reader.tag.filter(|tag| writer.tag != Some(tag)) else { return };
        let has_it = matches!(Shape::of(writer.schema), Shape::Struct(_)) && requires(writer.schema, tag);
        if !has_it {
            let text = |tag: Option<&str>| said(tag.map(Value::from).as_ref());
            self.tell(path, format!("discriminator {} → {}", text(old.tag), text(new.tag)), true);
        }
    }

    /// Compares two schemas that are neither references nor unions.
    pub(super) fn one(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        if !self.goes_on(1) || !self.is_first(old, new) {
            return;
        }
        if depth > MAX_DEPTH {
            return self.tell(path, "nested too deeply to be compared", true);
        }
        let (was, is) = (Shape::of(old), Shape::of(new));
        match (was, is) {
            (Shape::Struct(fields), Shape::Struct(others)) => {
                self.structs(path, (old, fields), (new, others), depth);
            }
            (Shape::Map, Shape::Map) => self.maps(path, old, new, depth),
            (Shape::Tuple(places), Shape::Tuple(others)) => {
                self.tuples(path, (old, places), (new, others), depth);
            }
            (Shape::List, Shape::List) => self.lists(path, old, new, depth),
            (Shape::Values(values), Shape::Values(others)) => self.values(path, (old, values), (new, others)),
            (Shape::Scalar(kind), Shape::Scalar(other))
                if kind == other && old.get("format") == new.get("format") => {}
            (Shape::Tensor, Shape::Tensor)
            | (Shape::Nothing, Shape::Nothing)
            | (Shape::Anything, Shape::Anything)
            | (Shape::Other, Shape::Other) => {}
            _ => return self.retyped(path, (old, was), (new, is)),
        }
        self.keywords(path, (old, was), (new, is));
        if !old.is_object() && !old.is_boolean() && old != new {
            self.tell(path, format!("{} → {}", said(Some(old)), said(Some(new))), true);
        }
    }

    fn is_first(&mut self, old: &Value, new: &Value) -> bool {
        // Where there is no schema, one value stands for all.
        let pair = (std::ptr::from_ref(old), std::ptr::from_ref(new));
        let first = self.seen.insert(pair);
        if first {
            self.order.push(pair);
        }
        first
    }

    /// A schema became one of another kind.
    fn retyped(&mut self, path: &str, (old, was): (&Value, Shape<'_>), (new, is): (&Value, Shape<'_>)) {
        let Roles { reader, writer } = self.by_role((old, was), (new, is));
        let plain = || keywords(reader.0).all(|(key, _)| reader.1.looks_at(key));
        let fits = match (reader.1, writer.1) {
            (Shape::Anything, _) | (_, Shape::Nothing) => true,
            (Shape::Scalar("number"), Shape::Scalar("integer")) => {
                reader.0.get("format") == writer.0.get("format") && self.within_bounds(old, new)
            }
            (Shape::Scalar(kind), Shape::Values(values)) => {
                self.goes_on(values.len())
                    && plain()
                    && reader.0.get("format").is_none()
                    && are_all(values, kind)
            }
            (Shape::Values(values), Shape::Scalar("null")) => plain() && values.contains(&Value::Null),
            _ => false,
        };
        let before = describe::kind(&self.old, old);
        let after = describe::kind(&self.new, new);
        let another = if before == after { "another " } else { "" };
        self.tell(path, format!("{before} → {another}{after}"), !fits);
    }

    /// Whether all that differs beside the types is bounds, and those are kept.
    fn within_bounds(&mut self, old: &Value, new: &Value) -> bool {
        let before = self.found.len();
        let scalar = Shape::Scalar("");
        self.keywords("", (old, scalar), (new, scalar));
        let fits = !self.gave_up && !self.found[before..].iter().any(|change| change.breaking);
        self.found.truncate(before);
        fits
    }

    /// Compares the keywords that the rules of a shape don't look at.
    fn keywords(&mut self, path: &str, (old, was): (&Value, Shape<'_>), (new, is): (&Value, Shape<'_>)) {
        let looked_at = |key: &str| was.looks_at(key) || is.looks_at(key);
        let mut keys: Vec<&str> = keywords(old).chain(keywords(new)).map(|(key, _)| key).collect();
        keys.retain(|key| !looked_at(key) && *key != "$ref");
        keys.sort_unstable();
        keys.dedup();
        if !self.goes_on(keys.len()) {
            return;
        }
        for key in keys {
            let breaking = self.breaks(key, old, new, was);
            if !is_same_value(old.get(key), new.get(key)) || breaking {
                let what = format!("{key} {} → {}", said(old.get(key)), said(new.get(key)));
                self.tell(path, describe::clipped(&what, describe::MAX_NAME * 3), breaking);
            }
        }
    }

    /// Whether what a keyword says changes so that callers have to.
    fn breaks(&self, key: &str, old: &Value, new: &Value, shape: Shape<'_>) -> bool {
        let Roles { reader, writer } = self.by_role(old, new);
        match key {
            _ if is_same_value(old.get(key), new.get(key)) => self.means_other(old.get(key)),
            _ if bounds::is_bound(key) => match self.direction {
                Direction::Request => !bounds::takes(reader, writer, key),
                Direction::Response => decides_type(old, new, shape),
            },
            "dtype" | "x-dtype" => reader.get(key).is_some(),
            "shape" | "x-shape" => !super::arrays::shape_takes(reader.get(key), writer.get(key)),
            _ => true,
        }
    }

    /// Whether a value that both have refers to what may mean another thing now.
    fn means_other(&self, value: Option<&Value>) -> bool {
        !self.old.defines_the_same(&self.new) && value.is_some_and(refers)
    }

    /// Compares what stands beside references and unions, of which nothing is known.
    fn opaque<'v>(&mut self, path: &str, old: &'v [(&str, &'v Value)], new: &'v [(&str, &'v Value)]) {
        let mut keys: Vec<&str> = old.iter().chain(new).map(|(key, _)| *key).collect();
        keys.retain(|key| !is_aside(key));
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let values = |of: &'v [(&str, &'v Value)]| -> Vec<&'v Value> {
                of.iter().filter(|(name, _)| *name == key).map(|(_, value)| *value).collect()
            };
            let (was, is) = (values(old), values(new));
            let same = was.len() == is.len() && was.iter().zip(&is).all(|(was, is)| is_same(was, is));
            if !same || was.iter().any(|value| self.means_other(Some(value))) {
                let what = format!("{key} {} → {}", said(was.first().copied()), said(is.first().copied()));
                self.tell(path, describe::clipped(&what, describe::MAX_NAME * 3), true);
            }
        }
    }
}

/// Two things by who writes and who reads.
pub(super) struct Roles<T> {
    pub(super) reader: T,
    pub(super) writer: T,
}

/// Whether a bound decides what a caller reads a result into.
fn decides_type(old: &Value, new: &Value, shape: Shape<'_>) -> bool {
    match shape {
        Shape::Scalar("integer") => bounds::is_unsigned(old) && !bounds::is_unsigned(new),
        Shape::List | Shape::Tuple(_) => {
            let fixed = bounds::fixed_length(old);
            fixed.is_some() && fixed != bounds::fixed_length(new)
        }
        _ => false,
    }
}

/// Whether a struct always has a field.
pub(super) fn requires(schema: &Value, field: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|name| name == field))
}
