//! The endpoints that live processes serve, and what the dead have left.

use crate::claiming::lockfile;
use crate::claiming::place::Place;
use crate::claiming::prefix::user_prefix;
use crate::claiming::runtime_dir::Runtime;
use crate::iceoryx::life;
use crate::owner::Owner;

impl Runtime {
    /// The endpoints that a live process serves, in order of their names. What dead ones have left is removed.
    pub fn live_endpoints(&self) -> Vec<Owner> {
        self.look()
    }

    /// The endpoints whose workers ended without removing their locks, in order of their names, until somebody removes
    /// those.
    pub fn stale_endpoints(&self) -> Vec<Owner> {
        let locks = self.places().iter().flat_map(Place::locks);
        let mut stale: Vec<_> = locks.filter_map(|path| lockfile::left_by(&path)).collect();
        stale.sort_by(|a, b| (&a.endpoint, a.generation).cmp(&(&b.endpoint, b.generation)));
        stale.dedup_by_key(|owner| owner.generation);
        stale
    }

    /// Looks at every lock, and at every life of this user's, and removes those of the dead; gives the living. Nobody
    /// comes back to a directory that was made for one run: what is left of that is removed from anywhere.
    pub(crate) fn look(&self) -> Vec<Owner> {
        let locks = self.places().iter().flat_map(Place::locks);
        let mut live: Vec<_> = locks.filter_map(|path| lockfile::held_or_removed(&path)).collect();
        live.sort_by(|a, b| (&a.endpoint, a.generation).cmp(&(&b.endpoint, b.generation)));
        live.dedup_by_key(|owner| owner.generation);
        life::bury_all(&user_prefix());
        live
    }
}
