//! A call's place in the table of its connection.

#[cfg(feature = "tower")]
use std::{fmt, mem, sync::Arc};

use crate::connection::session::Session;

/// A call's place in the table of its connection, given up when its future is dropped.
pub(crate) struct InFlight<'a> {
    pub(crate) session: &'a Session,
    pub(crate) id: u64,
    /// Whether the worker may know of the call.
    pub(crate) sent: bool,
    /// Whether it is the only call in flight.
    pub(crate) alone: bool,
    /// Whether its answer was taken, or another guard has the call.
    pub(crate) done: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.session.give_up(self.id, self.sent);
        }
    }
}

/// A call's place in the table of its connection, before there is the call; given up when this is dropped.
#[cfg(feature = "tower")]
pub(crate) struct Reserved {
    session: Arc<Session>,
    /// 0 once the call has it.
    id: u64,
}

#[cfg(feature = "tower")]
impl Reserved {
    /// Keeps the place of a call that has begun and was not sent.
    pub(crate) fn of(session: &Arc<Session>, mut begun: InFlight<'_>) -> Self {
        begun.done = true;
        Self { session: Arc::clone(session), id: begun.id }
    }

    /// Whether the connection is still there.
    pub(crate) fn holds(&self) -> bool {
        self.session.is_here() && !self.session.ended()
    }

    /// The place, for a call on this connection; `None` if it is one of another.
    pub(crate) fn redeem(mut self, session: &Arc<Session>) -> Option<InFlight<'_>> {
        if !Arc::ptr_eq(&self.session, session) {
            return None;
        }
        let id = mem::take(&mut self.id);
        let alone = session.calls.lock().in_flight() == 1;
        Some(InFlight { session, id, sent: false, alone, done: false })
    }
}

#[cfg(feature = "tower")]
impl Drop for Reserved {
    fn drop(&mut self) {
        if self.id != 0 {
            self.session.give_up(self.id, false);
        }
    }
}

#[cfg(feature = "tower")]
impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("id", &self.id).finish_non_exhaustive()
    }
}
