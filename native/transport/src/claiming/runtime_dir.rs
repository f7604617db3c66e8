//! The runtime directory: where workers and clients of one user find each other.

use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pycrust_protocol::name::{EndpointName, hash};
use rustix::process::getuid;

use crate::claiming::place::Place;
use crate::claiming::prefix::{name_hash, user_prefix};
use crate::claiming::private_dir::{check_private, own_uid, private_dir};
use crate::error::TransportError;

/// The runtime directory, checked: a real directory, ours, closed to everyone else.
///
/// By default it is one of several places, and workers are in each that there is: a process that began before a login, or
/// that is in a container, does not see all of them.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Where to look, in this order; at least one.
    places: Vec<Place>,
    /// The same for everyone who looks in these places, however many of them there are.
    key: PathBuf,
}

impl Runtime {
    /// `PYCRUST_RUNTIME_DIR`, or else `/run/user/<uid>/pycrust`, where the system has made the directory above, and
    /// `/tmp/pycrust-<uid>`; where another user has made that one first, those of this user whose names begin so. They
    /// follow from the user alone, since a notebook server and a shell can disagree about `XDG_RUNTIME_DIR`.
    ///
    /// # Errors
    /// [`TransportError::RuntimeDir`] if no directory can be made or none can be trusted.
    pub fn discover() -> Result<Self, TransportError> {
        match std::env::var_os("PYCRUST_RUNTIME_DIR") {
            Some(dir) if !dir.is_empty() => Self::at(Path::new(&dir)),
            _ => Self::of_user(),
        }
    }

    /// The default places of this user.
    fn of_user() -> Result<Self, TransportError> {
        let temporary = PathBuf::from(format!("/tmp/pycrust-{}", getuid().as_raw()));
        let uid = own_uid().map_err(|reason| no_dir(&temporary, reason))?;
        let session = PathBuf::from(format!("/run/user/{uid}"));
        // What is not there, or not as the system makes it, is nobody's place.
        let session = check_private(&session).is_ok().then(|| session.join("pycrust"));
        let shared = match Place::new(&temporary) {
            Err(reason) if belongs_to_another(&temporary, uid) => {
                let beside = beside(&temporary);
                if beside.is_empty() && session.is_none() {
                    return Err(no_dir(&temporary, reason));
                }
                beside
            }
            _ => vec![temporary.clone()],
        };
        Self::among(session.into_iter().chain(shared), temporary)
    }

    /// Uses this directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`TransportError::RuntimeDir`] if the directory can't be made or can't be trusted.
    pub fn at(dir: &Path) -> Result<Self, TransportError> {
        let place = Place::new(dir).map_err(|reason| no_dir(dir, reason))?;
        let key = place.dir().to_owned();
        Ok(Self { places: vec![place], key })
    }

    /// Uses those of the directories that can be made and trusted; one must be.
    fn among(dirs: impl Iterator<Item = PathBuf>, key: PathBuf) -> Result<Self, TransportError> {
        let (mut places, mut failed) = (Vec::new(), None);
        for dir in dirs {
            match Place::new(&dir) {
                Ok(place) => places.push(place),
                Err(reason) => failed = Some(no_dir(&dir, reason)),
            }
        }
        match failed {
            Some(error) if places.is_empty() => Err(error),
            _ => Ok(Self { places, key }),
        }
    }

    /// The directory; of several, the one that is looked at first.
    pub fn dir(&self) -> &Path {
        self.places[0].dir()
    }

    /// All directories, in the order in which they are looked at.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.places.iter().map(|place| place.dir().to_owned()).collect()
    }

    /// The places.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What every iceoryx2 prefix of this user, directory and name begins with: remains are found by it. The
    /// directory comes first, so that what belongs to one directory is found without knowing its names.
    pub(crate) fn prefix(&self, name: &EndpointName) -> String {
        format!("{}{:08x}_", self.directory_prefix(), name_hash(name))
    }

    fn directory_prefix(&self) -> String {
        let directory = hash(self.key.as_os_str().as_encoded_bytes()) as u32;
        format!("{}{directory:08x}_", user_prefix())
    }
}

/// Whether something is at `path` that is not this user's.
fn belongs_to_another(path: &Path, own: u32) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.uid() != own)
}

/// This user's own directories whose names begin as that of `dir`, which is another's: nobody can make all of them first.
/// If there is none, one is made; none if that can't be.
fn beside(dir: &Path) -> Vec<PathBuf> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name().and_then(OsStr::to_str)) else {
        return Vec::new();
    };
    let ours = |path: &PathBuf| {
        let is_named = |found: &str| found.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
        path.file_name().and_then(OsStr::to_str).is_some_and(is_named) && check_private(path).is_ok()
    };
    let look = || {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(ours).collect();
        found.sort();
        found
    };
    let found = look();
    if !found.is_empty() {
        return found;
    }
    let random = RandomState::new().build_hasher().finish();
    let _ = private_dir(&parent.join(format!("{name}-{random:016x}")));
    // Again: of two that make one at a time, one at least sees both, and a worker is in each that it sees.
    look()
}

fn no_dir(dir: &Path, reason: String) -> TransportError {
    TransportError::RuntimeDir { path: dir.into(), reason }
}
