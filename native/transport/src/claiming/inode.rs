//! Whether a path still leads to what was opened there: files and directories are cleaned away under who uses them.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_NOW};

/// The present, for both times of a file.
pub(crate) const NOW: Timestamps = {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
};

/// What tells one file of a machine from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inode(u64, u64);

impl From<Stat> for Inode {
    fn from(found: Stat) -> Self {
        Self(found.st_dev, found.st_ino)
    }
}

impl Inode {
    /// What is at a path, symbolic links not followed.
    pub(crate) fn at(path: &Path) -> rustix::io::Result<Self> {
        rustix::fs::lstat(path).map(Self::from)
    }
}

/// Whether `file` is what is at `path`.
pub(crate) fn is_at(file: impl AsFd, path: &Path) -> bool {
    let opened = rustix::fs::fstat(file).map(Inode::from);
    matches!((opened, Inode::at(path)), (Ok(opened), Ok(there)) if opened == there)
}
