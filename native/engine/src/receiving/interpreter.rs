//! Whether the interpreter can be had: the answer to `pycrust.interpreter`.

use std::thread::Builder;

use pycrust_protocol::reserved::Interpreter;
use pycrust_transport::{Link, monotonic_ns};

use crate::engine::Engine;
use crate::measuring::probe::Waiting;
use crate::queueing::scheduler::Phase;

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// How long somebody has waited for the interpreter. Whoever asks again after a moment knows: each question has a
    /// thread ask for it, unless one waits already.
    pub fn interpreter(&self) -> Interpreter {
        let now_ns = monotonic_ns();
        let (serves, call_ns) = {
            let scheduler = self.scheduler.lock();
            (scheduler.phase == Phase::Serving, scheduler.waiting_ns(now_ns))
        };
        let probe_ns = self.probe.waits_since().map_or(0, |since| now_ns.saturating_sub(since).max(1));
        if serves && let Some(waiting) = self.probe.begin(now_ns) {
            self.ask_for_interpreter(waiting);
        }
        Interpreter { waits_ns: call_ns.max(probe_ns) }
    }

    fn ask_for_interpreter(&self, waiting: Waiting) {
        let (me, presence) = (self.me.clone(), self.alive.enter());
        // Without a thread, nobody asks.
        let _ = Builder::new().name("pycrust-probe".into()).spawn(move || {
            let (_presence, _waiting) = (presence, waiting);
            if let Some(engine) = me.upgrade()
                && let Some(attach) = engine.probe.attach.get()
            {
                attach();
            }
        });
    }
}
