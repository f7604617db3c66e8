//! Unions: which choice of one version is which of the other.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::describe;
use super::document::{Choice, Document};
use super::shape::Shape;
use super::walk::{Direction, Walk};

/// One version's schema at a place where either has a union.
#[derive(Clone, Copy)]
pub(super) struct Side<'a, 'c> {
    pub(super) given: &'a Value,
    pub(super) all: &'c [Choice<'a>],
}

/// A choice of the older version with the one of the newer version that it is compared with.
type Pair<'a> = (Choice<'a>, Choice<'a>);

impl<'a> Walk<'a> {
    pub(super) fn unions(&mut self, path: &str, old: Side<'a, '_>, new: Side<'a, '_>, depth: usize) {
        let (mut pairs, mut lost, mut gained) = self.by_kind(old.all, new.all);
        if let ([one], [other]) = (&*lost, &*gained)
            && is_struct(*one)
            && is_struct(*other)
        {
            // A class under another name.
            pairs.push((*one, *other));
            lost.clear();
            gained.clear();
        }
        lost.retain(|was| {
            let same = gained.iter().position(|is| self.is_same(*was, *is, depth));
            same.map(|at| gained.remove(at)).is_none()
        });
        let one_of_many = pairs.iter().filter(|(was, _)| !is_null(*was)).count() > 1;
        for (was, is) in pairs {
            let name = if one_of_many && !matches!(Shape::of(was.schema), Shape::Scalar(_)) {
                format!("{path}({})", describe::clipped(&kind(&self.old, was), describe::MAX_NAME))
            } else {
                path.to_owned()
            };
            self.tags(&name, was, is);
            self.one(&name, was.schema, is.schema, depth + 1);
        }
        if lost.is_empty() && gained.is_empty() {
            return;
        }
        let fit = match self.direction {
            Direction::Request => lost.iter().all(|was| new.all.iter().any(|is| self.fits(*was, *is, depth))),
            Direction::Response => {
                gained.iter().all(|is| old.all.iter().any(|was| self.fits(*was, *is, depth)))
            }
        };
        let (before, after) = (describe::kind(&self.old, old.given), describe::kind(&self.new, new.given));
        let another = if before == after { "another " } else { "" };
        self.tell(path, format!("{before} → {another}{after}"), !fit);
    }

    /// The choices that go by the same description, and those of either version that the other has none for.
    fn by_kind(
        &self,
        old: &[Choice<'a>],
        new: &[Choice<'a>],
    ) -> (Vec<Pair<'a>>, Vec<Choice<'a>>, Vec<Choice<'a>>) {
        let mut others: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (at, choice) in new.iter().enumerate() {
            others.entry(kind(&self.new, *choice)).or_default().push_back(at);
        }
        let (mut pairs, mut lost, mut found) = (Vec::new(), Vec::new(), vec![false; new.len()]);
        for choice in old {
            match others.get_mut(&kind(&self.old, *choice)).and_then(VecDeque::pop_front) {
                Some(at) => {
                    found[at] = true;
                    pairs.push((*choice, new[at]));
                }
                None => lost.push(*choice),
            }
        }
        let gained = new.iter().zip(found).filter(|(_, found)| !found).map(|(choice, _)| *choice).collect();
        (pairs, lost, gained)
    }
}

fn kind(document: &Document<'_>, choice: Choice<'_>) -> String {
    describe::kind(document, choice.schema)
}

fn is_struct(choice: Choice<'_>) -> bool {
    matches!(Shape::of(choice.schema), Shape::Struct(_))
}

fn is_null(choice: Choice<'_>) -> bool {
    matches!(Shape::of(choice.schema), Shape::Scalar("null"))
}
