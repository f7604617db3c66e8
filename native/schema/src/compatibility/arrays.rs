//! Lists, tuples, tensors and sets of values.

use std::collections::HashSet;

use serde_json::Value;

use super::describe;
use super::walk::{ANYTHING, Direction, Roles, Walk};

/// A schema with the list that it consists of.
type Listed<'a> = (&'a Value, &'a [Value]);

impl<'a> Walk<'a> {
    pub(super) fn lists(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        let items = |schema: &'a Value| schema.get("items").unwrap_or(ANYTHING);
        self.place(&format!("{path}[]"), items(old), items(new), depth + 1);
    }

    /// Items by position: the first of them must be there, as many as `minItems` says.
    pub(super) fn tuples(
        &mut self,
        path: &str,
        (old, places): Listed<'a>,
        (new, others): Listed<'a>,
        depth: usize,
    ) {
        let (needed, needed_now) = (least(old), least(new));
        let state = |is_needed: bool| if is_needed { "required" } else { "optional" };
        for (at, (before, after)) in places.iter().zip(others).enumerate() {
            let path = format!("{path}[{at}]");
            self.place(&path, before, after, depth + 1);
            if (at < needed) != (at < needed_now) {
                let breaking = self.by_role(false, true).reader == (at < needed_now);
                self.tell(&path, format!("now {}", state(at < needed_now)), breaking);
            }
        }
        for (at, place) in places.iter().enumerate().skip(others.len()) {
            let kind = describe::kind(&self.old, place);
            self.tell(
                &format!("{path}[{at}]"),
                format!("removed (was {kind}, {})", state(at < needed)),
                true,
            );
        }
        let takes_more = matches!(old.get("items"), Some(Value::Object(_) | Value::Bool(true)));
        for (at, place) in others.iter().enumerate().skip(places.len()) {
            let kind = describe::kind(&self.new, place);
            // A result of another length is no tuple of the old one.
            let breaking = self.direction == Direction::Response || at < needed_now || takes_more;
            self.tell(
                &format!("{path}[{at}]"),
                format!("added ({kind}, {})", state(at < needed_now)),
                breaking,
            );
        }
        self.rest(path, old, new, depth);
    }

    /// What may follow the items of a tuple.
    fn rest(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        let (was, is) = (old.get("items"), new.get("items"));
        if let (Some(was), Some(is)) = (was, is) {
            return self.place(&format!("{path}[]"), was, is, depth + 1);
        }
        let Roles { reader, writer } = self.by_role(was, is);
        if was != is {
            let breaking = reader.is_some() || writer.is_none() || self.direction == Direction::Response;
            let kind = |document, items: Option<&Value>| {
                items.map_or_else(|| "nothing".to_owned(), |items| describe::kind(document, items))
            };
            let what = format!("further items {} → {}", kind(&self.old, was), kind(&self.new, is));
            self.tell(path, what, breaking);
        }
    }

    /// Choices among values.
    pub(super) fn values(&mut self, path: &str, (old, values): Listed<'a>, (new, others): Listed<'a>) {
        if !self.goes_on(values.len() + others.len()) {
            return;
        }
        let (was, is): (HashSet<&Value>, HashSet<&Value>) =
            (values.iter().collect(), others.iter().collect());
        if was == is {
            return;
        }
        let Roles { reader, writer } = self.by_role(&was, &is);
        let fits = writer.is_subset(reader);
        let (before, after) = (describe::kind(&self.old, old), describe::kind(&self.new, new));
        let another = if before == after { "another " } else { "" };
        self.tell(path, format!("{before} → {another}{after}"), !fits);
    }
}

/// How many items there must be.
fn least(schema: &Value) -> usize {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    usize::try_from(least).unwrap_or(usize::MAX)
}

/// Whether a tensor's shape, as an annotation gives it, is one of those that another takes: a number, `null` for any size,
/// `"..."` for any number of dimensions.
pub(super) fn shape_takes(taker: Option<&Value>, giver: Option<&Value>) -> bool {
    let Some(taker) = taker else { return true };
    let (Some(taker), Some(giver)) = (sizes(Some(taker)), sizes(giver)) else { return false };
    let fits = |taken: &[Value], given: &[Value]| {
        taken.len() <= given.len()
            && taken.iter().zip(given).all(|(take, give)| take.is_null() || take == give)
    };
    let fits_from_behind = |taken: &[Value], given: &[Value]| {
        taken.len() <= given.len() && fits(taken, &given[given.len() - taken.len()..])
    };
    match (taker, giver) {
        ((taken, None), (given, None)) => taken.len() == given.len() && fits(taken, given),
        ((first, Some(last)), (given, None)) => {
            first.len() + last.len() <= given.len() && fits(first, given) && fits_from_behind(last, given)
        }
        ((first, Some(last)), (given, Some(end))) => fits(first, given) && fits_from_behind(last, end),
        ((_, None), (_, Some(_))) => false,
    }
}

/// The sizes before and behind the dimensions of any number, if there are such.
fn sizes(shape: Option<&Value>) -> Option<(&[Value], Option<&[Value]>)> {
    let sizes = shape?.as_array()?;
    let any = |size: &Value| size == "...";
    match sizes.iter().position(any) {
        None => Some((sizes, None)),
        Some(at) if !sizes[at + 1..].iter().any(any) => Some((&sizes[..at], Some(&sizes[at + 1..]))),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_take_what_they_leave_open() {
        for (taker, giver, fits) in [
            (json!([3]), json!([3]), true),
            (json!([3]), json!([4]), false),
            (json!([null]), json!([4]), true),
            (json!([4]), json!([null]), false),
            (json!([null, 3]), json!([3]), false),
            (json!(["..."]), json!([]), true),
            (json!(["...", 3]), json!([2, 3]), true),
            (json!(["...", 3]), json!([3, 2]), false),
            (json!([2, "...", 3]), json!([2, 3]), true),
            (json!([2, "...", 2]), json!([2]), false),
            (json!(["...", 3]), json!(["...", 4, 3]), true),
            (json!(["...", 4, 3]), json!(["...", 3]), false),
            (json!([2, 3]), json!(["..."]), false),
            (json!(["...", "..."]), json!([1]), false),
            (json!("wide"), json!([1]), false),
        ] {
            assert_eq!(shape_takes(Some(&taker), Some(&giver)), fits, "{taker} takes {giver}");
        }
        assert!(shape_takes(None, Some(&json!([1]))));
        assert!(!shape_takes(Some(&json!(["..."])), None), "an array whose shape nothing is known of");
    }
}
