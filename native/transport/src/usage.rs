//! What this process uses of the machine.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::descriptors;

/// What this process uses of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory that are there and not only reserved, shared ones included.
    pub resident_bytes: Option<u64>,
    /// Time of cores, of all its threads.
    pub cpu: Duration,
    /// Descriptors that are open.
    pub descriptors: Option<u64>,
    /// Descriptors that may be; `None` is any number.
    pub max_descriptors: Option<u64>,
}

impl Usage {
    /// As of now. What can't be known without a descriptor that is not there is left out.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            resident_bytes: resident(),
            cpu: cpu.try_into().unwrap_or_default(),
            descriptors: descriptors::open().ok(),
            max_descriptors: getrlimit(Resource::Nofile).current,
        }
    }
}

/// The second number of `/proc/self/statm`, in pages.
fn resident() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<u64>().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_something() {
        let usage = Usage::now();
        assert!(usage.resident_bytes > Some(1 << 16) && usage.descriptors > Some(2), "{usage:?}");
        assert!(!usage.cpu.is_zero());
    }
}
