//! Structs, whose fields have names and an order, and maps.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::describe::{self, MAX_NAME, clipped, said};
use super::shape::KEYS;
use super::walk::{ANYTHING, Direction, Roles, Walk};

/// A struct's schema with its fields.
type Fields<'a> = (&'a Value, &'a Map<String, Value>);

/// Names of fields that one change lists.
const MAX_LISTED: usize = 24;

impl<'a> Walk<'a> {
    pub(super) fn structs(
        &mut self,
        path: &str,
        (old, fields): Fields<'a>,
        (new, others): Fields<'a>,
        depth: usize,
    ) {
        let (required, required_now) = (required_of(old), required_of(new));
        if !self.goes_on(fields.len() + others.len() + required.len() + required_now.len()) {
            return;
        }
        let state = |is_required: bool| if is_required { "required" } else { "optional" };
        for (name, field) in fields.iter().filter(|(name, _)| !others.contains_key(*name)) {
            let kind = describe::kind(&self.old, field);
            let what = format!("removed (was {kind}, {})", state(required.contains(&**name)));
            self.tell(&inside(path, name), what, true);
        }
        for (name, field) in others {
            let path = inside(path, name);
            let is_required = required_now.contains(&**name);
            let Some(before) = fields.get(name) else {
                let breaking = self.breaks_when_added(old, field, is_required, depth);
                let kind = describe::kind(&self.new, field);
                self.tell(&path, format!("added ({kind}, {})", state(is_required)), breaking);
                continue;
            };
            self.place(&path, before, field, depth + 1);
            if required.contains(&**name) != is_required {
                let breaking = self.by_role(false, true).reader == is_required;
                self.tell(&path, format!("now {}", state(is_required)), breaking);
            }
        }
        self.order(path, fields, others);
        self.further(path, old, new, depth);
    }

    /// Whether a field that came is one that a caller must give, or one that it may have given another value already.
    fn breaks_when_added(
        &mut self,
        old: &'a Value,
        field: &'a Value,
        is_required: bool,
        depth: usize,
    ) -> bool {
        if self.direction == Direction::Response {
            return false;
        }
        let given = match old.get("additionalProperties") {
            None | Some(Value::Bool(false)) => return is_required,
            Some(given) => given,
        };
        is_required || !self.place_fits(given, field, depth)
    }

    /// A struct may be sent as the array of its fields: then each field's place is its name.
    fn order(&mut self, path: &str, fields: &Map<String, Value>, others: &Map<String, Value>) {
        let kept = fields.keys().filter(|name| others.contains_key(*name));
        let kept_now = others.keys().filter(|name| fields.contains_key(*name));
        let mut moved = !kept.eq(kept_now);
        if self.direction == Direction::Request {
            let first_added = others.keys().position(|name| !fields.contains_key(name));
            let last_kept = others.keys().rposition(|name| fields.contains_key(name));
            moved |= first_added.zip(last_kept).is_some_and(|(added, kept)| added < kept);
        }
        if moved {
            let names: Vec<_> = others.keys().take(MAX_LISTED).map(|name| clipped(name, MAX_NAME)).collect();
            let more = if others.len() > MAX_LISTED { ", …" } else { "" };
            let names = names.join(", ") + more;
            // Results travel as maps.
            let breaking = self.direction == Direction::Request;
            self.tell(path, format!("the order of the fields is now {names}"), breaking);
        }
    }

    /// What a struct says of fields that it doesn't name.
    fn further(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        const KEY: &str = "additionalProperties";
        let (was, is) = (old.get(KEY), new.get(KEY));
        if let (Some(was @ Value::Object(_)), Some(is @ Value::Object(_))) = (was, is) {
            return self.place(&format!("{path}{{}}"), was, is, depth + 1);
        }
        if was == is {
            return;
        }
        let Roles { reader, writer } = self.by_role(was, is);
        let breaking = match (reader, writer) {
            // Readers of results ignore what they don't know.
            (None | Some(Value::Bool(true)), _) | (_, Some(Value::Bool(false))) => false,
            (Some(Value::Bool(false)), _) | (Some(_), None) => self.direction == Direction::Request,
            (Some(_), Some(_)) => true,
        };
        self.tell(path, format!("{KEY} {} → {}", said(was), said(is)), breaking);
    }

    pub(super) fn maps(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        if let (Some(was), Some(is)) = (old.get(KEYS), new.get(KEYS)) {
            self.place(&format!("{path}{{key}}"), was, is, depth + 1);
        } else if old.get(KEYS) != new.get(KEYS) {
            let kind = |document, keys: Option<&Value>| {
                keys.map_or_else(|| "string".to_owned(), |keys| describe::kind(document, keys))
            };
            let what =
                format!("keys {} → {}", kind(&self.old, old.get(KEYS)), kind(&self.new, new.get(KEYS)));
            self.tell(path, what, true);
        }
        let values = |schema: &'a Value| schema.get("additionalProperties").unwrap_or(ANYTHING);
        self.place(&format!("{path}{{}}"), values(old), values(new), depth + 1);
    }
}

/// The names of the fields that must be there.
fn required_of(schema: &Value) -> HashSet<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn inside(path: &str, name: &str) -> String {
    format!("{path}.{}", clipped(name, MAX_NAME))
}
