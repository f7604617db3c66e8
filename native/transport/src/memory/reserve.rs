//! Shared memory that is really there: pages are made before they are written, so that a full /dev/shm is
//! an error and not a SIGBUS.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use pycrust_protocol::attachments::ALIGNMENT;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::Advice;
use rustix::process::{Resource, getrlimit};

/// Bytes of a page on every supported machine, or a divisor of it.
pub(crate) const PAGE: usize = 4096;

/// Attachments of at least this many bytes are put on pages of their own, so that a receiver may map them
/// privately. Copying fewer is quicker.
pub(crate) const OWN_PAGES: usize = 64 << 10;

/// Where `bytes` go in a sample of `len` bytes at `address`, behind its first `used`; `None` if they find no
/// room. Many of them begin at a page, and the rest of their last one lies in the sample too, if that can be.
pub(crate) fn place(address: usize, used: usize, bytes: usize, len: usize) -> Option<Range<usize>> {
    let from = |alignment: usize| {
        let start = address.checked_add(used)?.checked_next_multiple_of(alignment)? - address;
        Some(start..start.checked_add(bytes)?)
    };
    let inside = |range: &Range<usize>, alignment: usize| {
        let end = address.checked_add(range.end).and_then(|end| end.checked_next_multiple_of(alignment));
        end.is_some_and(|end| end - address <= len)
    };
    let on_pages = from(PAGE).filter(|range| bytes >= OWN_PAGES && inside(range, PAGE));
    on_pages.or_else(|| from(ALIGNMENT).filter(|range| inside(range, 1)))
}

/// Makes the pages of `[address, address + len)`, which must be writable shared memory of this process.
pub(crate) fn populate(address: *const u8, len: usize) -> io::Result<()> {
    let start = address.addr() & !(PAGE - 1);
    let end = (address.addr() + len).next_multiple_of(PAGE);
    // SAFETY: populating changes no byte; an address that is not mapped writable is an error.
    match unsafe {
        rustix::mm::madvise(
            address.with_addr(start).cast_mut().cast(),
            end - start,
            Advice::LinuxPopulateWrite,
        )
    } {
        // Linux before 5.14 answers that it does not know it.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        // EFAULT is what would have been a SIGBUS.
        Err(Errno::FAULT | Errno::NOMEM) => Err(check_room(len as u64).err().unwrap_or_else(|| {
            io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!("/dev/shm gave no {len} bytes more (a quota?)"),
            )
        })),
        Err(error) => Err(error.into()),
    }
}

/// Gives the pages that lie wholly in `[address, address + len)` back to the system; how many bytes. They read
/// as zeros then. The memory must be shared memory of this process that nobody uses.
pub(crate) fn give_back(address: *const u8, len: usize) -> usize {
    let start = address.addr().next_multiple_of(PAGE);
    let end = (address.addr() + len) & !(PAGE - 1);
    if start >= end {
        return 0;
    }
    let pages = address.with_addr(start).cast_mut().cast();
    // SAFETY: whole pages of memory that is in nobody's use.
    match unsafe { rustix::mm::madvise(pages, end - start, Advice::LinuxRemove) } {
        Ok(()) => end - start,
        Err(error) => {
            log::debug!("shared memory can't be given back: {error}");
            0
        }
    }
}

/// Makes every page of the mapping that holds `address`.
pub(crate) fn populate_mapping(address: *const u8) -> io::Result<()> {
    let range = mapping_of(address.addr())?.range;
    populate(address.with_addr(range.start), range.len())
}

/// A mapping of a file.
pub(crate) struct Mapping {
    /// Its addresses.
    pub(crate) range: Range<usize>,
    /// Where in the file it begins.
    pub(crate) offset: u64,
    /// The file.
    pub(crate) inode: u64,
    /// Its path; another file may have it by now.
    pub(crate) path: String,
}

/// The mapping that holds `address`.
pub(crate) fn mapping_of(address: usize) -> io::Result<Mapping> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    // address perms offset dev inode path
    let holds = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        if !range.contains(&address) {
            return None;
        }
        let mut fields = rest.split_ascii_whitespace();
        let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some(Mapping { range, offset, inode, path: fields.next().unwrap_or_default().into() })
    };
    maps.lines().find_map(holds).ok_or_else(|| io::Error::other("the memory is not mapped"))
}

/// Files in /dev/shm that a new service or segment needs, and some that others may make meanwhile.
const FILES: u64 = 16;

/// Fails unless /dev/shm has room for `len` more bytes: iceoryx2 writes its bookkeeping into new memory
/// without making the pages first.
pub(crate) fn check_room(len: u64) -> io::Result<()> {
    check_shm(len, 0)
}

/// Fails unless a new segment of `file` bytes, of which `len` are written, can be made.
pub(crate) fn check_segment(len: u64, file: u64) -> io::Result<()> {
    // The kernel does not refuse a larger file: it ends the process (SIGXFSZ).
    if let Some(limit) = getrlimit(Resource::Fsize).current
        && limit < file
    {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "a file of {file} bytes would be needed in /dev/shm, this process may make {limit} (RLIMIT_FSIZE): \
                 raise it (ulimit -f), or send less at a time"
            ),
        ));
    }
    check_shm(len, FILES)
}

/// Fails unless /dev/shm has room for so many bytes and files.
fn check_shm(len: u64, files: u64) -> io::Result<()> {
    /// The directory, so that its path need not be walked for each frame.
    static SHM: OnceLock<OwnedFd> = OnceLock::new();

    let shm = match SHM.get() {
        Some(directory) => rustix::fs::fstatvfs(directory)?,
        None => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = rustix::fs::open("/dev/shm", flags, Mode::empty())?;
            rustix::fs::fstatvfs(SHM.get_or_init(|| directory))?
        }
    };
    let free = shm.f_bavail.saturating_mul(shm.f_frsize);
    let total = shm.f_blocks.saturating_mul(shm.f_frsize);
    // A file system without a limit says 0 blocks in all.
    if shm.f_blocks != 0 && free < len {
        return Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!("/dev/shm has {free} bytes left of {total}, {len} are needed: make it larger"),
        ));
    }
    // The same of files.
    if shm.f_files != 0 && shm.f_favail < files {
        return Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!(
                "/dev/shm has room for {} files of {} (mount option nr_inodes), {files} are needed: remove some",
                shm.f_favail, shm.f_files
            ),
        ));
    }
    Ok(())
}
