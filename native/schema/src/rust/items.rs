//! What a module of Rust holds: types with names, and how other types are made of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::rust::records;
use crate::types::Array;

/// A type as Rust writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// One that is not of this module.
    Plain(&'static str),
    /// An item of this module.
    Named(String),
    /// An array of numbers with its elements' type.
    Tensor(String),
    Option(Box<Self>),
    Vec(Box<Self>),
    /// Many of one type, wherever they are.
    Slice(Box<Self>),
    Set(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Tuple(Vec<Self>),
    Box(Box<Self>),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Named(name) => f.write_str(name),
            Self::Tensor(element) => write!(f, "Tensor<{element}>"),
            Self::Option(inner) => write!(f, "Option<{inner}>"),
            Self::Vec(inner) => write!(f, "Vec<{inner}>"),
            Self::Slice(inner) => write!(f, "[{inner}]"),
            Self::Set(inner) => write!(f, "HashSet<{inner}>"),
            Self::Map(keys, values) => write!(f, "HashMap<{keys}, {values}>"),
            Self::Tuple(parts) => {
                let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
                let comma = if parts.len() == 1 { "," } else { "" };
                write!(f, "({}{comma})", parts.join(", "))
            }
            Self::Box(inner) => write!(f, "Box<{inner}>"),
        }
    }
}

impl Kind {
    pub(super) fn option(self) -> Self {
        Self::Option(Box::new(self))
    }

    /// The types that it is made of.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Plain(_) | Self::Named(_) | Self::Tensor(_) => Vec::new(),
            Self::Option(inner)
            | Self::Vec(inner)
            | Self::Slice(inner)
            | Self::Set(inner)
            | Self::Box(inner) => vec![inner],
            Self::Map(keys, values) => vec![keys, values],
            Self::Tuple(parts) => parts.iter().collect(),
        }
    }

    /// Calls `visit` with this type and with all that it is made of.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        self.parts().into_iter().for_each(|part| part.walk(visit));
    }

    /// The items that a value of it holds within itself, and not behind a pointer.
    pub(super) fn held(&self) -> Vec<&str> {
        match self {
            Self::Named(name) => vec![name],
            Self::Option(inner) => inner.held(),
            Self::Tuple(parts) => parts.iter().flat_map(Self::held).collect(),
            _ => Vec::new(),
        }
    }

    /// The same type, with `name` behind a pointer wherever it is held.
    pub(super) fn boxed(self, name: &str) -> Self {
        match self {
            Self::Named(found) if found == name => Self::Box(Box::new(Self::Named(found))),
            Self::Option(inner) => Self::Option(Box::new(inner.boxed(name))),
            Self::Tuple(parts) => Self::Tuple(parts.into_iter().map(|part| part.boxed(name)).collect()),
            other => other,
        }
    }
}

/// What a derived trait demands of what it is derived for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Derived {
    PartialEq,
    Eq,
    Hash,
}

/// A type with a name.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    Struct(Vec<Field>),
    /// What a handler takes; by position in a tuple.
    Arguments {
        fields: Vec<Field>,
        tuple: bool,
    },
    /// Values without fields: each with its variant's name and its value on the wire.
    Texts(Vec<(String, String)>),
    Integers(Vec<(String, i128)>),
    Union(Union),
    /// Another name for a type.
    Alias(Kind),
    /// Plain old data: the fields of an array's records, in the order of their bytes.
    Record(Vec<records::Field>),
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    /// As Rust writes it.
    pub(super) name: String,
    /// As it is on the wire.
    pub(super) wire: String,
    pub(super) doc: String,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
}

/// Whether a field is always there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Presence {
    Required,
    /// It has only one value.
    Constant(String),
    /// It is this if it is not said, which is what `Default` gives.
    Usual(String),
    /// It is this if it is not said.
    Value(String),
    /// It is not sent unless it is said: the handler knows what it is then.
    Unsent,
    /// All that has no field of its own.
    Rest,
}

#[derive(Debug, Clone)]
pub(super) struct Union {
    pub(super) form: Form,
    pub(super) variants: Vec<Variant>,
}

/// How the variants of a union are told apart.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// By the name of the one entry of a map.
    External,
    /// By this field.
    Internal(String),
    /// By this field, beside that of the content.
    Adjacent(String, String),
    /// By what fits.
    Untagged,
}

#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) name: String,
    /// As it is on the wire, where it is.
    pub(super) wire: Option<String>,
    /// What it holds.
    pub(super) kind: Option<Kind>,
}

impl Shape {
    /// The types of all that it holds.
    pub(super) fn kinds(&self) -> Vec<&Kind> {
        match self {
            Self::Struct(fields) | Self::Arguments { fields, .. } => {
                fields.iter().map(|field| &field.kind).collect()
            }
            Self::Union(union) => union.variants.iter().filter_map(|variant| variant.kind.as_ref()).collect(),
            Self::Alias(kind) => vec![kind],
            Self::Texts(_) | Self::Integers(_) | Self::Record(_) => Vec::new(),
        }
    }
}

/// Which items can't have a trait.
pub(super) fn without<'a>(derived: Derived, items: &'a [Item]) -> BTreeMap<&'a str, bool> {
    let mut lacking: BTreeMap<&'a str, bool> = items.iter().map(|item| (item.name.as_str(), false)).collect();
    // An item lacks it as soon as one that it holds does: until nothing changes any more.
    loop {
        let mut changed = false;
        for item in items {
            let lacks = match &item.shape {
                Shape::Record(fields) => {
                    derived != Derived::PartialEq && fields.iter().any(|(_, _, kind)| kind.contains('f'))
                }
                shape => shape.kinds().into_iter().any(|kind| lacks(derived, kind, &lacking)),
            };
            if lacks && !lacking[item.name.as_str()] {
                lacking.insert(&item.name, true);
                changed = true;
            }
        }
        if !changed {
            return lacking;
        }
    }
}

fn lacks(derived: Derived, kind: &Kind, lacking: &BTreeMap<&str, bool>) -> bool {
    let mut found = false;
    kind.walk(&mut |part| {
        found |= match part {
            Kind::Plain("TensorView") => true,
            Kind::Plain("f32" | "f64") | Kind::Tensor(_) => derived != Derived::PartialEq,
            Kind::Set(_) | Kind::Map(..) => derived == Derived::Hash,
            Kind::Named(name) => lacking.get(name.as_str()).copied().unwrap_or(false),
            _ => false,
        };
    });
    found
}

/// The Rust type of an array's elements; `None` where it has none.
pub(super) fn element(array: &Array) -> Option<&'static str> {
    Some(match array.dtype.as_deref()? {
        "int8" => "i8",
        "int16" => "i16",
        "int32" => "i32",
        "int64" => "i64",
        "uint8" => "u8",
        "uint16" => "u16",
        "uint32" => "u32",
        "uint64" => "u64",
        "float32" => "f32",
        "float64" => "f64",
        "float16" => "half::f16",
        "bfloat16" => "half::bf16",
        _ => return None,
    })
}
