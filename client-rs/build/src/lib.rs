//! Makes clients of Python handlers in a build script, from the endpoint's lock file or from the worker that runs.
//!
//! In `build.rs`
//!
//! ```no_run
//! pycrust_build::Service::new("calculator").generate();
//! ```
//!
//! and in the crate `include!(concat!(env!("OUT_DIR"), "/calculator.rs"));`, which is the module `calculator` with its
//! `CalculatorClient`. It is what the macro `pycrust_client::service!` does without a build script; a build script can choose
//! where the lock file is, and give the generated code to other tools.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use pycrust_schema::{COMMAND, LIVE, Source, module_name, rust_module};

/// The client of an endpoint.
#[derive(Debug, Clone)]
pub struct Service {
    endpoint: String,
    lock: Option<PathBuf>,
    out: Option<PathBuf>,
}

impl Service {
    /// That of the endpoint with this name; its lock file is `NAME.schema.json` beside `Cargo.toml`.
    #[must_use]
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), lock: None, out: None }
    }

    /// Where its lock file is, from `Cargo.toml`'s directory.
    #[must_use]
    pub fn lock(mut self, path: impl Into<PathBuf>) -> Self {
        self.lock = Some(path.into());
        self
    }

    /// Where the code goes: a directory, `OUT_DIR` by default.
    #[must_use]
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.out = Some(directory.into());
        self
    }

    /// Writes `NAME.rs`, and tells cargo when to do so again. An error ends the build script with one message of cargo's.
    #[allow(clippy::print_stdout, reason = "what is said to cargo")]
    pub fn generate(self) {
        let said = self.try_generate();
        for line in said.watched {
            println!("cargo::{line}");
        }
        if let Err(reason) = said.written {
            // Of several lines, cargo shows the first.
            println!("cargo::error={}", reason.replace('\n', "; ").replace("; ;", ";"));
        }
    }

    /// What [`generate`](Self::generate) does, for a build script that tells cargo itself.
    #[must_use]
    pub fn try_generate(self) -> Generated {
        let directory = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let mut source = Source::new(&self.endpoint, &directory);
        if let Some(lock) = &self.lock {
            source.lock = directory.join(lock);
        }
        let mut watched = vec![
            format!("rerun-if-changed={}", source.lock.display()),
            format!("rerun-if-env-changed={LIVE}"),
            format!("rerun-if-env-changed={COMMAND}"),
        ];
        if Source::is_live() {
            // What is never there has always changed, as the worker may have.
            watched.push(format!("rerun-if-changed={}", directory.join(".pycrust-live").display()));
        }
        let out = self.out.clone().or_else(|| env::var_os("OUT_DIR").map(PathBuf::from));
        let written = out
            .ok_or_else(|| "OUT_DIR is not set: this is for build scripts".to_owned())
            .and_then(|out| write(&source, &out));
        Generated { written, watched }
    }
}

/// What became of it.
#[derive(Debug)]
pub struct Generated {
    /// The file, or why there is none.
    pub written: Result<PathBuf, String>,
    /// When to do it again: what cargo is told after `cargo::`.
    pub watched: Vec<String>,
}

fn write(source: &Source, out: &Path) -> Result<PathBuf, String> {
    let lock = source.load()?;
    let path = out.join(format!("{}.rs", source.endpoint));
    let text = format!("pub mod {} {{\n{}}}\n", module_name(&source.endpoint), rust_module(&lock));
    let same = fs::read_to_string(&path).is_ok_and(|known| known == text);
    if !same {
        fs::write(&path, text).map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    }
    Ok(path)
}

/// The README's program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
