//! Who serves a name: directories, locks, and what keeps them there.

pub(crate) mod inode;
pub(crate) mod listener;
pub(crate) mod lockfile;
pub(crate) mod peer;
pub(crate) mod place;
pub(crate) mod prefix;
pub(crate) mod private_dir;
pub(crate) mod runtime_dir;
pub(crate) mod seat;
