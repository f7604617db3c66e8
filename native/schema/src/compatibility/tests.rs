use proptest::prelude::*;
use serde_json::{Value, json};

use super::changes;

fn told(old: &Value, new: &Value) -> Vec<String> {
    changes(old, new).into_iter().map(|one| format!("{}: {}", one.path, one.what)).collect()
}

fn request(schema: &Value) -> Value {
    json!({"request": schema, "response": {}})
}

/// A schema in lists in lists.
fn nested(levels: usize, schema: Value) -> Value {
    (0..levels).fold(schema, |inner, _| json!({"type": "array", "items": inner}))
}

#[test]
fn what_is_too_deep_is_breaking() {
    let [one, other] = ["integer", "number"].map(|kind| request(&nested(100, json!({"type": kind}))));
    let [change] = &changes(&one, &other)[..] else { panic!("one change") };
    assert!(change.breaking && change.what.contains("too deeply"), "{change:?}");
}

/// Each definition refers to the next one twice.
fn doubling(levels: usize, leaf: &str, keyword: &str) -> Value {
    let mut definitions = serde_json::Map::new();
    for level in 0..levels {
        let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
        let both = json!({"type": "object", "properties": {"a": next, "b": next}});
        let any = json!({"anyOf": [{"type": "array", "items": next}, {"type": "object", "additionalProperties": next}]});
        definitions.insert(level.to_string(), if keyword == "anyOf" { any } else { both });
    }
    definitions.insert(levels.to_string(), json!({"type": leaf}));
    request(&json!({"$defs": definitions, "$ref": "#/$defs/0"}))
}

#[test]
fn work_does_not_double_with_each_level() {
    for keyword in ["properties", "anyOf"] {
        let found = changes(&doubling(30, "integer", keyword), &doubling(30, "string", keyword));
        assert!(found.len() <= 62 && found.iter().any(|one| one.breaking), "{} changes", found.len());
    }
}

#[test]
fn unions_that_can_t_be_paired_end_in_breaking() {
    let choices = |name: &str| -> Vec<Value> {
        let choice = |at: usize| json!({"type": "object", "title": format!("{name}{at}"), "properties": {name: {"const": at}}});
        (0..1_000).map(choice).collect()
    };
    let found = changes(&request(&json!({"anyOf": choices("a")})), &request(&json!({"anyOf": choices("b")})));
    assert!(found.last().is_some_and(|one| one.breaking), "{found:?}");
}

#[test]
fn circles_come_to_an_end() {
    let circle = |kind: &str| {
        request(&json!({
            "$defs": {
                "A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": kind}]},
                "B": {"type": "array", "items": {"$ref": "#/$defs/B"}},
            },
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/B"}},
        }))
    };
    assert!(
        changes(&circle("integer"), &circle("string"))
            .iter()
            .all(|one| one.path == "request.a" && one.breaking)
    );
}

#[test]
fn long_texts_are_cut() {
    let long = "x".repeat(1 << 20);
    let old = request(&json!({"properties": {&long: {"const": &long}}}));
    let new = request(&json!({"properties": {"a": {"enum": vec![&long; 4]}}}));
    let told = told(&old, &new);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|line| line.len() < 500), "{told:?}");
}

#[test]
fn many_changes_are_a_new_method() {
    let fields = |name: &str| -> serde_json::Map<String, Value> {
        (0..10_000).map(|at| (format!("{name}{at}"), json!({}))).collect()
    };
    let found =
        changes(&request(&json!({"properties": fields("a")})), &request(&json!({"properties": fields("b")})));
    let last = found.last().expect("changes");
    assert!(found.len() < 3_000 && last.breaking && last.what.contains("too"), "{} {last:?}", found.len());
}

/// Any JSON, with the keywords that mean something among its keys.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c]".prop_map(Value::from),
        prop::sample::select(vec![
            "integer",
            "number",
            "string",
            "null",
            "object",
            "array",
            "#/$defs/a",
            "#/$defs/b",
            "..."
        ])
        .prop_map(Value::from),
    ];
    let keys = prop_oneof![
        "[a-c]",
        prop::sample::select(vec![
            "request",
            "response",
            "kind",
            "$defs",
            "$ref",
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "prefixItems",
            "anyOf",
            "oneOf",
            "discriminator",
            "propertyName",
            "mapping",
            "const",
            "enum",
            "default",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "format",
            "x-array",
            "dtype",
            "shape",
            "not",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// A schema as workers make them, mostly.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        prop::sample::select(vec!["integer", "number", "string", "boolean", "null"])
            .prop_map(|kind| json!({"type": kind})),
        (0..9i64).prop_map(|least| json!({"type": "integer", "minimum": least})),
        prop::collection::vec("[a-c]", 1..3).prop_map(|values| json!({"enum": values})),
        "[ab]".prop_map(|name| json!({"$ref": format!("#/$defs/{name}")})),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let fields = prop::collection::vec(("[a-d]", inner.clone()), 0..4);
        prop_oneof![
            fields.prop_map(|fields| {
                let fields: serde_json::Map<String, Value> = fields.into_iter().collect();
                json!({"type": "object", "required": fields.keys().take(1).collect::<Vec<_>>(), "properties": fields})
            }),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            inner.clone().prop_map(|values| json!({"type": "object", "additionalProperties": values})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|choices| json!({"anyOf": choices})),
            prop::collection::vec(inner, 1..3).prop_map(|places| json!({"type": "array", "prefixItems": places})),
        ]
    })
}

/// A schema with definitions that it may refer to, and that may refer to themselves.
fn document() -> impl Strategy<Value = Value> {
    (schema(), schema(), schema()).prop_map(|(root, a, b)| match root {
        Value::Object(mut root) => {
            root.insert(
                "$defs".into(),
                json!({"a": {"type": "array", "items": a}, "b": {"type": "array", "items": b}}),
            );
            Value::Object(root)
        }
        root => root,
    })
}

/// The same with other prose at every place that has some.
fn reworded(value: &Value, of_schema: bool) -> Value {
    match value {
        Value::Object(map) => {
            let names = |key: &str| matches!(key, "properties" | "$defs");
            let mut map: serde_json::Map<String, Value> = map
                .iter()
                .map(|(key, value)| {
                    (key.clone(), reworded(value, !(of_schema && names(key)) && key != "enum"))
                })
                .collect();
            if of_schema {
                map.insert("description".into(), json!("said in other words"));
            }
            Value::Object(map)
        }
        Value::Array(items) => items.iter().map(|item| reworded(item, of_schema)).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_compared(old in anything(), new in anything()) {
        let wrapped = |part: &Value| json!({"request": part, "response": part});
        let _: Vec<_> = changes(&old, &new);
        let _: Vec<_> = changes(&wrapped(&old), &wrapped(&new));
        prop_assert_eq!(changes(&wrapped(&old), &wrapped(&old)), []);
    }

    #[test]
    fn prose_is_no_change(schema in document()) {
        let old = json!({"request": schema, "response": schema});
        let new = json!({"request": reworded(&schema, true), "response": reworded(&schema, true)});
        prop_assert_eq!(changes(&old, &new), []);
    }

    #[test]
    fn null_may_be_sent_in_place_of_anything_and_not_be_answered(schema in document()) {
        // Definitions stand at the root.
        let definitions = &schema["$defs"];
        let field = |schema: Value| json!({"$defs": definitions, "type": "object", "properties": {"a": schema}});
        let (plain, optional) = (field(schema.clone()), field(json!({"anyOf": [schema, {"type": "null"}]})));
        prop_assert!(!breaks(&request(&plain), &request(&optional)));
        let [plain, optional] = [plain, optional].map(|schema| json!({"response": schema}));
        prop_assert!(!breaks(&optional, &plain));
    }
}

fn breaks(old: &Value, new: &Value) -> bool {
    changes(old, new).iter().any(|change| change.breaking)
}
