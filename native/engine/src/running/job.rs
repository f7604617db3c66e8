//! A call that is running; how it ends is in [`ending`].

mod ending;

use std::any::Any;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use pycrust_protocol::Code;
use pycrust_protocol::header::{Common, ResponseHeader, Stages, flags};
use pycrust_transport::faults::reached;
use pycrust_transport::sync::Mutex;
use pycrust_transport::{Attachment, Attachments, CallProgress, Link, monotonic_ns};

use crate::clients::answer::{Body, Patience};
use crate::clients::call::Call;
use crate::clients::client::named;
use crate::clients::ongoing::{Amount, Ongoing, Parked};
use crate::engine::Engine;
use crate::queueing::registry::Version;
use crate::queueing::scheduler::{Resumable, Start, Work};
use crate::recording::items::FirstItems;
use crate::recording::output::Output;
use crate::recording::recorder::Origin;
use crate::refusals;
use crate::running::arguments::Arguments;
use crate::running::context::CallContext;

/// A started call, bound to one version of its method. The thread that has it marks the stages in
/// order ([`attached`](Self::attached), [`decoded`](Self::decoded), [`ran`](Self::ran)) and answers
/// with [`respond`](Self::respond). Dropped without an answer, it answers INTERNAL.
///
/// A call need not keep its thread: one that awaits is [handed off](Self::hand_off), one that streams is
/// [suspended](Self::suspend) while its caller takes no more.
pub struct Job<H: Send + Sync + 'static, L: Link> {
    engine: Arc<Engine<H, L>>,
    call: Call<L>,
    /// The other calls of its batch.
    companions: Vec<Self>,
    version: Arc<Version<H>>,
    /// The attach gate's key.
    ticket: u64,
    /// The start of the engine that it belongs to.
    life: u64,
    place: Place,
    /// Whether it has let the next thread wait for the interpreter.
    passed_gate: bool,
    /// The answer is a stream; also one without items.
    streamed: bool,
    /// What the binding keeps of a suspended call.
    state: Option<Box<dyn Any + Send>>,
    /// The answer's metadata, once a handler has asked for its call.
    answer_metadata: OnceLock<Arc<Mutex<Vec<u8>>>>,
    /// What its handler printed, once it has or may.
    output: OnceLock<Arc<Output>>,
    /// Items of a streamed answer, the first ones, for the call's record.
    items: FirstItems,
    /// `CLOCK_MONOTONIC` when each stage ended, as far as they have; the first is when it was started.
    started_ns: u64,
    attached_ns: Option<u64>,
    decoded_ns: Option<u64>,
    ran_ns: Option<u64>,
    answered: bool,
}

/// A call that runs, in few words: to be listed, and to be interrupted.
#[derive(Debug, Clone)]
pub struct RunningCall {
    /// What was called.
    pub method: Arc<str>,
    /// The version that runs.
    pub version: u32,
    /// The caller's number for the call.
    pub id: u64,
    /// Who called.
    pub origin: Arc<Origin>,
    /// `CLOCK_MONOTONIC` when the call was published.
    pub sent_ns: u64,
}

/// Who has a started call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A dispatch thread.
    Thread,
    /// Nobody, or an event loop; `holds` if it counts against its method's concurrency meanwhile.
    Background { holds: bool },
}

impl<H: Send + Sync + 'static, L: Link> Job<H, L> {
    /// Takes what the scheduler has started.
    pub(crate) fn begin(engine: &Arc<Engine<H, L>>, start: Start<H, L>) -> Self {
        let Start { what, companions, ticket, life, now_ns: started_ns, .. } = start;
        match what {
            Work::Call(call, version) => {
                let companions = companions
                    .into_iter()
                    .map(|call| {
                        let mut job =
                            Self::new(engine, call, Arc::clone(&version), (ticket, life), started_ns);
                        // The batch counts once, and passes the gate once: by the call that it goes with.
                        (job.place, job.passed_gate) = (Place::Background { holds: false }, true);
                        job
                    })
                    .collect();
                let mut job = Self::new(engine, call, version, (ticket, life), started_ns);
                job.companions = companions;
                job
            }
            Work::Resumed(job) => {
                let mut job = Self::of(job);
                (job.ticket, job.life, job.place, job.passed_gate) = (ticket, life, Place::Thread, false);
                job
            }
        }
    }

    /// The job that waited for its next turn: nothing else does.
    pub(crate) fn of(resumed: Box<dyn Resumable<H>>) -> Self {
        match resumed.into_any().downcast() {
            Ok(job) => *job,
            Err(_) => unreachable!("only jobs are resumed"),
        }
    }

    fn new(
        engine: &Arc<Engine<H, L>>,
        call: Call<L>,
        version: Arc<Version<H>>,
        (ticket, life): (u64, u64),
        started_ns: u64,
    ) -> Self {
        engine.admission.unqueue(&call.client.account, call.weight());
        call.note(CallProgress::WaitsForInterpreter);
        reached("call.started");
        Self {
            engine: Arc::clone(engine),
            call,
            companions: Vec::new(),
            version,
            ticket,
            life,
            place: Place::Thread,
            passed_gate: false,
            streamed: false,
            state: None,
            answer_metadata: OnceLock::new(),
            output: OnceLock::new(),
            items: FirstItems::default(),
            started_ns,
            attached_ns: None,
            decoded_ns: None,
            ran_ns: None,
            answered: false,
        }
    }

    fn index(&self) -> usize {
        self.version.key as usize - 1
    }

    /// The arguments as MessagePack.
    pub fn payload(&self) -> &[u8] {
        self.call.payload()
    }

    /// The arrays among the arguments.
    pub fn attachments(&self) -> &Attachments {
        self.call.attachments()
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.version.method
    }

    /// The version that runs, from 1.
    pub fn version(&self) -> u32 {
        self.version.number
    }

    /// What the binding runs.
    pub fn handler(&self) -> &H {
        &self.version.handler
    }

    /// The other calls of its batch, each to be answered like this one.
    pub fn take_companions(&mut self) -> Vec<Self> {
        std::mem::take(&mut self.companions)
    }

    /// Whether the call is only rehearsed: everything is to be done but what the handler itself does.
    pub fn rehearses(&self) -> bool {
        self.call.rehearses
    }

    /// Whether the caller takes a stream as answer.
    pub fn streams(&self) -> bool {
        self.call.streams()
    }

    /// Whether the caller sends its arguments as a stream.
    pub fn uploads(&self) -> bool {
        self.call.flags & flags::UPLOAD != 0
    }

    /// Whether the caller wants no answer.
    pub fn one_way(&self) -> bool {
        self.call.one_way()
    }

    /// Whether this process was forked from the worker's, by the handler: then the call is the parent's, which answers it.
    pub fn is_inherited(&self) -> bool {
        !self.engine.process.is_current()
    }

    /// Whether the caller cancelled the call or is gone.
    pub fn cancelled(&self) -> bool {
        self.call.client.is_gone() || self.call.client.link.cancelled(self.call.id)
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        &self.engine.config.endpoint
    }

    /// The call in few words.
    pub fn running(&self) -> RunningCall {
        RunningCall {
            method: Arc::clone(&self.version.method),
            version: self.version.number,
            id: self.call.id,
            origin: Arc::clone(&self.call.client.origin),
            sent_ns: self.call.sent_ns,
        }
    }

    /// What a handler may know of its call.
    pub fn context(&self) -> CallContext<L> {
        CallContext {
            client: Arc::clone(&self.call.client),
            sent_ns: self.call.sent_ns,
            expires_ns: self.call.expires_ns,
            answer: Arc::clone(self.answer_metadata.get_or_init(Arc::default)),
            output: self.output().cloned(),
            id: self.call.id,
            method: Arc::clone(&self.version.method),
            version: self.version.number,
            idempotent: self.call.flags & flags::IDEMPOTENT != 0,
            trace: self.call.trace,
            metadata: self.call.metadata().into(),
        }
    }

    /// Where its handler's output is kept; `None` if the call is not recorded.
    pub fn output(&self) -> Option<&Arc<Output>> {
        self.recorded().then(|| self.output.get_or_init(Arc::default))
    }

    fn recorded(&self) -> bool {
        self.engine.recorder.is_on() && !self.version.recording.off && !self.call.rehearses
    }

    /// What the caller says later. Asked for the first time, it begins to be listened to.
    pub fn ongoing(&mut self) -> Arc<Ongoing> {
        if self.call.ongoing.is_none() {
            self.call.follow(Ongoing::new(Amount::default(), false, Arc::default()));
        }
        self.call.ongoing.clone().unwrap_or_else(|| Ongoing::new(Amount::default(), false, Arc::default()))
    }

    /// Its handler waits for another call, perhaps of this very worker: until what is returned is dropped, one
    /// more call may run, on a thread more than usual. Otherwise handlers that call their own endpoint could
    /// hold every thread and wait for one.
    pub fn lend(&self) -> Lent<H, L> {
        let (counts, hire) = self.engine.scheduler.lock().lend(true, self.life);
        self.engine.hire(hire, self.life);
        if counts {
            self.engine.nudge_if_runnable();
        }
        Lent { engine: Arc::clone(&self.engine), life: self.life, counts }
    }

    /// Leaves its thread, to be answered from elsewhere: an event loop. It counts against its method's
    /// concurrency until then.
    pub fn hand_off(&mut self) {
        self.leave(true);
    }

    fn leave(&mut self, holds: bool) {
        self.place = Place::Background { holds };
        let (index, number) = (self.index(), self.version.number);
        self.engine.scheduler.lock().leave(index, number, holds, self.ticket, self.life);
        self.passed_gate = true;
        self.engine.nudge_if_runnable();
    }

    /// Leaves its thread until its caller takes another item, or cancels; then a thread is given it again,
    /// with `state`.
    pub fn suspend(mut self, state: Box<dyn Any + Send>) {
        self.state = Some(state);
        let ongoing = self.ongoing();
        self.leave(false);
        reached("call.suspended");
        if let Some(job) = ongoing.park(Box::new(self)) {
            job.resume();
        }
    }

    /// Lets other calls have its thread before it goes on.
    pub fn give_way(mut self, state: Box<dyn Any + Send>) {
        self.state = Some(state);
        self.leave(false);
        Box::new(self).resume();
    }

    /// What it was suspended with; `None` for a call that has not run yet.
    pub fn take_state(&mut self) -> Option<Box<dyn Any + Send>> {
        self.state.take()
    }

    /// The answer is a stream from here on: [`respond`](Self::respond) ends it without an item of its own.
    pub fn begin_stream(&mut self) {
        self.streamed = true;
    }

    /// Sends one item of a streamed answer. May wait as [`respond`](Self::respond) may.
    pub fn send_item(&mut self, payload: &[u8], attachments: Vec<Attachment>) {
        let bytes = payload.len() + attachments.iter().map(Attachment::len).sum::<usize>();
        let position = self.ongoing().send(bytes as u64);
        if self.recorded() {
            self.items.add(position, payload);
        }
        let header = ResponseHeader {
            common: Common { flags: flags::STREAM_ITEM, ..Common::default() },
            version: self.version.number,
            method_key: self.version.key,
            schema_hash: self.version.schema_hash,
            // Positions wrap after 2^32 items.
            stream_seq: position as u32,
            ..ResponseHeader::default()
        };
        let client = &self.call.client;
        let body = Body { payload, metadata: &[], attachments };
        self.engine.deliver(client, header, self.call.id, Code::Ok, body, Patience::Waits);
        reached("stream.item_sent");
    }

    /// The arguments that the caller streams.
    pub fn arguments(&mut self) -> Arguments<H, L> {
        let ongoing = self.ongoing();
        if self.recorded() {
            ongoing.keep();
        }
        let (engine, client) = (Arc::downgrade(&self.engine), Arc::clone(&self.call.client));
        Arguments { engine, client, id: self.call.id, ongoing }
    }

    /// Answers that the worker has stopped.
    pub fn give_up(mut self) {
        let refusal = refusals::stopped(&self.version.method);
        self.finish(refusal.code, &refusal.error.encode(), Vec::new());
    }

    /// The interpreter is this thread's: another thread may wait for it now.
    pub fn attached(&mut self) {
        let engine = &self.engine;
        if self.attached_ns.is_none() {
            self.call.note(CallProgress::Runs);
            reached("call.attached");
            let now_ns = monotonic_ns();
            self.attached_ns = Some(now_ns);
            // One that had it already did not wait.
            if !self.passed_gate {
                // Read and written by whichever thread attaches; a lost update of an average is no harm.
                let (wait, average) =
                    (now_ns.saturating_sub(self.started_ns), engine.interpreter_ns.load(Ordering::Relaxed));
                let average = average - average / 8 + wait.min(1_000_000) / 8;
                engine.interpreter_ns.store(average, Ordering::Relaxed);
            }
        }
        if std::mem::replace(&mut self.passed_gate, true) {
            return;
        }
        engine.reschedule(|scheduler| scheduler.open_gate(self.ticket));
    }

    /// The arguments are decoded and validated.
    pub fn decoded(&mut self) {
        self.decoded_ns.get_or_insert_with(monotonic_ns);
    }

    /// The handler has returned or raised.
    pub fn ran(&mut self) {
        self.ran_ns.get_or_insert_with(monotonic_ns);
        reached("call.ran");
    }

    /// Where its time has gone until now.
    pub fn stages_so_far(&self) -> Stages {
        self.stages(monotonic_ns())
    }

    /// Nanoseconds since the call was received.
    pub fn since_received_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(self.call.received_ns)
    }

    /// Where the time went. A stage that was not marked ended with the answer.
    fn stages(&self, now_ns: u64) -> Stages {
        let attached = self.attached_ns.unwrap_or(now_ns);
        let decoded = self.decoded_ns.unwrap_or(now_ns);
        let ran = self.ran_ns.unwrap_or(now_ns);
        let call = &self.call;
        Stages {
            transit_ns: call.received_ns.saturating_sub(call.sent_ns),
            queue_ns: self.started_ns.saturating_sub(call.received_ns),
            interpreter_ns: attached.saturating_sub(self.started_ns),
            decode_ns: decoded.saturating_sub(attached),
            handler_ns: ran.saturating_sub(decoded),
            encode_ns: now_ns.saturating_sub(ran),
        }
    }
}

/// A call's place, lent to others while its handler waits for a call of its own.
#[must_use = "the place is lent until this is dropped"]
pub struct Lent<H: Send + Sync + 'static, L: Link> {
    engine: Arc<Engine<H, L>>,
    life: u64,
    counts: bool,
}

impl<H: Send + Sync + 'static, L: Link> Drop for Lent<H, L> {
    fn drop(&mut self) {
        if self.counts && self.engine.process.is_current() {
            self.engine.scheduler.lock().lend(false, self.life);
        }
    }
}

impl<H: Send + Sync + 'static, L: Link> Drop for Job<H, L> {
    fn drop(&mut self) {
        if !self.answered && !self.is_inherited() {
            let (endpoint, method) = (self.endpoint(), &self.version.method);
            let (client, id) = (named(&self.call.client.peer), self.call.id);
            log::error!("{endpoint}: call {id:#x} of {method} by {client} was dropped without an answer");
            let refusal = refusals::unanswered(&self.version.method);
            self.finish(refusal.code, &refusal.error.encode(), Vec::new());
        }
    }
}

impl<H: Send + Sync + 'static, L: Link> Resumable<H> for Job<H, L> {
    fn live_version(&self) -> &Version<H> {
        &self.version
    }

    fn life(&self) -> u64 {
        self.life
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl<H: Send + Sync + 'static, L: Link> Parked for Job<H, L> {
    fn resume(self: Box<Self>) {
        let engine = Arc::clone(&self.engine);
        {
            let mut scheduler = engine.scheduler.lock();
            if scheduler.over(self.life) {
                drop(scheduler);
                return self.give_up();
            }
            let index = self.index();
            scheduler.resume(index, self);
        }
        engine.nudge_if_runnable();
    }
}
