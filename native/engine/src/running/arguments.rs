//! Arguments that a caller streams, as a handler takes them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pycrust_protocol::header::Credit;
use pycrust_transport::Link;

use crate::clients::client::Client;
use crate::clients::ongoing::{Amount, Argument, Ongoing};
use crate::engine::Engine;

/// The arguments of one call that its caller streams. They may be taken on any thread.
pub struct Arguments<H: Send + Sync + 'static, L: Link> {
    pub(crate) engine: Weak<Engine<H, L>>,
    pub(crate) client: Arc<Client<L>>,
    pub(crate) id: u64,
    pub(crate) ongoing: Arc<Ongoing>,
}

impl<H: Send + Sync + 'static, L: Link> Arguments<H, L> {
    /// The next one, if it is here.
    pub fn take(&self) -> Argument {
        self.granted(self.ongoing.take())
    }

    /// The next one; waits for it up to `patience`.
    pub fn wait(&self, patience: Duration) -> Argument {
        self.granted(self.ongoing.wait(patience))
    }

    /// Lets the caller send more, where that is due.
    fn granted(&self, (argument, granted): (Argument, Option<Amount>)) -> Argument {
        if let (Some(granted), Some(engine)) = (granted, self.engine.upgrade()) {
            let Amount { items, bytes } = granted;
            let credit = Credit { id: self.id, granted: items, bytes, ..Credit::default() };
            engine.grant(&self.client, credit);
        }
        argument
    }
}
