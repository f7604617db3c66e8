//! Being awake before calls that are expected: they are rehearsed, nobody notices, and it ends when they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::caller::Caller;
use crate::support::rig::{Handler, Rig, config, registration};
use crate::support::{HANG, until};
use pycrust_engine::{Batching, Change, Config};
use pycrust_protocol::Code;
use pycrust_protocol::header::RequestHeader;
use pycrust_protocol::reserved::{ClientStats, EndpointStats};

/// How long after a call its caller says that it calls again.
const NEXT: Duration = Duration::from_millis(5);

/// Calls, and says when the next call comes; gives when that is.
fn tick(caller: &Caller, payload: &[u8]) -> Instant {
    let next = Instant::now() + NEXT;
    let header = RequestHeader { next_ns: NEXT.as_nanos() as u64, ..RequestHeader::default() };
    let id = caller.send_as("echo", payload, header);
    let answer = caller.answer();
    assert_eq!((answer.id, answer.status, &answer.payload[..]), (id, Code::Ok, payload));
    next
}

/// Waits for that, to the point.
fn wait_for(next: Instant) {
    std::thread::sleep(next.saturating_duration_since(Instant::now()).saturating_sub(NEXT / 4));
    while Instant::now() < next {
        std::hint::spin_loop();
    }
}

/// Ticks until `found` is true of what was there before the tick's end; how often.
fn tick_until(what: &str, caller: &Caller, payload: &[u8], mut found: impl FnMut() -> bool) -> usize {
    let begun = Instant::now();
    for ticks in 1.. {
        let next = tick(caller, payload);
        if found() {
            return ticks;
        }
        assert!(begun.elapsed() < HANG, "never happened: {what}");
        wait_for(next);
    }
    unreachable!("it ticks for ever")
}

fn stats(rig: &Rig) -> EndpointStats {
    rig.engine.stats()
}

fn client(rig: &Rig) -> ClientStats {
    stats(rig).clients.remove(0)
}

#[test]
fn a_call_that_is_expected_is_rehearsed_and_counts_for_nothing() {
    let rig = Rig::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    rig.register("echo", move |running| {
        counted.fetch_add(1, Ordering::SeqCst);
        (Code::Ok, running.job.payload().to_vec())
    });
    let caller = rig.connect();
    let calls = tick_until("a rehearsal, and a call that it was for", &caller, b"left", || {
        let seen = client(&rig);
        // A call that comes right after its rehearsal is polled for by nobody.
        !rig.rehearsed.lock().is_empty() && seen.hits > 0 && seen.awake_ns > 0
    });
    assert!(rig.rehearsed.lock().iter().all(|payload| payload == b"left"));
    assert_eq!(ran.load(Ordering::SeqCst), calls, "no handler has run for a rehearsal");
    let found = stats(&rig);
    let (method, client) = (&found.methods[0], &found.clients[0]);
    assert_eq!((method.calls, method.errors, method.in_flight), (calls as u64, 0, 0));
    assert_eq!(client.in_flight, 0);
    assert_eq!(rig.engine.recorder().state().recorded, calls as u64);
    assert_eq!(caller.answer_within(2 * NEXT).map(|answer| answer.id), None, "nobody gets its answer");
    rig.finish();
}

#[test]
fn a_caller_that_stops_is_awaited_once_for_each_time_that_it_said() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    // On a busy machine nobody may be awake in time for the first one.
    until("a wait in vain", || {
        tick(&caller, b"");
        let before = client(&rig).misses;
        until("the time that was said to pass", || {
            std::thread::sleep(4 * NEXT);
            true
        });
        client(&rig).misses > before
    });
    let (misses, rehearsals) = (client(&rig).misses, rig.rehearsed.lock().len());
    std::thread::sleep(10 * NEXT);
    assert_eq!(
        (client(&rig).misses, rig.rehearsed.lock().len()),
        (misses, rehearsals),
        "it said nothing more"
    );
    rig.finish();
}

#[test]
fn nothing_is_spent_where_nothing_may_be() {
    let rig = Rig::with(Config { anticipation: 0.0, ..config() });
    rig.engine.start().unwrap();
    rig.register_echo();
    let caller = rig.connect();
    for _ in 0..10 {
        wait_for(tick(&caller, b""));
    }
    let client = client(&rig);
    assert_eq!((client.hits, client.misses, client.awake_ns), (0, 0, 0));
    assert!(rig.rehearsed.lock().is_empty());
    rig.finish();
}

#[test]
fn calls_that_run_many_at_once_are_not_rehearsed() {
    let rig = Rig::new();
    let mut change = registration("echo", 1, Handler::Batch(Arc::new(|all| all)));
    if let Change::Register { batching, .. } = &mut change {
        *batching = Some(Batching { max_size: 8, max_wait: Duration::ZERO });
    }
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    tick_until("a call for which somebody was awake", &caller, b"", || client(&rig).hits > 0);
    assert!(rig.rehearsed.lock().is_empty());
    rig.finish();
}
