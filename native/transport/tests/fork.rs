//! Forked children, such as a data loader's workers: they keep nothing of their parent's alive and break
//! nothing of it.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::time::Duration;

use common::{Other, Place, name, receive_one, request, role, say, wait_until};
use pycrust_transport::{ControlEvent, Link, SendError, connect};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

unsafe extern "C" {
    fn fork() -> i32;
    fn _exit(status: i32) -> !;
}

/// Forks; the child does `work` and goes away without unwinding into the parent's tests. Its status says whether that
/// went well.
fn in_child(work: impl FnOnce() -> bool) -> Pid {
    // SAFETY: the child uses memory, descriptors and system calls alone, and ends by `_exit`.
    let pid = unsafe { fork() };
    if pid == 0 {
        let status = i32::from(!work());
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { _exit(status) }
    }
    Pid::from_raw(pid).unwrap()
}

/// Waits for a child; the status that it left with.
fn status_of(child: Pid) -> i32 {
    waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap().1.exit_status().unwrap()
}

/// Not a test of its own: what the tests below run in another process.
#[test]
fn other_process() {
    let Some((runtime, role)) = role() else { return };
    let _held: Box<dyn std::any::Any> = if role == "worker" {
        Box::new(common::serve(&runtime))
    } else {
        Box::new(connect(&runtime, &name(), "child").unwrap())
    };
    say("ready", "");
    let child = in_child(|| {
        std::thread::sleep(Duration::from_secs(3600));
        true
    });
    say("child", child.as_raw_nonzero());
    std::thread::sleep(Duration::from_secs(3600));
}

/// A forked child of another process, ended with the test.
struct Grandchild(Pid);

impl Grandchild {
    fn of(other: &mut Other) -> Self {
        Self(Pid::from_raw(other.hear("child").parse().unwrap()).unwrap())
    }
}

impl Drop for Grandchild {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn a_killed_worker_s_forked_child_keeps_neither_its_name_nor_its_clients() {
    let place = Place::new();
    let mut other = Other::start(&place, "worker");
    let grandchild = Grandchild::of(&mut other);
    let client = place.connect();
    other.kill();
    wait_until("the hang-up", || client.on_control() == ControlEvent::HungUp);
    drop(client);
    assert!(place.runtime.live_endpoints().is_empty());
    let (acceptor, events) = place.serve();
    let client = place.connect();
    client.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&events.link()), b"abc");
    rustix::process::test_kill_process(grandchild.0).unwrap();
    drop(client);
    acceptor.stop();
}

#[test]
fn a_killed_client_s_forked_child_does_not_keep_it_connected() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let mut other = Other::start(&place, "client");
    let grandchild = Grandchild::of(&mut other);
    let link = events.link();
    other.kill();
    wait_until("the departure", || !events.gone().is_empty());
    assert_eq!(events.gone(), [(link.id(), "its process ended".to_owned())]);
    rustix::process::test_kill_process(grandchild.0).unwrap();
    drop(link);
    acceptor.stop();
}

#[test]
fn a_child_that_drops_everything_breaks_nothing_of_its_parent() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let link = events.link();
    let lock = place.path().join("tested.lock");
    // The child owns copies of these, as a forked interpreter that finalises does.
    let mut held = Some((acceptor, client));
    let child = in_child(|| {
        drop(held.take());
        true
    });
    assert_eq!(status_of(child), 0);
    let (acceptor, client) = held.unwrap();
    assert!(lock.exists());
    client.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&link), b"abc");
    assert_eq!(client.on_control(), ControlEvent::Nothing);
    let prefix = common::prefix(&client);
    drop((client, link));
    acceptor.stop();
    drop(acceptor);
    assert!(place.is_clean(&prefix));
}

#[test]
fn a_child_that_uses_what_it_inherited_gets_errors_and_its_parent_notices_nothing() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let link = events.link();
    client.send(&request(3), &[b"abc"]).unwrap();
    wait_until("the frame", || link.ready());
    let child = in_child(|| {
        let refused = client.send(&request(5), &[b"child"]) == Err(SendError::Gone)
            && client.block(1 << 20).is_err()
            && link.receive(8, &mut |_| ()).is_err()
            && !client.is_open();
        client.cancel(3);
        client.close();
        link.close();
        acceptor.stop();
        refused
    });
    assert_eq!(status_of(child), 0);
    assert!(!link.cancelled(3));
    assert_eq!(receive_one(&link), b"abc");
    client.send(&request(3), &[b"def"]).unwrap();
    assert_eq!(receive_one(&link), b"def");
    assert_eq!(client.on_control(), ControlEvent::Nothing);
    drop((client, link));
    acceptor.stop();
}

#[test]
fn a_child_connects_for_itself_and_cleans_up_after_itself_alone() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let link = events.link();
    let prefix = common::prefix(&client);
    let (heard, told) = rustix::pipe::pipe().unwrap();
    let child = in_child(|| {
        let own = connect(&place.runtime, &name(), "child").unwrap();
        let sent = own.send(&request(5), &[b"child"]).is_ok();
        let received = rustix::io::read(&heard, &mut [0_u8]) == Ok(1);
        // As at an ordinary exit: with a connection that lives, and copies of the parent's.
        pycrust_transport::clean_up();
        sent && received
    });
    wait_until("the child's link", || events.links().len() == 2);
    let theirs = events.links().into_iter().find(|other| other.id() != link.id()).unwrap();
    assert_eq!(receive_one(&theirs), b"child");
    assert_eq!(rustix::io::write(&told, &[1]), Ok(1));
    assert_eq!(status_of(child), 0);
    wait_until("the departure", || !events.gone().is_empty());
    assert_eq!(events.gone().len(), 1);
    drop(theirs);
    client.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&link), b"abc");
    place.connect();
    drop((client, link));
    acceptor.stop();
    drop(acceptor);
    assert!(place.is_clean(&prefix));
}

#[test]
fn children_connect_whatever_their_parent_s_threads_are_at() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    // After each departure the worker's thread looks for nodes of the dead, at this moment or a little later.
    for round in 0..60 {
        let child = in_child(|| connect(&place.runtime, &name(), "child").is_ok());
        assert_eq!(status_of(child), 0);
        std::thread::sleep(Duration::from_micros(50 * (round % 20)));
    }
    wait_until("the departures", || events.links().len() == 1);
    drop(client);
    acceptor.stop();
}
