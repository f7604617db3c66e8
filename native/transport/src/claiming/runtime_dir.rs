//! The runtime directory: where workers and clients of one user find each other.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use pycrust_protocol::name::EndpointName;
use rustix::process::getuid;
use serde::{Deserialize, Serialize};

use crate::claiming::place::Place;
use crate::claiming::private_dir::{check_private, own_uid};
use crate::error::TransportError;
use crate::{claiming::lockfile, iceoryx::life};

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

    /// The endpoints that a live process serves, in order of their names. What dead ones have left is removed.
    pub fn live_endpoints(&self) -> Vec<Owner> {
        self.look()
    }

    /// Looks at every lock, and at every life of this user's, and removes those of the dead; gives the living. Nobody
    /// comes back to a directory that was made for one run: what is left of that is removed from anywhere.
    pub(crate) fn look(&self) -> Vec<Owner> {
        let locks = self.places.iter().flat_map(Place::locks);
        let mut live: Vec<_> = locks.filter_map(|path| lockfile::held_or_removed(&path)).collect();
        live.sort_by(|a, b| (&a.endpoint, a.generation).cmp(&(&b.endpoint, b.generation)));
        live.dedup_by_key(|owner| owner.generation);
        life::bury_all(&user_prefix());
        live
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

/// What every prefix of this user begins with.
fn user_prefix() -> String {
    format!("pyc{}_", getuid().as_raw())
}

/// Whether `prefix` is one of a worker that serves `name`. It may see the directory under another path, and its user by
/// another number, as in a container.
pub(crate) fn is_prefix_of(prefix: &str, name: &EndpointName) -> bool {
    name_in(prefix) == Some(&format!("{:08x}", name_hash(name)))
}

/// The part of a life's prefix that stands for the endpoint's name; `None` if it is no such prefix.
pub(crate) fn name_in(prefix: &str) -> Option<&str> {
    let hex = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<_> = prefix.split('_').collect();
    let [user, directory, name, generation, ""] = parts[..] else { return None };
    let uid = user.strip_prefix("pyc")?;
    let valid = !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit());
    (valid && [directory, name, generation].into_iter().all(hex)).then_some(name)
}

fn name_hash(name: &EndpointName) -> u32 {
    hash(name.as_str().as_bytes()) as u32
}

fn no_dir(dir: &Path, reason: String) -> TransportError {
    TransportError::RuntimeDir { path: dir.into(), reason }
}

/// FNV-1a of the bytes and a zero, 64 bits: the same in every process and every build, unlike the standard library's.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
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
    hasher.write(bytes);
    hasher.write(&[0]);
    hasher.finish()
}
