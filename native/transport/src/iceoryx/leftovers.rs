//! What the dead leave in shared memory, found by its prefix.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use iceoryx2::node::NodeView;
use iceoryx2::prelude::{CallbackProgression, Config, Node, NodeState};

use crate::gate;
use crate::iceoryx::iox::Iox;

/// Where Linux keeps shared memory.
pub(crate) const SHM: &str = "/dev/shm";

/// Cleans up after the dead nodes of a life, of which this process is the worker. Whether some could not be cleaned up,
/// or it is not known how they are.
pub(crate) fn clean_dead_nodes(config: &Config) -> bool {
    let mut left = false;
    let _gate = gate::enter();
    // iceoryx2 panics where it finds its files damaged; that must not end our thread.
    let result = catch_unwind(AssertUnwindSafe(|| {
        Node::<Iox>::list(config, |state| {
            match state {
                NodeState::Alive(_) => {}
                // One whose details can't be read would be looked for where iceoryx2's default configuration says.
                NodeState::Dead(node) if node.details().is_some() => {
                    left |= node.try_remove_stale_resources().is_err();
                }
                NodeState::Dead(_) | NodeState::Inaccessible(_) | NodeState::Undefined(_) => left = true,
            }
            CallbackProgression::Continue
        })
    }));
    match result {
        Ok(Ok(())) => left,
        _ => {
            log::warn!("listing the nodes of {} failed: none is taken for dead", config.global.prefix);
            true
        }
    }
}

/// Removes the shared memory that begins with `prefix`.
pub(crate) fn remove_memory(prefix: &str) -> io::Result<()> {
    for name in shared_memory(prefix)? {
        match fs::remove_file(Path::new(SHM).join(name)) {
            // A directory, which goes last; or another user's, who put it there to disturb.
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::PermissionDenied
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Names of the shared memory that begin with `prefix`: all of them, or an error.
pub(crate) fn shared_memory(prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(SHM)? {
        // Other programs' names may be anything; ours are plain.
        names.extend(entry?.file_name().into_string().ok().filter(|name| name.starts_with(prefix)));
    }
    Ok(names)
}
