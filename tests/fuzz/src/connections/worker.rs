//! A hostile client of a worker, over a connection in memory: everything that frames can say.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_transport::{AcceptorEvents, Link};

use super::engine::{self, HANG, Worker, until};
use super::frames::{Caller, check_answer, echo, echoed};
use super::link::MemoryLink;
use crate::cursor::Cursor;

/// Frames of one input.
const FRAMES: usize = 64;

/// A worker, and the client that must get its answers whatever others do.
struct Rig {
    engine: Arc<Worker<MemoryLink>>,
    canary: Arc<MemoryLink>,
    connections: u64,
    calls: u64,
}

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::new());
}

impl Rig {
    fn new() -> Self {
        let engine = engine::worker("fuzz", &Arc::default());
        let canary = Arc::new(MemoryLink::new(1, 64));
        engine.connected(Arc::clone(&canary));
        Self { engine, canary, connections: 1, calls: 0 }
    }

    fn connect(&mut self) -> Arc<MemoryLink> {
        self.connections += 1;
        let link = Arc::new(MemoryLink::new(self.connections, 1_000_000));
        self.engine.connected(Arc::clone(&link));
        link
    }

    /// The canary's answer is right.
    fn check(&mut self) {
        self.calls += 1;
        let id = self.calls << 16;
        let sent = rmp_serde::to_vec(&self.calls).expect("a number");
        self.canary.put(echo(id, &sent));
        let (raw, sample) = self.canary.take_within(HANG).expect("the canary is answered");
        assert_eq!(echoed(&raw, &sample), (id, Code::Ok, sent));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.engine.stop(HANG);
    }
}

/// A client sends what it likes. It is told or counted, every answer is sound, none comes without a call, and nobody
/// else is harmed.
pub fn worker(data: &[u8]) {
    RIG.with_borrow_mut(|rig| {
        let link = rig.connect();
        let mut input = Cursor::new(data);
        let mut caller = Caller::default();
        let (mut sent, mut ended) = (0, 0);
        let mut hear = |time: Duration| {
            let heard = link.take_within(time);
            if let Some((raw, sample)) = &heard {
                ended += usize::from(check_answer(raw, sample));
            }
            heard.is_some()
        };
        while !input.is_empty() && sent < FRAMES {
            match input.below(16) {
                0 => link.cancel(caller.id(&mut input).0),
                1 => drop(hear(Duration::from_micros(input.below(200) as u64))),
                2 => link.ring(),
                _ => {
                    link.put(caller.frame(&mut input));
                    sent += 1;
                }
            }
        }
        until("the frames are received", || link.unreceived() == 0);
        rig.check();
        while hear(Duration::ZERO) {}
        assert!(ended <= sent, "{ended} answers to {sent} frames");
        link.close();
        rig.engine.disconnected(link.id(), "the input is over");
        until("nothing is left of its calls", || rig.engine.in_flight() == 0);
        assert_eq!(rig.engine.queued_bytes(), 0);
    });
}
