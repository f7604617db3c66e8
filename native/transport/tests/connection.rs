//! Frames through real shared memory: every size, both ways, full windows, sleepers.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Other, Place, body, driven, echo, receive_one, request, response, role, say, wait_until};
use pycrust_protocol::limits::{MAX_BODY_LEN, SMALL_WINDOW};
use pycrust_transport::{Connection, Frame, Link, SendError, Waiter};

const SIZES: [usize; 11] = [0, 1, 127, 4095, 4096, 4097, 65_536, 20 << 20, 70_000, 20 << 20, 3];

/// Not a test of its own: what the tests below run in another process.
#[test]
fn other_process() {
    let Some((runtime, _role)) = role() else { return };
    let (_acceptor, events) = common::serve(&runtime);
    say("ready", "");
    echo(&events);
}

#[test]
fn frames_of_all_sizes_cross_both_ways() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    assert_eq!(worker.peer().name, "test");
    assert_eq!(worker.peer().pid, std::process::id());
    assert_eq!(worker.id(), client.id());
    driven(&client, || {
        for len in SIZES {
            let body = body(len);
            let (head, tail) = body.split_at(len / 3);
            client.send(&request(len), &[head, tail]).unwrap();
            assert!(receive_one(&worker) == body, "{len} bytes to the worker");
            worker.send(&response(len), &[&body]).unwrap();
            assert!(receive_one(&client) == body, "{len} bytes to the client");
        }
    });
    let prefix = common::prefix(&client);
    drop(client);
    wait_until("the departure", || events.gone().len() == 1);
    drop(worker);
    acceptor.stop();
    acceptor.stop();
    assert!(place.is_clean(&prefix));
}

#[test]
fn frames_of_all_sizes_cross_between_processes() {
    let place = Place::new();
    let worker = Other::start(&place, "worker");
    let client = place.connect();
    assert_eq!(client.peer().pid, worker.pid());
    driven(&client, || {
        for len in SIZES {
            client.send(&request(len), &[&body(len)]).unwrap();
            assert!(receive_one(&client) == body(len), "{len} bytes and back");
        }
    });
}

#[test]
fn samples_are_aligned_and_a_connection_takes_little_memory() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    let taken = || -> u64 {
        let names = common::shared_memory(&client.welcome().prefix);
        names.iter().map(|name| std::fs::metadata(format!("/dev/shm/{name}")).unwrap().blocks() * 512).sum()
    };
    assert!(taken() < 700 << 10, "{} bytes before the first frame", taken());
    for (len, most) in [(1, 700 << 10), (65_536, 900 << 10), (4 << 20, 6 << 20)] {
        client.send(&request(len), &[&body(len)]).unwrap();
        let aligned = |frame: &Frame<'_>| {
            let whole = frame.attachments(std::iter::once(0..frame.sample_len()).collect()).get(0).unwrap();
            assert_eq!(whole.as_ptr().addr() % 64, 0);
        };
        assert_eq!(worker.receive(1, &mut { aligned }).unwrap(), 1);
        assert!(taken() < most, "{} bytes after a frame of {len}", taken());
    }
    drop((worker, client));
    acceptor.stop();
}

#[test]
fn other_users_have_no_access_to_a_connection_s_memory() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let names = common::shared_memory(&client.welcome().prefix);
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let mode = std::fs::metadata(format!("/dev/shm/{name}")).unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
    drop((client, events));
    acceptor.stop();
}

#[test]
fn a_frame_over_the_limit_is_refused() {
    let place = Place::new();
    let (acceptor, _events) = place.serve();
    let client = place.connect();
    // The same bytes many times: nothing is copied before the length is known.
    let part = vec![0; 1 << 20];
    let parts = vec![&part[..]; (MAX_BODY_LEN >> 20) + 1];
    let len = parts.len() << 20;
    let error = client.send(&request(0), &parts).unwrap_err();
    assert_eq!(error, SendError::TooLarge { len, max: MAX_BODY_LEN });
    client.send(&request(1), &[b"x"]).unwrap();
    drop(client);
    acceptor.stop();
}

#[test]
fn a_full_window_tells_the_sender_when_there_is_room() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
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
    assert_eq!(sent as usize, SMALL_WINDOW);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| receive_one(&worker));
        waiter.wait(None);
        client.send(&request(4), &[&sent.to_le_bytes()]).unwrap();
        assert_eq!(first.join().unwrap(), 0_u32.to_le_bytes());
    });
    for expected in 1..=sent {
        assert_eq!(receive_one(&worker), expected.to_le_bytes());
    }
    assert!(!worker.ready());
    drop((worker, client));
    acceptor.stop();
}

/// Sleeps until the link has something.
fn sleep(link: &Connection, waiter: &Waiter) {
    while !link.ready() {
        link.announce_sleep();
        if !link.ready() {
            waiter.wait(None);
        }
        link.announce_awake();
    }
}

#[test]
fn no_wake_up_is_lost_between_two_sleepers() {
    const ROUNDS: u32 = 100_000;
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    let play = |link: &Connection, begins: bool| {
        let waiter = Waiter::new().unwrap();
        waiter.add(link.doorbell(), 0).unwrap();
        for round in 0..ROUNDS {
            if begins {
                link.send(&request(4), &[&round.to_le_bytes()]).unwrap();
            }
            sleep(link, &waiter);
            assert_eq!(receive_one(link), round.to_le_bytes());
            if !begins {
                link.send(&response(4), &[&round.to_le_bytes()]).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| play(&worker, false));
        play(&client, true);
    });
    drop((worker, client));
    acceptor.stop();
}

/// A flood with a window that is mostly full: waits for room and waits for frames at the same time, in
/// small and bulk frames, with order kept among each.
#[test]
fn a_flood_arrives_in_order_and_complete() {
    const FRAMES: u32 = 50_000;
    const BULK_EVERY: u32 = 1_000;
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    let bulk_next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let waiter = Waiter::new().unwrap();
            waiter.add(client.doorbell(), 0).unwrap();
            let padding = vec![0; 10_000];
            for number in 0..FRAMES {
                let tail = if number % BULK_EVERY == 0 { &padding[..] } else { &[] };
                while let Err(error) = client.send(&request(4 + tail.len()), &[&number.to_le_bytes(), tail]) {
                    assert_eq!(error, SendError::Full);
                    waiter.wait(None);
                }
            }
        });
        let waiter = Waiter::new().unwrap();
        waiter.add(worker.doorbell(), 0).unwrap();
        let (mut small_next, mut received) = (1, 0);
        while received < FRAMES as usize {
            sleep(&worker, &waiter);
            received += worker
                .receive(17, &mut |frame| {
                    let sample = frame.head();
                    let number = u32::from_le_bytes(sample[..4].try_into().unwrap());
                    if sample.len() > 4 {
                        assert_eq!(number, bulk_next.fetch_add(BULK_EVERY, Ordering::Relaxed));
                    } else {
                        assert_eq!(number, small_next);
                        small_next += 1 + u32::from((small_next + 1) % BULK_EVERY == 0);
                    }
                })
                .unwrap();
        }
    });
    drop((worker, client));
    acceptor.stop();
}

#[test]
fn a_cancelled_call_is_seen_and_no_other() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    let id = |sequence: u64, slot: u64| sequence << 16 | slot;
    client.cancel(id(7, 3));
    client.cancel(id(1, 65_535));
    assert!(worker.cancelled(id(7, 3)));
    assert!(worker.cancelled(id(1, 65_535)));
    for other in [id(8, 3), id(6, 3), id(7, 2), id(0, 0), id(2, 65_535)] {
        assert!(!worker.cancelled(other));
    }
    drop((worker, client));
    acceptor.stop();
}

#[test]
fn each_side_learns_of_the_other_s_goodbye() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let (first, second) = (place.connect(), place.connect());
    wait_until("both links", || events.links().len() == 2);
    let links = events.links();
    first.send(&request(3), &[b"abc"]).unwrap();
    first.close();
    assert_eq!(first.send(&request(3), &[b"abc"]), Err(SendError::Gone));
    wait_until("the goodbye", || events.gone().len() == 1);
    assert_eq!(events.gone()[0].0, first.id());
    let link = links.iter().find(|link| link.id() == first.id()).unwrap();
    assert!(!link.is_open());
    assert_eq!(receive_one(link), b"abc", "what was published is still delivered");
    assert_eq!(link.send(&response(0), &[]), Err(SendError::Gone));

    drop(links);
    acceptor.stop();
    wait_until("the worker's goodbye", || {
        second.on_control() == pycrust_transport::ControlEvent::Goodbye("the worker stops".into())
    });
    assert_eq!(second.on_control(), pycrust_transport::ControlEvent::HungUp);
    assert!(!second.is_open());
    let prefix = common::prefix(&second);
    drop((first, second));
    assert!(place.is_clean(&prefix), "the last one out removes what is left");
}

#[test]
fn a_waiter_is_woken_by_hand_and_by_time() {
    let waiter = Arc::new(Waiter::new().unwrap());
    waiter.wait(Some(Duration::from_millis(1)));
    waiter.wake();
    waiter.wait(None);
    std::thread::scope(|scope| {
        scope.spawn(|| waiter.wait(None));
        waiter.wake();
    });
}
