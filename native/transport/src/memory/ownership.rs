//! Which pages of a private mapping are this process's own, by the kernel's page map
//! (<https://docs.kernel.org/admin-guide/mm/pagemap.html>).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::process::PerProcess;

/// Whether one of these pages may be this process's own. Where the page map can't be read, it may.
pub(crate) fn may_be_own(address: usize, len: usize) -> bool {
    static PAGE_MAP: PerProcess<File> = PerProcess::new();

    let map = PAGE_MAP.get_or_try_init(|| File::open("/proc/self/pagemap"));
    map.and_then(|map| look(map, address, len)).unwrap_or(true)
}

/// Looks at each page's entry.
fn look(file: &File, address: usize, len: usize) -> io::Result<bool> {
    /// Bit 61: a file's, or shared.
    const FILE: u64 = 1 << 61;
    /// Bit 62: swapped out.
    const SWAPPED: u64 = 1 << 62;
    /// Bit 63: there.
    const PRESENT: u64 = 1 << 63;
    /// Pages that are asked for at a time.
    const AT_ONCE: usize = 512;

    let page = rustix::param::page_size();
    let (first, last) = (address / page, (address + len).div_ceil(page));
    let mut entries = [0; 8 * AT_ONCE];
    for from in (first..last).step_by(AT_ONCE) {
        let wanted = &mut entries[..8 * (last - from).min(AT_ONCE)];
        file.read_exact_at(wanted, 8 * from as u64)?;
        let own = |entry: &[u8; 8]| {
            let entry = u64::from_ne_bytes(*entry);
            entry & SWAPPED != 0 || entry & (PRESENT | FILE) == PRESENT
        };
        if wanted.as_chunks().0.iter().any(own) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::mm::{MapFlags, ProtFlags};

    use super::*;

    #[test]
    fn a_page_is_own_once_it_is_written() {
        const PAGES: usize = 2000;
        let page = rustix::param::page_size();
        let len = PAGES * page;
        let mut file = tempfile::tempfile_in("/dev/shm").expect("a file");
        file.write_all(&vec![1; len]).expect("its bytes");
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping where the kernel likes it.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, &file, 0)
        }
        .expect("a mapping")
        .cast::<u8>();
        let map = File::open("/proc/self/pagemap").expect("a page map");
        let says = |own: bool, from: usize, to: usize| {
            let (address, len) = (start.addr() + from * page, (to - from) * page);
            assert_eq!(look(&map, address, len).expect("entries"), own);
            assert_eq!(may_be_own(address, len), own);
        };
        says(false, 0, PAGES);
        // SAFETY: inside the mapping, which is used by nobody else.
        unsafe {
            for number in 0..PAGES {
                assert_eq!(start.add(number * page).read_volatile(), 1);
            }
            says(false, 0, PAGES);
            start.add(1500 * page).write_volatile(2);
            says(true, 0, PAGES);
            says(true, 1500, 1501);
            says(false, 0, 1500);
            says(false, 1501, PAGES);
            rustix::mm::munmap(start.cast(), len).expect("unmapped");
        }
    }
}
