//! The runtime directory: where workers and clients of one user find each other.

use std::fs;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use pycrust_protocol::name::EndpointName;
use rustix::process::getuid;
use serde::{Deserialize, Serialize};

use crate::error::TransportError;
use crate::lockfile;

/// Bytes of a Unix socket's path, without its final zero.
const MAX_SOCKET_PATH: usize = 107;

/// Who serves a name, as its lock file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The name.
    pub endpoint: String,
    /// The worker's process.
    pub pid: u32,
    /// The notebook that it runs in (`JPY_SESSION_NAME`), or nothing.
    pub notebook: String,
    /// When it claimed the name, in nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// Tells this worker's life from any other's.
    pub generation: u64,
}

/// The runtime directory, checked: a real directory, ours, closed to everyone else.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Its absolute path.
    dir: PathBuf,
}

impl Runtime {
    /// `PYCRUST_RUNTIME_DIR`, or `/tmp/pycrust-<uid>`. It follows from the user alone, since a notebook
    /// server and a shell can disagree about `XDG_RUNTIME_DIR`.
    ///
    /// # Errors
    /// [`TransportError::RuntimeDir`] if the directory can't be made or can't be trusted.
    pub fn discover() -> Result<Self, TransportError> {
        match std::env::var_os("PYCRUST_RUNTIME_DIR") {
            Some(dir) if !dir.is_empty() => Self::at(Path::new(&dir)),
            _ => Self::at(Path::new(&format!("/tmp/pycrust-{}", getuid().as_raw()))),
        }
    }

    /// Uses this directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`TransportError::RuntimeDir`] if the directory can't be made or can't be trusted.
    pub fn at(dir: &Path) -> Result<Self, TransportError> {
        match private_dir(dir) {
            Ok(dir) => Ok(Self { dir }),
            Err(reason) => Err(TransportError::RuntimeDir { path: dir.into(), reason }),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The endpoints that a live process serves, in order of their names.
    pub fn live_endpoints(&self) -> Vec<Owner> {
        let mut live: Vec<_> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "lock"))
            .filter_map(|path| lockfile::held_by(&path))
            .collect();
        live.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        live
    }

    /// The lock file of a name.
    pub(crate) fn lock_path(&self, name: &EndpointName) -> PathBuf {
        self.dir.join(format!("{}.lock", self.stem(name)))
    }

    /// The control socket of a name.
    pub(crate) fn socket_path(&self, name: &EndpointName) -> PathBuf {
        self.dir.join(format!("{}.sock", self.stem(name)))
    }

    /// What every iceoryx2 prefix of this user, directory and name begins with: remains are found by it. The
    /// directory comes first, so that what belongs to one directory is found without knowing its names.
    pub(crate) fn prefix(&self, name: &EndpointName) -> String {
        let directory = hash(&[self.dir.as_os_str().as_encoded_bytes()]) as u32;
        let name = hash(&[name.as_str().as_bytes()]) as u32;
        format!("pyc{}_{directory:08x}_{name:08x}_", getuid().as_raw())
    }

    /// The name, or its hash where the socket's path would become too long.
    fn stem(&self, name: &EndpointName) -> String {
        let name = name.as_str();
        if self.dir.as_os_str().len() + 1 + name.len() + ".sock".len() <= MAX_SOCKET_PATH {
            name.into()
        } else {
            // A name begins with a letter or a digit, so no name looks like this.
            format!("_{:016x}", hash(&[name.as_bytes()]))
        }
    }
}

/// A directory that is this user's and nobody else's, made if it is not there; or why there is none.
pub(crate) fn private_dir(dir: &Path) -> Result<PathBuf, String> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("it can't be made: {error}")),
    }
    check_private(dir)?;
    dir.canonicalize().map_err(|error| error.to_string())
}

/// Says why a directory is not this user's and nobody else's.
pub(crate) fn check_private(dir: &Path) -> Result<(), String> {
    // Not followed if it is a symbolic link: someone else could have put one into /tmp.
    let found = fs::symlink_metadata(dir).map_err(|error| error.to_string())?;
    if found.is_symlink() {
        return Err("it is a symbolic link; remove it".into());
    }
    if !found.is_dir() {
        return Err("it is no directory; remove it".into());
    }
    let (owner, own) = (found.uid(), getuid().as_raw());
    if owner != own {
        return Err(format!("it belongs to uid {owner}, this process to uid {own}; set PYCRUST_RUNTIME_DIR"));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!("its mode is {mode:04o}, others can get in; chmod it to 0700"));
    }
    Ok(())
}

/// FNV-1a, 64 bits: the same in every process and every build, unlike the standard library's.
fn hash(parts: &[&[u8]]) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    for part in parts {
        hasher.write(part);
        hasher.write(&[0]);
    }
    hasher.finish()
}
