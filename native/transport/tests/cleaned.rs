//! Files that somebody cleans away under a worker: it makes them again, or says what to do.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Place, body, driven, name, receive_one, request, socket_file, wait_until};
use pycrust_protocol::name::EndpointName;
use pycrust_transport::{Acceptor, Claim, ClaimError, Connection, ControlEvent, Limits, Link, connect};
use std::sync::Arc;

/// A small and a large frame get through.
fn works(client: &Connection, worker: &Connection) {
    driven(client, || {
        for len in [3, 1 << 20] {
            client.send(&request(len), &[&body(len)]).unwrap();
            assert!(receive_one(worker) == body(len));
        }
    });
}

fn is_served(place: &Place) -> bool {
    matches!(Claim::take(&place.runtime, &name(), ""), Err(ClaimError::Served(owner)) if owner.endpoint == "tested")
}

fn remove_shared_memory(prefix: &str) {
    for name in common::shared_memory(prefix) {
        let path = Path::new("/dev/shm").join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            // What its owner has just removed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => outcome.unwrap(),
        }
    }
}

#[test]
fn a_lock_file_is_one_that_tmpfiles_spares_and_is_made_again() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let lock = place.path().join("tested.lock");
    let mode = fs::metadata(&lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1600, "files with the sticky bit are not aged");
    for _ in 0..3 {
        fs::remove_file(&lock).unwrap();
        // Nobody else serves the name meanwhile, and nobody who looks takes the socket.
        assert!(is_served(&place));
        place.runtime.live_endpoints();
        wait_until("the lock file", || lock.exists());
        wait_until("the lock", || place.runtime.live_endpoints().len() == 1);
        assert!(is_served(&place));
    }
    events.told(&["removed the lock file of tested"]);
    drop(place.connect());
    acceptor.stop();
}

#[test]
fn a_socket_that_was_removed_is_made_again() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let socket = place.path().join(socket_file("tested"));
    fs::remove_file(&socket).unwrap();
    assert!(is_served(&place));
    wait_until("the socket", || socket.exists());
    events.told(&["removed the socket of tested"]);
    works(&client, &events.link());
    drop(place.connect());
    drop(client);
    acceptor.stop();
}

#[test]
fn a_socket_whose_place_is_taken_is_told_of_on_both_sides() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let socket = place.path().join(socket_file("tested"));
    fs::remove_file(&socket).unwrap();
    while let Err(error) = fs::create_dir(&socket) {
        // The slow tick came in between.
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        fs::remove_file(&socket).unwrap();
    }
    events.told(&["no client finds this worker", "could not listen"]);
    let error = connect(&place.runtime, &name(), "test").unwrap_err().to_string();
    assert!(error.contains("is being served by") && error.contains("has no socket"), "{error}");
    let other = EndpointName::new("other").unwrap();
    let error = connect(&place.runtime, &other, "test").unwrap_err().to_string();
    assert!(error.contains("where tested (pid"), "{error}");
    fs::remove_dir(&socket).unwrap();
    wait_until("the socket", || socket.exists());
    drop(place.connect());
    acceptor.stop();
    drop(acceptor);
    let error = connect(&place.runtime, &other, "test").unwrap_err().to_string();
    assert!(error.contains("no endpoint is being served"), "{error}");
}

#[test]
fn a_directory_that_was_removed_or_renamed_is_made_again() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let prefix = common::prefix(&client);
    let moved = place.path().with_extension("moved");
    for rename in [false, true] {
        if rename {
            fs::rename(place.path(), &moved).unwrap();
        } else {
            fs::remove_dir_all(place.path()).unwrap();
        }
        // A start makes the directory and finds nothing in it; the worker is known by its shared memory.
        fs::create_dir(place.path()).unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(is_served(&place));
        wait_until("the socket", || place.path().join(socket_file("tested")).exists());
        assert!(is_served(&place));
        works(&client, &events.links()[0]);
        drop(place.connect());
        wait_until("the departure", || events.links().len() == 1);
    }
    events.told(&["removed the lock file and the socket of tested", place.path().to_str().unwrap()]);
    drop(client);
    acceptor.stop();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

#[test]
fn a_directory_that_others_can_enter_is_told_of_and_the_advice_works() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    fs::remove_dir_all(place.path()).unwrap();
    fs::create_dir(place.path()).unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    events.told(&["no client finds this worker", "0755", "chmod it to 0700"]);
    let error = connect(&place.runtime, &name(), "test").unwrap_err().to_string();
    assert!(error.contains("0755") && error.contains("chmod it to 0700"), "{error}");
    fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
    wait_until("the socket", || place.path().join(socket_file("tested")).exists());
    let client = place.connect();
    works(&client, &events.link());
    drop(client);
    acceptor.stop();
}

#[test]
fn a_directory_that_its_owner_can_t_use_is_told_of() {
    let place = Place::new();
    let (acceptor, _events) = place.serve();
    fs::set_permissions(place.path(), Permissions::from_mode(0o600)).unwrap();
    let error = connect(&place.runtime, &name(), "test").unwrap_err().to_string();
    assert!(error.contains("0600") && error.contains("chmod it to 0700"), "{error}");
    fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
    drop(place.connect());
    acceptor.stop();
}

#[test]
fn shared_memory_that_was_removed_ends_no_client_and_new_ones_connect() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let (old, large) = (place.connect(), place.connect());
    wait_until("both links", || events.links().len() == 2);
    let link =
        |client: &Connection| events.links().into_iter().find(|link| link.id() == client.id()).unwrap();
    works(&large, &link(&large));
    let prefix = common::prefix(&old);
    for round in 0..2 {
        remove_shared_memory(&prefix);
        let new = place.connect();
        wait_until("the link", || events.links().len() == 3);
        works(&new, &link(&new));
        // One that has sent nothing large yet, and one whose larger segment is made only now.
        works(&old, &link(&old));
        driven(&large, || {
            let len = (4 << 20) << round;
            large.send(&request(len), &[&body(len)]).unwrap();
            assert!(receive_one(&link(&large)) == body(len));
        });
        drop(new);
        wait_until("the departure", || events.links().len() == 2);
    }
    events.told(&["removed the shared memory of tested from /dev/shm", "RemoveIPC"]);
    drop((old, large));
    acceptor.stop();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

/// The files that say who lives.
fn nodes(prefix: &str) -> Vec<std::path::PathBuf> {
    let root = Path::new("/dev/shm").join(format!("{prefix}iox2"));
    let entries = fs::read_dir(root.join("nodes")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

#[test]
fn whoever_can_t_be_told_to_be_dead_is_alive() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let prefix = client.welcome().prefix.clone();
    let files = nodes(&prefix);
    assert!(!files.is_empty());
    for damage in ["half-written", "unreadable", "gone", "a directory"] {
        for file in &files {
            let _ = fs::set_permissions(file, Permissions::from_mode(0o600));
            match damage {
                "half-written" => fs::write(file, [1, 2, 3]).unwrap(),
                "unreadable" => fs::set_permissions(file, Permissions::from_mode(0o000)).unwrap(),
                "gone" => fs::remove_file(file).unwrap(),
                _ => fs::create_dir(file).unwrap(),
            }
        }
        // One comes and goes, one is killed, one only looks.
        let other = place.connect();
        wait_until("the link", || events.links().len() == 2);
        drop(other);
        wait_until("the departure", || events.links().len() == 1);
        let mut killed = common::Other::start(&place, "client");
        wait_until("the link", || events.links().len() == 2);
        killed.kill();
        wait_until("the departure", || events.links().len() == 1);
        assert_eq!(place.runtime.live_endpoints().len(), 1);
        works(&client, &events.link());
    }
    drop(client);
    acceptor.stop();
    let prefix = prefix[..prefix.len() - "01234567_".len()].to_owned();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

/// Not a test of its own: what the test above runs in another process.
#[test]
fn other_process() {
    let Some((runtime, _)) = common::role() else { return };
    let _client = connect(&runtime, &name(), "child").unwrap();
    common::say("ready", "");
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

#[test]
fn of_two_workers_of_one_name_the_one_without_the_lock_stops() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let prefix = common::prefix(&client);
    // Everything by which a start knows the worker, at once; its slow tick may come in between.
    let second = loop {
        remove_shared_memory(&prefix);
        fs::remove_dir_all(place.path()).unwrap();
        fs::create_dir(place.path()).unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
        if let Ok(claim) = Claim::take(&place.runtime, &name(), "") {
            break claim;
        }
    };
    let served = Arc::new(common::Events::default());
    let second = Acceptor::start(second, Limits { max_in_flight: 16 }, Arc::clone(&served) as _).unwrap();
    events.told(&["this worker stops", "is already served by pid"]);
    wait_until(
        "the goodbye",
        || matches!(client.on_control(), ControlEvent::Goodbye(reason) if reason.contains("served by")),
    );
    let again = place.connect();
    works(&again, &served.link());
    drop((client, again));
    acceptor.stop();
    drop(acceptor);
    drop(place.connect());
    second.stop();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

#[test]
fn whoever_looks_removes_what_the_dead_left_and_nothing_of_the_living() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    fs::write(place.path().join("dead.lock"), b"left by a crash").unwrap();
    fs::write(place.path().join(socket_file("dead")), b"left by a crash").unwrap();
    assert_eq!(place.runtime.live_endpoints().len(), 1);
    assert!(!place.path().join("dead.lock").exists() && !place.path().join(socket_file("dead")).exists());
    works(&client, &events.link());
    drop(client);
    acceptor.stop();
}
