//! Clients that go and workers that stop, in every state.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::rig::{Rig, config, number};
use crate::support::{Gate, HANG, until};
use pycrust_protocol::Code;
use pycrust_protocol::reserved::{HEALTH, Health};

/// A rig whose `held` runs one call at a time, each until the gate opens, and counts them.
fn with_held() -> (Rig, Arc<Gate>, Arc<AtomicUsize>) {
    let rig = Rig::new();
    let (gate, runs) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (gate.clone(), runs.clone());
    rig.register("held", move |running| {
        counted.fetch_add(1, Ordering::SeqCst);
        running.detached(|| held.pass());
        number(u64::from(running.job.cancelled()))
    });
    rig.register_echo();
    (rig, gate, runs)
}

#[test]
fn nothing_is_served_before_the_start() {
    let rig = Rig::with(config());
    rig.register_echo();
    let caller = rig.connect();
    caller.send("echo", b"early");
    assert!(rig.engine.is_stopped());
    assert_eq!(rig.engine.live_threads(), 0);
    assert!(caller.answer_within(Duration::from_millis(20)).is_none());
    rig.engine.start().unwrap();
    rig.engine.start().unwrap();
    assert_eq!(caller.answer().payload, b"early");
    rig.finish();
}

#[test]
fn a_client_goes_with_a_call_running_calls_queued_and_frames_unread() {
    let (rig, gate, runs) = with_held();
    let (leaving, staying) = (rig.connect(), rig.connect());
    for _ in 0..10 {
        leaving.send("held", &[0; 100]);
    }
    until("one runs, nine wait", || rig.engine.in_flight() == 10 && runs.load(Ordering::SeqCst) == 1);
    rig.disconnect(&leaving);
    assert_eq!(rig.engine.in_flight(), 1, "the running one");
    assert_eq!(rig.engine.queued_bytes(), 0);
    leaving.send("held", b"");
    assert_eq!(staying.call("echo", b"here").payload, b"here");
    assert_eq!(rig.engine.stats().clients.len(), 1);
    gate.open();
    until("the running one ended", || rig.engine.in_flight() == 0);
    assert_eq!(runs.load(Ordering::SeqCst), 1, "the queued ones never ran");
    let link = leaving.link.clone();
    drop(leaving);
    until("the engine let go of the connection", || Arc::strong_count(&link) == 1);
    rig.disconnect(&staying);
    rig.finish();
}

#[test]
fn a_running_call_sees_that_its_client_is_gone() {
    let rig = Rig::new();
    let (started, seen) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (begun, noticed) = (started.clone(), seen.clone());
    rig.register("watch", move |running| {
        begun.open();
        let job = running.job;
        until("the call is cancelled", || job.cancelled());
        noticed.open();
        number(0)
    });
    let caller = rig.connect();
    caller.send("watch", b"");
    started.pass();
    rig.disconnect(&caller);
    seen.pass();
    rig.finish();
}

#[test]
fn a_client_goes_with_answers_waiting() {
    let rig = Rig::new();
    rig.register_echo();
    let leaving = rig.connect_with(1);
    for _ in 0..50 {
        leaving.send("echo", b"");
    }
    until("its answers wait", || rig.engine.in_flight() == 49);
    rig.disconnect(&leaving);
    until("they are dropped", || rig.engine.in_flight() == 0);
    rig.disconnect(&leaving);
    rig.finish();
}

#[test]
fn clients_come_and_go_under_load() {
    let rig = Rig::new();
    rig.register_echo();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..60 {
                    let caller = rig.connect_with(2);
                    for _ in 0..=round % 5 {
                        caller.send("echo", &[0; 64]);
                    }
                    // One answer is read, the others are left in whatever state they are in.
                    assert_eq!(caller.answer().status, Code::Ok);
                    rig.disconnect(&caller);
                }
            });
        }
    });
    until("everything is settled", || rig.engine.in_flight() == 0 && rig.engine.queued_bytes() == 0);
    rig.finish();
}

#[test]
fn an_idle_worker_stops_and_starts_again() {
    let rig = Rig::new();
    rig.register_echo();
    for round in 0..5_u64 {
        let caller = rig.connect();
        assert_eq!(caller.call("echo", &round.to_le_bytes()).number(), round);
        assert!(rig.engine.stop(HANG));
        assert!(rig.engine.stop(HANG), "a second stop does nothing");
        rig.check_empty();
        assert!(rig.engine.stats().clients.is_empty());
        assert_eq!(rig.engine.health().status, "stopping");
        rig.engine.start().unwrap();
    }
    rig.finish();
}

#[test]
fn a_stop_lets_running_and_queued_calls_end_and_refuses_new_ones() {
    let (rig, gate, runs) = with_held();
    let (caller, late) = (rig.connect(), rig.connect());
    for _ in 0..5 {
        caller.send("held", b"");
    }
    until("one runs, four wait", || rig.engine.in_flight() == 5 && runs.load(Ordering::SeqCst) == 1);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| rig.engine.stop(HANG));
        until("it stops", || rig.engine.health().status == "stopping");
        let refused = late.call("echo", b"");
        assert_eq!(refused.status, Code::Unavailable);
        assert!(!refused.error().may_have_run);
        assert!(refused.error().message.contains("is stopping"), "{refused:?}");
        let health: Health = rmp_serde::from_slice(&late.call(HEALTH, b"").payload).unwrap();
        assert_eq!(health.status, "stopping");
        gate.open();
        for _ in 0..5 {
            assert_eq!(caller.answer().status, Code::Ok);
        }
        assert!(stopping.join().unwrap());
    });
    assert_eq!(runs.load(Ordering::SeqCst), 5);
    rig.check_empty();
}

#[test]
fn a_stop_does_not_wait_longer_than_its_grace() {
    let (rig, gate, runs) = with_held();
    let caller = rig.connect();
    let running = caller.send("held", b"");
    caller.send("held", b"");
    until("one runs, one waits", || rig.engine.in_flight() == 2 && runs.load(Ordering::SeqCst) == 1);
    assert!(!rig.engine.stop(Duration::from_millis(20)));
    assert!(rig.engine.is_stopped());
    let queued = caller.answer();
    assert_eq!((queued.status, queued.error().may_have_run), (Code::Unavailable, false));

    // It starts again beside the call that is still running, which then ends into its own connection.
    rig.engine.start().unwrap();
    let next = rig.connect();
    assert_eq!(next.call("echo", b"again").payload, b"again");
    gate.open();
    let late = caller.answer();
    assert_eq!((late.id, late.status), (running, Code::Ok));
    assert_eq!(next.call("held", b"").status, Code::Ok, "its slot is free");
    rig.finish();
}

#[test]
fn a_stop_while_the_interpreter_is_held_returns() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let cell = rig.interpreter.lock();
    for _ in 0..3 {
        caller.send("echo", b"");
    }
    until("the calls are received", || rig.engine.in_flight() == 3);
    assert!(!rig.engine.stop(Duration::from_millis(20)));
    drop(cell);
    rig.check_empty();
}

#[test]
fn a_stop_waits_for_answers_that_wait_for_room() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect_with(1);
    for _ in 0..20 {
        caller.send("echo", b"");
    }
    until("answers wait", || rig.engine.in_flight() == 19);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| rig.engine.stop(HANG));
        for _ in 0..20 {
            assert_eq!(caller.answer().status, Code::Ok);
        }
        assert!(stopping.join().unwrap());
    });
    rig.check_empty();
}

#[test]
fn stops_and_starts_under_load_answer_or_refuse_every_received_call() {
    let rig = Rig::new();
    rig.register_echo();
    for _ in 0..20 {
        let callers: Vec<_> = (0..3).map(|_| rig.connect()).collect();
        std::thread::scope(|scope| {
            for caller in &callers {
                scope.spawn(move || {
                    let mut refused = false;
                    for _ in 0..2000 {
                        caller.send("echo", b"");
                        // Unread at the end: frames that the stopped worker never received.
                        match caller.answer_within(Duration::from_millis(100)) {
                            Some(answer) if answer.status == Code::Unavailable => refused = true,
                            Some(answer) => assert!(answer.status == Code::Ok && !refused),
                            None => break,
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(3));
            rig.engine.stop(HANG);
        });
        rig.check_empty();
        rig.engine.start().unwrap();
    }
    rig.finish();
}

#[test]
fn a_stop_that_meets_a_departure_keeps_no_connection() {
    let rig = Rig::new();
    rig.register_echo();
    for round in 0..300 {
        let caller = rig.connect();
        assert_eq!(caller.call("echo", b"x").status, Code::Ok);
        std::thread::scope(|scope| {
            // The leader is awake for the departure, or for a call, just when the engine stops.
            scope.spawn(|| match round % 2 {
                0 => rig.disconnect(&caller),
                _ => drop(caller.send("echo", b"y")),
            });
            rig.engine.stop(HANG);
        });
        assert!(rig.engine.join(HANG));
        assert_eq!(Arc::strong_count(&caller.link), 1, "round {round}");
        rig.engine.start().unwrap();
    }
    rig.finish();
}
