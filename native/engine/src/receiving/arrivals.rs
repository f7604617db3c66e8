//! Clients come and go: what the control thread tells.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pycrust_transport::{AcceptorEvents, Link};

use crate::clients::client::{Client, named};
use crate::engine::Engine;

/// Shared memory for arrays that was not used for this long is given back.
const IDLE: Duration = Duration::from_secs(5);

impl<H: Send + Sync + 'static, L: Link> AcceptorEvents<L> for Engine<H, L> {
    fn connected(&self, link: Arc<L>) {
        let client = Arc::new(Client::new(link, self.admission.waiting()));
        if let Err(error) = self.waiter.add(client.link.doorbell(), client.id) {
            client.fail(&format!("its doorbell can't be watched: {error}"));
            return;
        }
        self.connection_log.came(client.id, &client.peer);
        log::info!("{}: {} connected", self.config.endpoint, named(&client.peer));
        self.scheduler.lock().clients.push(client);
        self.topology.fetch_add(1, Ordering::Release);
        self.nudge();
    }

    fn disconnected(&self, connection: u64, reason: &str) {
        let (client, dropped) = {
            let mut scheduler = self.scheduler.lock();
            let Some(at) = scheduler.clients.iter().position(|client| client.id == connection) else {
                return;
            };
            let client = scheduler.clients.swap_remove(at);
            // Before the queues are searched: from here on the leader drops what it still holds.
            client.leave();
            (client, scheduler.remove_queued(|call| call.client.id == connection))
        };
        log::info!("{}: {} disconnected: {reason}", self.config.endpoint, named(&client.peer));
        self.connection_log.went(connection, &client.peer, reason);
        self.topology.fetch_add(1, Ordering::Release);
        for (index, call) in dropped {
            self.admission.unqueue(&call.client.account, call.weight());
            self.forget(index, &call);
        }
        client.pass_on(|_| true);
        for _ in 0..client.outbox.close() {
            self.admission.release(&client.account);
        }
        self.waiter.remove(client.link.doorbell());
        self.nudge();
    }

    fn noticed(&self, what: &str) {
        log::warn!("{what}");
        self.connection_log.noticed(what);
    }

    fn name_asked_for(&self, pid: u32) {
        self.lose_name(&format!("was taken over by pid {pid}; serve(takeover=True) here takes it back"));
    }

    fn name_lost(&self, reason: &str) {
        self.lose_name(reason);
    }

    fn tick(&self) {
        self.sweep();
        let clients = self.scheduler.lock().clients.clone();
        for client in clients {
            client.link.give_back(IDLE);
        }
    }
}
