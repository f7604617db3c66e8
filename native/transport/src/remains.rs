//! What the dead leave behind: iceoryx2's files and shared memory, found by their prefix and removed.
//!
//! Each worker's life has a prefix of its own, so its remains can go as a whole once no living process has
//! a node there: the worker has one from its start to its end, a client from before it opens a service.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use iceoryx2::prelude::{CallbackProgression, Config, Node, NodeState};

use crate::error::TransportError;
use crate::iox::{self, Iox};
use crate::runtime::{check_private, private_dir};

/// Where Linux keeps shared memory.
const SHM: &str = "/dev/shm";

/// End of the name of the directory in which iceoryx2 keeps one prefix's files.
const ROOT_SUFFIX: &str = "iox2";

/// The directory in which iceoryx2 keeps the files of `prefix`. It is in memory, beside what the files are about: a
/// connection makes and removes some hundred files, which takes three times as long on a disk and waits for it now
/// and then; and neither is ever there without the other.
fn root(prefix: &str) -> PathBuf {
    Path::new(SHM).join(format!("{prefix}{ROOT_SUFFIX}"))
}

/// iceoryx2's configuration for a prefix, whose directory is there and is ours alone.
pub(crate) fn config(prefix: &str) -> Result<Config, TransportError> {
    let root = root(prefix);
    let config = iox::config(&root, prefix)?;
    match private_dir(&root) {
        Ok(_) => Ok(config),
        Err(reason) => Err(TransportError::SharedMemory {
            what: "keep files",
            reason: format!("{}: {reason}", root.display()),
        }),
    }
}

/// Who has nodes under a prefix after a clean-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Nodes of living processes.
    pub(crate) alive: usize,
    /// Nodes that could not be cleaned up, or whose state is not known.
    pub(crate) left: usize,
}

/// Cleans up after the dead nodes of one prefix.
pub(crate) fn clean_dead_nodes(config: &Config) -> Census {
    let mut census = Census::default();
    // iceoryx2 panics where it finds its files damaged; that must not end our thread.
    let result = catch_unwind(AssertUnwindSafe(|| {
        Node::<Iox>::list(config, |state| {
            match state {
                NodeState::Alive(_) => census.alive += 1,
                NodeState::Dead(node) => {
                    census.left += usize::from(node.try_remove_stale_resources().is_err());
                }
                NodeState::Inaccessible(_) | NodeState::Undefined(_) => census.left += 1,
            }
            CallbackProgression::Continue
        })
    }));
    if !matches!(result, Ok(Ok(()))) {
        log::warn!("listing the nodes of {} failed", config.global.prefix);
        census.left += 1;
    }
    census
}

/// Cleans up after the dead of one prefix; when no living process is left there, removes everything.
///
/// Returns whether living processes, or the dead that could not be cleaned up, keep something.
pub(crate) fn sweep(prefix: &str) -> bool {
    sweep_own(prefix, 0)
}

/// Like [`sweep`], where `own` nodes of the living are those of this process, which ends: what it has mapped stays
/// mapped, and nobody else needs the names.
pub(crate) fn sweep_own(prefix: &str, own: usize) -> bool {
    let root = root(prefix);
    // Another user can only have put something of that name there to disturb.
    if root.exists() && check_private(&root).is_err() {
        return false;
    }
    let Ok(config) = iox::config(&root, prefix) else { return false };
    let census = clean_dead_nodes(&config);
    if census.alive > own {
        return true;
    }
    // What is left belongs to nobody: nodes that can't be cleaned up are dead ones with damaged files.
    for name in shared_memory(prefix) {
        let _ = fs::remove_file(Path::new(SHM).join(name));
    }
    let _ = fs::remove_dir_all(&root);
    false
}

/// Sweeps every earlier life of an endpoint, whose prefixes all begin with `common`, except `own`.
pub(crate) fn sweep_others(common: &str, own: &str) {
    let mut prefixes = shared_memory(common);
    for name in &mut prefixes {
        // A prefix is `<common><generation>_`.
        let end = name[common.len()..].find('_').map_or(name.len(), |at| common.len() + at + 1);
        name.truncate(end);
    }
    prefixes.sort();
    prefixes.dedup();
    for prefix in prefixes.iter().filter(|prefix| *prefix != own) {
        sweep(prefix);
    }
}

/// Takes other users' access to the shared memory of `prefix` away: iceoryx2 lets everyone write its node
/// counter.
pub(crate) fn close_to_others(prefix: &str) {
    for name in shared_memory(prefix).iter().filter(|name| name.ends_with(".global_mgmt")) {
        // A client finds it closed already, or gone with its worker.
        let _ = fs::set_permissions(Path::new(SHM).join(name), Permissions::from_mode(0o600));
    }
}

/// Names of the shared memory that begin with `prefix`.
fn shared_memory(prefix: &str) -> Vec<String> {
    fs::read_dir(SHM)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect()
}
