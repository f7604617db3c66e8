//! The runtime directory: where workers and clients of one user find each other.

use std::path::{Path, PathBuf};

use pycrust_protocol::name::EndpointName;
use rustix::process::getuid;

use crate::claiming::place::Place;
use crate::claiming::prefix::{hash, name_hash, user_prefix};
use crate::claiming::private_dir::{check_private, own_uid};
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
    /// `/tmp/pycrust-<uid>`. They follow from the user alone, since a notebook server and a shell can disagree about
    /// `XDG_RUNTIME_DIR`.
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
        Self::among(session.into_iter().chain([temporary.clone()]), temporary)
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

fn no_dir(dir: &Path, reason: String) -> TransportError {
    TransportError::RuntimeDir { path: dir.into(), reason }
}
