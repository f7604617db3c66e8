//! Records of plain old data: the elements of a structured array.

use std::collections::HashSet;

use serde_json::Value;

use crate::rust::names::{snake, unused};

/// A field of a record: its name in Rust, on the wire, and its type. What only fills a gap has no name on the wire.
pub(super) type Field = (String, Option<String>, String);

/// Types of numbers by NumPy's names, with their bytes.
const NUMBERS: [(&str, &str, u64); 14] = [
    ("bool", "u8", 1),
    ("bytes", "u8", 1),
    ("int8", "i8", 1),
    ("uint8", "u8", 1),
    ("int16", "i16", 2),
    ("uint16", "u16", 2),
    ("float16", "half::f16", 2),
    ("bfloat16", "half::bf16", 2),
    ("int32", "i32", 4),
    ("uint32", "u32", 4),
    ("float32", "f32", 4),
    ("int64", "i64", 8),
    ("uint64", "u64", 8),
    ("float64", "f64", 8),
];

/// The fields of an array's elements, in the order of their bytes; `None` where a struct can't have them there.
pub(super) fn fields(schema: &Value) -> Option<Vec<Field>> {
    let mut found = Vec::new();
    for field in schema.get("dtype")?.as_array()? {
        let parts = field.as_array()?;
        let (name, kind) = (parts.first()?.as_str()?, parts.get(1)?.as_str()?);
        let (_, element, bytes) = NUMBERS.iter().find(|(known, ..)| *known == kind)?;
        let offset = parts.get(2)?.as_u64()?;
        let sizes: Vec<u64> =
            parts.get(3).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
        let count = sizes.iter().try_fold(1_u64, |count, size| count.checked_mul(*size))?;
        let kind = sizes.iter().rev().fold((*element).to_owned(), |inner, size| format!("[{inner}; {size}]"));
        found.push((offset, bytes.checked_mul(count)?, *bytes, name.to_owned(), kind));
    }
    found.sort_by_key(|(offset, ..)| *offset);
    let size = schema.get("itemsize")?.as_u64()?;
    let largest = found.iter().map(|(_, _, aligned, ..)| *aligned).max().unwrap_or(1);
    if found.is_empty() || size % largest != 0 {
        return None;
    }
    let mut used = HashSet::new();
    let mut fields = Vec::new();
    let mut at = 0;
    let fill = |fields: &mut Vec<Field>, used: &mut HashSet<String>, bytes: u64| {
        if bytes > 0 {
            fields.push((unused("gap".into(), used), None, format!("[u8; {bytes}]")));
        }
    };
    for (offset, bytes, aligned, name, kind) in found {
        if offset < at || offset % aligned != 0 {
            return None;
        }
        fill(&mut fields, &mut used, offset - at);
        fields.push((unused(snake(&name), &mut used), Some(name), kind));
        at = offset.checked_add(bytes)?;
    }
    fill(&mut fields, &mut used, size.checked_sub(at)?);
    Some(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn gaps_are_filled_and_what_is_not_aligned_is_no_struct() {
        let aligned = json!({"dtype": [["at", "int64", 0], ["side", "bool", 8], ["levels", "float32", 12, [2, 3]]], "itemsize": 40});
        let field =
            |name: &str, wire: Option<&str>, kind: &str| (name.into(), wire.map(str::to_owned), kind.into());
        assert_eq!(
            fields(&aligned).expect("a struct"),
            [
                field("at", Some("at"), "i64"),
                field("side", Some("side"), "u8"),
                field("gap", None, "[u8; 3]"),
                field("levels", Some("levels"), "[[f32; 3]; 2]"),
                field("gap2", None, "[u8; 4]"),
            ]
        );
        for packed in [
            json!({"dtype": [["a", "uint8", 0], ["b", "int64", 1]], "itemsize": 9}),
            json!({"dtype": [["a", "int64", 0]], "itemsize": 9}),
            json!({"dtype": [["a", "int64", 0], ["b", "int64", 4]], "itemsize": 16}),
            json!({"dtype": [["a", "int64", 0]], "itemsize": 4}),
            json!({"dtype": [["a", "text", 0]], "itemsize": 8}),
            json!({"dtype": [["a", "int64", u64::MAX, [u64::MAX, 2]]], "itemsize": 8}),
            json!({"dtype": [], "itemsize": 0}),
        ] {
            assert_eq!(fields(&packed), None, "{packed}");
        }
    }
}
