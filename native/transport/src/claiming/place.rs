//! One directory in which workers and clients find each other: a lock and a socket for each name.

use std::fs;
use std::path::{Path, PathBuf};

use pycrust_protocol::name::EndpointName;

use crate::claiming::private_dir::{check_private, private_dir};

/// Bytes of a Unix socket's path: 108 with the zero at its end (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The directory, with its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Uses this directory, which is made if it is not there; or says why it can't be used.
    pub(crate) fn new(dir: &Path) -> Result<Self, String> {
        let dir = private_dir(dir)?;
        // The slash, 16 digits and `.sock`, whatever the endpoint's name.
        let longest = MAX_SOCKET_PATH - "/0123456789abcdef.sock".len();
        let len = dir.as_os_str().len();
        if len > longest {
            return Err(format!(
                "its path of {len} bytes is too long, since sockets lie in it, whose paths may have {MAX_SOCKET_PATH}: \
                 set PYCRUST_RUNTIME_DIR to one of at most {longest} bytes, for workers and clients alike"
            ));
        }
        Ok(Self(dir))
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// Makes the directory again if it is gone; says why it can't be used.
    pub(crate) fn restore(&self) -> Result<(), String> {
        if self.is_gone() { private_dir(&self.0).map(drop) } else { check_private(&self.0) }
    }

    /// Says why the directory can't be trusted, if it is there.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.is_gone() { Ok(()) } else { check_private(&self.0) }
    }

    fn is_gone(&self) -> bool {
        matches!(self.0.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
    }

    /// The lock files that there are.
    pub(crate) fn locks(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "lock")).collect()
    }

    /// The lock file of a name.
    pub(crate) fn lock_path(&self, name: &EndpointName) -> PathBuf {
        self.0.join(format!("{name}.lock"))
    }

    /// The control socket of a name.
    pub(crate) fn socket_path(&self, name: &EndpointName) -> PathBuf {
        self.0.join(name.socket_file())
    }

    /// Where workers before protocol 3 listen, and clients before it look.
    pub(crate) fn older_socket_path(&self, name: &EndpointName) -> PathBuf {
        self.0.join(format!("{name}.sock"))
    }
}

/// The control socket of the name whose lock file is at `lock`, and where older clients look for it.
pub(crate) fn sockets_beside(lock: &Path) -> Option<(PathBuf, PathBuf)> {
    let name = EndpointName::new(lock.file_stem()?.to_str()?).ok()?;
    Some((lock.with_file_name(name.socket_file()), lock.with_extension("sock")))
}
