//! Names, and traces as text.

use pycrust_protocol::header::TraceContext;
use pycrust_protocol::name::{EndpointName, check_method};

/// Names keep their rules, a refusal shows no more than the beginning of a long one, and a trace is written as it was
/// read.
pub fn names(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fine = (1..=128).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes()[0].is_ascii_alphanumeric();
    match EndpointName::new(text) {
        Ok(name) => {
            assert!(fine, "{text:?}");
            assert_eq!(name.as_str(), text);
            let file = name.socket_file();
            let hash = file.strip_suffix(".sock").expect("a socket's file");
            assert!(hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()), "{file}");
        }
        Err(refused) => {
            assert!(!fine, "{refused}");
            assert!(refused.to_string().len() < 4096);
        }
    }
    let fine = (1..=256).contains(&text.len())
        && !text.starts_with("pycrust.")
        && !text.chars().any(char::is_control);
    match check_method(text) {
        Ok(()) => assert!(fine, "{text:?}"),
        Err(refused) => {
            assert!(!fine, "{refused}");
            assert!(refused.to_string().len() < 4096);
        }
    }
    if let Ok(trace) = text.parse::<TraceContext>() {
        let written = trace.to_string();
        assert_eq!(written.parse::<TraceContext>().ok(), Some(trace));
        assert!(written[2..] == text[2..55] && trace.trace_id != [0; 16] && trace.span_id != [0; 8]);
    }
}
