//! Processes that are short of file descriptors: errors that say so, and nobody else loses anything.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use common::{Other, Place, body, driven, echo, name, receive_one, request, role, say, wait_until};
use pycrust_transport::{Link, Runtime, SendError, connect};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// What the documentation says that a client needs.
const PER_CLIENT: usize = 4;

fn open(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// Lets a process open so many more. The limit is one of their numbers, which have gaps.
fn leave(pid: u32, more: u64) {
    let numbers = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let taken: BTreeSet<u64> =
        numbers.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    let mut free = (0..).filter(|number| !taken.contains(number));
    limit(pid, free.nth(more as usize).unwrap());
}

/// Lets a process open descriptors below this number.
fn limit(pid: u32, current: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let new = Rlimit { current: Some(current), maximum };
    prlimit(Pid::from_raw(pid.cast_signed()), Resource::Nofile, new).unwrap();
}

fn says_what_to_do(error: &str) {
    assert!(
        error.contains("descriptors") && error.contains("ulimit -n") && error.contains("needs up to"),
        "{error}"
    );
}

/// Connects and closes from many threads, although there are descriptors for one or two at a time.
fn connect_in_vain(runtime: &Runtime) -> (usize, usize) {
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..14)
            .map(|_| {
                scope.spawn(|| {
                    (0..5)
                        .map(|_| match connect(runtime, &name(), "short") {
                            Ok(client) => client.send(&request(3), &[b"abc"]).is_ok(),
                            Err(error) => {
                                says_what_to_do(&error.to_string());
                                false
                            }
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        tasks.into_iter().flat_map(|task| task.join().unwrap()).collect()
    });
    let connected = outcomes.iter().filter(|connected| **connected).count();
    (connected, outcomes.len() - connected)
}

/// Not a test of its own: what the tests below run in another process.
#[test]
fn other_process() {
    let Some((runtime, role)) = role() else { return };
    match role.as_str() {
        "worker" => {
            let (_acceptor, events) = common::serve(&runtime);
            say("ready", "");
            echo(&events);
        }
        "short client" => {
            limit(std::process::id(), open(std::process::id()) + 30);
            say("ready", "");
            let (connected, refused) = connect_in_vain(&runtime);
            say("failed", refused);
            say("connected", connected);
        }
        "counts" => {
            say("ready", "");
            let _first = connect(&runtime, &name(), "first").unwrap();
            let before = open(std::process::id());
            let _more = [(); 4].map(|()| connect(&runtime, &name(), "more").unwrap());
            say("each", (open(std::process::id()) - before) / 4);
            std::thread::sleep(Duration::from_secs(3600));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_client_without_descriptors_takes_nothing_from_the_worker() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let prefix = common::prefix(&client);
    let mut short = Other::start(&place, "short client");
    assert!(short.hear("failed").parse::<usize>().unwrap() > 0, "there were enough");
    short.hear("connected");
    assert!(short.ended_well());
    wait_until("the departures", || events.links().len() == 1);
    driven(&client, || {
        client.send(&request(1 << 20), &[&body(1 << 20)]).unwrap();
        assert!(receive_one(&events.link()) == body(1 << 20));
    });
    drop(place.connect());
    drop(client);
    acceptor.stop();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

#[test]
fn a_worker_without_descriptors_says_so_and_serves_whom_it_has() {
    let place = Place::new();
    let worker = Other::start(&place, "worker");
    let client = place.connect();
    let echoes = || {
        client.send(&request(3), &[b"abc"]).unwrap();
        assert_eq!(receive_one(&client), b"abc");
    };
    let before = open(worker.pid());
    // Not enough for a handshake; none at all, also not to accept with.
    for more in [3, 0] {
        wait_until("earlier ones to be closed", || open(worker.pid()) == before);
        leave(worker.pid(), more);
        for _ in 0..3 {
            let error = connect(&place.runtime, &name(), "test").unwrap_err().to_string();
            assert!(error.contains("the worker refused"), "{error}");
            says_what_to_do(&error);
        }
        echoes();
    }
    // A large frame needs some for an instant, on the other side too.
    wait_until("earlier ones to be closed", || open(worker.pid()) == before);
    driven(&client, || {
        for _ in 0..3 {
            let Err(SendError::NoMemory { reason, .. }) = client.send(&request(1 << 20), &[&body(1 << 20)])
            else {
                panic!("it found descriptors")
            };
            says_what_to_do(&reason);
            echoes();
        }
        limit(worker.pid(), 1024);
        client.send(&request(1 << 20), &[&body(1 << 20)]).unwrap();
        assert!(receive_one(&client) == body(1 << 20));
    });
    drop(place.connect());
    echoes();
}

#[test]
fn a_client_needs_as_many_descriptors_as_the_documentation_says() {
    let place = Place::new();
    let (acceptor, _events) = place.serve();
    let mut counts = Other::start(&place, "counts");
    assert_eq!(counts.hear("each"), PER_CLIENT.to_string());
    counts.kill();
    acceptor.stop();
}
