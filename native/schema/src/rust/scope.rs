//! The definitions of one schema, and what a type refers to among them.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::rust::names::type_name;
use crate::types::Type;

/// The definitions of one schema.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) types: HashMap<String, Type>,
    /// Of each definition, it and all that it refers to as text: what is equal there is one class.
    pub(super) prints: HashMap<String, String>,
}

impl Scope {
    pub(super) fn new(definitions: Vec<(String, Type)>) -> Self {
        let types: HashMap<_, _> = definitions.into_iter().collect();
        let prints = types
            .iter()
            .map(|(key, kind)| (key.clone(), print_of(&title_of(key, kind), kind, &types)))
            .collect();
        Self { types, prints }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Type> {
        self.types.get(key)
    }

    /// A type that is no reference, where it is not one to itself.
    pub(super) fn resolved<'a>(&'a self, mut kind: &'a Type) -> &'a Type {
        for _ in 0..=self.types.len() {
            match kind {
                Type::Reference(key) => match self.types.get(key) {
                    Some(found) => kind = found,
                    None => return &Type::Any,
                },
                found => return found,
            }
        }
        &Type::Any
    }
}

/// The name of a definition's class in Rust.
pub(super) fn title_of(key: &str, kind: &Type) -> String {
    let titled = match kind {
        Type::Struct(found) => found.title.as_deref(),
        Type::Enumeration(found) => found.title.as_deref(),
        _ => None,
    };
    type_name(titled.unwrap_or(key))
}

/// A type with all that it refers to, as text.
pub(super) fn print_of(key: &str, kind: &Type, types: &HashMap<String, Type>) -> String {
    let mut reached = BTreeSet::new();
    let mut todo = Vec::new();
    references(kind, &mut |key| todo.push(key.to_owned()));
    while let Some(key) = todo.pop() {
        if let Some(found) = types.get(&key)
            && reached.insert(key)
        {
            references(found, &mut |key| todo.push(key.to_owned()));
        }
    }
    reached.remove(key);
    let others = reached.iter().map(|key| format!("{key}: {:?}\n", types[key]));
    std::iter::once(format!("{key}: {kind:?}\n")).chain(others).collect()
}

/// Calls `visit` with the key of each definition that a type names.
pub(super) fn references(kind: &Type, visit: &mut dyn FnMut(&str)) {
    match kind {
        Type::Reference(key) => visit(key),
        Type::Optional(inner) | Type::List(inner) | Type::Set(inner) => references(inner, visit),
        Type::Tuple(parts) => parts.iter().for_each(|part| references(part, visit)),
        Type::Map(keys, values) => {
            references(keys, visit);
            references(values, visit);
        }
        Type::Struct(found) => {
            found.fields.iter().for_each(|field| references(&field.kind, visit));
            if let Some(rest) = &found.rest {
                references(rest, visit);
            }
        }
        Type::Union(found) => found.members.iter().for_each(|(_, member)| references(member, visit)),
        _ => {}
    }
}

/// Calls `visit` with the key of each definition that a type names, those aside that a field tells apart.
pub(super) fn outside_of_tagged(kind: &Type, visit: &mut dyn FnMut(&str)) {
    match kind {
        Type::Union(found) if found.tag.is_some() => {
            for (_, member) in &found.members {
                if !matches!(member, Type::Reference(_)) {
                    outside_of_tagged(member, visit);
                }
            }
        }
        Type::Union(found) => {
            for (_, member) in &found.members {
                outside_of_tagged(member, visit);
            }
        }
        Type::Optional(inner) | Type::List(inner) | Type::Set(inner) | Type::Map(_, inner) => {
            outside_of_tagged(inner, visit);
        }
        Type::Tuple(parts) => parts.iter().for_each(|part| outside_of_tagged(part, visit)),
        Type::Struct(found) => {
            for field in &found.fields {
                outside_of_tagged(&field.kind, visit);
            }
        }
        Type::Reference(key) => visit(key),
        _ => {}
    }
}

pub(super) fn prints_of(kind: &Type, scope: &Scope) -> Vec<String> {
    let mut found = Vec::new();
    references(kind, &mut |key| found.extend(scope.prints.get(key).cloned()));
    found
}

pub(super) fn holds_array(kind: &Type, scope: &Scope, seen: &mut HashSet<String>, found: &mut bool) {
    match kind {
        Type::Array(_) => *found = true,
        Type::Reference(key) if seen.insert(key.clone()) => {
            if let Some(kind) = scope.get(key) {
                holds_array(kind, scope, seen, found);
            }
        }
        Type::Optional(inner) | Type::List(inner) | Type::Set(inner) | Type::Map(_, inner) => {
            holds_array(inner, scope, seen, found);
        }
        Type::Tuple(parts) => {
            for part in parts {
                holds_array(part, scope, seen, found);
            }
        }
        Type::Struct(class) => {
            for field in &class.fields {
                holds_array(&field.kind, scope, seen, found);
            }
        }
        Type::Union(union) => {
            for (_, member) in &union.members {
                holds_array(member, scope, seen, found);
            }
        }
        _ => {}
    }
}
