//! Whatever schemas another process has, their module is one that Rust can read.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use proptest::collection::vec;
use proptest::prelude::*;
use pycrust_schema::{Lock, module_name, rust_module};
use serde_json::{Value, json};

fn lock(endpoint: &str, name: &str, kind: &str, request: &Value, response: &Value) -> Lock {
    let method = json!({"version": 1, "hash": "0x0123456789abcdef", "doc": "Says */ \"this\".\n\n```\nfn", "kind": kind,
        "request": request, "response": response});
    let text = json!({"format": 1, "endpoint": endpoint, "methods": {name: method}}).to_string();
    Lock::parse(&text, "lock").unwrap()
}

/// Names as people have them, some of which mean something to Rust or to the generator.
fn names() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
        "\\PC{0,8}",
        proptest::sample::select(vec![
            "type",
            "self",
            "Self",
            "Error",
            "Option",
            "String",
            "client",
            "check",
            "args",
            "items",
            "rest",
            "new",
            "stream",
            "into_future",
            "all",
            "ALL",
            "super",
            "crate",
            "_",
            "",
            "3d",
            "a-b",
            "größe",
            "\"",
            "\\",
            "{}",
            "*/",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

fn leaves() -> impl Strategy<Value = Value> {
    let kinds = ["string", "integer", "number", "boolean", "null", "array", "object", "other"];
    let formats =
        ["date-time", "date", "time", "duration", "uuid", "decimal", "binary", "ipv4", "path", "uint8", "x"];
    prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        Just(json!([1])),
        proptest::sample::select(kinds.to_vec()).prop_map(|kind| json!({"type": kind})),
        proptest::sample::select(formats.to_vec())
            .prop_map(|format| json!({"type": "string", "format": format})),
        names().prop_map(|name| json!({"$ref": format!("#/$defs/{name}")})),
        names().prop_map(|name| json!({"const": name})),
        vec(names(), 0..4)
            .prop_map(|names| json!({"enum": names, "title": "Enum", "x-enum-varnames": names})),
        vec(any::<i64>(), 0..4).prop_map(|values| json!({"enum": values, "type": "integer"})),
        Just(json!({"type": "array", "x-array": "numpy", "dtype": "float32", "shape": [null, "...", 3]})),
        Just(
            json!({"type": "array", "x-array": "numpy", "dtype": [["a", "int64", 0], ["type", "uint8", 8]], "itemsize": 16})
        ),
    ]
}

fn schemas() -> impl Strategy<Value = Value> {
    leaves().prop_recursive(4, 40, 5, |inner| {
        let fields = vec((names(), inner.clone(), any::<bool>(), any::<bool>()), 0..5);
        prop_oneof![
            (names(), fields.clone(), any::<bool>()).prop_map(|(title, fields, closed)| {
                let mut found = json!({"type": "object", "title": title, "properties": {}, "required": []});
                for (name, mut schema, required, default) in fields {
                    if default && schema.is_object() {
                        schema["default"] = json!(3);
                    }
                    found["properties"][&name] = schema;
                    if required {
                        found["required"].as_array_mut().unwrap().push(json!(name));
                    }
                }
                if closed {
                    found["additionalProperties"] = json!(false);
                }
                found
            }),
            fields.prop_map(|definitions| {
                let mut found = json!({"$ref": "#/$defs/", "$defs": {}});
                for (name, schema, ..) in definitions {
                    found["$ref"] = json!(format!("#/$defs/{name}"));
                    found["$defs"][&name] = schema;
                }
                found
            }),
            vec(inner.clone(), 0..4).prop_map(|choices| json!({"anyOf": choices})),
            (names(), vec((names(), inner.clone()), 0..3)).prop_map(|(tag, members)| {
                let mut found = json!({"oneOf": [], "$defs": {}, "discriminator": {"propertyName": tag, "mapping": {}}});
                for (name, schema) in members {
                    let reference = format!("#/$defs/{name}");
                    found["oneOf"].as_array_mut().unwrap().push(json!({"$ref": reference}));
                    found["discriminator"]["mapping"][&name] = json!(reference);
                    found["$defs"][&name] =
                        json!({"type": "object", "title": name, "properties": {tag.as_str(): {"const": name}, "value": schema},
                            "required": [tag, "value"]});
                }
                found
            }),
            vec(inner.clone(), 0..4).prop_map(|places| json!({"type": "array", "prefixItems": places, "minItems": 1})),
            (inner.clone(), any::<bool>()).prop_map(|(items, set)| json!({"type": "array", "items": items, "uniqueItems": set})),
            (inner.clone(), inner).prop_map(|(keys, values)| {
                json!({"type": "object", "additionalProperties": values, "x-keys": keys})
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_module_is_rust(
        (endpoint, name) in ("[a-z][a-z0-9_.-]{0,10}", names()),
        kind in proptest::sample::select(vec!["call", "stream", "upload", "exchange"]),
        (request, response) in (schemas(), schemas()),
    ) {
        let module = rust_module(&lock(&endpoint, &name, kind, &request, &response));
        let read = syn::parse_file(&module);
        prop_assert!(read.is_ok(), "{:?}\n{module}", read.err());
        let named = format!("mod {} {{\n{module}}}", module_name(&endpoint));
        prop_assert!(syn::parse_file(&named).is_ok(), "{named}");
    }
}

#[test]
fn a_type_that_holds_itself_is_behind_a_pointer() {
    let tree = json!({"$ref": "#/$defs/Tree", "$defs": {
        "Tree": {"type": "object", "title": "Tree", "properties": {
            "left": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
            "more": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        }, "required": ["left", "more"]}}});
    let module = rust_module(&lock("forest", "grow", "call", &json!({}), &tree));
    assert!(module.contains("pub left: Option<Box<Tree>>,"), "{module}");
    assert!(module.contains("pub more: Vec<Tree>,"), "{module}");
}

#[test]
fn what_python_says_is_no_program() {
    let module = rust_module(&lock("e", "f", "call", &json!({}), &json!({})));
    assert!(module.contains("/// ```text\n    /// fn\n    /// ```"), "{module}");
}
