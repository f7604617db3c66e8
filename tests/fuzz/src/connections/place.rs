//! Where processes find each other, for as long as an input's rig lives.

use pycrust_protocol::name::EndpointName;
use pycrust_transport::{Claim, Runtime};
use std::path::PathBuf;
use tempfile::TempDir;

/// The endpoint of every rig.
pub const ENDPOINT: &str = "fuzzed";

/// A runtime directory of its own.
pub struct Place {
    /// Where it is.
    pub runtime: Runtime,
    dir: TempDir,
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("pycrust-fuzz-").tempdir().expect("a directory");
        Self { runtime: Runtime::at(&dir.path().join("run")).expect("a runtime directory"), dir }
    }

    /// The runtime directory.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Where the worker's socket is.
    pub fn socket(&self) -> PathBuf {
        self.runtime.dir().join(name().socket_file())
    }

    /// The name, for whoever serves it.
    pub fn claim(&self) -> Claim {
        Claim::take(&self.runtime, &name(), "").expect("nobody else is here")
    }
}

/// The endpoint's name.
pub fn name() -> EndpointName {
    EndpointName::new(ENDPOINT).expect("a name")
}
