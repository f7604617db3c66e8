//! Who receives while others run: nothing waits for a slow handler but what must.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support;
use crate::support::rig::{Rig, SLOW, config, number};
use crate::support::{Gate, until};
use pycrust_engine::Config;
use pycrust_protocol::Code;
use pycrust_protocol::reserved::HEALTH;
use pycrust_transport::Link;

/// A rig whose `held` runs until the gate opens, with the interpreter released.
fn with_held(config: Config) -> (Rig, Arc<Gate>, Arc<AtomicUsize>) {
    let rig = Rig::with(config);
    rig.engine.start().unwrap();
    let (gate, running_now) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (gate.clone(), running_now.clone());
    let run = move |running: &mut support::rig::Running<'_>| {
        counted.fetch_add(1, Ordering::SeqCst);
        running.detached(|| held.pass());
        number(1)
    };
    rig.engine.publish(vec![support::rig::register("held", 100, run)]);
    rig.register_echo();
    (rig, gate, running_now)
}

#[test]
fn a_fast_method_is_answered_while_a_slow_one_runs() {
    let (rig, gate, _) = with_held(config());
    let (slow, fast) = (rig.connect(), rig.connect());
    for round in 0..3_u64 {
        // The first round runs inline and is found by the watchdog, later ones may be handed over.
        slow.send("held", b"");
        fast.send("held", b"");
        for value in 0..100 {
            let value = round * 100 + value;
            assert_eq!(rig.connect().call("echo", &value.to_le_bytes()).number(), value);
        }
        gate.open();
        assert_eq!(slow.answer().number() + fast.answer().number(), 2);
    }
    rig.finish();
}

#[test]
fn the_same_client_is_not_held_up_by_its_own_slow_call() {
    let (rig, gate, _) = with_held(config());
    let caller = rig.connect();
    let held = caller.send("held", b"");
    for value in 0..100_u64 {
        let id = caller.send("echo", &value.to_le_bytes());
        let answer = caller.answer();
        assert_eq!((answer.id, answer.number()), (id, value));
    }
    gate.open();
    assert_eq!(caller.answer().id, held);
    rig.finish();
}

#[test]
fn the_worker_answers_about_itself_while_a_handler_keeps_the_interpreter() {
    let rig = Rig::new();
    let (started, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (begun, held) = (started.clone(), gate.clone());
    rig.register("hog", move |_| {
        begun.open();
        held.pass();
        number(1)
    });
    rig.register_echo();
    let (hog, echo, other) = (rig.connect(), rig.connect(), rig.connect());
    hog.send("hog", b"");
    started.pass();
    for _ in 0..5 {
        echo.send("echo", &9_u64.to_le_bytes());
    }
    for _ in 0..100 {
        assert_eq!(other.call(HEALTH, b"").status, Code::Ok);
    }
    assert!(echo.answer_within(SLOW).is_none(), "the interpreter is held");
    assert!(rig.most_attaching.load(Ordering::SeqCst) <= 1, "one thread at a time waits for it");
    gate.open();
    assert_eq!(hog.answer().number(), 1);
    for _ in 0..5 {
        assert_eq!(echo.answer().number(), 9);
    }
    rig.finish();
}

#[test]
fn the_worker_answers_about_itself_while_a_cell_keeps_the_interpreter() {
    let rig = Rig::new();
    rig.register_echo();
    let (caller, other) = (rig.connect(), rig.connect());
    let cell = rig.interpreter.lock();
    for value in 0..10_u64 {
        caller.send("echo", &value.to_le_bytes());
    }
    for _ in 0..100 {
        assert_eq!(other.call(HEALTH, b"").status, Code::Ok);
    }
    assert!(caller.answer_within(Duration::ZERO).is_none());
    drop(cell);
    for value in 0..10_u64 {
        assert_eq!(caller.answer().number(), value);
    }
    rig.finish();
}

#[test]
fn one_thread_is_left_to_lead_when_all_others_run() {
    for max_threads in [1, 2, 5] {
        let limit = max_threads.max(2) - 1;
        let (rig, gate, running) = with_held(Config { max_threads, ..config() });
        let (caller, other) = (rig.connect(), rig.connect());
        for _ in 0..20 {
            caller.send("held", b"");
        }
        until("every thread but one runs", || running.load(Ordering::SeqCst) == limit);
        for _ in 0..50 {
            assert_eq!(other.call(HEALTH, b"").status, Code::Ok);
        }
        assert_eq!(running.load(Ordering::SeqCst), limit);
        gate.open();
        for _ in 0..20 {
            assert_eq!(caller.answer().number(), 1);
        }
        rig.finish();
    }
}

#[test]
fn no_wake_up_is_lost() {
    // Every policy of waiting, with methods that are handed over and methods that are not.
    for spin in [Some(Duration::ZERO), Some(Duration::from_micros(20)), None] {
        let rig = Rig::with(Config { spin, ..config() });
        rig.engine.start().unwrap();
        rig.register_echo();
        rig.register("slow", |running| {
            running.detached(|| std::thread::sleep(Duration::from_micros(100)));
            (Code::Ok, running.job.payload().to_vec())
        });
        let callers: Vec<_> = (0..4).map(|_| rig.connect_with(4)).collect();
        std::thread::scope(|scope| {
            for (at, caller) in callers.iter().enumerate() {
                scope.spawn(move || {
                    for value in 0..500_u64 {
                        let method = if (value + at as u64).is_multiple_of(7) { "slow" } else { "echo" };
                        assert_eq!(caller.call(method, &value.to_le_bytes()).number(), value);
                        if value % 50 == 0 {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                });
            }
        });
        rig.finish();
    }
}

#[test]
fn an_idle_worker_sleeps() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    caller.call("echo", b"");
    until("the leader announces its sleep", || caller.link.worker_sleeps());
    // A bell without a frame: it looks, and sleeps again.
    caller.link.ring_worker();
    until("it sleeps again", || caller.link.worker_sleeps());
    assert_eq!(caller.call("echo", b"up").payload, b"up");
    assert!(caller.link.is_open());
    rig.finish();
}
