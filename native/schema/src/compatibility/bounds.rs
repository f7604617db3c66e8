//! How large, how long, how many: bounds of a value, and what loosening or tightening them means.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Integers beyond this are not told apart by a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Whether a keyword bounds values.
pub(super) fn is_bound(key: &str) -> bool {
    matches!(
        key,
        "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "multipleOf"
            | "minLength"
            | "maxLength"
            | "pattern"
            | "minItems"
            | "maxItems"
            | "uniqueItems"
            | "minProperties"
            | "maxProperties"
    )
}

/// Whether the bound under `key` of `taker` takes whatever is within the bounds of `giver`.
pub(super) fn takes(taker: &Value, giver: &Value, key: &str) -> bool {
    let (takes, given) = (taker.get(key), giver.get(key));
    if takes.is_none() || takes == given {
        return true;
    }
    match key {
        "minimum" | "exclusiveMinimum" => lower(taker, giver),
        "maximum" | "exclusiveMaximum" => upper(taker, giver),
        "minLength" | "minItems" | "minProperties" => {
            numbers(takes, Some(given.unwrap_or(&Value::from(0)))).is_some_and(Ordering::is_le)
        }
        "maxLength" | "maxItems" | "maxProperties" => numbers(takes, given).is_some_and(Ordering::is_ge),
        "multipleOf" => divides(takes, given),
        "uniqueItems" => takes == Some(&Value::Bool(false)),
        _ => false,
    }
}

/// Whether an integer can't be negative, by which a client chooses its type for it.
pub(super) fn is_unsigned(schema: &Value) -> bool {
    let at_least = |key: &str, least: i64| {
        schema
            .get(key)
            .and_then(Value::as_number)
            .is_some_and(|bound| compared(bound, &Number::from(least)).is_some_and(Ordering::is_ge))
    };
    at_least("minimum", 0) || at_least("exclusiveMinimum", -1)
}

/// How many items a list always has, if that is always the same.
pub(super) fn fixed_length(schema: &Value) -> Option<u64> {
    let [least, most] = ["minItems", "maxItems"].map(|key| schema.get(key).and_then(Value::as_u64));
    least.filter(|_| least == most)
}

fn lower(taker: &Value, giver: &Value) -> bool {
    let at_least = |bound: Option<&Value>, given: Option<&Value>, or_equal: bool| {
        numbers(given, bound).is_some_and(|order| order.is_gt() || (or_equal && order.is_eq()))
    };
    ["minimum", "exclusiveMinimum"].into_iter().all(|key| {
        let bound = taker.get(key);
        bound.is_none()
            || at_least(bound, giver.get("minimum"), key == "minimum")
            || at_least(bound, giver.get("exclusiveMinimum"), true)
    })
}

fn upper(taker: &Value, giver: &Value) -> bool {
    let at_most = |bound: Option<&Value>, given: Option<&Value>, or_equal: bool| {
        numbers(given, bound).is_some_and(|order| order.is_lt() || (or_equal && order.is_eq()))
    };
    ["maximum", "exclusiveMaximum"].into_iter().all(|key| {
        let bound = taker.get(key);
        bound.is_none()
            || at_most(bound, giver.get("maximum"), key == "maximum")
            || at_most(bound, giver.get("exclusiveMaximum"), true)
    })
}

fn divides(divisor: Option<&Value>, of: Option<&Value>) -> bool {
    match (divisor.and_then(Value::as_u64), of.and_then(Value::as_u64)) {
        (Some(divisor), Some(of)) => divisor != 0 && of % divisor == 0,
        _ => false,
    }
}

fn numbers(one: Option<&Value>, other: Option<&Value>) -> Option<Ordering> {
    compared(one?.as_number()?, other?.as_number()?)
}

/// How two numbers compare; `None` where a float is too coarse to tell.
fn compared(one: &Number, other: &Number) -> Option<Ordering> {
    let exact = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    if let (Some(one), Some(other)) = (exact(one), exact(other)) {
        return Some(one.cmp(&other));
    }
    let (a, b) = (one.as_f64()?, other.as_f64()?);
    let coarse = |number: &Number, float: f64| exact(number).is_some() && float.abs() >= EXACT;
    if coarse(one, a) || coarse(other, b) {
        // Floats of such a size are whole numbers: those at some distance are told apart all the same.
        return if (a - b).abs() > a.abs().max(b.abs()) / EXACT * 4.0 { a.partial_cmp(&b) } else { None };
    }
    a.partial_cmp(&b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn looser_bounds_take_what_tighter_ones_give() {
        for (taker, giver, key, fits) in [
            (json!({"minimum": 0}), json!({"minimum": 1}), "minimum", true),
            (json!({"minimum": 1}), json!({"minimum": 0}), "minimum", false),
            (json!({"minimum": 0}), json!({}), "minimum", false),
            (json!({}), json!({"minimum": 0}), "minimum", true),
            (json!({"minimum": 0}), json!({"exclusiveMinimum": 0}), "minimum", true),
            (json!({"exclusiveMinimum": 0}), json!({"minimum": 0}), "exclusiveMinimum", false),
            (json!({"exclusiveMinimum": 0}), json!({"minimum": 0.5}), "exclusiveMinimum", true),
            (json!({"exclusiveMaximum": 9}), json!({"maximum": 9}), "exclusiveMaximum", false),
            (json!({"maximum": 9}), json!({"exclusiveMaximum": 9}), "maximum", true),
            (json!({"maximum": u64::MAX}), json!({"maximum": u64::MAX - 1}), "maximum", true),
            (json!({"maximum": u64::MAX - 1}), json!({"maximum": u64::MAX}), "maximum", false),
            (json!({"maximum": 1e300}), json!({"maximum": u64::MAX}), "maximum", true),
            (
                json!({"maximum": 18_446_744_073_709_551_616.0}),
                json!({"maximum": u64::MAX}),
                "maximum",
                false,
            ),
            (json!({"minLength": 0}), json!({}), "minLength", true),
            (json!({"minLength": 1}), json!({}), "minLength", false),
            (json!({"maxItems": 3}), json!({"maxItems": 2}), "maxItems", true),
            (json!({"maxItems": 3}), json!({}), "maxItems", false),
            (json!({"multipleOf": 5}), json!({"multipleOf": 10}), "multipleOf", true),
            (json!({"multipleOf": 10}), json!({"multipleOf": 5}), "multipleOf", false),
            (json!({"multipleOf": 0}), json!({"multipleOf": 5}), "multipleOf", false),
            (json!({"pattern": "a"}), json!({"pattern": "b"}), "pattern", false),
            (json!({"uniqueItems": false}), json!({"uniqueItems": true}), "uniqueItems", true),
            (json!({"uniqueItems": true}), json!({}), "uniqueItems", false),
            (json!({"minimum": "low"}), json!({"minimum": 0}), "minimum", false),
        ] {
            assert_eq!(takes(&taker, &giver, key), fits, "{taker} takes {giver}");
        }
    }

    #[test]
    fn an_integer_that_can_t_be_negative_has_a_bound_that_says_so() {
        for (schema, unsigned) in [
            (json!({"minimum": 0}), true),
            (json!({"minimum": 0.0}), true),
            (json!({"exclusiveMinimum": -1}), true),
            (json!({"exclusiveMinimum": 0}), true),
            (json!({"minimum": -1}), false),
            (json!({"maximum": 9}), false),
        ] {
            assert_eq!(is_unsigned(&schema), unsigned, "{schema}");
        }
    }
}
