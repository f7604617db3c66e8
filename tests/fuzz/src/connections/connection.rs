//! A hostile client of a worker, over shared memory: handshake, flag words, frames, control messages, descriptors.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::header::HEADER_LEN;
use pycrust_protocol::limits::SMALL_SAMPLE_LEN;
use pycrust_transport::{Acceptor, Connection, Limits, Link, connect};

use super::engine::{self, HANG, Worker, until};
use super::frames::{Caller, check_answer, echo, echoed};
use super::middleman::{Middleman, message};
use super::place::{Place, name};
use super::socket;
use crate::cursor::Cursor;

/// What one input does.
const STEPS: usize = 48;

/// Where the cancel words begin among the shared flags, and where they end with the progress words.
const WORDS: std::ops::Range<u64> = 832..832 + 2 * 4 * 65_536;

/// What a middleman makes of this, who passes on what he is given.
const HONEST: [u8; 0] = [];

/// A worker, the client that must get its answers, and the place of the middleman.
struct Rig {
    engine: Arc<Worker<Connection>>,
    acceptor: Acceptor,
    canary: Option<Connection>,
    calls: u64,
    listener: OwnedFd,
    fake: Place,
    real: Place,
}

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::new());
}

impl Rig {
    fn new() -> Self {
        let (real, fake) = (Place::new(), Place::new());
        let engine = engine::worker(super::place::ENDPOINT, &Arc::default());
        let limits = Limits { max_in_flight: 16 };
        let acceptor = Acceptor::start(real.claim(), limits, engine.clone()).expect("a control thread");
        let canary = Some(connect(&real.runtime, &name(), "canary").expect("the worker serves"));
        let listener = socket::listen(&fake.socket());
        Self { engine, acceptor, canary, calls: 0, listener, fake, real }
    }

    /// The canary's answer is right.
    fn check(&mut self) {
        self.calls += 1;
        let id = (self.calls << 16) | (self.calls % 16);
        let sent = rmp_serde::to_vec(&self.calls).expect("a number");
        let (raw, sample) = echo(id, &sent);
        let canary = self.canary.as_ref().expect("it lives as long as the rig");
        canary.send(&raw, &[&sample]).expect("a call");
        let begun = Instant::now();
        loop {
            let mut answer = None;
            let hear = &mut |frame: &pycrust_transport::Frame<'_>| {
                answer = Some(echoed(frame.header(), frame.head()));
            };
            canary.receive(1, hear).expect("a connection");
            if let Some(answer) = answer {
                assert_eq!(answer, (id, Code::Ok, sent));
                return;
            }
            assert!(begun.elapsed() < HANG, "the canary is not answered");
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.canary = None;
        self.engine.stop(HANG);
        self.acceptor.stop();
    }
}

/// A client sends what it likes, beside whatever the middleman makes of its handshake and its flags. Every answer is
/// sound, and nobody else is harmed.
pub fn connection(data: &[u8]) {
    RIG.with_borrow_mut(|rig| {
        let mut input = Cursor::new(data);
        let (mut middle, connection) = Middleman::introduce(&mut input, &rig.fake, &rig.real, &rig.listener);
        if let Some(connection) = &connection {
            talk(&mut input, &mut middle, connection);
        }
        rig.check();
        if input.seldom() {
            // Without a goodbye the worker looks for a while whether the client's process ends.
            middle.hang_up();
            drop(connection);
        } else {
            drop(connection);
            middle.pass_on(&mut Cursor::new(&HONEST));
            middle.hang_up();
        }
        until("the client is gone", || rig.engine.stats().clients.len() == 1);
        rig.check();
        until("nothing is left of its calls", || rig.engine.in_flight() == 0);
    });
}

/// Goes on as the input says, once both sides think that they are connected.
fn talk(input: &mut Cursor<'_>, middle: &mut Middleman, connection: &Connection) {
    let mut caller = Caller::default();
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(24) {
            0 => connection.cancel(caller.id(input).0),
            1 => {
                let line = 64 * input.below(13) as u64;
                middle.write_flag(line, &input.number().to_le_bytes());
            }
            2 => {
                let at = WORDS.start + (input.number() * 4) % (WORDS.end - WORDS.start);
                middle.write_flag(at, &(input.number() as u32).to_le_bytes());
            }
            3 => {
                let to_worker = input.byte() & 1 == 0;
                let bytes = if input.seldom() { input.bytes(20).to_vec() } else { message(input).encode() };
                middle.say(to_worker, &bytes);
            }
            4 => middle.ring(input.below(2)),
            5 => middle.leave(input.byte() & 1 == 0),
            6 => {
                connection.announce_sleep();
                connection.announce_awake();
            }
            7 => {
                middle.pass_on(&mut Cursor::new(&HONEST));
                connection.on_control();
            }
            8 => {
                let (id, _) = caller.id(input);
                connection.progress(id);
            }
            9 => std::thread::sleep(Duration::from_micros(input.below(100) as u64)),
            10 | 11 => hear(connection),
            _ => {
                let (raw, sample) = caller.frame(input);
                send(connection, middle, &raw, &sample);
            }
        }
    }
    hear(connection);
}

/// Looks at what has come; a worker's frames are sound, whatever was done to it.
fn hear(connection: &Connection) {
    let _ = connection.receive(16, &mut |frame| {
        let mut sample = frame.head().to_vec();
        // The attachments lie behind it, in shared memory.
        sample.resize(frame.sample_len(), 0);
        check_answer(frame.header(), &sample);
    });
}

/// Sends a frame. A large one waits for a handshake of its own, which the middleman lets pass meanwhile.
fn send(connection: &Connection, middle: &mut Middleman, raw: &[u8; HEADER_LEN], sample: &[u8]) {
    if sample.len() <= SMALL_SAMPLE_LEN {
        let _ = connection.send(raw, &[sample]);
        return;
    }
    let sent = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while !sent.load(Ordering::Acquire) {
                middle.pass_on(&mut Cursor::new(&HONEST));
                connection.on_control();
                if middle.lied && begun.elapsed() > Duration::from_millis(100) {
                    middle.hang_up();
                }
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        let _ = connection.send(raw, &[sample]);
        sent.store(true, Ordering::Release);
    });
}
