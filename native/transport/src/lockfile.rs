//! Lock files: who holds one serves the name. The lock is the kernel's, so it ends with its holder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::error::{ClaimError, TransportError};
use crate::fork;
use crate::runtime::Owner;

/// Bytes of a lock file that are read, at most.
const MAX_LEN: u64 = 4096;

/// How often a held lock is tried again, ten milliseconds apart: someone who only looks holds it too, for
/// an instant.
const TRIES: u32 = 5;

/// A lock that this process holds.
#[derive(Debug)]
pub(crate) struct LockFile {
    /// The locked file.
    file: File,
    /// Where it is.
    path: PathBuf,
    /// The process that took it; a forked child must not release it.
    pid: u32,
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
                Err(Errno::WOULDBLOCK) => return Err(ClaimError::Served(read(file))),
                Err(error) => return Err(fail(error.into())),
            }
            // The holder before us may have unlinked this very file after we opened it; whoever comes
            // next would then lock another one. Only the file that is still at the path counts.
            if !is_at(&file, path) {
                continue;
            }
            fork::register(&file);
            let mut lock = Self { file, path: path.into(), pid: std::process::id() };
            lock.write(owner).map_err(fail)?;
            return Ok(lock);
        }
        unreachable!("the attempts are not bounded")
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
        if self.pid == std::process::id() {
            // While the lock is still held: later it could be the next holder's file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Who holds the lock at `path`, if someone does.
pub(crate) fn held_by(path: &Path) -> Option<Owner> {
    let file = open(path, false).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(read(file)),
        _ => None,
    }
}

/// Opens a lock file, never through a symbolic link.
fn open(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(create)
        .create(create)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed())
        .open(path)
}

/// Whether `file` is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// What a lock file says; a holder that has not written yet leaves it empty.
fn read(file: File) -> Owner {
    let mut text = Vec::new();
    let _ = file.take(MAX_LEN).read_to_end(&mut text);
    rmp_serde::from_slice(&text).unwrap_or_default()
}
