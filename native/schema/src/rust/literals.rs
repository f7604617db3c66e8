//! Defaults as Rust writes them.

use serde_json::Value;

use crate::rust::items::{Item, Kind, Shape};

/// Whether a default is what Rust's `Default` gives.
pub(super) fn usual(value: &Value, kind: &Kind) -> bool {
    match (value, kind) {
        (Value::Null, Kind::Option(_)) | (Value::Bool(false), Kind::Plain("bool")) => true,
        (Value::Number(number), Kind::Plain(name)) => {
            *name != "String" && number.as_f64() == Some(0.0) && is_number(name)
        }
        (Value::String(text), Kind::Plain("String")) => text.is_empty(),
        (Value::Array(items), Kind::Vec(_) | Kind::Set(_)) => items.is_empty(),
        (Value::Object(entries), Kind::Map(..)) => entries.is_empty(),
        _ => false,
    }
}

fn is_number(name: &str) -> bool {
    name.len() <= 4
        && name.starts_with(['i', 'u', 'f'])
        && name[1..].bytes().all(|digit| digit.is_ascii_digit())
}

/// A default as Rust writes it; `None` where it has no such form.
pub(super) fn literal(value: &Value, kind: &Kind, items: &[Item]) -> Option<String> {
    Some(match (value, kind) {
        (Value::Null, Kind::Option(_)) => "None".into(),
        (value, Kind::Option(inner)) => format!("Some({})", literal(value, inner, items)?),
        (Value::Bool(value), Kind::Plain("bool")) => value.to_string(),
        (Value::Number(number), Kind::Plain(name @ ("f32" | "f64"))) => float(number.as_f64()?, name)?,
        (Value::Number(number), Kind::Plain(name)) if is_number(name) && !number.is_f64() => {
            integer(&number.to_string(), name)?
        }
        (Value::String(text), Kind::Plain("String")) if text.is_empty() => "String::new()".into(),
        (Value::String(text), Kind::Plain("String")) => format!("{text:?}.to_owned()"),
        (Value::Array(found), Kind::Vec(_)) if found.is_empty() => "Vec::new()".into(),
        (Value::Array(found), Kind::Set(_)) if found.is_empty() => "HashSet::new()".into(),
        (Value::Object(found), Kind::Map(..)) if found.is_empty() => "HashMap::new()".into(),
        (Value::Array(found), Kind::Vec(inner)) => {
            let all: Option<Vec<_>> = found.iter().map(|value| literal(value, inner, items)).collect();
            format!("vec![{}]", all?.join(", "))
        }
        (value, Kind::Named(name)) => match &items.iter().find(|item| item.name == *name)?.shape {
            Shape::Texts(values) => {
                let (variant, _) = values.iter().find(|(_, text)| Some(text.as_str()) == value.as_str())?;
                format!("{name}::{variant}")
            }
            Shape::Integers(values) => {
                let (variant, _) =
                    values.iter().find(|(_, number)| Some(*number) == value.as_i64().map(i128::from))?;
                format!("{name}::{variant}")
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn float(value: f64, name: &str) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let text = format!("{value:?}");
    if name == "f32" && value.to_string().parse::<f32>().is_err() {
        return None;
    }
    match text.split_once('.') {
        Some((whole, rest)) if whole.trim_start_matches('-').len() > 3 && !rest.contains('e') => {
            Some(format!("{}.{rest}", grouped(whole)))
        }
        _ => Some(text),
    }
}

fn integer(text: &str, name: &str) -> Option<String> {
    let value: i128 = text.parse().ok()?;
    let bits: u32 = name[1..].parse().ok()?;
    let fits = match name.as_bytes()[0] {
        b'u' => value >= 0 && (bits >= 127 || value < 1 << bits),
        _ => bits >= 127 || (-(1_i128 << (bits - 1))..1 << (bits - 1)).contains(&value),
    };
    fits.then(|| grouped(text))
}

/// Digits in groups of three.
pub(super) fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.len() <= 4 {
        return text.to_owned();
    }
    let mut found = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            found.push('_');
        }
        found.push(digit);
    }
    format!("{sign}{found}")
}
