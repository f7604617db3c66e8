//! One worker's life in shared memory: a directory there, which everyone who uses the life keeps locked.
//!
//! The lock is a shared `flock` on the directory itself. It is the kernel's: it ends with its last holder, whatever ends
//! that one, and it is seen from other containers. So whoever is given it exclusively knows that nobody uses the life
//! any more and may remove all of it; and who is not given it, for whatever reason, removes nothing.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::getuid;

use crate::claiming::inode::{Inode, is_at};
use crate::claiming::lockfile::{self, LockFile};
use crate::claiming::prefix::name_in;
use crate::claiming::private_dir::{check_private, private_dir};
use crate::error::{ClaimError, TransportError};
use crate::fork::Guarded;
use crate::owner::Owner;
use crate::sync::Mutex;

/// Where Linux keeps shared memory.
const SHM: &str = "/dev/shm";

/// End of the name of the directory in which iceoryx2 keeps one prefix's files.
const ROOT_SUFFIX: &str = "iox2";

/// The worker's own lock in that directory.
const WORKER: &str = "worker.lock";

/// How long one look removes what the dead left.
const LOOK: Duration = Duration::from_millis(200);

/// How often a directory that is just being made or removed is looked at again, a millisecond apart.
const TRIES: u32 = 20;

/// A life that this process uses.
#[derive(Debug)]
pub(crate) struct Life {
    /// What the names of its shared memory begin with.
    prefix: String,
    /// Its directory, locked.
    dir: Mutex<Guarded>,
}

impl Life {
    /// Begins the life of the worker `owner`, and the lock that says so: cleaning the runtime directory leaves it. It is
    /// the worker's alone, whose clients in its own process may use the life for longer.
    pub(crate) fn begin(prefix: &str, owner: &Owner) -> Result<(Self, LockFile), ClaimError> {
        let dir = enter_made(prefix)?;
        let worker = LockFile::take(&root(prefix).join(WORKER), owner)?;
        Ok((Self { prefix: prefix.into(), dir: Mutex::new(dir) }, worker))
    }

    /// Joins the life of a worker that lives.
    pub(crate) fn join(prefix: &str) -> Result<Self, TransportError> {
        let root = root(prefix);
        rustix::fs::access(&root, Access::WRITE_OK).map_err(|error| unusable(&root, error.into()))?;
        let dir = enter(&root)?.ok_or_else(|| elsewhere(&root))?;
        Ok(Self { prefix: prefix.into(), dir: Mutex::new(dir) })
    }

    /// What the names of its shared memory begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether its directory has not been cleaned away.
    pub(crate) fn is_there(&self) -> bool {
        is_at(&*self.dir.lock(), &root(&self.prefix))
    }

    /// Makes the directory again if it was cleaned away: what is mapped goes on, and more can be made.
    pub(crate) fn restore(&self) -> Result<(), TransportError> {
        let mut dir = self.dir.lock();
        if !is_at(&*dir, &root(&self.prefix)) {
            log::warn!("{} was removed by somebody; it is made again", root(&self.prefix).display());
            *dir = enter_made(&self.prefix)?;
        }
        Ok(())
    }

    /// This process is done with it: removes everything if nobody else uses it. Whether somebody may.
    pub(crate) fn end(&self) -> bool {
        remove_if_over(&*self.dir.lock(), &self.prefix)
    }
}

/// The directory of a life. It is in memory, beside what the files are about: a connection makes and removes some
/// hundred files, which takes three times as long on a disk and waits for it now and then.
pub(crate) fn root(prefix: &str) -> PathBuf {
    Path::new(SHM).join(format!("{prefix}{ROOT_SUFFIX}"))
}

/// Removes what is left of a life if it is over. Whether somebody may still use it.
pub(crate) fn bury(prefix: &str) -> bool {
    let root = root(prefix);
    match open(&root) {
        Ok(dir) => remove_if_over(&dir, prefix),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Removes what is left of every life that is over and whose prefix begins with `common`, as far as that is done in a
/// moment: the next look goes on.
pub(crate) fn bury_all(common: &str) {
    let until = Instant::now() + LOOK;
    // A listing that fails shows nothing, and nothing is removed.
    for prefix in prefixes(common).unwrap_or_default() {
        if Instant::now() >= until {
            break;
        }
        bury(&prefix);
    }
}

/// The living worker whose life's prefix begins with `common`.
pub(crate) fn worker_of(common: &str) -> Option<Owner> {
    let prefixes = prefixes(common).unwrap_or_default();
    prefixes.iter().find_map(|prefix| lockfile::held_by(&root(prefix).join(WORKER)))
}

/// The prefixes of the lives that there are: directories of this user. Others may have put anything beside them.
fn prefixes(common: &str) -> io::Result<Vec<String>> {
    let (own, mut found) = (getuid().as_raw(), Vec::new());
    for entry in fs::read_dir(SHM)? {
        let entry = entry?;
        // Other programs' names may be anything; ours are plain.
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let prefix = name.strip_suffix(ROOT_SUFFIX).filter(|prefix| prefix.starts_with(common));
        let Some(prefix) = prefix.filter(|prefix| name_in(prefix).is_some()) else { continue };
        let is_ours = |found: fs::Metadata| found.is_dir() && found.uid() == own;
        if entry.metadata().is_ok_and(is_ours) {
            found.push(prefix.to_owned());
        }
    }
    Ok(found)
}

/// Makes the directory of a life if it is not there, and locks it.
fn enter_made(prefix: &str) -> Result<Guarded, TransportError> {
    let root = root(prefix);
    let mut reason = String::new();
    // Whoever removes what is over may take it for that until it is locked: at any point between these.
    for _ in 0..TRIES {
        match private_dir(&root) {
            Err(error) => reason = error,
            Ok(_) => match enter(&root)? {
                Some(dir) => return Ok(dir),
                None => reason = "somebody removes it again and again".into(),
            },
        }
    }
    Err(no_directory(&root, &reason))
}

/// Locks the directory of a life; `None` if it is gone.
fn enter(root: &Path) -> Result<Option<Guarded>, TransportError> {
    for _ in 0..TRIES {
        let dir = match open(root) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(root, error)),
        };
        match flock(&dir, FlockOperation::NonBlockingLockShared) {
            Ok(()) if is_at(&dir, root) => return Ok(Some(Guarded::from(OwnedFd::from(dir)))),
            // It is being removed.
            Ok(()) | Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(unusable(root, error.into())),
        }
    }
    Ok(None)
}

/// Removes a life whose directory is open as `dir` if nobody else has it locked. Whether somebody may use it.
fn remove_if_over(dir: &impl AsFd, prefix: &str) -> bool {
    let root = root(prefix);
    // Another user's can only have been put there to disturb.
    let ours = rustix::fs::fstat(dir).is_ok_and(|found| found.st_uid == getuid().as_raw());
    if !ours || flock(dir, FlockOperation::NonBlockingLockExclusive).is_err() {
        return true;
    }
    let removed = match Inode::at(&root) {
        Err(Errno::NOENT) => Ok(()),
        _ if is_at(dir, &root) => fs::remove_dir_all(&root),
        // It was cleaned away and made again, by somebody who uses it.
        _ => return true,
    };
    removed.is_err()
}

/// Opens the directory of a life, never through a symbolic link.
fn open(root: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(root)
}

/// Says what is wrong with the directory of a worker that lives.
pub(crate) fn check(prefix: &str) -> Result<(), TransportError> {
    let root = &root(prefix);
    match root.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(elsewhere(root)),
        _ => check_private(root).map_err(|reason| no_directory(root, &reason)),
    }
}

/// The directory can't be had.
fn no_directory(root: &Path, reason: &str) -> TransportError {
    TransportError::SharedMemory { what: "keep files", reason: format!("{}: {reason}", root.display()) }
}

/// The directory can't be used.
fn unusable(root: &Path, error: io::Error) -> TransportError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ROFS) => no_directory(root, "/dev/shm is read-only here: mount it writable"),
        Some(Errno::MFILE | Errno::NFILE) => {
            TransportError::system(format!("open {}", root.display()), error)
        }
        _ => no_directory(root, &error.to_string()),
    }
}

/// A worker lives, and what it has just made is not to be seen.
fn elsewhere(root: &Path) -> TransportError {
    TransportError::SharedMemory {
        what: "find the worker's files",
        reason: format!(
            "the other side made {} and this process does not see it, so the two have different /dev/shm, as \
             containers do: give them the same one (docker run --ipc=host for both, or --ipc=container:NAME)",
            root.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test panics")]

    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn lives_begin_while_others_remove_what_is_over() {
        let common = format!("pyc{}_{:08x}_0badc0de_", getuid().as_raw(), std::process::id());
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        bury_all(&common);
                    }
                });
            }
            let begun = (0..2000).try_for_each(|number| {
                let prefix = format!("{common}{number:08x}_");
                let dir = enter_made(&prefix)?;
                assert!(is_at(&dir, &root(&prefix)), "it is there and stays there");
                Ok::<(), TransportError>(())
            });
            ended.store(true, Ordering::Relaxed);
            begun.unwrap();
        });
        bury_all(&common);
        assert!(prefixes(&common).unwrap().is_empty());
    }
}
