//! Names that are allowed and names that are not; the table of codes.

mod support;

use pycrust_protocol::Code;
use pycrust_protocol::name::{EndpointName, check_method};
use support::{file, text};

#[test]
fn names() {
    let file = file("names.json");
    let vectors = file["vectors"].as_array().expect("a list of vectors");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let name = text(&vector["name"]);
        let outcome = match text(&vector["of"]).as_str() {
            "endpoint" => EndpointName::new(&name).map(|checked| assert_eq!(checked.as_str(), name)),
            "method" => check_method(&name),
            of => panic!("names of {of}"),
        };
        match (outcome, vector.get("error")) {
            (Ok(()), None) => {}
            (Ok(()), Some(error)) => panic!("{name:?} is allowed, not refused: {error}"),
            (Err(error), None) => panic!("{name:?}: {error}"),
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(&text(expected)), "{name:?}: {error}, not {expected}");
            }
        }
    }
}

#[test]
fn an_error_shows_the_beginning_of_a_long_name() {
    let error = check_method(&"é".repeat(100_000)).expect_err("far too long").to_string();
    assert!(error.len() < 1_000, "{} bytes", error.len());
    assert!(error.contains("it has 200000 bytes"), "{error}");
}

#[test]
fn codes() {
    let file = file("codes.json");
    let table: Vec<_> = file["codes"]
        .as_array()
        .expect("a list of codes")
        .iter()
        .map(|row| (row[0].as_u64().expect("a number"), text(&row[1])))
        .collect();
    let codes: Vec<_> =
        Code::ALL.iter().map(|code| (u64::from(u8::from(*code)), code.name().to_string())).collect();
    assert_eq!(codes, table);
}

#[test]
fn numbers_and_codes_are_the_same_thing() {
    for number in 0..=u8::MAX {
        let code = Code::from_u8(number);
        assert_eq!(code.is_some(), number <= 16, "{number}");
        assert_eq!(Code::try_from(number).ok(), code);
        assert_eq!(code.map_or(number, u8::from), number);
        // As MessagePack, a code is its number.
        let bytes = rmp_serde::to_vec(&number).expect("a number");
        assert_eq!(rmp_serde::from_slice::<Code>(&bytes).ok(), code);
    }
    for code in Code::ALL {
        assert_eq!(rmp_serde::to_vec(code).expect("a code"), [u8::from(*code)]);
        assert_eq!(code.to_string(), code.name());
    }
}
