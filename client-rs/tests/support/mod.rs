//! A worker in Rust, over the real transport: what Python workers do, and what they must never do.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pycrust_protocol::control::{Request, put_response_head};
use pycrust_protocol::error::Location;
use pycrust_protocol::header::{Common, Header, RequestHeader, ResponseHeader, Stages, flags};
use pycrust_protocol::name::EndpointName;
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{HEALTH, Health, METHODS, MethodInfo};
use pycrust_protocol::{Code, ErrorPayload, ValidationIssue};
use pycrust_transport::{
    Acceptor, AcceptorEvents, Attachment, Attachments, CallProgress, Claim, Connection, Frame, Limits, Link,
    Runtime, SendError, Waiter, monotonic_ns,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};

/// The endpoint of every test; each has a runtime directory of its own.
pub const ENDPOINT: &str = "tested";
/// How long anything may hang before the test says so. Nothing is measured by it.
pub const HANG: Duration = Duration::from_secs(60);

/// Waits for a condition that another thread or process makes true.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "waited a minute for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Polls once, with a waker that does nothing.
pub fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A runtime directory of a test's own, removed at its end.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("run")
    }

    pub fn client(&self) -> pycrust_client::Builder {
        pycrust_client::RpcClient::builder(ENDPOINT).runtime_dir(self.path()).timeout(HANG)
    }

    pub fn worker(&self) -> Worker {
        Worker::start(&self.path())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Removes what killed processes left.
        let name = EndpointName::new(ENDPOINT).unwrap();
        drop(Runtime::at(&self.path()).map(|runtime| Claim::take(&runtime, &name, "")));
    }
}

/// What a test may look at while the worker runs.
#[derive(Default)]
pub struct Seen {
    links: Mutex<Vec<(u64, Arc<Connection>)>>,
    /// Calls that ran, by method.
    pub ran: Mutex<Vec<String>>,
    /// Calls that were cancelled before they ran or ended.
    pub cancelled: AtomicU64,
    /// Round trips that clients reported.
    pub reports: Mutex<Vec<Report>>,
    /// Headers of the requests, in order.
    pub headers: Mutex<Vec<RequestHeader>>,
    /// Calls that hang until told otherwise.
    pub release: AtomicBool,
    /// Whether the method "later" is there; before, it is expected.
    pub registered: AtomicBool,
    /// Calls of it that were refused.
    pub refused: AtomicU64,
    /// What `pycrust.methods` answers; a call that is pinned to another schema of one of these is refused.
    pub methods: Mutex<Vec<MethodInfo>>,
    /// Whether it is left unanswered.
    pub mute: AtomicBool,
    /// How often it was asked.
    pub asked: AtomicU64,
    /// Connections made so far.
    pub connected: AtomicU64,
    stop: AtomicBool,
}

impl Seen {
    /// Connections that there are.
    pub fn links(&self) -> usize {
        self.links.lock().unwrap().len()
    }

    /// A method has this schema from now on.
    pub fn publish(&self, method: &str, schema_hash: u64, schema: &str) {
        let mut methods = self.methods.lock().unwrap();
        let version = methods.iter().find(|live| live.name == method).map_or(0, |live| live.version) + 1;
        methods.retain(|live| live.name != method);
        let (name, doc, schema) = (method.into(), String::new(), schema.into());
        methods.push(MethodInfo { name, version, schema_hash, doc, schema });
    }

    pub fn ran(&self, method: &str) -> usize {
        self.ran.lock().unwrap().iter().filter(|ran| *ran == method).count()
    }
}

struct Events {
    seen: Arc<Seen>,
    waiter: Arc<Waiter>,
}

impl AcceptorEvents<Connection> for Events {
    fn connected(&self, link: Arc<Connection>) {
        self.seen.connected.fetch_add(1, Ordering::AcqRel);
        self.waiter.add(link.doorbell(), link.id()).unwrap();
        self.seen.links.lock().unwrap().push((link.id(), link));
        self.waiter.wake();
    }

    fn disconnected(&self, connection: u64, _reason: &str) {
        let mut links = self.seen.links.lock().unwrap();
        if let Some(at) = links.iter().position(|(id, _)| *id == connection) {
            let (_, link) = links.remove(at);
            self.waiter.remove(link.doorbell());
        }
    }
}

/// One worker: a thread that answers, and the control thread.
pub struct Worker {
    pub seen: Arc<Seen>,
    acceptor: Acceptor,
    waiter: Arc<Waiter>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub fn start(dir: &Path) -> Self {
        Self::with_limit(dir, 16_384)
    }

    pub fn with_limit(dir: &Path, max_in_flight: u32) -> Self {
        let runtime = Runtime::at(dir).unwrap();
        let claim = Claim::take(&runtime, &EndpointName::new(ENDPOINT).unwrap(), "").unwrap();
        let seen = Arc::new(Seen::default());
        let waiter = Arc::new(Waiter::new().unwrap());
        let events = Events { seen: Arc::clone(&seen), waiter: Arc::clone(&waiter) };
        let acceptor = Acceptor::start(claim, Limits { max_in_flight }, Arc::new(events)).unwrap();
        let thread = {
            let (seen, waiter) = (Arc::clone(&seen), Arc::clone(&waiter));
            std::thread::spawn(move || serve(&seen, &waiter))
        };
        Self { seen, acceptor, waiter, thread: Some(thread) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Release);
        self.waiter.wake();
        let ended = self.thread.take().map(JoinHandle::join);
        self.acceptor.stop();
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// In the process that [`Process`] starts, where the worker is to live.
const WORKER_DIR: &str = "PYCRUST_TEST_WORKER_DIR";

/// A worker in a process of its own.
pub struct Process(Child);

impl Process {
    /// Starts this very test binary as a worker; it must have a test of that name.
    pub fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker_process", "--nocapture"])
            .env(WORKER_DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        assert!(out.lines().any(|line| line.unwrap().ends_with("serving")));
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGSTOP, until it has stopped.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        while !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of the test that [`Process`] runs.
pub fn worker_process() {
    let Some(dir) = std::env::var_os(WORKER_DIR) else { return };
    let _worker = Worker::start(Path::new(&dir));
    #[expect(clippy::print_stdout, reason = "the parent waits for it")]
    {
        println!("serving");
    }
    // Until the parent ends.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A worker that accepts clients and never says a word to them.
pub struct Silent {
    accepted: Arc<Mutex<Vec<OwnedFd>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Silent {
    pub fn start(dir: &Path) -> Self {
        let dir = Runtime::at(dir).unwrap().dir().to_owned();
        let listener =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let listener = listener.unwrap();
        let address =
            SocketAddrUnix::new(dir.join(EndpointName::new(ENDPOINT).unwrap().socket_file())).unwrap();
        rustix::net::bind(&listener, &address).unwrap();
        rustix::net::listen(&listener, 16).unwrap();
        let (accepted, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (accepted, stop) = (Arc::clone(&accepted), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let mut ready = [PollFd::new(&listener, PollFlags::IN)];
                    let patience = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                    if rustix::event::poll(&mut ready, Some(&patience)).unwrap() > 0 {
                        let accepted: &Mutex<Vec<OwnedFd>> = &accepted;
                        accepted.lock().unwrap().push(rustix::net::accept(&listener).unwrap());
                    }
                }
            })
        };
        Self { accepted, stop, thread: Some(thread) }
    }

    /// Clients that were accepted.
    pub fn connected(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Those that have not hung up.
    pub fn open(&self) -> usize {
        let hung_up = |client: &OwnedFd| {
            let mut found = [PollFd::new(client, PollFlags::empty())];
            rustix::event::poll(&mut found, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
            found[0].revents().contains(PollFlags::HUP)
        };
        self.accepted.lock().unwrap().iter().filter(|client| !hung_up(client)).count()
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The arguments of `add`, by name or by position.
#[derive(serde::Deserialize)]
struct Pair {
    a: i64,
    b: i64,
}

/// A call that was received and not answered.
struct Open {
    link: Arc<Connection>,
    id: u64,
    method: String,
    payload: Vec<u8>,
    /// The schema that its caller was built against.
    pin: u64,
    /// When to answer.
    due_ns: u64,
    attachments: Attachments,
    /// Of a call whose arguments stream: their sum, and whether they have ended.
    upload: Option<(i64, bool)>,
    /// Of "drip": whether its item was given.
    dripped: bool,
}

/// An answer that may have to wait for room.
struct Outgoing {
    link: Arc<Connection>,
    id: u64,
    status: Code,
    payload: Vec<u8>,
    attachments: Vec<Attachment>,
    /// Bits of [`flags`], and the item's number or how many there were.
    stream: (u8, u32),
}

fn serve(seen: &Seen, waiter: &Waiter) {
    let mut open: Vec<Open> = Vec::new();
    let mut outbox = VecDeque::new();
    while !seen.stop.load(Ordering::Acquire) {
        let links: Vec<_> = seen.links.lock().unwrap().iter().map(|(_, link)| Arc::clone(link)).collect();
        for link in &links {
            link.announce_awake();
            link.receive(64, &mut |frame| accept(seen, link, frame, &mut open)).unwrap();
        }
        let now = monotonic_ns();
        open.retain_mut(|call| !work(seen, call, now, &mut outbox));
        flush(&mut outbox);
        for link in &links {
            link.announce_sleep();
        }
        if !links.iter().any(|link| link.ready()) {
            let idle = open.is_empty() && outbox.is_empty();
            waiter.wait(Some(Duration::from_millis(if idle { 1000 } else { 1 })));
        }
    }
}

fn accept(seen: &Seen, link: &Arc<Connection>, frame: &Frame<'_>, open: &mut Vec<Open>) {
    let header = Header::decode(frame.header()).unwrap();
    let parts = header.common().split(frame.head()).unwrap();
    seen.reports.lock().unwrap().extend(Report::read_all(parts.reports));
    let Header::Request(header) = header else { return };
    let request = Request::decode(parts.control).unwrap();
    if header.common.flags & (flags::STREAM_ITEM | flags::UPLOAD_END) != 0 {
        // Of a call that was refused or cancelled, they go on for a while.
        let of = open.iter_mut().find(|call| call.id == request.id && Arc::ptr_eq(&call.link, link));
        if let Some((sum, ended)) = of.and_then(|call| call.upload.as_mut()) {
            match header.common.flags & flags::UPLOAD_END {
                0 => *sum += rmp_serde::from_slice::<i64>(request.payload).unwrap_or(1),
                _ => *ended = true,
            }
        }
        return;
    }
    seen.headers.lock().unwrap().push(header);
    let wait_ms = match request.method {
        "delay" => rmp_serde::from_slice::<(u64, i64)>(request.payload).unwrap().0,
        _ => 0,
    };
    let held = if request.method == "hang" { CallProgress::Runs } else { CallProgress::Queued };
    link.note(request.id, held);
    open.push(Open {
        link: Arc::clone(link),
        id: request.id,
        method: request.method.into(),
        payload: request.payload.into(),
        attachments: frame
            .attachments(header.common.attachments_in(frame.head(), frame.sample_len()).unwrap()),
        pin: header.schema_pin,
        due_ns: monotonic_ns() + wait_ms * 1_000_000,
        upload: (header.common.flags & flags::UPLOAD != 0).then_some((0, false)),
        dripped: false,
    });
}

/// What is wrong with any arguments.
fn invalid() -> ErrorPayload {
    let place = [Location::Field("a".into())];
    let issue = ValidationIssue::new(place, "int_type", "Input should be a valid integer");
    let details = rmp_serde::to_vec_named(&vec![issue]).unwrap();
    ErrorPayload { details, ..ErrorPayload::message("1 validation error") }
}

/// True once the call has its answer.
/// Why a call is refused that was built against another schema.
fn other_schema(seen: &Seen, call: &Open) -> Option<ErrorPayload> {
    #[derive(serde::Serialize)]
    struct Details<'a> {
        method: &'a str,
        pinned: u64,
        live: u64,
        version: u32,
        changes: Vec<String>,
    }
    let methods = seen.methods.lock().unwrap();
    let live = methods.iter().find(|live| live.name == call.method)?;
    if call.pin == 0 || call.pin == live.schema_hash {
        return None;
    }
    let (pinned, live, version) = (call.pin, live.schema_hash, live.version);
    let details = Details { method: &call.method, pinned, live, version, changes: Vec::new() };
    Some(ErrorPayload {
        exception: "pycrust.errors.SchemaMismatch".into(),
        details: rmp_serde::to_vec_named(&details).unwrap(),
        ..ErrorPayload::message("it was built against another schema")
    })
}

/// What the worker answers itself.
fn own(seen: &Seen, method: &str) -> Vec<u8> {
    if method == METHODS {
        seen.asked.fetch_add(1, Ordering::AcqRel);
        return rmp_serde::to_vec_named(&*seen.methods.lock().unwrap()).unwrap();
    }
    let health = Health {
        status: "serving".into(),
        endpoint: ENDPOINT.into(),
        pid: std::process::id(),
        generation: 1,
        uptime_ns: 1,
        waiting_ns: 0,
    };
    rmp_serde::to_vec_named(&health).unwrap()
}

/// Works on a call; whether it is done with.
fn work(seen: &Seen, call: &mut Open, now_ns: u64, outbox: &mut VecDeque<Outgoing>) -> bool {
    let answer = |status, payload| {
        let link = Arc::clone(&call.link);
        Outgoing { link, id: call.id, status, payload, attachments: Vec::new(), stream: (0, 0) }
    };
    let item = |number: u32, value: i64| Outgoing {
        stream: (flags::STREAM_ITEM, number),
        ..answer(Code::Ok, rmp_serde::to_vec(&value).unwrap())
    };
    let end = |count: u32| Outgoing { stream: (flags::STREAM, count), ..answer(Code::Ok, Vec::new()) };
    if call.link.cancelled(call.id) {
        seen.cancelled.fetch_add(1, Ordering::AcqRel);
        outbox.push_back(answer(Code::Cancelled, ErrorPayload::message("cancelled").encode()));
        return true;
    }
    if call.method == "later" && !seen.registered.load(Ordering::Acquire) {
        seen.refused.fetch_add(1, Ordering::AcqRel);
        let reason = "\"later\" is expected and not registered yet";
        outbox.push_back(answer(Code::Unavailable, ErrorPayload::message(reason).encode()));
        return true;
    }
    if let Some(refusal) = other_schema(seen, call) {
        seen.refused.fetch_add(1, Ordering::AcqRel);
        outbox.push_back(answer(Code::FailedPrecondition, refusal.encode()));
        return true;
    }
    if call.upload.is_some_and(|(_, ended)| !ended) {
        return false;
    }
    if now_ns < call.due_ns
        || call.method == "hang" && !seen.release.load(Ordering::Acquire)
        || call.method == METHODS && seen.mute.load(Ordering::Acquire)
    {
        return false;
    }
    seen.ran.lock().unwrap().push(call.method.clone());
    match call.method.as_str() {
        "add" => {
            let Pair { a, b } = rmp_serde::from_slice(&call.payload).unwrap();
            outbox.push_back(answer(Code::Ok, rmp_serde::to_vec(&(a + b)).unwrap()));
        }
        "delay" => {
            let (_, value): (u64, i64) = rmp_serde::from_slice(&call.payload).unwrap();
            outbox.push_back(answer(Code::Ok, rmp_serde::to_vec(&value).unwrap()));
        }
        "count" => {
            let count: u32 = rmp_serde::from_slice::<(u32,)>(&call.payload).unwrap().0;
            outbox.extend((0..count).map(|number| item(number, number.into())));
            outbox.push_back(end(count));
        }
        // One item, and then nothing.
        "drip" => {
            if !call.dripped {
                outbox.push_back(item(0, 1));
                call.dripped = true;
            }
            return false;
        }
        _ if call.upload.is_some() => {
            let (sum, _) = call.upload.unwrap();
            if call.method == "exchange" {
                outbox.extend([item(0, sum), end(1)]);
            } else {
                outbox.push_back(answer(Code::Ok, rmp_serde::to_vec(&sum).unwrap()));
            }
        }
        "twice" => {
            outbox.push_back(answer(Code::Ok, call.payload.clone()));
            outbox.push_back(answer(Code::Ok, rmp_serde::to_vec("the second answer").unwrap()));
        }
        "silent" => {}
        "garbage" => {
            // The header is whole; what should be a control message is none.
            let common = Common { body_len: 4, ..Common::default() };
            let header = ResponseHeader { common, ..ResponseHeader::default() };
            call.link.send(&header.encode(), &[b"what"]).unwrap();
        }
        "raise" => {
            let payload = ErrorPayload {
                exception: "ValueError".into(),
                traceback: "Traceback: in raise".into(),
                may_have_run: true,
                ..ErrorPayload::message("no such luck")
            };
            outbox.push_back(answer(Code::Unknown, payload.encode()));
        }
        "validate" => outbox.push_back(answer(Code::InvalidArgument, invalid().encode())),
        HEALTH | METHODS => outbox.push_back(answer(Code::Ok, own(seen, &call.method))),
        _ => {
            let views = (0..call.attachments.len()).filter_map(|number| call.attachments.get(number));
            let attachments = views.map(|view| Attachment::Source(Arc::new(view))).collect();
            outbox.push_back(Outgoing { attachments, ..answer(Code::Ok, call.payload.clone()) });
        }
    }
    true
}

fn flush(outbox: &mut VecDeque<Outgoing>) {
    for _ in 0..outbox.len() {
        let Some(mut answer) = outbox.pop_front() else { return };
        let mut head = Vec::new();
        put_response_head(&mut head, answer.id, answer.status, answer.payload.len());
        let (body_len, attachments) =
            ((head.len() + answer.payload.len()) as u32, answer.attachments.len() as u32);
        let (flags, stream_seq) = answer.stream;
        let common = Common { body_len, attachments, flags, ..Common::default() };
        let stages = Stages { handler_ns: 1000, ..Stages::default() };
        let header = ResponseHeader {
            common,
            version: 3,
            method_key: 9,
            stages,
            stream_seq,
            ..ResponseHeader::default()
        };
        let parts = [&head[..], &answer.payload];
        let sent = answer.link.send_with(&header.encode(), &parts, &mut answer.attachments);
        if sent == Err(SendError::Full) {
            outbox.push_back(answer);
        }
    }
}
