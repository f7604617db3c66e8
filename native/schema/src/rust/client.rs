//! The client of an endpoint: what each of its methods takes and gives.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::lock::{Kind as Calls, Lock, Method};
use crate::reading;
use crate::rust::items::{Field, Item, Kind, Presence, Shape};
use crate::rust::names::{constant, pascal, snake, type_name, unused};
use crate::rust::resolving::{Resolver, Way};
use crate::rust::scope::Scope;
use crate::rust::writing::write;
use crate::types::{Struct, Type};

/// Methods that a client has of its own.
const OWN: [&str; 6] = ["builder", "check", "client", "clone", "connect", "from"];

/// One handler, as Rust calls it.
pub(super) struct Handler<'a> {
    /// Its name on the wire.
    pub(super) name: &'a str,
    pub(super) method: &'a Method,
    /// The name of the method that calls it, and of the constant that says how.
    pub(super) function: String,
    pub(super) constant: String,
    pub(super) arguments: Arguments,
    /// The type of its result, or of an item of it.
    pub(super) result: Kind,
}

/// What a handler takes.
pub(super) enum Arguments {
    Nothing,
    /// A struct, whose item has the name; by position in a `tuple`.
    Struct {
        item: String,
        fields: Vec<Field>,
        tuple: bool,
    },
    /// One value that is all of the arguments: a parameter's name, and its type.
    Whole(&'static str, Kind),
    /// A stream of these.
    Items(Kind),
}

impl Arguments {
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Nothing => "()".into(),
            Self::Struct { item, .. } => item.clone(),
            Self::Whole(_, kind) | Self::Items(kind) => kind.to_string(),
        }
    }
}

pub(super) fn module(lock: &Lock) -> String {
    let client = format!("{}Client", pascal(&lock.endpoint));
    let mut resolver = Resolver::new([client.clone()]);
    let scopes: Vec<_> =
        lock.methods.values().map(|method| [&method.request, &method.response].map(scope)).collect();
    for (method, [request, response]) in lock.methods.values().zip(&scopes) {
        resolver.look(&reading::read(&method.request), request);
        resolver.look(&reading::read(&method.response), response);
    }
    let mut functions: HashSet<String> = OWN.map(str::to_owned).into();
    let mut constants = HashSet::from(["ALL".to_owned()]);
    let handlers: Vec<_> = lock
        .methods
        .iter()
        .zip(&scopes)
        .map(|((name, method), [request, response])| {
            let wanted = snake(name);
            let wanted = if OWN.contains(&wanted.as_str()) { wanted + "_" } else { wanted };
            let function = unused(wanted, &mut functions);
            let own = pascal(name);
            let arguments = arguments(&mut resolver, method, request, name);
            let result = reading::read(&method.response);
            let result = resolver.kind(&result, response, &format!("{own}Response"), Way::Received);
            let constant = unused(constant(name), &mut constants);
            Handler { name, method, function, constant, arguments, result }
        })
        .collect();
    let Resolver { mut items, imports, .. } = resolver;
    break_circles(&mut items);
    items.sort_by(|one, other| one.name.cmp(&other.name));
    write(lock, &client, &handlers, &items, imports)
}

fn scope(schema: &Value) -> Scope {
    Scope::new(reading::definitions(schema))
}

fn arguments(resolver: &mut Resolver, method: &Method, scope: &Scope, name: &str) -> Arguments {
    let own = pascal(name);
    let read = reading::read(&method.request);
    if matches!(method.kind, Calls::Upload | Calls::Exchange) {
        let items = match read {
            Type::List(items) => *items,
            _ => Type::Any,
        };
        return Arguments::Items(resolver.kind(&items, scope, &format!("{own}Item"), Way::Sent));
    }
    if let Some((places, required)) = places(&method.request) {
        return of_struct(resolver, &by_position(places, required), scope, name, true);
    }
    match scope.resolved(&read) {
        Type::Struct(found) if found.fields.is_empty() && found.rest.is_none() => Arguments::Nothing,
        Type::Struct(found) => of_struct(resolver, found, scope, name, false),
        Type::List(items) => {
            let items = resolver.kind(items, scope, &format!("{own}Item"), Way::Sent);
            Arguments::Whole("items", Kind::Slice(Box::new(items)))
        }
        other => Arguments::Whole("args", resolver.kind(other, scope, &format!("{own}Args"), Way::Sent)),
    }
}

/// The parameters of a handler that takes them by position only, and how many must be given.
fn places(request: &Value) -> Option<(&Vec<Value>, usize)> {
    let places = request.get("prefixItems")?.as_array()?;
    let required = request.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    Some((places, usize::try_from(required).unwrap_or(usize::MAX)))
}

fn by_position(places: &[Value], required: usize) -> Struct {
    let fields = places.iter().enumerate().map(|(at, place)| {
        let name = place
            .get("title")
            .and_then(Value::as_str)
            .map_or_else(|| format!("argument {at}"), str::to_lowercase);
        crate::types::Field {
            name: snake(&name),
            doc: place.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
            kind: reading::read(place),
            required: at < required,
            default: None,
        }
    });
    Struct { title: None, doc: String::new(), fields: fields.collect(), rest: None }
}

/// The struct of a handler's arguments. What has a default is sent only if it is given: the handler's own default
/// counts, which a cell can change.
fn of_struct(resolver: &mut Resolver, found: &Struct, scope: &Scope, name: &str, tuple: bool) -> Arguments {
    let own = pascal(name);
    let all_given = found.fields.iter().all(|field| field.required) && found.rest.is_none();
    let wanted = match &found.title {
        Some(title) if all_given => type_name(title),
        _ => format!("{own}Args"),
    };
    let item = resolver.reserve(wanted);
    let mut used = HashSet::new();
    let mut fields = Vec::new();
    for field in &found.fields {
        let kind = resolver.kind(&field.kind, scope, &format!("{own} {}", pascal(&field.name)), Way::Sent);
        let name = unused(snake(&field.name), &mut used);
        let default = field.default.as_ref().map(|value| format!("By default `{value}`."));
        let texts = [field.doc.as_str(), default.as_deref().unwrap_or_default()];
        let doc = texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
        let (kind, presence) = if field.required {
            (kind, Presence::Required)
        } else {
            let absent =
                matches!(&kind, Kind::Option(_)) && matches!(&field.default, None | Some(Value::Null));
            (if absent { kind } else { kind.option() }, Presence::Unsent)
        };
        fields.push(Field { name, wire: field.name.clone(), doc, kind, presence });
    }
    if let Some(rest) = &found.rest {
        fields.push(resolver.rest(rest, scope, &item, &mut used, Way::Sent));
    }
    let doc = if found.doc.is_empty() { format!("The arguments of `{name}`.") } else { found.doc.clone() };
    resolver.add(item.clone(), &doc, Shape::Arguments { fields: fields.clone(), tuple });
    Arguments::Struct { item, fields, tuple }
}

/// Puts what would hold itself behind a pointer.
fn break_circles(items: &mut [Item]) {
    let held: Vec<(String, Vec<String>)> = items
        .iter()
        .map(|item| {
            let held = item.shape.kinds().into_iter().flat_map(Kind::held).map(str::to_owned).collect();
            (item.name.clone(), held)
        })
        .collect();
    let reaches = |from: &str, to: &str| {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(name) = todo.pop() {
            if name == to {
                return true;
            }
            if seen.insert(name)
                && let Some((_, held)) = held.iter().find(|(item, _)| item == name)
            {
                todo.extend(held.iter().map(String::as_str));
            }
        }
        false
    };
    for item in items {
        let name = item.name.clone();
        let circles = |kind: &Kind| -> Vec<String> {
            kind.held().into_iter().filter(|held| reaches(held, &name)).map(str::to_owned).collect()
        };
        match &mut item.shape {
            Shape::Struct(fields) => {
                for field in fields {
                    for held in circles(&field.kind) {
                        field.kind = field.kind.clone().boxed(&held);
                    }
                }
            }
            Shape::Union(union) => {
                for variant in &mut union.variants {
                    for held in variant.kind.as_ref().map(circles).unwrap_or_default() {
                        variant.kind = variant.kind.take().map(|kind| kind.boxed(&held));
                    }
                }
            }
            Shape::Alias(kind) => {
                for held in circles(kind) {
                    *kind = kind.clone().boxed(&held);
                }
            }
            _ => {}
        }
    }
}
