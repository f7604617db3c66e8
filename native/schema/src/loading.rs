//! What a build is made of: a lock file, or the worker that runs.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compatibility::changes;
use crate::lock::Lock;

/// Set to anything but nothing or `0`, it makes a build ask the worker that runs.
pub const LIVE: &str = "PYCRUST_LIVE";
/// The command line program that asks it, where it isn't found by itself.
pub const COMMAND: &str = "PYCRUST";

/// What a crate's code is made of.
#[derive(Debug, Clone)]
pub struct Source {
    /// The endpoint's name.
    pub endpoint: String,
    /// Its lock file.
    pub lock: PathBuf,
    /// The crate's directory: where a virtual environment is looked for, there and above.
    pub directory: PathBuf,
}

impl Source {
    /// That of a crate in `directory`, with the usual name of a lock file there.
    #[must_use]
    pub fn new(endpoint: &str, directory: &Path) -> Self {
        let lock = directory.join(format!("{endpoint}.schema.json"));
        Self { endpoint: endpoint.to_owned(), lock, directory: directory.to_owned() }
    }

    /// Whether the worker is asked.
    #[must_use]
    pub fn is_live() -> bool {
        env::var_os(LIVE).is_some_and(|value| !value.is_empty() && value != "0")
    }

    /// The lock file. Where [`LIVE`] says so, the worker is asked as well: without a lock file its answer is taken, with
    /// one a handler that has changed so that callers must change is an error.
    ///
    /// # Errors
    /// What is missing or has changed, with the command that mends it.
    pub fn load(&self) -> Result<Lock, String> {
        let locked = match fs::read_to_string(&self.lock) {
            Ok(text) => Some(
                Lock::parse(&text, &self.lock.display().to_string()).map_err(|error| error.to_string())?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{} can't be read: {error}", self.lock.display())),
        };
        let live = if Self::is_live() { Some(self.ask()?) } else { None };
        match (locked, live) {
            (Some(locked), Some(live)) => self.compare(&locked, &live).map(|()| locked),
            (Some(locked), None) => Ok(locked),
            (None, Some(live)) => Ok(live),
            (None, None) => Err(format!(
                "what {0:?} takes and returns is not known: there is no {1}. Serve it and run `pycrust types {0} --lock {1}`, or \
                 set {LIVE}=1 to ask the worker that runs",
                self.endpoint,
                self.lock.display()
            )),
        }
    }

    /// Asks the worker by the command line program.
    fn ask(&self) -> Result<Lock, String> {
        let program = self.program();
        let asked = Command::new(&program).args(["types", &self.endpoint, "--lock", "-"]).output();
        let output = asked.map_err(|error| {
            format!(
                "{LIVE} is set, and {} can't be run to ask the worker of {:?} ({error}): install the Python package \
                 pycrust, or say in {COMMAND} where the program is",
                program.display(),
                self.endpoint
            )
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "{LIVE} is set, and the worker of {:?} did not answer: {}",
                self.endpoint,
                said.trim()
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Lock::parse(&text, "what the worker says").map_err(|error| error.to_string())
    }

    /// Where the command line program is: as it is said, in the virtual environment, or wherever programs are.
    fn program(&self) -> PathBuf {
        if let Some(program) = env::var_os(COMMAND) {
            return program.into();
        }
        let activated = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        let beside = self.directory.ancestors().map(|directory| directory.join(".venv"));
        let mut programs = activated.into_iter().chain(beside).map(|directory| directory.join("bin/pycrust"));
        programs.find(|program| program.is_file()).unwrap_or_else(|| "pycrust".into())
    }

    /// Refuses a worker whose callers have to change.
    fn compare(&self, locked: &Lock, live: &Lock) -> Result<(), String> {
        let mut said = String::new();
        for (name, old) in &locked.methods {
            let Some(new) = live.methods.get(name) else {
                let _ = write!(said, "\n  {name} (version {}): is not there any more", old.version);
                continue;
            };
            let breaking: Vec<_> = changes(&old.schema(), &new.schema())
                .into_iter()
                .filter(|change| change.breaking)
                .map(|change| format!("{}: {}", change.path, change.what))
                .collect();
            if !breaking.is_empty() {
                let _ = write!(
                    said,
                    "\n  {name} (version {} → {}): {}",
                    old.version,
                    new.version,
                    breaking.join("; ")
                );
            }
        }
        if said.is_empty() {
            return Ok(());
        }
        let (endpoint, lock) = (&self.endpoint, self.lock.display());
        Err(format!(
            "{endpoint:?} has changed since {lock} was written:{said}\ntake it over with `pycrust types {endpoint} --lock {lock}`"
        ))
    }
}
