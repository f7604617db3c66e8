//! Calls that one thread runs one after the other: many answers, one ring, and nobody who misses it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support;
use crate::support::rig::{Rig, number};
use crate::support::{Gate, until};
use pycrust_protocol::Code;

/// Calls that one client has in flight.
const MANY: u64 = 48;

#[test]
fn many_calls_of_one_client_are_answered_in_order_and_rung_for_together() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    for round in 0..50_u64 {
        let ids: Vec<_> =
            (0..MANY).map(|at| caller.send("echo", &(round * MANY + at).to_le_bytes())).collect();
        for (at, id) in (0..).zip(ids) {
            let answer = caller.answer();
            assert_eq!((answer.id, answer.number()), (id, round * MANY + at));
        }
    }
    let rings = caller.link.rings.load(Ordering::SeqCst) as u64;
    assert!((1..50 * MANY).contains(&rings), "{rings} rings for {} answers", 50 * MANY);
    rig.finish();
}

#[test]
fn every_client_with_one_call_is_rung_for_its_answer() {
    let rig = Rig::new();
    rig.register_echo();
    let callers: Vec<_> = (0..8).map(|_| rig.connect()).collect();
    for round in 0..50_u64 {
        for (at, caller) in (0..).zip(&callers) {
            caller.send("echo", &(round + at).to_le_bytes());
        }
        for (at, caller) in (0..).zip(&callers) {
            assert_eq!(caller.answer().number(), round + at);
        }
    }
    for caller in &callers {
        assert_eq!(caller.link.rings.load(Ordering::SeqCst), 50);
    }
    rig.finish();
}

/// Answers that were sent without a ring don't wait for a later call of the same stroke that turns out to be long.
#[test]
fn a_client_that_sleeps_has_its_answers_while_a_later_call_hangs() {
    let rig = Rig::new();
    for _ in 0..50 {
        let (started, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let (begun, held) = (started.clone(), gate.clone());
        rig.register("work", move |running| {
            if running.job.payload() == b"hang" {
                begun.open();
                running.detached(|| held.pass());
            }
            number(1)
        });
        let caller = rig.connect();
        let answers = std::thread::scope(|scope| {
            // Asleep before there is an answer, unless the worker is quicker.
            let waiting = scope.spawn(|| (0..8).map(|_| caller.answer().id).collect::<Vec<_>>());
            let sent: Vec<_> = (0..8).map(|_| caller.send("work", b"")).collect();
            let last = caller.send("work", b"hang");
            started.pass();
            // It has them all before the last call goes on.
            let answers = waiting.join().unwrap();
            assert_eq!(answers, sent);
            gate.open();
            (caller.answer().id, last)
        });
        assert_eq!(answers.0, answers.1);
        rig.disconnect(&caller);
    }
    rig.finish();
}

#[test]
fn a_stop_waits_for_the_answers_of_a_stroke() {
    for _ in 0..20 {
        let rig = Rig::new();
        rig.register_echo();
        let caller = rig.connect();
        for value in 0..MANY {
            caller.send("echo", &value.to_le_bytes());
        }
        // Some have ended by then, some wait, one runs.
        until("everything is received", || caller.link.unreceived() == 0);
        assert!(rig.engine.stop(support::HANG));
        for value in 0..MANY {
            let answer = caller.answer();
            assert!(
                answer.status == Code::Ok && answer.number() == value || answer.status == Code::Unavailable
            );
        }
        rig.check_empty();
    }
}

#[test]
fn a_version_that_is_published_during_a_stroke_runs_what_comes_after() {
    let rig = Rig::new();
    rig.register("version", |_| number(1));
    let caller = rig.connect();
    for version in 2..60_u64 {
        let ids: Vec<_> = (0..MANY / 2).map(|_| caller.send("version", b"")).collect();
        rig.register("version", move |_| number(version));
        let id = caller.send("version", b"");
        let mut newest = 0;
        for sent in ids {
            let answer = caller.answer();
            assert_eq!(answer.id, sent);
            assert!(answer.number() >= newest, "an older version after a newer one");
            newest = answer.number();
        }
        let answer = caller.answer();
        assert_eq!((answer.id, answer.number()), (id, version));
    }
    rig.finish();
}
