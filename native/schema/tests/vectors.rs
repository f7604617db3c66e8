//! The pairs of schemas of `native/protocol/vectors/schema_changes.json`, which Python reads, too.

use std::path::Path;

use pycrust_schema::changes;
use serde_json::{Value, json};

fn vectors() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors/schema_changes.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).expect("JSON");
    file["vectors"].as_array().expect("a list of vectors").clone()
}

#[test]
fn what_differs_is_told() {
    let vectors = vectors();
    assert!(vectors.len() > 100, "{} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in &vectors {
        let found: Vec<_> = changes(&vector["old"], &vector["new"])
            .into_iter()
            .map(|change| json!([change.path, change.what, change.breaking]))
            .collect();
        if Value::Array(found.clone()) != vector["changes"] {
            wrong.push(format!(
                "{}\n  told {}\n  not  {}",
                vector["name"],
                Value::Array(found),
                vector["changes"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_differs_from_itself() {
    for vector in &vectors() {
        for side in ["old", "new"] {
            assert_eq!(changes(&vector[side], &vector[side]), [], "{}", vector["name"]);
        }
    }
}
