//! Names as Rust writes them.

use std::cmp::Ordering;
use std::collections::HashSet;

use unicode_ident::{is_xid_continue, is_xid_start};

/// Words that can't be names.
const KEYWORDS: [&str; 53] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "Self",
    "static", "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe", "unsized",
    "use", "virtual", "where", "while", "yield",
];

/// Names of types that generated code itself uses, or that are everywhere in Rust.
const TAKEN: [&str; 43] = [
    "Arg",
    "Box",
    "Builder",
    "Bytes",
    "Clone",
    "Copy",
    "Debug",
    "Decimal",
    "Default",
    "Deserialize",
    "Display",
    "Duration",
    "Eq",
    "Err",
    "Error",
    "From",
    "Future",
    "Hash",
    "HashMap",
    "HashSet",
    "Into",
    "IntoFuture",
    "IpAddr",
    "Method",
    "None",
    "Ok",
    "Option",
    "PartialEq",
    "PathBuf",
    "Pin",
    "Raw",
    "Result",
    "RpcClient",
    "Self",
    "Self_",
    "Serialize",
    "Some",
    "Stream",
    "Streaming",
    "String",
    "Tensor",
    "TensorView",
    "Vec",
];

/// Letters of a class's name.
const LONGEST: usize = 48;

/// The words of a name: at what is no letter or digit, and where a capital follows a small letter or begins a word
/// after other capitals.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, &letter) in letters.iter().enumerate() {
        if letter == '_' || !is_xid_continue(letter) {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).map(|before| letters[before]);
        let next = letters.get(at + 1);
        let begins = before.is_some_and(|before| {
            letter.is_uppercase() && (before.is_lowercase() || before.is_numeric())
                || letter.is_uppercase()
                    && before.is_uppercase()
                    && next.is_some_and(|next| next.is_lowercase())
        });
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `dark blue` → `DarkBlue`; what can't begin a name gets an `N` before it.
pub(super) fn pascal(name: &str) -> String {
    let mut found = String::new();
    for word in words(name) {
        let mut letters = word.chars();
        found.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        found.push_str(&letters.as_str().to_lowercase());
    }
    if !found.chars().next().is_some_and(is_xid_start) {
        found.insert(0, 'N');
    }
    // The only one of the language's words that is written so.
    if found == "Self" { found + "_" } else { found }
}

/// The name of a type: as it is where it looks like one, which keeps `HTTPRequest`.
pub(super) fn type_name(name: &str) -> String {
    let kept = name.chars().all(|letter| letter.is_ascii_alphanumeric())
        && name.starts_with(|first: char| first.is_ascii_uppercase());
    let mut found = if kept { name.to_owned() } else { pascal(name) };
    if found.len() > LONGEST {
        // Of a generic class that says at length what it was made for.
        found = pascal(name.split('[').next().unwrap_or(name));
        found = found.chars().take(LONGEST).collect();
    }
    if TAKEN.contains(&found.as_str()) { found + "Type" } else { found }
}

/// `darkBlue` → `dark_blue`; a word of the language's gets a `_` behind it.
pub(super) fn snake(name: &str) -> String {
    let mut found = words(name).join("_").to_lowercase();
    if !found.chars().next().is_some_and(is_xid_start) {
        found.insert_str(0, if found.is_empty() { "unnamed" } else { "n" });
    }
    if KEYWORDS.contains(&found.as_str()) {
        found.push('_');
    }
    found
}

/// `darkBlue` → `DARK_BLUE`.
pub(super) fn constant(name: &str) -> String {
    snake(name).trim_end_matches('_').to_uppercase()
}

/// The order in which rustfmt sorts names: numbers in them by their values.
pub(super) fn in_order(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    while let (Some(first), Some(second)) = (left.chars().next(), right.chars().next()) {
        let digits = |text: &str| text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (order, lengths) = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (a, b) = (digits(left), digits(right));
            let value = |digits: &str| digits.parse::<u128>().unwrap_or(u128::MAX);
            (value(&left[..a]).cmp(&value(&right[..b])), (a, b))
        } else {
            (first.cmp(&second), (first.len_utf8(), second.len_utf8()))
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (&left[lengths.0..], &right[lengths.1..]);
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

/// A name that none has yet: with a number behind it, if need be.
pub(super) fn unused(name: String, used: &mut HashSet<String>) -> String {
    if used.insert(name.clone()) {
        return name;
    }
    let mut number = 2;
    loop {
        let numbered = format!("{name}{number}");
        if used.insert(numbered.clone()) {
            return numbered;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_rust() {
        for (given, of_type, of_value) in [
            ("dark blue", "DarkBlue", "dark_blue"),
            ("Page[int]", "PageInt", "page_int"),
            ("HTTPRequest", "HTTPRequest", "http_request"),
            ("requestID2", "RequestId2", "request_id2"),
            ("2nd", "N2nd", "n2nd"),
            ("type", "TypeType", "type_"),
            ("Option", "OptionType", "option"),
            ("", "N", "unnamed"),
            ("größe", "Größe", "größe"),
        ] {
            let expected = if given == "type" { "Type" } else { of_type };
            assert_eq!((type_name(given).as_str(), snake(given).as_str()), (expected, of_value));
        }
        assert_eq!(constant("moveArm"), "MOVE_ARM");
        let mut names = ["Step10Args", "Step9Args", "StepArgs", "Step"];
        names.sort_by(|one, other| in_order(one, other));
        assert_eq!(names, ["Step", "Step9Args", "Step10Args", "StepArgs"]);
        let mut used = HashSet::new();
        assert_eq!([(); 3].map(|()| unused("A".into(), &mut used)), ["A", "A2", "A3"]);
    }
}
