//! A hostile worker of the real client, over shared memory: answers, items, credits and errors that nobody asked for.

use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pycrust_client::{RpcClient, Spin};
use pycrust_protocol::Code;
use pycrust_protocol::limits::SMALL_SAMPLE_LEN;
use pycrust_protocol::reserved::Health;
use pycrust_transport::{Acceptor, AcceptorEvents, Connection, Limits, Link};
use rmpv::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::engine::{self, HANG, Worker, until};
use super::frames::{answer, id_of, sound};
use super::link::Frame;
use super::middleman::message;
use super::place::{ENDPOINT, Place};
use super::socket;
use crate::cursor::Cursor;

/// What one input does.
const STEPS: usize = 48;

/// Items that a caller takes of a stream before it has seen enough.
const ENOUGH: usize = 64;

/// The hostile worker's connections.
#[derive(Default)]
struct Links(Mutex<Vec<Arc<Connection>>>);

impl Links {
    fn all(&self) -> Vec<Arc<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AcceptorEvents<Connection> for Links {
    fn connected(&self, link: Arc<Connection>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }

    fn disconnected(&self, connection: u64, _reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|link| link.id() != connection);
    }
}

/// A hostile worker, an honest one, and the client of the honest one.
struct Rig {
    runtime: Runtime,
    links: Arc<Links>,
    hostile: Acceptor,
    engine: Arc<Worker<Connection>>,
    honest: Acceptor,
    canary: RpcClient,
    calls: u64,
    place: Place,
    _other: Place,
}

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::new());
}

/// A client of whoever serves at this place.
pub fn connected(runtime: &Runtime, place: &Place) -> RpcClient {
    let builder = RpcClient::builder(ENDPOINT).runtime_dir(place.path()).spin(Spin::Off).timeout(HANG);
    runtime.block_on(builder.connect()).expect("somebody serves")
}

/// A runtime with a thread of its own, so that calls go on while the target does something else.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread")
}

impl Rig {
    fn new() -> Self {
        let (place, other) = (Place::new(), Place::new());
        let runtime = runtime();
        let links = Arc::new(Links::default());
        let limits = Limits { max_in_flight: 16 };
        let hostile = Acceptor::start(place.claim(), limits, links.clone()).expect("a control thread");
        let engine = engine::worker(ENDPOINT, &Arc::default());
        let honest = Acceptor::start(other.claim(), limits, engine.clone()).expect("a control thread");
        let canary = connected(&runtime, &other);
        Self { runtime, links, hostile, engine, honest, canary, calls: 0, place, _other: other }
    }

    /// The canary's answer is right.
    fn check(&mut self) {
        self.calls += 1;
        let sent = self.calls;
        let answer = self.runtime.block_on(self.canary.call::<_, u64>("echo", &sent));
        assert_eq!(answer.expect("the canary is answered"), sent);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.runtime.block_on(self.canary.clone().close());
        self.engine.stop(HANG);
        self.hostile.stop();
        self.honest.stop();
    }
}

/// A client of the hostile worker, which is honest until then.
fn meet(rig: &Rig) -> (RpcClient, Arc<Connection>) {
    let builder = RpcClient::builder(ENDPOINT).runtime_dir(rig.place.path()).spin(Spin::Off).timeout(HANG);
    let connecting = rig.runtime.spawn(async move { builder.connect().await });
    until("the client is content", || {
        // An input's client that lost its worker may still be coming back.
        for link in rig.links.all() {
            let _ = link.receive(16, &mut |frame| {
                if let Some(id) = id_of(frame.header(), frame.head()) {
                    let (raw, sample) = healthy(id);
                    let _ = link.send(&raw, &[&sample]);
                }
            });
        }
        connecting.is_finished()
    });
    let client = rig.runtime.block_on(connecting).expect("it does not panic").expect("an honest handshake");
    until("the worker has the connection", || !rig.links.all().is_empty());
    let link = rig.links.all().pop().expect("there is one");
    (client, link)
}

/// What a worker says of its health.
fn healthy(id: u64) -> Frame {
    let health = Health {
        status: "serving".into(),
        endpoint: ENDPOINT.into(),
        pid: std::process::id(),
        generation: 1,
        uptime_ns: 1,
        waiting_ns: 0,
    };
    sound(id, Code::Ok, &rmp_serde::to_vec_named(&health).expect("plain data"))
}

/// A caller's task, which ends.
type Task = JoinHandle<()>;

fn call(rig: &Rig, client: &RpcClient, kind: usize) -> Task {
    let client = client.clone();
    match kind {
        0 => rig.runtime.spawn(async move { drop(client.call::<_, String>("echo", &(1, "x")).await) }),
        1 => rig.runtime.spawn(async move {
            let mut items = client.stream::<_, Value>("count", &());
            let mut taken = 0;
            while let Some(Ok(_)) = items.next().await {
                taken += 1;
                if taken == ENOUGH {
                    break;
                }
            }
        }),
        2 => rig.runtime.spawn(async move {
            // It is cancelled before anybody has answered, or is not.
            let call = client.call_with_timeout::<_, Value>("echo", &1, Duration::from_millis(1));
            drop(call.await);
        }),
        _ => rig.runtime.spawn(async move {
            if let Err(error) = client.call::<_, Value>("echo", &vec![0_u8; 40]).await {
                drop((error.to_string(), format!("{error:?}"), error.details_as::<Value>()));
            }
        }),
    }
}

/// A worker answers as it likes. Each call ends, and nobody else is harmed.
pub fn client(data: &[u8]) {
    RIG.with_borrow_mut(|rig| {
        let mut input = Cursor::new(data);
        let (client, link) = meet(rig);
        let mut tasks: Vec<Task> = (0..=input.below(3)).map(|_| call(rig, &client, input.below(4))).collect();
        let mut calls = Vec::new();
        hear(&link, &mut calls, tasks.len());
        for _ in 0..STEPS {
            if input.is_empty() {
                break;
            }
            match input.below(16) {
                0 => tasks.push(call(rig, &client, input.below(4))),
                1 => hear(&link, &mut calls, 0),
                2 => socket::send(link.hangup_fd(), &message(&mut input).encode(), &[]),
                3 if input.seldom() => {
                    let len = input.below(30);
                    socket::send(link.hangup_fd(), input.bytes(len), &[]);
                }
                4 => std::thread::sleep(Duration::from_micros(input.below(200) as u64)),
                5 if input.seldom() => link.close(),
                _ => {
                    let (raw, sample) = answer(&mut input, &calls);
                    // A large frame's handshake is the control thread's part; a client that is gone never answers it.
                    if sample.len() <= SMALL_SAMPLE_LEN || link.is_open() {
                        let _ = link.send(&raw, &[&sample]);
                    }
                }
            }
        }
        rig.check();
        let closing = async move { client.close().await };
        if input.seldom() {
            // The worker is gone before the client can say goodbye, and looks for a while whether its process ends.
            link.close();
            rig.runtime.block_on(closing);
        } else {
            ends(rig, rig.runtime.spawn(closing));
        }
        drop(link);
        for task in tasks {
            ends(rig, task);
        }
        until("the worker has parted", || rig.links.all().is_empty());
        rig.check();
    });
}

/// Waits for the end of a task, which is never a panic.
fn ends(rig: &Rig, task: impl Future<Output = Result<(), tokio::task::JoinError>>) {
    let ended = rig.runtime.block_on(async { tokio::time::timeout(HANG, task).await });
    ended.expect("it ends").expect("it does not panic");
}

/// Takes the requests that have come, and waits a moment for so many of them.
fn hear(link: &Connection, calls: &mut Vec<u64>, wanted: usize) {
    let begun = Instant::now();
    loop {
        let _ = link.receive(16, &mut |frame| calls.extend(id_of(frame.header(), frame.head())));
        if calls.len() >= wanted || begun.elapsed() > Duration::from_millis(20) {
            return;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}
