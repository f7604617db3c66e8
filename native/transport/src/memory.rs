//! Shared memory that is really there: pages are made before they are written, so that a full /dev/shm is
//! an error and not a SIGBUS.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::mm::Advice;

/// Bytes of a page on every supported machine, or a divisor of it.
const PAGE: usize = 4096;

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
    let maps = fs::read_to_string("/proc/self/maps")?;
    let holds = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (start..end).contains(&address.addr()).then_some(start..end)
    };
    match maps.lines().find_map(holds) {
        Some(range) => populate(address.with_addr(range.start), range.len()),
        None => Err(io::Error::other("the memory is not mapped")),
    }
}

/// Fails unless /dev/shm has room for `len` more bytes: iceoryx2 writes its bookkeeping into new memory
/// without making the pages first.
pub(crate) fn check_room(len: u64) -> io::Result<()> {
    let shm = rustix::fs::statvfs("/dev/shm")?;
    let free = shm.f_bavail.saturating_mul(shm.f_frsize);
    let total = shm.f_blocks.saturating_mul(shm.f_frsize);
    // A file system without a limit says 0 blocks in all.
    if shm.f_blocks != 0 && free < len {
        return Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!("/dev/shm has {free} bytes left of {total}, {len} are needed"),
        ));
    }
    Ok(())
}
