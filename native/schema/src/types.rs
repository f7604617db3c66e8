//! What a JSON Schema means to a caller: types, before any language has names for them.

use serde_json::Value;

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    /// Whatever MessagePack has.
    Any,
    Nothing,
    Bool,
    /// With the name that Rust has for it.
    Integer(&'static str),
    /// `f64`, or `f32` where it is said.
    Float(&'static str),
    Text,
    Bytes,
    /// A moment with its offset, or one of which it isn't said.
    Moment,
    /// Date and time without an offset.
    NaiveMoment,
    Date,
    Time,
    Duration,
    Uuid,
    Decimal,
    Ip,
    Ipv4,
    Ipv6,
    Path,
    Optional(Box<Self>),
    List(Box<Self>),
    Set(Box<Self>),
    Tuple(Vec<Self>),
    Map(Box<Self>, Box<Self>),
    Array(Array),
    /// A definition of the same schema, by its key.
    Reference(String),
    Struct(Struct),
    Enumeration(Enumeration),
    Union(Union),
}

/// An array of numbers, which travels beside the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    /// NumPy's name of its elements, if it is declared.
    pub(crate) dtype: Option<String>,
    /// The fields of its elements, if they are records.
    pub(crate) record: Option<Value>,
    /// The sizes of its dimensions as text, if they are declared.
    pub(crate) shape: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Struct {
    /// The class's name, if it has one.
    pub(crate) title: Option<String>,
    pub(crate) doc: String,
    pub(crate) fields: Vec<Field>,
    /// The type of what it takes beside its fields.
    pub(crate) rest: Option<Box<Type>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// As it is on the wire.
    pub(crate) name: String,
    /// What is written of it, and what values it may have.
    pub(crate) doc: String,
    pub(crate) kind: Type,
    /// Whether it must be given.
    pub(crate) required: bool,
    /// What it is if it is not given, where JSON has a form for that.
    pub(crate) default: Option<Value>,
}

/// A choice of values: an `Enum`, or a `Literal`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Enumeration {
    pub(crate) title: Option<String>,
    pub(crate) doc: String,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// Its name, if it has one beside its value.
    pub(crate) name: Option<String>,
    /// A string or an integer; all of one enumeration are of one type.
    pub(crate) value: Value,
}

/// One of several types.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Union {
    pub(crate) title: Option<String>,
    pub(crate) doc: String,
    /// The field that tells them apart, if one does.
    pub(crate) tag: Option<String>,
    /// Each with the value of that field.
    pub(crate) members: Vec<(Option<String>, Type)>,
}
