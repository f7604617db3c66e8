//! What is said where something can't be had: a line each, with the way to get it.

use std::io;

/// A priority that is above the limit, or refused though it is not.
pub(super) fn priority(asked: u8, limit: Option<u64>, error: &io::Error) -> String {
    match limit {
        Some(limit) if limit < asked.into() => format!(
            "priority {asked} was not given: this user may ask for {limit} at most (`ulimit -r`). Put `<user> - rtprio \
             {asked}` into /etc/security/limits.conf and log in again, or LimitRTPRIO={asked} into a systemd unit, or \
             start a container with `--ulimit rtprio={asked}`"
        ),
        _ => format!(
            "priority {asked} was not given: {error}, though the limit (`ulimit -r`) allows it. A control group without \
             time of real time (cpu.rt_runtime_us) or a container's system call filter refuses it; `--cap-add sys_nice` \
             opens the usual ones"
        ),
    }
}

/// Memory, by the limit.
pub(super) fn memory(limit: u64) -> String {
    format!(
        "memory is not locked: this user may lock {} KiB (`ulimit -l`), and all of it takes `unlimited`, lest \
         later allocations fail. Put `<user> - memlock unlimited` into /etc/security/limits.conf and log in again, or \
         LimitMEMLOCK=infinity into a systemd unit, or start a container with `--ulimit memlock=-1`",
        limit >> 10
    )
}

/// Memory, without a limit.
pub(super) fn memory_refused(error: &io::Error) -> String {
    format!(
        "memory is not locked: {error}, though the limit (`ulimit -l`) allows it. A container's system call filter may \
         refuse mlockall; `--cap-add ipc_lock` opens the usual ones"
    )
}

/// Cores that were asked for, of which the thread has those that `has` says.
pub(super) fn cores(asked: &str, has: &str) -> String {
    format!(
        "cores {asked} were not given: the thread has {has}. The control group allows others (cpuset.cpus.effective): \
         systemd's `AllowedCPUs=` and a container's `--cpuset-cpus` say which"
    )
}
