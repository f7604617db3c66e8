//! What the tests share: a runtime directory of their own, a worker, other processes.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pycrust_protocol::header::{Common, HEADER_LEN, Header, RequestHeader, ResponseHeader};
use pycrust_protocol::name::EndpointName;
use pycrust_transport::{
    Acceptor, AcceptorEvents, Claim, Connection, ControlEvent, Limits, Link, Runtime, connect,
};

/// The endpoint of every test; each has a runtime directory of its own.
pub const ENDPOINT: &str = "tested";

/// How long anything may hang before the test says so. Nothing is measured by it.
const HANG: Duration = Duration::from_secs(60);

/// What the control thread said, and the links it handed over.
#[derive(Default)]
pub struct Events {
    links: Mutex<Vec<Arc<Connection>>>,
    gone: Mutex<Vec<(u64, String)>>,
    notices: Mutex<Vec<String>>,
}

impl AcceptorEvents<Connection> for Events {
    fn connected(&self, link: Arc<Connection>) {
        self.links.lock().unwrap().push(link);
    }

    fn disconnected(&self, connection: u64, reason: &str) {
        self.links.lock().unwrap().retain(|link| link.id() != connection);
        self.gone.lock().unwrap().push((connection, reason.into()));
    }

    fn noticed(&self, what: &str) {
        self.notices.lock().unwrap().push(what.into());
    }
}

impl Events {
    /// The links that are connected now.
    pub fn links(&self) -> Vec<Arc<Connection>> {
        self.links.lock().unwrap().clone()
    }

    /// The only link.
    pub fn link(&self) -> Arc<Connection> {
        wait_until("a link", || !self.links().is_empty());
        let mut links = self.links();
        assert_eq!(links.len(), 1);
        links.remove(0)
    }

    /// Waits until whoever runs the worker has been told something in which all of these words are.
    pub fn told(&self, words: &[&str]) {
        let has = |notice: &String| words.iter().all(|word| notice.contains(word));
        wait_until(&format!("a notice with {words:?}"), || self.notices.lock().unwrap().iter().any(has));
    }

    /// The connections that ended, and why.
    pub fn gone(&self) -> Vec<(u64, String)> {
        self.gone.lock().unwrap().clone()
    }
}

/// A runtime directory of a test's own, removed at its end.
pub struct Place {
    dir: tempfile::TempDir,
    pub runtime: Runtime,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::at(&dir.path().join("run")).unwrap();
        Self { dir, runtime }
    }

    pub fn path(&self) -> &Path {
        self.runtime.dir()
    }

    pub fn claim(&self) -> Claim {
        Claim::take(&self.runtime, &name(), "").unwrap()
    }

    pub fn serve(&self) -> (Acceptor, Arc<Events>) {
        serve(&self.runtime)
    }

    pub fn connect(&self) -> Connection {
        connect(&self.runtime, &name(), "test").unwrap()
    }

    /// Nothing is left in shared memory, under any prefix that begins like `prefix`, nor in the directory.
    pub fn is_clean(&self, prefix: &str) -> bool {
        shared_memory(prefix).is_empty() && std::fs::read_dir(self.path()).unwrap().next().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Removes what killed processes left; they have to be declared after the place.
        drop(Claim::take(&self.runtime, &name(), ""));
    }
}

pub fn name() -> EndpointName {
    EndpointName::new(ENDPOINT).unwrap()
}

/// The file of an endpoint's socket.
pub fn socket_file(endpoint: &str) -> String {
    EndpointName::new(endpoint).unwrap().socket_file()
}

pub fn serve(runtime: &Runtime) -> (Acceptor, Arc<Events>) {
    let events = Arc::new(Events::default());
    let claim = Claim::take(runtime, &name(), "").unwrap();
    let acceptor = Acceptor::start(claim, Limits { max_in_flight: 16 }, Arc::clone(&events) as _).unwrap();
    (acceptor, events)
}

/// What all lives of the worker of `link` have in common in the names of their shared memory.
pub fn prefix(link: &Connection) -> String {
    let prefix = &link.welcome().prefix;
    let generation = prefix.trim_end_matches('_').rfind('_').unwrap();
    prefix[..=generation].into()
}

/// What begins with `prefix` in shared memory: the directories of lives, and the memory in them.
pub fn shared_memory(prefix: &str) -> Vec<String> {
    let named = |dir: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(prefix)).collect()
    };
    let shm = Path::new("/dev/shm");
    let mut found = named(shm);
    for life in found.clone() {
        found.extend(named(&shm.join(&life)).iter().map(|name| format!("{life}/{name}")));
    }
    found
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn request(len: usize) -> [u8; HEADER_LEN] {
    let common = Common { body_len: len as u32, ..Common::default() };
    RequestHeader { common, ..RequestHeader::default() }.encode()
}

pub fn response(len: usize) -> [u8; HEADER_LEN] {
    let common = Common { body_len: len as u32, ..Common::default() };
    ResponseHeader { common, ..ResponseHeader::default() }.encode()
}

/// Bytes that show where they belong.
pub fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

pub fn receive_one(link: &Connection) -> Vec<u8> {
    let mut found = None;
    wait_until("a frame", || link.ready());
    let count = link
        .receive(1, &mut |frame| {
            let header = Header::decode(frame.header()).unwrap();
            assert!(header.common().sent_ns > 0);
            assert_eq!(header.common().body_len as usize, frame.head().len());
            found = Some(frame.head().to_vec());
        })
        .unwrap();
    assert_eq!(count, 1);
    found.unwrap()
}

/// Runs `work` while another thread serves the control socket's part of the bulk handshake, as a client's
/// driver does.
pub fn driven<T>(client: &Connection, work: impl FnOnce() -> T) -> T {
    /// Ends the driver also when `work` panics.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                assert_eq!(client.on_control(), ControlEvent::Nothing);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let _done = Done(&done);
        work()
    })
}

/// Answers every frame with its own bytes, for ever.
pub fn echo(events: &Events) -> ! {
    loop {
        for link in events.links() {
            let mut bodies = Vec::new();
            link.receive(64, &mut |frame| bodies.push(frame.head().to_vec())).unwrap();
            for body in bodies {
                link.send(&response(body.len()), &[&body]).unwrap();
            }
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Another process that plays a role, killed at the end of the test.
pub struct Other {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Other {
    /// Runs this test binary's `other_process` in `role` and waits until it says that it is ready.
    pub fn start(place: &Place, role: &str) -> Self {
        // Also where its folder can't be seen.
        Self::run(Command::new("/proc/self/exe"), place, role)
    }

    /// The same through a command that runs this test binary with the arguments it is given.
    pub fn run(mut command: Command, place: &Place, role: &str) -> Self {
        let mut child = command
            .args(["other_process", "--exact", "--nocapture"])
            .env("PYCRUST_TEST_DIR", place.path())
            .env("PYCRUST_TEST_ROLE", role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut other = Self { child, said };
        other.hear("ready");
        other
    }

    /// Waits for a line `<what> <word>` and gives the word.
    pub fn hear(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended without saying {what:?}");
            // The test harness writes its own words in front.
            if let Some(at) = line.find(&format!("%{what} ")) {
                return line[at + what.len() + 2..].trim().into();
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as an out-of-memory killer would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; did it succeed?
    pub fn ended_well(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something to the process that started this one.
#[allow(clippy::print_stdout, reason = "its standard output is how the processes talk")]
pub fn say(what: &str, word: impl std::fmt::Display) {
    println!("%{what} {word}");
}

/// The role that this process plays for another test, if it does.
pub fn role() -> Option<(Runtime, String)> {
    let dir = std::env::var_os("PYCRUST_TEST_DIR")?;
    let role = std::env::var("PYCRUST_TEST_ROLE").unwrap();
    Some((Runtime::at(Path::new(&dir)).unwrap(), role))
}
