//! What dead processes leave in the life of a worker that lives.

use std::panic::{AssertUnwindSafe, catch_unwind};

use iceoryx2::node::NodeView;
use iceoryx2::prelude::{CallbackProgression, Config, Node, NodeState};

use crate::gate;
use crate::iceoryx::iox::Iox;

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
