//! Memory that the control group of this process has left: shared memory counts, and past the limit the kernel
//! ends a process instead of refusing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::process::PerProcess;

/// Bytes that others of the group may take meanwhile.
const MARGIN: u64 = 1 << 20;

/// Files of a version of control groups: where it is mounted, the limit, what is used, and the lines of
/// `memory.stat` that count what the kernel would give back.
struct Version {
    mounts: &'static [&'static str],
    limit: &'static str,
    used: &'static str,
    reclaimable: [&'static str; 2],
}

/// <https://docs.kernel.org/admin-guide/cgroup-v2.html>
const SECOND: Version = Version {
    mounts: &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
    limit: "memory.max",
    used: "memory.current",
    reclaimable: ["inactive_file", "active_file"],
};

/// <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>
const FIRST: Version = Version {
    mounts: &["/sys/fs/cgroup/memory"],
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: ["total_inactive_file", "total_active_file"],
};

/// A group that this process is in, or an ancestor of it.
struct Group {
    version: &'static Version,
    directory: PathBuf,
}

/// Fails unless every group that this process is in has room for `len` more bytes. What can't be read limits
/// nothing.
pub(crate) fn check(len: u64) -> io::Result<()> {
    static GROUPS: PerProcess<Vec<Group>> = PerProcess::new();
    let Ok(known) = GROUPS.get_or_try_init(|| fs::read_to_string("/proc/self/cgroup").map(of)) else {
        return Ok(());
    };
    for group in known {
        if let Some((free, limit)) = group.room()
            && free < len.saturating_add(MARGIN)
        {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!(
                    "the control group {} has {free} bytes left of {limit}, {len} are needed: raise its limit",
                    group.directory.display()
                ),
            ));
        }
    }
    Ok(())
}

/// The groups with memory that `/proc/self/cgroup` names, and their ancestors.
#[expect(clippy::needless_pass_by_value, reason = "so that it can stand for a closure")]
fn of(said: String) -> Vec<Group> {
    let mut found = Vec::new();
    for line in said.lines() {
        // hierarchy:controllers:path
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let version = match controllers {
            "" => &SECOND,
            some if some.split(',').any(|one| one == "memory") => &FIRST,
            _ => continue,
        };
        for mount in version.mounts {
            // In a container, the path can be the host's: then only the mount's own directory is there.
            let ancestors = Path::new(path).ancestors().map(|path| path.strip_prefix("/").unwrap_or(path));
            let directories = ancestors.map(|path| Path::new(mount).join(path));
            let with_limit = directories.filter(|directory| directory.join(version.limit).exists());
            found.extend(with_limit.map(|directory| Group { version, directory }));
        }
    }
    found
}

impl Group {
    /// Bytes that are left, and the limit; `None` without one.
    fn room(&self) -> Option<(u64, u64)> {
        let number =
            |file: &str| fs::read_to_string(self.directory.join(file)).ok()?.trim_end().parse::<u64>().ok();
        let (limit, used) = (number(self.version.limit)?, number(self.version.used)?);
        if used.saturating_mul(2) < limit {
            // The common case, without a look at the statistics.
            return Some((limit - used, limit));
        }
        let stat = fs::read_to_string(self.directory.join("memory.stat")).ok()?;
        let reclaimable = stat
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| self.version.reclaimable.contains(name))
            .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
            .sum();
        Some((limit.saturating_sub(used.saturating_sub(reclaimable)), limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_a_process_and_their_ancestors_count() {
        let root = tempfile::tempdir().expect("a directory");
        let group = |path: &str, limit: &str, used: &str| {
            let directory = root.path().join(path);
            fs::create_dir_all(&directory).expect("a group");
            for (file, text) in [(SECOND.limit, limit), (SECOND.used, used)] {
                fs::write(directory.join(file), format!("{text}\n")).expect("a file");
            }
            fs::write(directory.join("memory.stat"), "anon 5\ninactive_file 30\nactive_file 20\nshmem 9\n")
                .expect("statistics");
            Group { version: &SECOND, directory }
        };
        assert_eq!(group("a", "1000", "100").room(), Some((900, 1000)));
        assert_eq!(group("b", "1000", "900").room(), Some((150, 1000)));
        assert_eq!(group("c", "1000", "1040").room(), Some((10, 1000)));
        assert_eq!(group("d", "max", "1040").room(), None);
    }

    #[test]
    fn what_a_process_says_of_its_groups_is_read() {
        // Of neither there is a directory: nothing limits anything.
        assert!(
            of("4:memory:/no-such-group\n0::/no-such-group\nnonsense\n".into()).iter().all(|group| group
                .directory
                .to_string_lossy()
                .find("no-such")
                .is_none())
        );
        check(0).expect("some room");
    }
}
