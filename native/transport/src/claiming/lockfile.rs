//! Lock files: who holds one serves the name. The lock is the kernel's, so it ends with its holder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::claiming::inode::{NOW, is_at};
use crate::claiming::listener::answers;
use crate::claiming::place::sockets_beside;
use crate::error::{ClaimError, TransportError};
use crate::fork;
use crate::owner::Owner;
use crate::process::Process;

/// Bytes of a lock file that are read, at most.
const MAX_LEN: u64 = 4096;

/// How often a held lock is tried again, ten milliseconds apart: someone who only looks holds it too, for
/// an instant.
const TRIES: u32 = 5;

/// A lock file's mode. What cleans old files away (systemd's `tmpfiles`) spares those with the sticky bit.
const MODE: u32 = 0o1600;

/// A lock that this process holds.
#[derive(Debug)]
pub(crate) struct LockFile {
    /// The locked file.
    file: File,
    /// Where it is.
    path: PathBuf,
    /// The process that took it; a forked child must not release it.
    process: Process,
}

impl LockFile {
    /// Takes the lock and writes `owner` into the file.
    pub(crate) fn take(path: &Path, owner: &Owner) -> Result<Self, ClaimError> {
        let fail = |error: io::Error| {
            ClaimError::Transport(TransportError::system(format!("lock {}", path.display()), error))
        };
        for attempt in 0.. {
            let file = open(path, true).map_err(fail)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) if attempt < TRIES => {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(Errno::WOULDBLOCK) => return Err(ClaimError::Served(read(&file))),
                Err(error) => return Err(fail(error.into())),
            }
            // The holder before us may have unlinked this very file after we opened it; whoever comes
            // next would then lock another one. Only the file that is still at the path counts.
            if !is_at(&file, path) {
                continue;
            }
            fork::register(&file);
            let mut lock = Self { file, path: path.into(), process: Process::current() };
            lock.write(owner).map_err(fail)?;
            return Ok(lock);
        }
        unreachable!("the attempts are not bounded")
    }

    /// Whether the file has not been cleaned away.
    pub(crate) fn is_there(&self) -> bool {
        is_at(&self.file, &self.path)
    }

    /// Makes the file look new to whoever cleans old ones away.
    pub(crate) fn touch(&self) {
        let _ = rustix::fs::futimens(&self.file, &NOW);
    }

    /// Replaces what the file says.
    fn write(&mut self, owner: &Owner) -> io::Result<()> {
        let text = rmp_serde::to_vec_named(owner).map_err(io::Error::other)?;
        self.file.rewind()?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len() as u64)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        fork::forget(&self.file);
        if self.process.is_current() && self.is_there() {
            // While the lock is still held: later it could be the next holder's file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Who holds the lock at `path`, if someone does.
pub(crate) fn held_by(path: &Path) -> Option<Owner> {
    holder(&open(path, false).ok()?, path)
}

/// Who holds the lock at `path`. If nobody does, the file goes, and the socket beside it.
pub(crate) fn held_or_removed(path: &Path) -> Option<Owner> {
    let file = open(path, false).ok()?;
    let owner = holder(&file, path);
    if owner.is_none() {
        remove_stale(&file, path);
    }
    owner
}

/// Who held the lock at `path`, if nobody holds it any more.
pub(crate) fn left_by(path: &Path) -> Option<Owner> {
    let file = open(path, false).ok()?;
    flock(&file, FlockOperation::NonBlockingLockShared).ok()?;
    let owner = read(&file);
    (!owner.endpoint.is_empty()).then_some(owner)
}

fn holder(file: &File, path: &Path) -> Option<Owner> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        // Or somebody has just found it to be nobody's, and removes it.
        Err(Errno::WOULDBLOCK) if is_at(file, path) => Some(read(file)),
        _ => None,
    }
}

/// Removes a lock file that nobody holds, and the socket beside it with the way to it.
fn remove_stale(file: &File, path: &Path) {
    // What has no endpoint's name is none of ours.
    let Some((socket, older)) = sockets_beside(path) else { return };
    let locked = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // A worker whose lock file was cleaned away still answers, and makes it again.
    if locked && is_at(file, path) && !answers(&socket) && !answers(&older) {
        let _ = fs::remove_file(older);
        let _ = fs::remove_file(socket);
        let _ = fs::remove_file(path);
    }
}

/// Opens a lock file, never through a symbolic link.
fn open(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(create)
        .create(create)
        .truncate(false)
        .mode(MODE)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed())
        .open(path)
}

/// What a lock file says; a holder that has not written yet leaves it empty.
fn read(file: &File) -> Owner {
    let mut text = Vec::new();
    let _ = file.take(MAX_LEN).read_to_end(&mut text);
    rmp_serde::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test panics")]

    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Ends the other threads, also where this one fails.
    struct Ends<'a>(&'a AtomicBool);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn names_are_taken_while_others_remove_what_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raced.lock");
        let owner = Owner { endpoint: "raced".into(), pid: std::process::id(), ..Owner::default() };
        let left = rmp_serde::to_vec_named(&owner).unwrap();
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        held_or_removed(&path);
                        // A lock that is always held by one of the two is never taken.
                        thread::sleep(Duration::from_micros(100));
                    }
                });
            }
            let _ends = Ends(&ended);
            let mut taken = 0;
            while taken < 300 {
                // What a killed holder leaves, which is anybody's to remove until it is locked.
                fs::write(&path, &left).unwrap();
                let lock = match LockFile::take(&path, &owner) {
                    Ok(lock) => lock,
                    // Those who look hold it for an instant each.
                    Err(ClaimError::Served(_)) => continue,
                    Err(error) => panic!("{error}"),
                };
                taken += 1;
                for _ in 0..20 {
                    assert!(lock.is_there(), "nobody removes what is held");
                    thread::yield_now();
                }
            }
        });
        held_or_removed(&path);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the last one has left nothing");
    }
}
