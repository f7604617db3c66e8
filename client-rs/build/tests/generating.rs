//! What a build script gets, and what cargo is told.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::fs;

use pycrust_build::Service;

const LOCK: &str = r#"{"format": 1, "endpoint": "calculator", "methods": {"add": {
    "version": 1, "hash": "0x0123456789abcdef", "doc": "Adds.", "kind": "call",
    "request": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "response": {"type": "integer"}}}}"#;

#[test]
fn a_lock_file_becomes_a_module_that_is_only_written_when_it_differs() {
    let place = tempfile::tempdir().unwrap();
    let lock = place.path().join("sums.json");
    fs::write(&lock, LOCK).unwrap();
    let generate = || Service::new("calculator").lock(&lock).out_dir(place.path()).try_generate();
    let made = generate();
    assert!(made.watched.contains(&format!("rerun-if-changed={}", lock.display())), "{:?}", made.watched);
    assert!(made.watched.contains(&"rerun-if-env-changed=PYCRUST_LIVE".to_owned()), "{:?}", made.watched);
    let path = made.written.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("pub mod calculator {\n//! Calls the handlers of `calculator`."), "{text}");
    assert!(text.contains("pub async fn add(&self, a: i64) -> Result<i64, Error>"), "{text}");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(generate().written.unwrap(), path);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    fs::write(&lock, LOCK.replace("\"a\"", "\"first\"")).unwrap();
    assert!(fs::read_to_string(generate().written.unwrap()).unwrap().contains("first: i64"));
}

#[test]
fn without_a_lock_file_the_error_says_how_to_write_it() {
    let place = tempfile::tempdir().unwrap();
    let lock = place.path().join("none.json");
    let missing =
        Service::new("calculator").lock(&lock).out_dir(place.path()).try_generate().written.unwrap_err();
    let command = format!("`pycrust types calculator --lock {}`", lock.display());
    assert!(missing.contains(&command) && missing.contains("PYCRUST_LIVE=1"), "{missing}");
    fs::write(&lock, "{").unwrap();
    let broken =
        Service::new("calculator").lock(&lock).out_dir(place.path()).try_generate().written.unwrap_err();
    assert!(broken.contains("is no lock file of PyCrust"), "{broken}");
}
