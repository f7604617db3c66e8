//! Items as text, in the form that `rustfmt` gives it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::rust::items::{Derived, Field, Form, Item, Kind, Presence, Shape, Union, without};

/// Columns of a line, of the arguments of an attribute, and of the fields of a struct that stand in one.
pub(super) const WIDTH: usize = 100;
const ATTRIBUTE: usize = 70;
const LITERAL: usize = 18;
/// Arguments of a function that clippy allows.
pub(super) const MOST_ARGUMENTS: usize = 7;

/// Comments of documentation; `otherwise` where there is none.
pub(super) fn doc(out: &mut String, indent: &str, text: &str, otherwise: &str) {
    let text = if text.trim().is_empty() { otherwise } else { text.trim() };
    let mut fenced = false;
    for line in text.lines() {
        let line = line.trim_end();
        let begun = line.trim_start();
        // What rustdoc would take for a program and run.
        if begun.starts_with("```") {
            fenced = !fenced;
            let _ = writeln!(out, "{indent}/// {}", if fenced { "```text" } else { "```" });
        } else if line.is_empty() {
            let _ = writeln!(out, "{indent}///");
        } else {
            let spaces = (line.len() - begun.len()).min(2);
            let _ = writeln!(out, "{indent}/// {}{begun}", &"  "[..spaces]);
        }
    }
    if fenced {
        let _ = writeln!(out, "{indent}/// ```");
    }
}

/// An attribute; one that would not fit into a line is several.
fn attribute(out: &mut String, indent: &str, name: &str, parts: &[String]) {
    if parts.is_empty() {
        return;
    }
    let all = parts.join(", ");
    if all.len() <= ATTRIBUTE {
        let _ = writeln!(out, "{indent}#[{name}({all})]");
    } else {
        for part in parts {
            let _ = writeln!(out, "{indent}#[{name}({part})]");
        }
    }
}

/// `head(a, b) -> …`, with an argument on each line where they don't fit into one.
pub(super) fn signature(out: &mut String, indent: &str, head: &str, arguments: &[String], tail: &str) {
    let line = format!("{indent}{head}({}){tail}", arguments.join(", "));
    if line.len() <= WIDTH {
        out.push_str(&line);
        out.push('\n');
        return;
    }
    let _ = writeln!(out, "{indent}{head}(");
    for argument in arguments {
        let _ = writeln!(out, "{indent}    {argument},");
    }
    let _ = writeln!(out, "{indent}){tail}");
}

/// `Name { a, b }`.
pub(super) fn structure(out: &mut String, indent: &str, name: &str, fields: &[String]) {
    let all = fields.join(", ");
    if all.is_empty() {
        let _ = writeln!(out, "{indent}{name} {{}}");
    } else if all.len() <= LITERAL {
        let _ = writeln!(out, "{indent}{name} {{ {all} }}");
    } else {
        let _ = writeln!(out, "{indent}{name} {{");
        for field in fields {
            let _ = writeln!(out, "{indent}    {field},");
        }
        let _ = writeln!(out, "{indent}}}");
    }
}

/// Writes items, in the order of their names.
pub(super) struct Printer<'a> {
    lacking: [(Derived, &'static str, BTreeMap<&'a str, bool>); 3],
}

impl<'a> Printer<'a> {
    pub(super) fn new(items: &'a [Item]) -> Self {
        let of = |derived, name| (derived, name, without(derived, items));
        let lacking = [of(Derived::PartialEq, "PartialEq"), of(Derived::Eq, "Eq"), of(Derived::Hash, "Hash")];
        Self { lacking }
    }

    fn derives(&self, out: &mut String, item: &Item, is_plain: bool) {
        let mut traits = vec!["Debug", "Clone"];
        if is_plain {
            traits.push("Copy");
        }
        let has = |(_, _, lacking): &&(_, _, BTreeMap<&str, bool>)| !lacking[item.name.as_str()];
        traits.extend(self.lacking.iter().filter(has).map(|(_, name, _)| *name));
        traits.extend(["Serialize", "Deserialize"]);
        let _ = writeln!(out, "#[derive({})]", traits.join(", "));
    }

    pub(super) fn item(&self, out: &mut String, item: &Item) {
        out.push('\n');
        let name = &item.name;
        match &item.shape {
            Shape::Struct(fields) => {
                doc(out, "", &item.doc, &format!("`{name}` of Python's."));
                self.derives(out, item, false);
                if fields.is_empty() {
                    let _ = writeln!(out, "pub struct {name} {{}}");
                } else {
                    let _ = writeln!(out, "pub struct {name} {{");
                    for one in fields {
                        field(out, name, one);
                    }
                    out.push_str("}\n");
                }
                constructor(out, name, fields);
            }
            Shape::Arguments { fields, tuple } => self.arguments(out, item, fields, *tuple),
            Shape::Texts(values) => {
                doc(out, "", &item.doc, &format!("`{name}` of Python's."));
                self.derives(out, item, true);
                let _ = writeln!(out, "pub enum {name} {{");
                for (variant, value) in values {
                    doc(out, "    ", &format!("`{value:?}`"), "");
                    if variant != value {
                        attribute(out, "    ", "serde", &[format!("rename = {value:?}")]);
                    }
                    let _ = writeln!(out, "    {variant},");
                }
                out.push_str("}\n");
            }
            Shape::Integers(values) => self.integers(out, item, values),
            Shape::Union(union) => self.union(out, item, union),
            Shape::Alias(kind) => {
                doc(out, "", &item.doc, &format!("`{name}` of Python's."));
                let _ = writeln!(out, "pub type {name} = {kind};");
            }
            Shape::Record(fields) => {
                doc(out, "", &item.doc, "");
                let mut traits = vec!["Debug", "Clone", "Copy"];
                let has = |(_, _, lacking): &&(_, _, BTreeMap<&str, bool>)| !lacking[name.as_str()];
                traits.extend(self.lacking.iter().filter(has).map(|(_, name, _)| *name));
                let _ = writeln!(out, "#[derive({}, Pod, Zeroable, Record)]\n#[repr(C)]", traits.join(", "));
                let _ = writeln!(out, "pub struct {name} {{");
                for (field, wire, kind) in fields {
                    match wire {
                        Some(wire) => {
                            doc(out, "    ", &format!("`{wire}`"), "");
                            if field != wire {
                                attribute(out, "    ", "record", &[format!("rename = {wire:?}")]);
                            }
                        }
                        None => {
                            doc(out, "    ", "Fills a gap; means nothing.", "");
                            attribute(out, "    ", "record", &["padding".into()]);
                        }
                    }
                    let _ = writeln!(out, "    pub {field}: {kind},");
                }
                out.push_str("}\n");
            }
        }
    }

    fn arguments(&self, out: &mut String, item: &Item, fields: &[Field], tuple: bool) {
        doc(out, "", &item.doc, "");
        self.derives(out, item, false);
        let (open, close) = if tuple { ("(", ");") } else { (" {", "}") };
        let _ = writeln!(out, "pub struct {}{open}", item.name);
        for field in fields {
            doc(out, "    ", &field.doc, &format!("`{}`", field.wire));
            let mut parts = Vec::new();
            match field.presence {
                Presence::Rest => parts.push("flatten".into()),
                _ if field.name != field.wire && !tuple => parts.push(format!("rename = {:?}", field.wire)),
                _ => {}
            }
            if field.presence == Presence::Unsent {
                parts.extend(["default".into(), "skip_serializing_if = \"Option::is_none\"".into()]);
            }
            attribute(out, "    ", "serde", &parts);
            if tuple {
                let _ = writeln!(out, "    pub {},", field.kind);
            } else {
                let _ = writeln!(out, "    pub {}: {},", field.name, field.kind);
            }
        }
        let _ = writeln!(out, "{close}");
    }

    fn integers(&self, out: &mut String, item: &Item, values: &[(String, i128)]) {
        let name = &item.name;
        let fits =
            |range: std::ops::RangeInclusive<i128>| values.iter().all(|(_, value)| range.contains(value));
        let kind = if fits(i64::MIN.into()..=i64::MAX.into()) {
            "i64"
        } else if fits(0..=u64::MAX.into()) {
            "u64"
        } else {
            "i128"
        };
        doc(out, "", &item.doc, &format!("`{name}` of Python's."));
        self.derives(out, item, true);
        let _ = writeln!(out, "#[serde(into = \"{kind}\", try_from = \"{kind}\")]\npub enum {name} {{");
        for (variant, value) in values {
            let _ = writeln!(out, "    /// `{value}`\n    {variant},");
        }
        let known: Vec<_> = values.iter().map(|(_, value)| value.to_string()).collect();
        let _ = write!(
            out,
            "}}\n\nimpl From<{name}> for {kind} {{\n    fn from(value: {name}) -> Self {{\n        match value {{\n"
        );
        for (variant, value) in values {
            let _ = writeln!(
                out,
                "            {name}::{variant} => {},",
                super::literals::grouped(&value.to_string())
            );
        }
        let _ = write!(
            out,
            "        }}\n    }}\n}}\n\nimpl TryFrom<{kind}> for {name} {{\n    type Error = String;\n\n    \
             fn try_from(value: {kind}) -> Result<Self, String> {{\n        match value {{\n"
        );
        for (variant, value) in values {
            let _ = writeln!(
                out,
                "            {} => Ok(Self::{variant}),",
                super::literals::grouped(&value.to_string())
            );
        }
        let said = format!("{{value}} is none of {}", known.join(", "));
        let line = format!("            _ => Err(format!({said:?})),");
        if line.len() <= WIDTH {
            let _ = writeln!(out, "{line}");
        } else {
            // Where a line has no end, rustfmt leaves it as it is.
            let _ = writeln!(out, "            _ => Err(format!(\n                {said:?}\n            )),");
        }
        out.push_str("        }\n    }\n}\n");
    }

    fn union(&self, out: &mut String, item: &Item, union: &Union) {
        let name = &item.name;
        doc(out, "", &item.doc, "One of these.");
        self.derives(out, item, false);
        match &union.form {
            Form::External => {}
            Form::Internal(tag) => attribute(out, "", "serde", &[format!("tag = {tag:?}")]),
            Form::Adjacent(tag, content) => {
                attribute(out, "", "serde", &[format!("tag = {tag:?}"), format!("content = {content:?}")]);
            }
            Form::Untagged => attribute(out, "", "serde", &["untagged".into()]),
        }
        let _ = writeln!(out, "pub enum {name} {{");
        for variant in &union.variants {
            let said = variant.wire.as_ref().map(|wire| format!("`{wire:?}`"));
            let held = variant.kind.as_ref().map(|kind| format!("`{kind}`"));
            doc(out, "    ", &said.or(held).unwrap_or_default(), "");
            if let Some(wire) = variant.wire.as_ref().filter(|wire| **wire != variant.name) {
                attribute(out, "    ", "serde", &[format!("rename = {wire:?}")]);
            }
            match &variant.kind {
                Some(kind) => {
                    let _ = writeln!(out, "    {}({kind}),", variant.name);
                }
                None => {
                    let _ = writeln!(out, "    {},", variant.name);
                }
            }
        }
        out.push_str("}\n");
        for variant in &union.variants {
            let Some(kind @ Kind::Named(_)) = &variant.kind else { continue };
            let only = union.variants.iter().filter(|other| other.kind.as_ref() == Some(kind)).count() == 1;
            if only {
                let _ = write!(
                    out,
                    "\nimpl From<{kind}> for {name} {{\n    fn from(value: {kind}) -> Self {{\n        \
                     Self::{}(value)\n    }}\n}}\n",
                    variant.name
                );
            }
        }
    }
}

fn field(out: &mut String, owner: &str, field: &Field) {
    let said = match &field.presence {
        Presence::Constant(value) => format!("Always `{value}`."),
        Presence::Usual(value) | Presence::Value(value) => {
            format!("By default `{}`.", value.replace(".to_owned()", ""))
        }
        _ => String::new(),
    };
    let text =
        [field.doc.trim(), said.trim()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    doc(out, "    ", &text.join("\n\n"), &format!("`{}`", field.wire));
    let mut parts = Vec::new();
    if field.presence == Presence::Rest {
        parts.push("flatten".into());
    } else if field.name != field.wire {
        parts.push(format!("rename = {:?}", field.wire));
    }
    match &field.presence {
        Presence::Usual(_) => parts.push("default".into()),
        Presence::Value(_) => parts.push(format!("default = \"{owner}::default_{}\"", field.name)),
        Presence::Unsent => {
            parts.extend(["default".into(), "skip_serializing_if = \"Option::is_none\"".into()]);
        }
        _ => {}
    }
    attribute(out, "    ", "serde", &parts);
    let _ = writeln!(out, "    pub {}: {},", field.name, field.kind);
}

/// How a parameter is declared, and what becomes the field of it.
pub(super) fn parameter(field: &Field) -> (String, String) {
    let name = &field.name;
    match &field.kind {
        kind @ Kind::Plain("String" | "Raw") => {
            (format!("{name}: impl Into<{kind}>"), format!("{name}: {name}.into()"))
        }
        kind => (format!("{name}: {kind}"), name.clone()),
    }
}

/// `new`, where a struct has fields that need not be said; and what those are by default.
fn constructor(out: &mut String, name: &str, fields: &[Field]) {
    let required: Vec<_> = fields.iter().filter(|field| field.presence == Presence::Required).collect();
    let constructed = required.len() < fields.len() && required.len() <= MOST_ARGUMENTS;
    let values: Vec<_> = fields.iter().filter(|field| matches!(field.presence, Presence::Value(_))).collect();
    if !constructed && values.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nimpl {name} {{");
    if constructed {
        let arguments: Vec<_> = required.iter().map(|field| parameter(field).0).collect();
        doc(out, "    ", "With the usual values of what is not given here.", "");
        out.push_str("    #[must_use]\n");
        signature(out, "    ", "pub fn new", &arguments, " -> Self {");
        let fields: Vec<_> = fields
            .iter()
            .map(|field| {
                let own = &field.name;
                match &field.presence {
                    Presence::Required => parameter(field).1,
                    Presence::Constant(value) | Presence::Usual(value) => format!("{own}: {value}"),
                    Presence::Value(_) => format!("{own}: Self::default_{own}()"),
                    Presence::Unsent => format!("{own}: None"),
                    Presence::Rest => format!("{own}: HashMap::new()"),
                }
            })
            .collect();
        structure(out, "        ", "Self", &fields);
        out.push_str("    }\n");
    }
    for (at, field) in values.iter().enumerate() {
        let Presence::Value(value) = &field.presence else { continue };
        if constructed || at > 0 {
            out.push('\n');
        }
        let _ =
            write!(out, "    fn default_{}() -> {} {{\n        {value}\n    }}\n", field.name, field.kind);
    }
    out.push_str("}\n");
    if required.is_empty() && constructed {
        let _ = write!(
            out,
            "\nimpl Default for {name} {{\n    fn default() -> Self {{\n        Self::new()\n    }}\n}}\n"
        );
    }
}
