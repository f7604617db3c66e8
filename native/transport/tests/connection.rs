//! Frames through real shared memory, between two ends in one process and between two processes.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pycrust_protocol::header::{Common, HEADER_LEN, Header, RequestHeader, ResponseHeader};
use pycrust_protocol::name::EndpointName;
use pycrust_transport::{
    Acceptor, AcceptorEvents, Claim, ClaimError, ConnectError, Connection, ControlEvent, Limits, Link,
    Runtime, SendError, Waiter, connect,
};

/// What the control thread said, and the links it handed over.
#[derive(Default)]
struct Events {
    links: Mutex<Vec<Arc<Connection>>>,
    gone: Mutex<Vec<(u64, String)>>,
}

impl AcceptorEvents<Connection> for Events {
    fn connected(&self, link: Arc<Connection>) {
        self.links.lock().unwrap().push(link);
    }

    fn disconnected(&self, connection: u64, reason: &str) {
        self.links.lock().unwrap().retain(|link| link.id() != connection);
        self.gone.lock().unwrap().push((connection, reason.into()));
    }
}

fn name() -> EndpointName {
    EndpointName::new("tested").unwrap()
}

fn serve(dir: &Path) -> (Runtime, Acceptor, Arc<Events>) {
    let runtime = Runtime::at(dir).unwrap();
    let events = Arc::new(Events::default());
    let claim = Claim::take(&runtime, &name(), "").unwrap();
    let acceptor = Acceptor::start(claim, Limits { max_in_flight: 16 }, Arc::clone(&events) as _).unwrap();
    (runtime, acceptor, events)
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn private_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

/// Files of this runtime directory's endpoint in shared memory.
fn shared_memory(dir: &Path) -> usize {
    let marker = dir.join("prefix");
    let prefix = std::fs::read_to_string(marker).unwrap();
    std::fs::read_dir("/dev/shm")
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(&prefix))
        .count()
}

fn request(len: u32) -> [u8; HEADER_LEN] {
    RequestHeader { common: Common { body_len: len, ..Common::default() }, ..RequestHeader::default() }
        .encode()
}

fn response(len: u32) -> [u8; HEADER_LEN] {
    ResponseHeader { common: Common { body_len: len, ..Common::default() }, ..ResponseHeader::default() }
        .encode()
}

fn receive_one(link: &Connection) -> Vec<u8> {
    let mut found = None;
    wait_until("a frame", || link.ready());
    let count = link
        .receive(1, &mut |header, sample| {
            let header = Header::decode(header).unwrap();
            assert!(header.common().sent_ns > 0);
            assert_eq!(header.common().body_len as usize, sample.len());
            found = Some(sample.to_vec());
        })
        .unwrap();
    assert_eq!(count, 1);
    found.unwrap()
}

#[test]
fn frames_of_all_sizes_cross_both_ways() {
    let dir = private_dir();
    let (runtime, acceptor, events) = serve(dir.path());
    let client = connect(&runtime, &name(), "test").unwrap();
    let worker = Arc::clone(&events.links.lock().unwrap()[0]);
    assert_eq!(worker.peer().name, "test");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Another thread serves the control socket's part of the bulk handshake, as the driver does.
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                assert_eq!(client.on_control(), ControlEvent::Nothing);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for len in [0, 1, 4095, 4096, 4097, 65_536, 20 << 20, 70_000, 3] {
            let body: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
            let (head, tail) = body.split_at(body.len() / 3);
            client.send(&request(len), &[head, tail]).unwrap();
            assert!(receive_one(&worker) == body, "{len} bytes to the worker");
            worker.send(&response(len), &[&body]).unwrap();
            assert!(receive_one(&client) == body, "{len} bytes to the client");
        }
        done.store(true, Ordering::Release);
    });
    drop(client);
    wait_until("the departure", || events.gone.lock().unwrap().len() == 1);
    drop(worker);
    acceptor.stop();
    acceptor.stop();
}

#[test]
fn a_full_window_tells_the_sender_when_there_is_room() {
    let dir = private_dir();
    let (runtime, acceptor, events) = serve(dir.path());
    let client = connect(&runtime, &name(), "test").unwrap();
    let worker = Arc::clone(&events.links.lock().unwrap()[0]);
    let waiter = Waiter::new().unwrap();
    waiter.add(client.doorbell(), 0).unwrap();
    let mut sent = 0_u32;
    loop {
        match client.send(&request(4), &[&sent.to_le_bytes()]) {
            Ok(()) => sent += 1,
            Err(SendError::Full) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(sent, 64);
    std::thread::scope(|scope| {
        scope.spawn(|| receive_one(&worker));
        waiter.wait(Some(Duration::from_secs(60)));
        client.send(&request(4), &[&sent.to_le_bytes()]).unwrap();
    });
    for expected in 1..=sent {
        assert_eq!(receive_one(&worker), expected.to_le_bytes());
    }
    assert!(!worker.ready());
    drop(worker);
    drop(client);
    acceptor.stop();
}

#[test]
fn no_wake_up_is_lost_between_two_sleepers() {
    const ROUNDS: u32 = 50_000;
    let dir = private_dir();
    let (runtime, acceptor, events) = serve(dir.path());
    let client = connect(&runtime, &name(), "test").unwrap();
    let worker = Arc::clone(&events.links.lock().unwrap()[0]);
    let play = |link: &Connection, serves: bool| {
        let waiter = Waiter::new().unwrap();
        waiter.add(link.doorbell(), 0).unwrap();
        let mut next = 0_u32;
        if serves {
            link.send(&request(4), &[&next.to_le_bytes()]).unwrap();
        }
        while next < ROUNDS {
            while !link.ready() {
                link.announce_sleep();
                if !link.ready() {
                    waiter.wait(None);
                }
                link.announce_awake();
            }
            assert_eq!(receive_one(link), next.to_le_bytes());
            next += 1;
            if serves && next < ROUNDS {
                link.send(&request(4), &[&next.to_le_bytes()]).unwrap();
            } else if !serves {
                link.send(&response(4), &[&(next - 1).to_le_bytes()]).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| play(&worker, false));
        play(&client, true);
    });
    drop(worker);
    drop(client);
    acceptor.stop();
}

#[test]
fn a_name_that_nobody_serves_says_where_it_looked() {
    let dir = private_dir();
    let runtime = Runtime::at(dir.path()).unwrap();
    let error = connect(&runtime, &name(), "test").unwrap_err();
    assert!(matches!(error, ConnectError::NotFound { .. }));
    assert!(error.to_string().contains(runtime.dir().to_str().unwrap()));
}

/// Not a test of its own: what the tests below run in another process.
#[test]
fn other_process() {
    let Some(dir) = std::env::var_os("PYCRUST_TEST_DIR") else { return };
    let dir = Path::new(&dir);
    let role = std::env::var("PYCRUST_TEST_ROLE").unwrap();
    if role == "worker" {
        let (_runtime, _acceptor, events) = serve(dir);
        println!("serving");
        loop {
            let links = events.links.lock().unwrap().clone();
            for link in links {
                let mut bodies = Vec::new();
                link.receive(64, &mut |_, sample| bodies.push(sample.to_vec())).unwrap();
                for body in bodies {
                    link.send(&response(body.len() as u32), &[&body]).unwrap();
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    } else {
        let runtime = Runtime::at(dir).unwrap();
        let client = connect(&runtime, &name(), "child").unwrap();
        client.send(&request(3), &[b"abc"]).unwrap();
        println!("connected");
        std::thread::sleep(Duration::from_secs(600));
    }
}

fn spawn(dir: &Path, role: &str) -> Child {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["other_process", "--exact", "--nocapture"])
        .env("PYCRUST_TEST_DIR", dir)
        .env("PYCRUST_TEST_ROLE", role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let wanted = if role == "worker" { "serving" } else { "connected" };
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(wanted)));
    child
}

#[test]
fn a_killed_worker_is_noticed_and_its_name_taken_over() {
    let dir = private_dir();
    let mut child = spawn(dir.path(), "worker");
    let runtime = Runtime::at(dir.path()).unwrap();
    let Err(ClaimError::Served(owner)) = Claim::take(&runtime, &name(), "") else { panic!("claimed twice") };
    assert_eq!(owner.pid, child.id());
    assert_eq!(runtime.live_endpoints()[0].endpoint, "tested");

    let client = connect(&runtime, &name(), "test").unwrap();
    std::fs::write(dir.path().join("prefix"), &client.welcome().prefix).unwrap();
    client.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&client), b"abc");
    assert!(!client.peer_exited());

    child.kill().unwrap();
    child.wait().unwrap();
    assert!(client.peer_exited());
    let waiter = Waiter::new().unwrap();
    waiter.add(client.hangup_fd().as_fd(), 0).unwrap();
    waiter.wait(Some(Duration::from_secs(60)));
    assert_eq!(client.on_control(), ControlEvent::HungUp);
    drop(client);

    let (runtime, acceptor, _events) = serve(dir.path());
    let client = connect(&runtime, &name(), "test").unwrap();
    drop(client);
    acceptor.stop();
    drop(acceptor);
    wait_until("shared memory to be freed", || shared_memory(dir.path()) == 0);
    assert!(!dir.path().join("tested.sock").exists());
    assert!(!dir.path().join("tested.lock").exists());
}

#[test]
fn a_killed_client_is_forgotten_and_its_memory_freed() {
    let dir = private_dir();
    let (_runtime, acceptor, events) = serve(dir.path());
    let mut child = spawn(dir.path(), "client");
    wait_until("the connection", || !events.links.lock().unwrap().is_empty());
    let worker = Arc::clone(&events.links.lock().unwrap()[0]);
    std::fs::write(dir.path().join("prefix"), &worker.welcome().prefix).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the departure", || !events.gone.lock().unwrap().is_empty());
    assert_eq!(receive_one(&worker), b"abc", "what was published is still delivered");
    drop(worker);
    acceptor.stop();
    wait_until("shared memory to be freed", || shared_memory(dir.path()) == 0);
}
