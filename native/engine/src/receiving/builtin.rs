//! The calls that the worker answers itself, without the interpreter.

use std::sync::atomic::Ordering;

use pycrust_protocol::Code;
use pycrust_protocol::reserved::{ClientStats, EndpointStats, Health, MethodInfo, MethodStats};
use pycrust_transport::{Link, monotonic_ns};
use serde::Serialize;

use crate::engine::Engine;
use crate::measuring::metrics::Total;
use crate::queueing::registry;
use crate::queueing::scheduler::Phase;
use crate::receiver::{NATIVE, Native};
use crate::refusals::{self, Refusal};

impl<H: Send + Sync + 'static, L: Link> Engine<H, L> {
    /// The answer to a question about the worker.
    pub(crate) fn answer(&self, native: Native) -> (Code, Vec<u8>) {
        let encoded = match native {
            Native::Health => encode(&self.health()),
            Native::Methods => encode(&self.methods()),
            Native::Stats => encode(&self.stats()),
            Native::Traffic(query) => encode(&self.recorder.page(query)),
            Native::Metrics => encode(&self.metrics()),
            Native::Interpreter => encode(&self.interpreter()),
        };
        encoded.unwrap_or_else(|refusal| (refusal.code, refusal.error.encode()))
    }

    /// The error for a name that no live method has.
    pub(crate) fn refusal_of(&self, method: &str) -> Refusal {
        let endpoint = &self.config.endpoint;
        if method.starts_with(pycrust_protocol::name::RESERVED_PREFIX) {
            let names = NATIVE.map(Into::into);
            return refusals::unknown(method, endpoint, &registry::near(method, &names));
        }
        let scheduler = self.scheduler.lock();
        if matches!(scheduler.registry.lookup(method), registry::Lookup::Expected) {
            return refusals::expected(method, endpoint);
        }
        let names = scheduler.registry.names();
        drop(scheduler);
        refusals::unknown(method, endpoint, &registry::near(method, &names))
    }

    /// The answer to `pycrust.health`.
    pub fn health(&self) -> Health {
        let now_ns = monotonic_ns();
        let (phase, waiting_ns) = {
            let scheduler = self.scheduler.lock();
            (scheduler.phase, scheduler.waiting_ns(now_ns))
        };
        let status = match phase {
            Phase::Serving => "serving",
            Phase::Stopping | Phase::Stopped => "stopping",
        };
        Health {
            status: status.into(),
            endpoint: self.config.endpoint.clone(),
            pid: std::process::id(),
            generation: self.generation.load(Ordering::Relaxed),
            uptime_ns: self.uptime_ns(now_ns),
            waiting_ns,
        }
    }

    /// The live methods, in order of their names.
    pub fn methods(&self) -> Vec<MethodInfo> {
        let live = self.scheduler.lock().registry.live();
        registry::describe(&live)
    }

    /// The statistics: totals since the engine was made, times of the last 5 to 10 seconds.
    pub fn stats(&self) -> EndpointStats {
        let (live, clients) = {
            let scheduler = self.scheduler.lock();
            (scheduler.registry.live(), scheduler.clients.clone())
        };
        let at_ns = monotonic_ns();
        let mut total = Total::default();
        let methods = live
            .iter()
            .map(|version| {
                let metrics = self.metrics.method(version.key as usize - 1);
                MethodStats {
                    name: version.method.to_string(),
                    version: version.number,
                    concurrency: version.concurrency.min(self.config.max_in_flight) as u64,
                    ..metrics.map(|metrics| metrics.stats(at_ns, &mut total)).unwrap_or_default()
                }
            })
            .collect();
        let (round_trip, interpreter) = total.percentiles();
        EndpointStats {
            endpoint: self.config.endpoint.clone(),
            pid: std::process::id(),
            uptime_ns: self.uptime_ns(at_ns),
            at_ns,
            methods,
            round_trip,
            latest: self.metrics.latest(at_ns),
            interpreter,
            spin_ns: self.spin_ns.load(Ordering::Relaxed),
            placement: if self.elsewhere.load(Ordering::Relaxed) { "auto" } else { "kernel" }.into(),
            clients: clients
                .iter()
                .map(|client| {
                    let memory = client.link.memory();
                    ClientStats {
                        connection: client.id,
                        pid: client.peer.pid,
                        name: client.peer.name.clone(),
                        in_flight: client.account.in_flight() as u64,
                        views: memory.views as u64,
                        copied: memory.copied,
                        sent_in_place: memory.sent_in_place,
                        period_ns: client.anticipated.period_ns.load(Ordering::Relaxed),
                        hits: client.anticipated.hits.load(Ordering::Relaxed),
                        misses: client.anticipated.misses.load(Ordering::Relaxed),
                        awake_ns: client.anticipated.awake_ns.load(Ordering::Relaxed),
                    }
                })
                .collect(),
            visits: self.connection_log.all(),
            unknown_method_calls: self.metrics.unknown_method_calls.load(Ordering::Relaxed),
            malformed_frames: self.metrics.malformed_frames.load(Ordering::Relaxed),
            recorder: self.recorder.stats(),
        }
    }

    /// Nanoseconds since the engine was started; 0 while it does not serve.
    fn uptime_ns(&self, now_ns: u64) -> u64 {
        match self.started_ns.load(Ordering::Relaxed) {
            0 => 0,
            started => now_ns.saturating_sub(started),
        }
    }
}

fn encode(answer: &impl Serialize) -> Result<(Code, Vec<u8>), Refusal> {
    match rmp_serde::to_vec_named(answer) {
        Ok(payload) => Ok((Code::Ok, payload)),
        Err(error) => Err(refusals::unencodable(&error.to_string())),
    }
}
