//! The names of what a payload gives by position: the fields of structs that are sent as arrays.

use serde::Deserialize;

/// What a method's payloads are made of, as far as its schema says. Nodes refer to each other by their places in a
/// list, so that a type may contain itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Naming {
    /// All nodes.
    #[serde(default)]
    nodes: Vec<Node>,
    /// The node of a request's payload.
    #[serde(default)]
    arguments: Option<usize>,
    /// The node of a result, or of an item of a streamed one.
    #[serde(default)]
    result: Option<usize>,
}

/// What one value is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Node {
    /// Anything: an array has no names in it.
    Any,
    /// A value without others in it.
    Leaf,
    /// A text that has others in it, such as JSON.
    Text,
    /// An array of so many of the same.
    List(usize),
    /// An array of these, and then so many of the last.
    Tuple(Vec<usize>, Option<usize>),
    /// A map of names to the same.
    Map(usize),
    /// Fields, which have names, in order; then what more is given by position, and by name.
    Struct(Vec<Field>, Option<Box<Field>>, Option<usize>),
    /// One of these.
    Oneof(Vec<usize>),
}

/// One field: the names that it goes by, and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Field(pub(crate) Vec<String>, pub(crate) usize);

/// The nodes that a value may be of; none, where nothing is known.
pub(crate) type Nodes<'a> = Vec<&'a Node>;

impl Naming {
    /// The node of a request's payload.
    pub(crate) fn arguments(&self) -> Nodes<'_> {
        self.found(self.arguments)
    }

    /// The node of a result.
    pub(crate) fn result(&self) -> Nodes<'_> {
        self.found(self.result)
    }

    /// The nodes at these places, with choices resolved.
    pub(crate) fn found(&self, places: impl IntoIterator<Item = usize>) -> Nodes<'_> {
        let mut waiting = places.into_iter().collect::<Vec<_>>();
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        while let Some(place) = waiting.pop() {
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            match self.nodes.get(place) {
                Some(Node::Oneof(choices)) => waiting.extend(choices),
                Some(node) => found.push(node),
                None => found.push(&Node::Any),
            }
        }
        found
    }

    /// What is at a position of an array: its names, and its nodes. `None` if no node tells.
    pub(crate) fn at<'a>(
        &'a self,
        nodes: &Nodes<'a>,
        position: usize,
        count: usize,
    ) -> Option<(Vec<&'a str>, Nodes<'a>)> {
        let (mut names, mut places, mut told) = (Vec::new(), Vec::new(), false);
        for node in nodes {
            match node {
                Node::Any => return None,
                Node::List(item) => places.push(*item),
                Node::Tuple(items, rest) => {
                    let Some(place) = items.get(position).copied().or(*rest) else { continue };
                    places.push(place);
                }
                // One that is too long was made for another struct: all of its names may have shifted.
                Node::Struct(fields, None, _) if count > fields.len() => continue,
                Node::Struct(fields, rest, _) => {
                    let Some(field) = fields.get(position).or(rest.as_deref()) else { continue };
                    names.extend(field.0.iter().map(String::as_str));
                    places.push(field.1);
                }
                _ => continue,
            }
            told = true;
        }
        told.then(|| (names, self.found(places)))
    }

    /// What is under a name of a map: all names that it goes by, and its nodes.
    pub(crate) fn under<'a>(&'a self, nodes: &Nodes<'a>, key: &str) -> (Vec<&'a str>, Nodes<'a>) {
        let (mut names, mut places) = (Vec::new(), Vec::new());
        for node in nodes {
            match node {
                Node::Map(value) => places.push(*value),
                Node::Struct(fields, _, rest) => {
                    match fields.iter().find(|field| field.0.iter().any(|name| name == key)) {
                        Some(field) => {
                            names.extend(field.0.iter().map(String::as_str));
                            places.push(field.1);
                        }
                        None => places.extend(*rest),
                    }
                }
                _ => {}
            }
        }
        (names, self.found(places))
    }

    /// The names of the first field, which a lone value stands for; `None` where there is none.
    pub(crate) fn lone<'a>(nodes: &Nodes<'a>) -> Option<Vec<&'a str>> {
        let mut names = Vec::new();
        for node in nodes {
            let Node::Struct(fields, rest, _) = node else { return None };
            names.extend(fields.first().or(rest.as_deref())?.0.iter().map(String::as_str));
        }
        (!names.is_empty()).then_some(names)
    }
}
