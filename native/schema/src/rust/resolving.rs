//! From types to items of Rust: each class becomes one, wherever it is met.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::rust::items::{Field, Form, Item, Kind, Presence, Shape, Union, Variant, element};
use crate::rust::literals::{literal, usual};
use crate::rust::names::{pascal, snake, type_name, unused};
use crate::rust::records;
use crate::rust::scope::{Scope, holds_array, outside_of_tagged, print_of, prints_of, title_of};
use crate::types::{Array, Enumeration, Struct, Type, Union as AnyOf};

/// Names by which one field of a pair is known as the other's content.
const CONTENTS: [&str; 8] = ["content", "contents", "c", "value", "data", "payload", "body", "params"];

/// Which way a value goes: a caller that sends arrays owns them, one that receives them looks where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Sent,
    Received,
}

/// Collects the items of a module.
pub(super) struct Resolver {
    pub(super) items: Vec<Item>,
    /// Names of items, and names that they may not have.
    used: HashSet<String>,
    /// Items by what they are made of.
    known: HashMap<String, String>,
    /// Items that are not behind a pointer wherever they are held by themselves are found at the end.
    pub(super) imports: BTreeSet<&'static str>,
    /// Classes that also stand outside of unions that tell them apart by a field.
    alone: HashSet<String>,
}

impl Resolver {
    pub(super) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self {
            items: Vec::new(),
            used: taken.into_iter().collect(),
            known: HashMap::new(),
            imports: BTreeSet::new(),
            alone: HashSet::new(),
        }
    }

    /// Notes which classes stand alone: to be done for all schemas before any is resolved.
    pub(super) fn look(&mut self, kind: &Type, scope: &Scope) {
        let mut alone = Vec::new();
        for kind in std::iter::once(kind).chain(scope.types.values()) {
            outside_of_tagged(kind, &mut |key| alone.extend(scope.prints.get(key).cloned()));
        }
        self.alone.extend(alone);
    }

    fn import(&mut self, path: &'static str, name: &'static str) -> Kind {
        self.imports.insert(path);
        Kind::Plain(name)
    }

    fn name(&mut self, wanted: String) -> String {
        unused(wanted, &mut self.used)
    }

    /// Takes a name for what is no item, such as a method's own types.
    pub(super) fn reserve(&mut self, wanted: String) -> String {
        self.name(wanted)
    }

    pub(super) fn add(&mut self, name: String, doc: &str, shape: Shape) -> Kind {
        self.items.push(Item { name: name.clone(), doc: doc.to_owned(), shape });
        Kind::Named(name)
    }

    /// The Rust type of a type; `name` is for what has no name of its own.
    pub(super) fn kind(&mut self, kind: &Type, scope: &Scope, name: &str, way: Way) -> Kind {
        match kind {
            Type::Any => self.import("pycrust_client::Raw", "Raw"),
            Type::Nothing => Kind::Plain("()"),
            Type::Bool => Kind::Plain("bool"),
            Type::Integer(found) | Type::Float(found) => Kind::Plain(found),
            Type::Text => Kind::Plain("String"),
            Type::Bytes => self.import("serde_bytes::ByteBuf", "ByteBuf"),
            Type::Moment => self.import("pycrust_client::Timestamp", "Timestamp"),
            Type::NaiveMoment => self.import("chrono::NaiveDateTime", "NaiveDateTime"),
            Type::Date => self.import("chrono::NaiveDate", "NaiveDate"),
            Type::Time => self.import("chrono::NaiveTime", "NaiveTime"),
            Type::Duration => self.import("std::time::Duration", "Duration"),
            Type::Uuid => self.import("uuid::Uuid", "Uuid"),
            Type::Decimal => self.import("rust_decimal::Decimal", "Decimal"),
            Type::Ip => self.import("std::net::IpAddr", "IpAddr"),
            Type::Ipv4 => self.import("std::net::Ipv4Addr", "Ipv4Addr"),
            Type::Ipv6 => self.import("std::net::Ipv6Addr", "Ipv6Addr"),
            Type::Path => self.import("std::path::PathBuf", "PathBuf"),
            Type::Optional(inner) => match self.kind(inner, scope, name, way) {
                found @ Kind::Option(_) => found,
                found => found.option(),
            },
            Type::List(inner) => Kind::Vec(Box::new(self.item_kind(inner, scope, name, way))),
            Type::Set(inner) => {
                let inner = self.item_kind(inner, scope, name, way);
                if self.is_key(&inner) {
                    self.imports.insert("std::collections::HashSet");
                    Kind::Set(Box::new(inner))
                } else {
                    Kind::Vec(Box::new(inner))
                }
            }
            Type::Tuple(parts) if parts.is_empty() => Kind::Plain("()"),
            Type::Tuple(parts) => Kind::Tuple(
                parts
                    .iter()
                    .enumerate()
                    .map(|(at, part)| self.kind(part, scope, &format!("{name}{at}"), way))
                    .collect(),
            ),
            Type::Map(keys, values) => {
                let keys = self.kind(keys, scope, &format!("{name}Key"), way);
                let values = self.kind(values, scope, &format!("{name}Value"), way);
                if !self.is_key(&keys) {
                    return self.import("pycrust_client::Raw", "Raw");
                }
                self.imports.insert("std::collections::HashMap");
                Kind::Map(Box::new(keys), Box::new(values))
            }
            Type::Array(array) => self.array(array, name, way),
            Type::Reference(key) => self.definition(key, scope, way),
            Type::Struct(found) => {
                let wanted = found.title.as_deref().map_or_else(|| pascal(name), type_name);
                self.inline(kind, scope, wanted, way, |own, name| {
                    own.structure(found, scope, name, &HashSet::new(), way)
                })
            }
            Type::Enumeration(found) => {
                let wanted = found.title.as_deref().map_or_else(|| pascal(name), type_name);
                self.inline(kind, scope, wanted, way, |own, name| own.enumeration(found, name))
            }
            Type::Union(found) => {
                let wanted = found.title.as_deref().map_or_else(|| pascal(name), type_name);
                let print = format!("{kind:?}{:?}{}", prints_of(kind, scope), way_of(kind, scope, way));
                self.once(print, wanted, |own, name| own.union(found, scope, name, way))
            }
        }
    }

    fn item_kind(&mut self, kind: &Type, scope: &Scope, name: &str, way: Way) -> Kind {
        self.kind(kind, scope, &format!("{name}Item"), way)
    }

    /// Whether a type can be a key of a map or the item of a set.
    fn is_key(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Plain(name) => !["f32", "f64", "TensorView", "()"].contains(name),
            Kind::Tuple(parts) => parts.iter().all(|part| self.is_key(part)),
            Kind::Named(name) => self
                .items
                .iter()
                .any(|item| item.name == *name && matches!(item.shape, Shape::Texts(_) | Shape::Integers(_))),
            _ => false,
        }
    }

    fn array(&mut self, array: &Array, name: &str, way: Way) -> Kind {
        if let Some(fields) = array.record.as_ref().and_then(records::fields) {
            let print = format!("record {fields:?}");
            let found = self.once(print, pascal(&format!("{name} record")), |own, name| {
                own.imports.extend(["bytemuck::Pod", "bytemuck::Zeroable", "pycrust_client::Record"]);
                own.add(name, "One element of an array.", Shape::Record(fields))
            });
            let Kind::Named(found) = found else { return found };
            self.imports.insert("pycrust_client::Tensor");
            return Kind::Tensor(found);
        }
        match element(array) {
            Some(element) if way == Way::Sent => {
                self.imports.insert("pycrust_client::Tensor");
                Kind::Tensor(element.to_owned())
            }
            // Of any type: whatever the caller has, as `Raw` takes it.
            None if way == Way::Sent => self.import("pycrust_client::Raw", "Raw"),
            _ => self.import("pycrust_client::TensorView", "TensorView"),
        }
    }

    /// The item that is made of `print`, which `make` makes the first time.
    fn once(&mut self, print: String, wanted: String, make: impl FnOnce(&mut Self, String) -> Kind) -> Kind {
        if let Some(name) = self.known.get(&print) {
            return Kind::Named(name.clone());
        }
        let name = self.name(wanted);
        // Before what it is made of, which may be it again.
        self.known.insert(print, name.clone());
        make(self, name)
    }

    /// The same for what stands where it is used; a class is the one that another schema has as a definition.
    fn inline(
        &mut self,
        kind: &Type,
        scope: &Scope,
        wanted: String,
        way: Way,
        make: impl FnOnce(&mut Self, String) -> Kind,
    ) -> Kind {
        let print = print_of(&wanted, kind, &scope.types);
        let print = format!("{print}{}", way_of(kind, scope, way));
        self.once(print, wanted, make)
    }

    fn definition(&mut self, key: &str, scope: &Scope, way: Way) -> Kind {
        let (Some(found), Some(print)) = (scope.get(key), scope.prints.get(key)) else {
            return self.import("pycrust_client::Raw", "Raw");
        };
        let print = format!("{print}{}", way_of(found, scope, way));
        let wanted = title_of(key, found);
        self.once(print, wanted, |own, name| match found {
            Type::Struct(found) => own.structure(found, scope, name, &HashSet::new(), way),
            Type::Enumeration(found) => own.enumeration(found, name),
            Type::Union(found) => own.union(found, scope, name, way),
            other => {
                let kind = own.kind(other, scope, &name, way);
                own.add(name, "", Shape::Alias(kind))
            }
        })
    }

    /// The struct of a class, without the fields that `except` names.
    pub(super) fn structure(
        &mut self,
        found: &Struct,
        scope: &Scope,
        name: String,
        except: &HashSet<&str>,
        way: Way,
    ) -> Kind {
        let mut used = HashSet::new();
        let mut fields = Vec::new();
        for field in &found.fields {
            if except.contains(field.name.as_str()) {
                continue;
            }
            let kind = self.kind(&field.kind, scope, &format!("{name} {}", pascal(&field.name)), way);
            let presence = self.presence(field, &kind, scope);
            let kind = match presence {
                Presence::Unsent if !matches!(kind, Kind::Option(_)) => kind.option(),
                _ => kind,
            };
            fields.push(Field {
                name: unused(snake(&field.name), &mut used),
                wire: field.name.clone(),
                doc: field.doc.clone(),
                kind,
                presence,
            });
        }
        if let Some(rest) = &found.rest {
            fields.push(self.rest(rest, scope, &name, &mut used, way));
        }
        self.add(name, &found.doc, Shape::Struct(fields))
    }

    /// The field for all that has none of its own.
    pub(super) fn rest(
        &mut self,
        rest: &Type,
        scope: &Scope,
        name: &str,
        used: &mut HashSet<String>,
        way: Way,
    ) -> Field {
        let values = self.kind(rest, scope, &format!("{name} Rest"), way);
        self.imports.insert("std::collections::HashMap");
        Field {
            name: unused("rest".into(), used),
            wire: String::new(),
            doc: "Everything else, by its name.".into(),
            kind: Kind::Map(Box::new(Kind::Plain("String")), Box::new(values)),
            presence: Presence::Rest,
        }
    }

    fn presence(&self, field: &crate::types::Field, kind: &Kind, scope: &Scope) -> Presence {
        if let Kind::Named(name) = kind
            && let Some(Shape::Texts(values)) =
                self.items.iter().find(|item| item.name == *name).map(|item| &item.shape)
            && let [(only, _)] = &values[..]
            && matches!(scope.resolved(&field.kind), Type::Enumeration(_))
        {
            return Presence::Constant(format!("{name}::{only}"));
        }
        match &field.default {
            None if field.required => Presence::Required,
            None => Presence::Unsent,
            Some(value) if usual(value, kind) => {
                Presence::Usual(literal(value, kind, &self.items).unwrap_or_default())
            }
            Some(value) => literal(value, kind, &self.items).map_or(Presence::Unsent, Presence::Value),
        }
    }

    fn enumeration(&mut self, found: &Enumeration, name: String) -> Kind {
        let mut used = HashSet::new();
        let mut texts = Vec::new();
        let mut integers = Vec::new();
        for member in &found.members {
            let own = member.name.clone();
            if let Some(text) = member.value.as_str() {
                texts.push((unused(pascal(&own.unwrap_or_else(|| text.into())), &mut used), text.to_owned()));
            } else {
                let value = member
                    .value
                    .as_i64()
                    .map_or_else(|| member.value.as_u64().map_or(0, i128::from), i128::from);
                let own = own.unwrap_or_else(|| format!("value {value}").replace('-', "minus "));
                integers.push((unused(pascal(&own), &mut used), value));
            }
        }
        let shape = if integers.is_empty() { Shape::Texts(texts) } else { Shape::Integers(integers) };
        let doc = if found.title.is_none() { "One of these values." } else { &found.doc };
        self.add(name, doc, shape)
    }

    fn union(&mut self, found: &AnyOf, scope: &Scope, name: String, way: Way) -> Kind {
        let union = match &found.tag {
            Some(tag) => self.tagged(tag, found, scope, &name, way),
            None => self.external(found, scope, &name, way),
        };
        let union = union.unwrap_or_else(|| self.untagged(found, scope, &name, way));
        self.add(name, &found.doc, Shape::Union(union))
    }

    /// A union whose classes are told apart by a field of theirs.
    fn tagged(&mut self, tag: &str, found: &AnyOf, scope: &Scope, name: &str, way: Way) -> Option<Union> {
        let mut classes = Vec::new();
        for (value, member) in &found.members {
            let Type::Struct(class) = scope.resolved(member) else { return None };
            // In an array, the field that tells them apart comes first: in Rust it always does.
            if class.fields.first().is_none_or(|field| field.name != tag) {
                return None;
            }
            classes.push((value.clone()?, member, class));
        }
        let content = content_of(classes.iter().map(|(_, _, class)| *class));
        let mut used = HashSet::new();
        let mut variants = Vec::new();
        for (value, member, class) in classes {
            let variant = unused(pascal(&value), &mut used);
            let kind = if class.fields.len() == 1 && class.rest.is_none() {
                None
            } else if content.is_some() {
                Some(self.kind(&class.fields[1].kind, scope, &format!("{name} {variant}"), way))
            } else {
                Some(self.member(tag, member, class, scope, &format!("{name}{variant}"), way))
            };
            variants.push(Variant { name: variant, wire: Some(value), kind });
        }
        let tag = tag.to_owned();
        let form = content
            .map_or_else(|| Form::Internal(tag.clone()), |content| Form::Adjacent(tag.clone(), content));
        Some(Union { form, variants })
    }

    /// The struct of a class without the field that tells it apart, which its union writes.
    fn member(
        &mut self,
        tag: &str,
        member: &Type,
        class: &Struct,
        scope: &Scope,
        own: &str,
        way: Way,
    ) -> Kind {
        let print = match member {
            Type::Reference(key) => scope.prints.get(key).cloned().unwrap_or_default(),
            other => format!("{other:?}"),
        };
        let wanted = match &class.title {
            Some(title) if !self.alone.contains(&print) => type_name(title),
            _ => own.to_owned(),
        };
        let except = HashSet::from([tag]);
        self.once(
            format!("without {tag}: {print}{}", way_of(member, scope, way)),
            wanted,
            |resolver, name| resolver.structure(class, scope, name, &except, way),
        )
    }

    /// A union of texts and of classes with one field each, which is how Rust writes an enum that says nothing else.
    fn external(&mut self, found: &AnyOf, scope: &Scope, name: &str, way: Way) -> Option<Union> {
        let mut used = HashSet::new();
        let mut wires = HashSet::new();
        let mut variants = Vec::new();
        let mut classes = 0;
        for (_, member) in &found.members {
            match scope.resolved(member) {
                Type::Enumeration(values) if values.title.is_none() => {
                    for member in &values.members {
                        let text = member.value.as_str()?.to_owned();
                        variants.push((text, None));
                    }
                }
                Type::Struct(class) => {
                    let [only] = &class.fields[..] else { return None };
                    if !only.required || class.rest.is_some() {
                        return None;
                    }
                    classes += 1;
                    variants.push((only.name.clone(), Some(&only.kind)));
                }
                _ => return None,
            }
        }
        if classes == 0 || !variants.iter().all(|(wire, _)| wires.insert(wire.clone())) {
            return None;
        }
        let variants = variants
            .into_iter()
            .map(|(wire, kind)| {
                let variant = unused(pascal(&wire), &mut used);
                let kind = kind.map(|kind| self.kind(kind, scope, &format!("{name} {variant}"), way));
                Variant { name: variant, wire: Some(wire), kind }
            })
            .collect();
        Some(Union { form: Form::External, variants })
    }

    fn untagged(&mut self, found: &AnyOf, scope: &Scope, name: &str, way: Way) -> Union {
        let mut members: Vec<&Type> = Vec::new();
        for (_, member) in &found.members {
            if !members.contains(&member) {
                members.push(member);
            }
        }
        // The first that fits is taken: what demands more comes first.
        members.sort_by_key(|member| rank(scope.resolved(member)));
        let mut used = HashSet::new();
        let variants = members
            .into_iter()
            .map(|member| {
                let wanted = variant_name(member, scope);
                let variant = unused(wanted, &mut used);
                let kind = self.kind(member, scope, &format!("{name} {variant}"), way);
                Variant { name: variant, wire: None, kind: Some(kind) }
            })
            .collect();
        Union { form: Form::Untagged, variants }
    }
}

/// The field that all classes have beside the one that tells them apart, if they have no other.
fn content_of<'a>(classes: impl Iterator<Item = &'a Struct>) -> Option<String> {
    let mut content = None;
    for class in classes {
        match &class.fields[1..] {
            [] if class.rest.is_none() => {}
            [only] if class.rest.is_none() && only.required && CONTENTS.contains(&only.name.as_str()) => {
                if content.get_or_insert(&only.name) != &&only.name {
                    return None;
                }
            }
            _ => return None,
        }
    }
    content.cloned()
}

/// What tells a type from the same that goes the other way: nothing, unless it holds arrays.
fn way_of(kind: &Type, scope: &Scope, way: Way) -> String {
    let mut found = false;
    holds_array(kind, scope, &mut HashSet::new(), &mut found);
    if found { format!("{way:?}") } else { String::new() }
}

/// Where a type stands among those of which the first that fits is taken.
fn rank(kind: &Type) -> (u8, isize) {
    match kind {
        Type::Nothing => (0, 0),
        Type::Bool => (1, 0),
        Type::Integer(_) => (2, 0),
        Type::Float(_) => (3, 0),
        Type::Array(_) | Type::Bytes => (4, 0),
        Type::Enumeration(_) => (5, 0),
        Type::Uuid | Type::Ip | Type::Ipv4 | Type::Ipv6 => (6, 0),
        Type::Moment | Type::NaiveMoment | Type::Date | Type::Time | Type::Duration => (7, 0),
        Type::Decimal => (8, 0),
        Type::Text | Type::Path => (9, 0),
        Type::Struct(class) => {
            (10, -class.fields.iter().filter(|field| field.required).count().cast_signed())
        }
        Type::Tuple(parts) => (11, -parts.len().cast_signed()),
        Type::List(_) | Type::Set(_) => (12, 0),
        _ => (13, 0),
    }
}

fn variant_name(member: &Type, scope: &Scope) -> String {
    let name = match member {
        Type::Bool => "Bool",
        Type::Integer(_) => "Integer",
        Type::Float(_) => "Float",
        Type::Text => "Text",
        Type::Bytes => "Bytes",
        Type::Moment | Type::NaiveMoment => "Moment",
        Type::Date => "Date",
        Type::Time => "Time",
        Type::Duration => "Duration",
        Type::Uuid => "Uuid",
        Type::Decimal => "Decimal",
        Type::Ip | Type::Ipv4 | Type::Ipv6 => "Address",
        Type::Path => "Path",
        Type::List(_) => "List",
        Type::Set(_) => "Set",
        Type::Tuple(_) => "Tuple",
        Type::Map(..) => "Map",
        Type::Array(_) => "Array",
        Type::Struct(Struct { title: Some(title), .. })
        | Type::Enumeration(Enumeration { title: Some(title), .. }) => {
            return pascal_type(title);
        }
        Type::Enumeration(_) => "Choice",
        Type::Reference(key) => match scope.get(key) {
            Some(
                Type::Struct(Struct { title: Some(title), .. })
                | Type::Enumeration(Enumeration { title: Some(title), .. }),
            ) => {
                return pascal_type(title);
            }
            _ => return pascal_type(key),
        },
        _ => "Other",
    };
    name.to_owned()
}

/// A class's name as a variant's: nothing else can have that there.
fn pascal_type(name: &str) -> String {
    if name.chars().all(|letter| letter.is_ascii_alphanumeric())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name != "Self"
    {
        name.to_owned()
    } else {
        pascal(name)
    }
}
