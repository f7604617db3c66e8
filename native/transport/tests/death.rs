//! Processes that are killed: who notices, who takes over, what is left.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::time::Duration;

use common::{Other, Place, body, driven, echo, name, receive_one, request, role, say, wait_until};
use pycrust_transport::{Claim, ClaimError, ControlEvent, Link, Waiter, connect};

/// Not a test of its own: what the tests below run in another process.
#[test]
fn other_process() {
    let Some((runtime, role)) = role() else { return };
    if role == "worker" {
        let (_acceptor, events) = common::serve(&runtime);
        say("ready", "");
        echo(&events);
    }
    let client = connect(&runtime, &name(), "child").unwrap();
    client.send(&request(3), &[b"abc"]).unwrap();
    if role == "bulk client" {
        client.send(&request(1 << 20), &[&body(1 << 20)]).unwrap();
    }
    say("ready", "");
    std::thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_killed_worker_is_noticed_and_its_name_taken_over() {
    let place = Place::new();
    let mut other = Other::start(&place, "worker");
    let Err(ClaimError::Served(owner)) = Claim::take(&place.runtime, &name(), "") else {
        panic!("claimed twice")
    };
    assert_eq!(owner.pid, other.pid());
    assert_eq!(place.runtime.live_endpoints(), [owner]);

    let client = place.connect();
    driven(&client, || {
        for len in [3, 1 << 20] {
            client.send(&request(len), &[&body(len)]).unwrap();
            assert_eq!(receive_one(&client), body(len));
        }
    });
    assert!(!client.peer_exited());
    let waiter = Waiter::new().unwrap();
    waiter.add(client.hangup_fd(), 0).unwrap();

    other.kill();
    waiter.wait(None);
    assert!(client.peer_exited());
    assert_eq!(client.on_control(), ControlEvent::HungUp);
    assert!(place.runtime.live_endpoints().is_empty());

    // The next worker serves while the old one's client still holds its ports.
    let (acceptor, events) = place.serve();
    let again = place.connect();
    again.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&events.link()), b"abc");
    let prefix = common::prefix(&again);
    drop(client);
    drop(again);
    acceptor.stop();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

#[test]
fn a_client_alone_removes_what_its_killed_worker_left() {
    let place = Place::new();
    let mut other = Other::start(&place, "worker");
    let client = place.connect();
    let prefix = common::prefix(&client);
    other.kill();
    drop(client);
    wait_until("shared memory to be freed", || common::shared_memory(&prefix).is_empty());
}

#[test]
fn the_next_start_removes_what_both_left() {
    let place = Place::new();
    let mut worker = Other::start(&place, "worker");
    let mut client = Other::start(&place, "client");
    let probe = place.connect();
    let prefix = common::prefix(&probe);
    drop(probe);
    assert!(!common::shared_memory(&prefix).is_empty());
    client.kill();
    worker.kill();
    // Another test's worker may have removed it already.
    drop(place.claim());
    assert!(place.is_clean(&prefix));
}

#[test]
fn whoever_looks_anywhere_removes_what_nobody_comes_back_to() {
    let place = Place::new();
    let mut worker = Other::start(&place, "worker");
    let living = Place::new();
    let (acceptor, _events) = living.serve();
    let [dead, alive] = [&place, &living].map(|place| common::prefix(&place.connect()));
    worker.kill();
    let elsewhere = Place::new();
    wait_until("what is dead to be removed", || {
        assert!(elsewhere.runtime.live_endpoints().is_empty());
        common::shared_memory(&dead).is_empty()
    });
    assert!(!common::shared_memory(&alive).is_empty());
    drop(living.connect());
    acceptor.stop();
}

#[test]
fn the_next_start_removes_shared_memory_whose_directory_is_gone() {
    let place = Place::new();
    let mut worker = Other::start(&place, "worker");
    let probe = place.connect();
    let prefix = common::prefix(&probe);
    drop(probe);
    worker.kill();
    std::fs::remove_dir_all(place.path()).unwrap();
    std::fs::create_dir(place.path()).unwrap();
    drop(place.claim());
    assert!(place.is_clean(&prefix));
}

#[test]
fn a_killed_client_is_forgotten_and_its_memory_freed() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let other = place.connect();
    let mut baseline = Vec::new();
    wait_until("the first link", || !events.links().is_empty());
    baseline.extend(common::shared_memory(&other.welcome().prefix));

    let mut child = Other::start(&place, "bulk client");
    wait_until("the second link", || events.links().len() == 2);
    let link = events.links().into_iter().find(|link| link.peer().pid == child.pid()).unwrap();
    assert!(common::shared_memory(&other.welcome().prefix).len() > baseline.len());
    child.kill();
    wait_until("the departure", || !events.gone().is_empty());
    assert_eq!(events.gone(), [(link.id(), "its process ended".to_owned())]);
    let mut lens = Vec::new();
    while link.ready() {
        lens.push(receive_one(&link).len());
    }
    lens.sort_unstable();
    assert_eq!(lens, [3, 1 << 20], "what was published is still delivered");
    drop(link);

    // While the worker serves on: its other client is not disturbed.
    wait_until("shared memory to be freed", || {
        common::shared_memory(&other.welcome().prefix).len() == baseline.len()
    });
    other.send(&request(3), &[b"abc"]).unwrap();
    let link = events.link();
    assert_eq!(receive_one(&link), b"abc");
    let prefix = common::prefix(&other);
    drop((link, other));
    acceptor.stop();
    assert!(place.is_clean(&prefix));
}

#[test]
fn many_clients_come_and_go_and_leave_nothing() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let first = place.connect();
    let prefix = first.welcome().prefix.clone();
    let before = common::shared_memory(&prefix).len();
    for _ in 0..5 {
        let clients: Vec<_> = (0..8).map(|_| place.connect()).collect();
        wait_until("the links", || events.links().len() == 9);
        for client in &clients {
            client.send(&request(3), &[b"abc"]).unwrap();
        }
        for link in events.links().iter().filter(|link| link.id() != first.id()) {
            assert_eq!(receive_one(link), b"abc");
        }
        drop(clients);
        wait_until("the departures", || events.links().len() == 1);
        wait_until("shared memory to be freed", || common::shared_memory(&prefix).len() == before);
    }
    drop(first);
    acceptor.stop();
    assert!(place.is_clean(&prefix));
}
