//! A schema with the definitions that it refers to.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// References that are followed one after the other.
const MAX_HOPS: usize = 16;
/// Unions within unions that are opened.
const MAX_NESTED: usize = 8;
/// Choices of one union, at most.
const MAX_CHOICES: usize = 1_024;

/// Keywords that say nothing about what fits.
const PROSE: [&str; 7] =
    ["$comment", "$schema", "deprecated", "description", "examples", "title", "x-enum-varnames"];

/// Whether a keyword is for people.
pub(super) fn is_prose(key: &str) -> bool {
    PROSE.contains(&key)
}

/// Whether a keyword says nothing of what fits at its place: prose, defaults, and what others refer to.
pub(super) fn is_aside(key: &str) -> bool {
    is_prose(key) || matches!(key, "$defs" | "default")
}

/// One version's schema of a request or of a response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
    definitions: Option<&'a Map<String, Value>>,
}

/// A schema's choices: one, unless it is a union.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    pub(super) all: Vec<Choice<'a>>,
    /// What stands beside references and unions: keywords and their values.
    pub(super) beside: Vec<(&'a str, &'a Value)>,
}

/// One choice of a union.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'a> {
    /// A schema that is neither a reference nor a union.
    pub(super) schema: &'a Value,
    /// The field by which its union tells its choices apart.
    pub(super) tag: Option<&'a str>,
}

/// A schema that can't be made choices of, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfollowed<'a> {
    /// Nothing is defined under this reference, or it leads in a circle.
    Reference(&'a str),
    /// There are too many choices, or too many unions within each other.
    TooMany,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, definitions: root.get("$defs").and_then(Value::as_object) }
    }

    /// The choices that a schema gives, its references followed.
    pub(super) fn choices(&self, schema: &'a Value) -> Result<Choices<'a>, Unfollowed<'a>> {
        let mut found = Choices::default();
        self.add_choices(schema, None, MAX_NESTED, &mut found)?;
        Ok(found)
    }

    fn add_choices(
        &self,
        schema: &'a Value,
        tag: Option<&'a str>,
        nested: usize,
        found: &mut Choices<'a>,
    ) -> Result<(), Unfollowed<'a>> {
        let schema = self.followed(schema, &mut found.beside)?;
        let Some((keyword, choices)) = union_of(schema) else {
            found.all.push(Choice { schema, tag });
            return if found.all.len() > MAX_CHOICES { Err(Unfollowed::TooMany) } else { Ok(()) };
        };
        if nested == 0 {
            return Err(Unfollowed::TooMany);
        }
        found.beside.extend(keywords(schema).filter(|(key, _)| *key != keyword && *key != "discriminator"));
        let tag = schema.get("discriminator").and_then(|by| by.get("propertyName")?.as_str()).or(tag);
        choices.iter().try_for_each(|choice| self.add_choices(choice, tag, nested - 1, found))
    }

    /// The schema at the end of references, of which `beside` gets what stands beside them.
    fn followed(
        &self,
        mut schema: &'a Value,
        beside: &mut Vec<(&'a str, &'a Value)>,
    ) -> Result<&'a Value, Unfollowed<'a>> {
        for _ in 0..MAX_HOPS {
            let Some(reference) = reference(schema) else { return Ok(schema) };
            beside.extend(keywords(schema).filter(|(key, _)| *key != "$ref"));
            schema = self.definition(reference).ok_or(Unfollowed::Reference(reference))?;
        }
        reference(schema).map_or(Ok(schema), |reference| Err(Unfollowed::Reference(reference)))
    }

    /// The schema at the end of references; itself where that can't be told.
    pub(super) fn end(&self, schema: &'a Value) -> &'a Value {
        self.followed(schema, &mut Vec::new()).unwrap_or(schema)
    }

    /// What is taken where nothing is given, said with a reference or with what it refers to.
    pub(super) fn default(&self, mut schema: &'a Value) -> Option<&'a Value> {
        for _ in 0..MAX_HOPS {
            if let Some(default) = schema.get("default") {
                return Some(default);
            }
            schema = self.definition(reference(schema)?)?;
        }
        None
    }

    fn definition(&self, reference: &str) -> Option<&'a Value> {
        let name = reference.strip_prefix("#/$defs/")?;
        let name = if name.contains('~') {
            Cow::Owned(name.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(name)
        };
        self.definitions?.get(&*name)
    }

    /// Whether both have the same definitions.
    pub(super) fn defines_the_same(&self, other: &Self) -> bool {
        match (self.definitions, other.definitions) {
            (Some(ours), Some(theirs)) => are_same(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()
}

/// The choices of a union, and the keyword that they stand under.
pub(super) fn union_of(schema: &Value) -> Option<(&'static str, &Vec<Value>)> {
    ["anyOf", "oneOf"].into_iter().find_map(|keyword| Some((keyword, schema.get(keyword)?.as_array()?)))
}

/// A schema's keywords that say what fits, with their values.
pub(super) fn keywords(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = schema.as_object().into_iter().flatten();
    all.map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| !is_aside(key))
}

/// Whether two values are the same, the order of their keys, too: that of properties counts, and `==` leaves it out.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => are_same(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (one, other) => one == other,
    }
}

fn are_same(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let same = |((key, one), (name, other)): ((&String, &Value), (&String, &Value))| {
        key == name && is_same(one, other)
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// As `is_same`, of what may not be there.
pub(super) fn is_same_value(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether there is a reference anywhere in a value.
pub(super) fn refers(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| key == "$ref" || refers(value)),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}
