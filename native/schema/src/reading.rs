//! From JSON Schema to types.
//!
//! What has no type here is [`Type::Any`], which takes everything: a schema of another process's can't make this fail.

use serde_json::{Map, Value};

use crate::types::{Array, Enumeration, Field, Member, Struct, Type, Union};

/// Schemas inside of each other; what is below is anything.
const MAX_DEPTH: usize = 32;

/// Keywords that say which values fit, and how a caller is told of them.
const BOUNDS: [(&str, &str); 11] = [
    ("minimum", "at least"),
    ("exclusiveMinimum", "more than"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "less than"),
    ("multipleOf", "a multiple of"),
    ("minLength", "characters at least"),
    ("maxLength", "characters at most"),
    ("minItems", "items at least"),
    ("maxItems", "items at most"),
    ("minProperties", "entries at least"),
    ("maxProperties", "entries at most"),
];

/// Integers as JSON Schemas made from Rust's types name them.
const INTEGERS: [(&str, &str); 12] = [
    ("int8", "i8"),
    ("int16", "i16"),
    ("int32", "i32"),
    ("int64", "i64"),
    ("int128", "i128"),
    ("int", "i64"),
    ("uint8", "u8"),
    ("uint16", "u16"),
    ("uint32", "u32"),
    ("uint64", "u64"),
    ("uint128", "u128"),
    ("uint", "u64"),
];

/// The type that a schema describes.
pub(crate) fn read(schema: &Value) -> Type {
    read_at(schema, 0)
}

/// The definitions that a schema refers to, by their keys.
pub(crate) fn definitions(schema: &Value) -> Vec<(String, Type)> {
    let Some(Value::Object(found)) = schema.get("$defs") else { return Vec::new() };
    found.iter().map(|(key, schema)| (key.clone(), read(schema))).collect()
}

fn read_at(schema: &Value, depth: usize) -> Type {
    let Value::Object(schema) = schema else { return Type::Any };
    if depth >= MAX_DEPTH {
        return Type::Any;
    }
    if let Some(reference) = text(schema, "$ref") {
        return match reference.strip_prefix("#/$defs/") {
            Some(key) => Type::Reference(key.replace("~1", "/").replace("~0", "~")),
            None => Type::Any,
        };
    }
    if text(schema, "format") == Some("decimal") {
        return Type::Decimal;
    }
    if let Some(Value::Array(all)) = schema.get("allOf")
        && let [only] = &all[..]
    {
        return read_at(only, depth + 1);
    }
    if let Some(value) = schema.get("const") {
        return enumeration(schema, std::slice::from_ref(value));
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return enumeration(schema, values);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = schema.get(key) {
            return union(schema, choices, depth);
        }
    }
    match schema.get("type") {
        Some(Value::String(kind)) => of_type(kind, schema, depth),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
            let members = kinds.iter().map(|kind| (None, of_type(kind, schema, depth))).collect();
            one_of(named(schema), None, members)
        }
        _ if schema.contains_key("properties") => structure(schema, depth),
        _ => Type::Any,
    }
}

fn text<'a>(schema: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str)
}

/// A schema's title and description.
fn named(schema: &Map<String, Value>) -> (Option<String>, String) {
    (text(schema, "title").map(str::to_owned), text(schema, "description").unwrap_or_default().to_owned())
}

fn of_type(kind: &str, schema: &Map<String, Value>, depth: usize) -> Type {
    match kind {
        "null" => Type::Nothing,
        "boolean" => Type::Bool,
        "integer" => integer(schema),
        "number" => Type::Float(if text(schema, "format") == Some("float") { "f32" } else { "f64" }),
        "string" => string(schema),
        "array" => array(schema, depth),
        "object" => object(schema, depth),
        _ => Type::Any,
    }
}

fn integer(schema: &Map<String, Value>) -> Type {
    let format = text(schema, "format");
    if let Some((_, found)) = INTEGERS.iter().find(|(name, _)| format == Some(name)) {
        return Type::Integer(found);
    }
    let at_least = |key, least| schema.get(key).and_then(Value::as_f64).is_some_and(|bound| bound >= least);
    let unsigned = at_least("minimum", 0.0) || at_least("exclusiveMinimum", -1.0);
    Type::Integer(if unsigned { "u64" } else { "i64" })
}

fn string(schema: &Map<String, Value>) -> Type {
    match text(schema, "format") {
        Some("binary" | "base64" | "base64url") => Type::Bytes,
        Some("date-time") if text(schema, "x-timezone") == Some("naive") => Type::NaiveMoment,
        Some("date-time") => Type::Moment,
        Some("date") => Type::Date,
        Some("time") => Type::Time,
        Some("duration") => Type::Duration,
        Some("uuid" | "uuid1" | "uuid3" | "uuid4" | "uuid5" | "uuid6" | "uuid7" | "uuid8") => Type::Uuid,
        Some("ipv4") => Type::Ipv4,
        Some("ipv6") => Type::Ipv6,
        Some("ip" | "ipvanyaddress") => Type::Ip,
        Some("path" | "file-path" | "directory-path") => Type::Path,
        _ => Type::Text,
    }
}

fn array(schema: &Map<String, Value>, depth: usize) -> Type {
    if schema.contains_key("x-array") {
        let said = schema.get("dtype");
        return Type::Array(Array {
            dtype: said.and_then(Value::as_str).map(str::to_owned),
            record: said.filter(|said| said.is_array()).map(|_| Value::Object(schema.clone())),
            shape: schema.get("shape").and_then(Value::as_array).map(|sizes| shape(sizes)),
        });
    }
    if let Some(Value::Array(places)) = schema.get("prefixItems") {
        let more = schema.get("items").is_some_and(|items| *items != Value::Bool(false));
        if more {
            return Type::List(Box::new(Type::Any));
        }
        return Type::Tuple(places.iter().map(|place| read_at(place, depth + 1)).collect());
    }
    let items = Box::new(schema.get("items").map_or(Type::Any, |items| read_at(items, depth + 1)));
    if schema.get("uniqueItems") == Some(&Value::Bool(true)) { Type::Set(items) } else { Type::List(items) }
}

fn shape(sizes: &[Value]) -> String {
    let sizes: Vec<_> = sizes
        .iter()
        .map(|size| match size {
            Value::Null => "any".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    format!("[{}]", sizes.join(", "))
}

fn object(schema: &Map<String, Value>, depth: usize) -> Type {
    let named_fields = schema.get("properties").and_then(Value::as_object);
    let more = schema.get("additionalProperties");
    let closed = more == Some(&Value::Bool(false));
    if closed
        || schema.contains_key("title") && more.is_none()
        || named_fields.is_some_and(|fields| !fields.is_empty())
    {
        return structure(schema, depth);
    }
    let keys = schema.get("x-keys").map_or(Type::Text, |keys| read_at(keys, depth + 1));
    let by_pattern =
        schema.get("patternProperties").and_then(Value::as_object).and_then(|all| all.values().next());
    let values = more.or(by_pattern).map_or(Type::Any, |values| read_at(values, depth + 1));
    Type::Map(Box::new(keys), Box::new(values))
}

fn structure(schema: &Map<String, Value>, depth: usize) -> Type {
    let required: Vec<_> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.map(|(name, field)| Field {
        name: name.clone(),
        doc: field_doc(field),
        kind: read_at(field, depth + 1),
        required: required.contains(&name.as_str()),
        default: field.get("default").cloned(),
    });
    let (title, doc) = named(schema);
    let rest = schema.get("additionalProperties").filter(|more| **more != Value::Bool(false));
    let rest = rest.map(|more| Box::new(read_at(more, depth + 1)));
    Type::Struct(Struct { title, doc, fields: fields.collect(), rest })
}

/// What is written of a field, and what values it may have.
fn field_doc(field: &Value) -> String {
    let Some(schema) = field.as_object() else { return String::new() };
    let bounds: Vec<_> = BOUNDS
        .iter()
        .filter(|_| !schema.contains_key("prefixItems"))
        .filter_map(|(key, said)| Some((said, schema.get(*key)?)))
        .map(|(said, bound)| match said.split_once(' ') {
            Some((what, rest)) if what != "at" && what != "more" && what != "less" && what != "a" => {
                format!("{bound} {what} {rest}")
            }
            _ => format!("{said} {bound}"),
        })
        .chain(text(schema, "pattern").map(|pattern| format!("matches `{pattern}`")))
        .collect();
    let mut said = Vec::new();
    said.extend(
        text(schema, "description").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
    );
    if !bounds.is_empty() {
        let mut line = bounds.join(", ");
        if let Some(first) = line.get(..1) {
            line = first.to_uppercase() + &line[1..];
        }
        said.push(line + ".");
    }
    said.join("\n\n")
}

fn enumeration(schema: &Map<String, Value>, values: &[Value]) -> Type {
    let names = schema.get("x-enum-varnames").and_then(Value::as_array);
    let member = |at: usize, value: &Value| Member {
        name: names.and_then(|names| names.get(at)?.as_str()).map(str::to_owned),
        value: value.clone(),
    };
    let (title, doc) = named(schema);
    // Only a class's name is one: that of a field is made of the field's.
    let title = title.filter(|_| names.is_some());
    let of = |fits: &dyn Fn(&Value) -> bool| {
        let members: Vec<_> = values
            .iter()
            .enumerate()
            .filter(|(_, value)| fits(value))
            .map(|(at, value)| member(at, value))
            .collect();
        let found = Enumeration { title: title.clone(), doc: doc.clone(), members };
        (!found.members.is_empty()).then_some((None, Type::Enumeration(found)))
    };
    let mut parts = Vec::new();
    parts.extend(of(&Value::is_string));
    parts.extend(of(&|value| value.is_i64() || value.is_u64()));
    if values.iter().any(Value::is_boolean) {
        parts.push((None, Type::Bool));
    }
    if values.iter().any(Value::is_f64) {
        parts.push((None, Type::Float("f64")));
    }
    if values.iter().any(Value::is_null) {
        parts.push((None, Type::Nothing));
    }
    if values.iter().any(|value| value.is_array() || value.is_object()) {
        return Type::Any;
    }
    one_of((None, String::new()), None, parts)
}

fn union(schema: &Map<String, Value>, choices: &[Value], depth: usize) -> Type {
    let discriminator = schema.get("discriminator").and_then(Value::as_object);
    let tag = discriminator.and_then(|found| text(found, "propertyName")).map(str::to_owned);
    let mapping = discriminator.and_then(|found| found.get("mapping")).and_then(Value::as_object);
    let mut members = Vec::new();
    for choice in choices {
        let reference = choice.get("$ref").and_then(Value::as_str);
        let tags: Vec<_> = mapping
            .into_iter()
            .flatten()
            .filter(|(_, target)| reference.is_some() && target.as_str() == reference)
            .map(|(value, _)| value.clone())
            .collect();
        let found = read_at(choice, depth + 1);
        match &tags[..] {
            [] => members.push((None, found)),
            tags => members.extend(tags.iter().map(|tag| (Some(tag.clone()), found.clone()))),
        }
    }
    let (_, doc) = named(schema);
    let tagged = !members.is_empty() && members.iter().all(|(tag, _)| tag.is_some());
    one_of((None, doc), tag.filter(|_| tagged), members)
}

/// A union, without what stands in it twice, and with what may be absent outside.
fn one_of(
    (title, doc): (Option<String>, String),
    tag: Option<String>,
    members: Vec<(Option<String>, Type)>,
) -> Type {
    let mut kept: Vec<(Option<String>, Type)> = Vec::new();
    let mut absent = false;
    for (tag, member) in members {
        match member {
            Type::Nothing => absent = true,
            Type::Any => return Type::Any,
            Type::Optional(inner) => {
                absent = true;
                kept.push((tag, *inner));
            }
            // Inside of another, as Pydantic writes what may be absent and is told apart.
            Type::Union(inner) if inner.tag.is_none() && tag.is_none() => kept.extend(inner.members),
            other if kept.iter().any(|(_, known)| *known == other) && tag.is_none() => {}
            other => kept.push((tag, other)),
        }
    }
    let has = |kept: &[(Option<String>, Type)], wanted: &Type| kept.iter().any(|(_, found)| found == wanted);
    // A number is a number.
    if kept.iter().any(|(_, found)| matches!(found, Type::Float(_))) {
        kept.retain(|(_, found)| !matches!(found, Type::Integer(_)));
    }
    if kept.len() == 2 && has(&kept, &Type::Ipv4) && has(&kept, &Type::Ipv6) {
        kept = vec![(None, Type::Ip)];
    }
    let found = match kept.len() {
        0 => return Type::Nothing,
        1 if tag.is_none() => kept.remove(0).1,
        _ => Type::Union(Union { title, doc, tag, members: kept }),
    };
    if absent { Type::Optional(Box::new(found)) } else { found }
}
