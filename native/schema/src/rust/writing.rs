//! The text of a module: its imports, the client with a method for each handler, and how each is called.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::lock::{Kind as Calls, Lock};
use crate::rust::client::{Arguments, Handler};
use crate::rust::items::{Field, Item, Kind, Presence};
use crate::rust::names::{in_order, pascal};
use crate::rust::printing::{MOST_ARGUMENTS, Printer, WIDTH, doc, parameter, signature, structure};

/// Columns of a list in one line, and of an item that shares its line with others where there are more.
const ROW: usize = 60;
const SHORT: usize = 10;

/// Crates that a type comes from, and what of them is needed.
const CRATES: [(&str, &str); 6] = [
    ("bytemuck", "bytemuck = { version = \"1\", features = [\"derive\"] }"),
    ("chrono", "chrono = { version = \"0.4\", features = [\"serde\"] }"),
    ("half", "half = \"2\""),
    ("rust_decimal", "rust_decimal = { version = \"1\", features = [\"serde\"] }"),
    ("serde_bytes", "serde_bytes = \"0.11\""),
    ("uuid", "uuid = { version = \"1\", features = [\"serde\"] }"),
];

pub(super) fn write(
    lock: &Lock,
    client: &str,
    handlers: &[Handler<'_>],
    items: &[Item],
    mut imports: BTreeSet<&'static str>,
) -> String {
    let mut body = String::new();
    write_client(&mut body, lock, client, handlers);
    let calls: Vec<_> = handlers.iter().filter(|handler| is_built(handler)).collect();
    for handler in calls {
        write_call(&mut body, handler);
    }
    let printer = Printer::new(items);
    for item in items {
        printer.item(&mut body, item);
    }
    write_methods(&mut body, handlers);

    imports.extend(["pycrust_client::Error", "pycrust_client::RpcClient", "pycrust_client::Builder"]);
    for (used, path) in [
        ("#[derive(Serialize)]", "serde::Serialize"),
        ("Serialize, Deserialize)]", "serde::Serialize"),
        ("Deserialize)]", "serde::Deserialize"),
        ("IntoFuture for", "std::future::IntoFuture"),
        ("Pin<Box", "std::pin::Pin"),
        ("Streaming<", "pycrust_client::Streaming"),
        ("impl Stream<", "pycrust_client::Stream"),
        ("HashMap<", "std::collections::HashMap"),
        ("Tensor<", "pycrust_client::Tensor"),
    ] {
        if body.contains(used) {
            imports.insert(path);
        }
    }
    // The prelude has it.
    imports.remove("std::future::IntoFuture");
    let mut out = String::new();
    let needed: Vec<_> = CRATES
        .iter()
        .filter(|(name, _)| {
            body.contains(&format!("{name}::"))
                || imports.iter().any(|path| path.starts_with(&format!("{name}::")))
        })
        .collect();
    let _ = writeln!(
        out,
        "//! Calls the handlers of `{}`. Made by `pycrust types`: changes are lost when it is made again.",
        lock.endpoint
    );
    if !needed.is_empty() {
        out.push_str(
            "//!\n//! Beside `pycrust-client` and `serde` (with `derive`) it needs:\n//!\n//! ```toml\n",
        );
        for (_, line) in needed {
            let _ = writeln!(out, "//! {line}");
        }
        out.push_str("//! ```\n");
    }
    out.push_str(
        "#![allow(dead_code, reason = \"a program need not call everything\")]\n\
         #![allow(\n    clippy::doc_markdown,\n    clippy::enum_variant_names,\n    clippy::large_enum_variant,\n    \
         clippy::option_option,\n    clippy::struct_excessive_bools,\n    clippy::struct_field_names,\n    clippy::unnecessary_wraps,\n    \
         reason = \"names, types and documentation are Python's\"\n)]\n\
         #![allow(rustdoc::all, reason = \"documentation written for Python\")]\n\n",
    );
    write_imports(&mut out, &imports);
    out.push_str(&body);
    out
}

/// The imports, one line for each module, as rustfmt sorts them.
fn write_imports(out: &mut String, imports: &BTreeSet<&'static str>) {
    for standard in [true, false] {
        let mut modules: Vec<(&str, Vec<&str>)> = Vec::new();
        for path in imports.iter().filter(|path| path.starts_with("std::") == standard) {
            let Some((module, name)) = path.rsplit_once("::") else { continue };
            match modules.iter_mut().find(|(known, _)| *known == module) {
                Some((_, names)) => names.push(name),
                None => modules.push((module, vec![name])),
            }
        }
        if modules.is_empty() {
            continue;
        }
        for (module, names) in &modules {
            write_use(out, "", module, names);
        }
        out.push('\n');
    }
    out.pop();
}

/// One import, in as many lines as it takes.
fn write_use(out: &mut String, indent: &str, module: &str, names: &[&str]) {
    let line = match names {
        [only] => format!("{indent}use {module}::{only};"),
        names => format!("{indent}use {module}::{{{}}};", names.join(", ")),
    };
    if line.len() <= WIDTH {
        let _ = writeln!(out, "{line}");
        return;
    }
    let _ = writeln!(out, "{indent}use {module}::{{");
    let mut row = format!("{indent}   ");
    for name in names {
        if row.len() + name.len() + 2 >= WIDTH {
            let _ = writeln!(out, "{row}");
            row = format!("{indent}   ");
        }
        let _ = write!(row, " {name},");
    }
    let _ = writeln!(out, "{row}\n{indent}}};");
}

fn write_client(out: &mut String, lock: &Lock, client: &str, handlers: &[Handler<'_>]) {
    let endpoint = &lock.endpoint;
    let _ = write!(
        out,
        r#"
/// Calls the handlers of `{endpoint}`.
#[derive(Debug, Clone)]
pub struct {client} {{
    client: RpcClient,
}}

impl {client} {{
    /// The endpoint's name.
    pub const ENDPOINT: &'static str = "{endpoint}";

    /// Connects to the worker that serves `{endpoint}`.
    ///
    /// # Errors
    /// Those of [`RpcClient::connect`].
    pub async fn connect() -> Result<Self, Error> {{
        Self::builder().connect().await.map(Self::from)
    }}

    /// A client that differs from the usual one; `.connect().await?.into()` makes it one of these.
    pub fn builder() -> Builder {{
        RpcClient::builder(Self::ENDPOINT)
    }}

    /// What makes the calls: for options of a call, with the constants in [`methods`], and for other methods.
    #[must_use]
    pub fn client(&self) -> &RpcClient {{
        &self.client
    }}

    /// Asks the worker whether its handlers are those that this was made for.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`, with what differs.
    pub async fn check(&self) -> Result<(), Error> {{
        self.client.check(methods::ALL).await
    }}
"#
    );
    for handler in handlers {
        out.push('\n');
        write_function(out, handler);
    }
    let _ = write!(
        out,
        "}}\n\nimpl From<RpcClient> for {client} {{\n    fn from(client: RpcClient) -> Self {{\n        Self {{ client }}\n    \
         }}\n}}\n"
    );
}

/// Whether a call is built up from what is given, since some of it need not be.
fn is_built(handler: &Handler<'_>) -> bool {
    match &handler.arguments {
        Arguments::Struct { fields, .. } => {
            required(fields).count() < MOST_ARGUMENTS && required(fields).count() < fields.len()
        }
        _ => false,
    }
}

fn required(fields: &[Field]) -> impl Iterator<Item = &Field> {
    fields.iter().filter(|field| field.presence == Presence::Required)
}

fn write_function(out: &mut String, handler: &Handler<'_>) {
    let Handler { name, method, function, constant, arguments, result } = handler;
    doc(out, "    ", &method.doc, &format!("Calls `{name}`."));
    let invoked = |args: &str| match method.kind {
        Calls::Stream => chain("        ", &[format!("open(&methods::{constant}, {args})")]),
        _ => chain("        ", &[format!("invoke(&methods::{constant}, {args})"), "await".into()]),
    };
    let answered = |result: &Kind| match method.kind {
        Calls::Stream | Calls::Exchange => format!(" -> Streaming<{result}> {{"),
        _ => format!(" -> Result<{result}, Error> {{"),
    };
    let is_async = !matches!(method.kind, Calls::Stream | Calls::Exchange);
    if is_async && !is_built(handler) {
        out.push_str("    ///\n    /// # Errors\n    /// Those of [`RpcClient::call`].\n");
    }
    let head = format!("pub {}fn {function}", if is_async { "async " } else { "" });
    match arguments {
        Arguments::Nothing => {
            signature(out, "    ", &head, &["&self".into()], &answered(result));
            let _ = writeln!(out, "        {}\n    }}", invoked("&()"));
        }
        Arguments::Whole(parameter, kind) => {
            let (declared, given) = match kind {
                Kind::Plain("Raw") => {
                    (format!("{parameter}: impl Into<Raw>"), format!("&{parameter}.into()"))
                }
                kind => (format!("{parameter}: &{kind}"), (*parameter).to_owned()),
            };
            signature(out, "    ", &head, &["&self".into(), declared], &answered(result));
            let _ = writeln!(out, "        {}\n    }}", invoked(&given));
        }
        Arguments::Items(kind) => {
            let declared = format!("items: impl Stream<Item = {kind}> + Send + 'static");
            signature(out, "    ", &head, &["&self".into(), declared], &answered(result));
            let request = format!("request_of(&methods::{constant})");
            if method.kind == Calls::Exchange {
                let _ = writeln!(
                    out,
                    "        {}\n    }}",
                    chain("        ", &[request, "exchange(items)".into()])
                );
            } else {
                let line = format!("self.client.{request}");
                let request = if line.len() <= ROW {
                    line
                } else {
                    format!("self\n            .client\n            .{request}")
                };
                let _ = write!(
                    out,
                    "        let request = {request};\n        let reply = request.upload(items).await?;\n        \
                     Ok(reply.into_value())\n    }}\n"
                );
            }
        }
        Arguments::Struct { item, fields, tuple, .. } if is_built(handler) => {
            let mut declared = vec!["&self".to_owned()];
            declared.extend(required(fields).map(|field| parameter(field).0));
            let call = call_name(name);
            signature(out, "    ", &format!("pub fn {function}"), &declared, &format!(" -> {call}<'_> {{"));
            let values: Vec<_> = fields.iter().map(|field| given(field, *tuple)).collect();
            let _ = writeln!(out, "        {call} {{\n            client: &self.client,");
            let mut made = String::new();
            write_value(&mut made, "            ", item, &values, *tuple);
            let made = made.trim_start().trim_end();
            let _ = writeln!(out, "            args: {made},\n        }}\n    }}");
        }
        Arguments::Struct { item, fields, tuple, .. } if required(fields).count() < MOST_ARGUMENTS => {
            let mut declared = vec!["&self".to_owned()];
            declared.extend(fields.iter().map(|field| parameter(field).0));
            signature(out, "    ", &head, &declared, &answered(result));
            let values: Vec<_> = fields.iter().map(|field| given(field, *tuple)).collect();
            let mut made = String::new();
            write_value(&mut made, "        ", item, &values, *tuple);
            let _ = writeln!(out, "        let args = {};", made.trim());
            let _ = writeln!(out, "        {}\n    }}", invoked("&args"));
        }
        Arguments::Struct { item, .. } => {
            signature(out, "    ", &head, &["&self".into(), format!("args: &{item}")], &answered(result));
            let _ = writeln!(out, "        {}\n    }}", invoked("args"));
        }
    }
}

/// What a field of the arguments is made of.
fn given(field: &Field, tuple: bool) -> String {
    let value = match &field.presence {
        Presence::Required => parameter(field).1,
        Presence::Rest => format!("{}: HashMap::new()", field.name),
        _ => format!("{}: None", field.name),
    };
    match (tuple, value.split_once(": ")) {
        (true, Some((_, value))) => value.to_owned(),
        _ => value,
    }
}

fn write_value(out: &mut String, indent: &str, item: &str, values: &[String], tuple: bool) {
    if tuple {
        let _ = writeln!(out, "{indent}{item}({})", values.join(", "));
    } else {
        structure(out, indent, item, values);
    }
}

/// A call that is built up.
fn write_call(out: &mut String, handler: &Handler<'_>) {
    let Handler { name, method, constant, arguments, result, .. } = handler;
    let Arguments::Struct { item, fields, tuple, .. } = arguments else { return };
    let call = call_name(name);
    let streams = method.kind == Calls::Stream;
    let made = if streams { "opened by `stream`" } else { "made when it is awaited" };
    let _ = write!(
        out,
        "\n/// A call of `{name}`, {made}; what is not given is what the handler has for it.\n#[derive(Debug)]\n#[must_use = \
         \"a call does nothing before it is {}\"]\npub struct {call}<'a> {{\n    client: &'a RpcClient,\n    args: {item},\n}}\n",
        if streams { "opened" } else { "awaited" }
    );
    let _ = writeln!(out, "\nimpl {call}<'_> {{");
    let mut first = true;
    for (at, field) in fields.iter().enumerate() {
        if field.presence == Presence::Required {
            continue;
        }
        if !first {
            out.push('\n');
        }
        first = false;
        doc(out, "    ", &field.doc, &format!("`{}`", field.wire));
        let inner = match (&field.kind, &field.presence) {
            (kind, Presence::Rest) => kind.clone(),
            (Kind::Option(inner), _) => (**inner).clone(),
            (kind, _) => kind.clone(),
        };
        let own = Field { kind: inner, ..field.clone() };
        let (declared, value) = parameter(&own);
        let value = value.split_once(": ").map_or_else(|| value.clone(), |(_, value)| value.to_owned());
        let value = if field.presence == Presence::Rest { value } else { format!("Some({value})") };
        let place = if *tuple { at.to_string() } else { field.name.clone() };
        let name = match field.name.as_str() {
            "stream" if streams => "stream_",
            "into_future" => "into_future_",
            name => name,
        };
        signature(out, "    ", &format!("pub fn {name}"), &["mut self".into(), declared], " -> Self {");
        let _ = write!(out, "        self.args.{place} = {value};\n        self\n    }}\n");
    }
    if streams {
        let opened = chain("        ", &[format!("open(&methods::{constant}, &self.args)")]);
        let _ = write!(
            out,
            "\n    /// The items of the answer.\n    pub fn stream(self) -> Streaming<{result}> {{\n        {opened}\n    }}\n}}\n"
        );
    } else {
        let awaited =
            chain("            ", &[format!("invoke(&methods::{constant}, &self.args)"), "await".into()]);
        let awaited = if awaited.contains('\n') {
            format!("{{\n            {awaited}\n        }}")
        } else {
            format!("{{ {awaited} }}")
        };
        let _ = write!(
            out,
            "}}\n\nimpl<'a> IntoFuture for {name}<'a> {{\n    type Output = Result<{result}, Error>;\n    type IntoFuture = \
             Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;\n\n    fn into_future(self) -> Self::IntoFuture {{\n        \
             Box::pin(async move {awaited})\n    }}\n}}\n",
            name = call_name(name)
        );
    }
}

/// The name of a call that is built up.
fn call_name(method: &str) -> String {
    format!("{}Call", pascal(method))
}

/// `self.client.…`, with each call on a line of its own where they don't fit into one.
fn chain(indent: &str, calls: &[String]) -> String {
    let line = format!("self.client.{}", calls.join("."));
    if line.len() <= ROW {
        return line;
    }
    calls.iter().fold("self.client".to_owned(), |text, call| format!("{text}\n{indent}    .{call}"))
}

/// How each handler is called, as constants.
fn write_methods(out: &mut String, handlers: &[Handler<'_>]) {
    out.push_str(
        "\n/// The methods with the schemas that this module was made for: a handler that has changed so that calls would be \
         misread\n/// refuses them.\npub mod methods {\n    use pycrust_client::{Method, Pinned};\n",
    );
    let types: BTreeSet<String> = handlers
        .iter()
        .flat_map(|handler| named(&format!("{}, {}", handler.arguments.kind(), handler.result)))
        .collect();
    if !types.is_empty() {
        out.push('\n');
        let mut types: Vec<_> = types.iter().map(String::as_str).collect();
        types.sort_by(|one, other| in_order(one, other));
        write_use(out, "    ", "super", &types);
    }
    for Handler { name, method, constant, arguments, result, .. } in handlers {
        out.push('\n');
        doc(out, "    ", &format!("`{name}`"), "");
        let types = format!("{}, {result}", arguments.kind());
        let hash = method.hash_value().unwrap_or_default();
        let hash = format!("{hash:016x}");
        let hash = [&hash[..4], &hash[4..8], &hash[8..12], &hash[12..]].join("_");
        let schema = raw(&bare(&method.schema(), true).to_string());
        let _ = write!(
            out,
            "    pub const {constant}: Method<{types}> = Method::new({name:?})\n        .schema(0x{hash})\n        \
             .described({schema});\n"
        );
    }
    out.push_str("\n    /// All of them.\n    pub const ALL: &[&dyn Pinned] = &[");
    let all: Vec<_> = handlers.iter().map(|handler| format!("&{}", handler.constant)).collect();
    write_list(out, &all);
    out.push_str("];\n}\n");
}

/// The items of a list: in one line, or of short ones as many in each as fit, or one in each.
fn write_list(out: &mut String, items: &[String]) {
    let line = items.join(", ");
    if line.len() <= ROW {
        out.push_str(&line);
        return;
    }
    out.push('\n');
    if items.iter().all(|item| item.len() <= SHORT) {
        let mut row = String::from("       ");
        for item in items {
            if row.len() + item.len() + 2 > WIDTH {
                let _ = writeln!(out, "{row}");
                row = String::from("       ");
            }
            let _ = write!(row, " {item},");
        }
        let _ = writeln!(out, "{row}");
    } else {
        for item in items {
            let _ = writeln!(out, "        {item},");
        }
    }
    out.push_str("    ");
}

/// The names in types that are not everywhere.
fn named(types: &str) -> Vec<String> {
    types
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':')
        .filter(|name| {
            name.starts_with(char::is_uppercase) && !["Option", "Vec", "String", "Box"].contains(name)
        })
        .map(str::to_owned)
        .collect()
}

/// A schema without what is written for people only.
fn bare(schema: &Value, is_schema: bool) -> Value {
    match schema {
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .filter(|(key, _)| {
                    !is_schema
                        || !["title", "description", "examples", "deprecated", "x-enum-varnames"]
                            .contains(&key.as_str())
                })
                .map(|(key, value)| {
                    let names =
                        is_schema && ["properties", "$defs", "patternProperties"].contains(&key.as_str());
                    let opaque = is_schema && ["default", "const", "enum"].contains(&key.as_str());
                    (key.clone(), if opaque { value.clone() } else { bare(value, !names) })
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| bare(item, is_schema)).collect()),
        other => other.clone(),
    }
}

/// Text as a raw string.
fn raw(text: &str) -> String {
    let mut hashes = String::from("#");
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}
