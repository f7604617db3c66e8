//! Directories that are this user's and nobody else's.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::process::getuid;

/// The uid that stands for everyone whom this user namespace does not know, unless the system says another.
const OVERFLOW_UID: u32 = 65534;

/// A directory that is this user's and nobody else's, made if it is not there; or why there is none.
pub(crate) fn private_dir(dir: &Path) -> Result<PathBuf, String> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(cannot_be_made(dir, &error)),
    }
    check_private(dir)?;
    dir.canonicalize().map_err(|error| error.to_string())
}

/// Says why a directory is not this user's and nobody else's.
pub(crate) fn check_private(dir: &Path) -> Result<(), String> {
    // Not followed if it is a symbolic link: someone else could have put one into /tmp.
    let found = fs::symlink_metadata(dir).map_err(|error| error.to_string())?;
    let (owner, own) = (found.uid(), own_uid()?);
    if owner != own {
        // In a directory like /tmp nobody else may remove it.
        return Err(format!(
            "it is {} of uid {owner}, this process is of uid {own}: have them or root remove it, or set \
             PYCRUST_RUNTIME_DIR to a directory of your own, for workers and clients alike",
            kind(&found)
        ));
    }
    if !found.is_dir() {
        return Err(format!("it is {}, no directory; remove it", kind(&found)));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!("its mode is {mode:04o}, others can get in; chmod it to 0700"));
    }
    if mode & 0o700 != 0o700 {
        return Err(format!("its mode is {mode:04o}, its owner can't use it; chmod it to 0700"));
    }
    Ok(())
}

/// What something in a file system is, in words.
fn kind(found: &fs::Metadata) -> &'static str {
    let kind = found.file_type();
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_file() => "a file",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

/// This process's uid, if it tells anybody from this user.
pub(crate) fn own_uid() -> Result<u32, String> {
    static OVERFLOW: LazyLock<u32> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/sys/kernel/overflowuid");
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW_UID)
    });
    let own = getuid().as_raw();
    if own == *OVERFLOW && !is_mapped(own) {
        return Err(format!(
            "this process's user is not mapped in its user namespace (uid {own} stands for everyone there): map it, \
             for instance by unshare --map-current-user"
        ));
    }
    Ok(own)
}

/// Whether this user namespace has a user of that number, beside those whom it does not know.
fn is_mapped(uid: u32) -> bool {
    // first uid inside, first uid outside, how many
    let maps = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(uid))
    };
    // Without the file there are no user namespaces.
    fs::read_to_string("/proc/self/uid_map").map_or(true, |text| text.lines().any(maps))
}

/// Why a directory was not made, and what helps.
fn cannot_be_made(dir: &Path, error: &io::Error) -> String {
    let parent = dir.parent().unwrap_or(dir).display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("it can't be made, since {parent} does not exist; make that first")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("it can't be made, since {parent} is read-only here; mount it writable")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "it can't be made, since this user may not write to {parent}; let it, or make it as another user"
            )
        }
        _ => format!("it can't be made: {error}"),
    }
}
