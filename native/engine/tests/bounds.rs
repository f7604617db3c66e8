//! What is in the worker is bounded, and what can't be is answered; nothing is lost, nobody starves.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support;
use crate::support::caller::{Caller, deadline};
use crate::support::rig::{Rig, config, number};
use crate::support::{Gate, until};
use pycrust_engine::Config;
use pycrust_protocol::Code;
use pycrust_protocol::header::RequestHeader;
use pycrust_protocol::reserved::{HEALTH, METHODS};
use pycrust_transport::{AcceptorEvents, SendError, monotonic_ns};

/// A rig whose `held` runs one call at a time, each until the gate opens, and counts them.
fn with_held(config: Config) -> (Rig, Arc<Gate>, Arc<AtomicUsize>) {
    let rig = Rig::with(config);
    rig.engine.start().unwrap();
    let (gate, runs) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (gate.clone(), runs.clone());
    rig.register("held", move |running| {
        counted.fetch_add(1, Ordering::SeqCst);
        running.detached(|| held.pass());
        number(1)
    });
    rig.register_echo();
    (rig, gate, runs)
}

/// Waits until one call runs and `queued` more are in the queue.
fn occupied(rig: &Rig, runs: &AtomicUsize, queued: usize) {
    until("one call runs and the others wait", || {
        runs.load(Ordering::SeqCst) == 1 && rig.engine.in_flight() == queued + 1
    });
}

fn collect(caller: &Caller, count: usize) -> Vec<Code> {
    (0..count).map(|_| caller.answer().status).collect()
}

#[test]
fn calls_in_flight_are_bounded_per_client_and_in_total() {
    let bounds = Config { max_in_flight_per_client: 3, max_in_flight: 5, ..config() };
    let (rig, gate, runs) = with_held(bounds);
    let (first, second) = (rig.connect(), rig.connect());
    for _ in 0..3 {
        first.send("held", b"");
    }
    occupied(&rig, &runs, 2);
    let refused = first.call_refused("held");
    assert!(refused.contains("holds 3 unanswered calls of this client, at most 3"), "{refused}");
    second.send("held", b"");
    second.send("held", b"");
    occupied(&rig, &runs, 4);
    let refused = second.call_refused("held");
    assert!(refused.contains("holds 5 unanswered calls of all clients, at most 5"), "{refused}");
    gate.open();
    assert_eq!(collect(&first, 3), [Code::Ok; 3]);
    assert_eq!(collect(&second, 2), [Code::Ok; 2]);
    // A client that keeps exactly its bound in flight is never refused.
    for _ in 0..3 {
        first.send("echo", b"");
    }
    for _ in 0..500 {
        assert_eq!(first.answer().status, Code::Ok);
        first.send("echo", b"");
    }
    assert_eq!(collect(&first, 3), [Code::Ok; 3]);
    rig.finish();
}

#[test]
fn queued_bytes_are_bounded() {
    let (rig, gate, runs) = with_held(Config { max_queued_bytes: 1000, ..config() });
    let caller = rig.connect();
    caller.send("held", b"");
    occupied(&rig, &runs, 0);
    caller.send("held", &[0; 5000]);
    occupied(&rig, &runs, 1);
    let refused = caller.call_refused("held");
    assert!(refused.contains("5000 bytes of arguments wait"), "{refused}");
    gate.open();
    assert_eq!(collect(&caller, 2), [Code::Ok; 2]);
    assert_eq!(rig.engine.queued_bytes(), 0);
    rig.finish();
}

#[test]
fn a_greedy_client_does_not_starve_another() {
    let (rig, gate, runs) = with_held(config());
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = order.clone();
    rig.register("note", move |running| {
        noted.lock().unwrap().push(running.job.context().connection());
        number(0)
    });
    let (greedy, modest) = (rig.connect(), rig.connect());
    // While the interpreter is held nothing is started, so all of these meet in the queue.
    let cell = rig.interpreter.lock();
    for _ in 0..200 {
        greedy.send("note", b"");
    }
    until("the greedy client's calls are queued", || rig.engine.in_flight() == 200);
    for _ in 0..10 {
        modest.send("note", b"");
    }
    until("the modest client's calls are queued", || rig.engine.in_flight() == 210);
    drop(cell);
    assert_eq!(collect(&modest, 10), [Code::Ok; 10]);
    assert_eq!(collect(&greedy, 200), [Code::Ok; 200]);
    let last = order.lock().unwrap().iter().rposition(|client| *client == 2).unwrap();
    assert!(last <= 22, "the modest client's last call was number {last}");
    gate.open();
    drop(runs);
    rig.finish();
}

#[test]
fn answers_without_room_wait_and_none_is_lost() {
    let rig = Rig::new();
    rig.register_echo();
    let (stuck, other) = (rig.connect_with(2), rig.connect());
    let mut ids: HashSet<u64> = (0..300_u64).map(|value| stuck.send("echo", &value.to_le_bytes())).collect();
    until("all are received and run", || rig.engine.stats().methods[0].calls == 300);
    assert_eq!(rig.engine.in_flight(), 298, "what waits in the outbox counts");
    assert_eq!(other.call("echo", b"free").payload, b"free");
    for value in 0..300_u64 {
        let answer = stuck.answer();
        assert!(ids.remove(&answer.id), "answered twice");
        assert_eq!(answer.number(), value);
    }
    until("everything is sent", || rig.engine.in_flight() == 0);
    rig.finish();
}

#[test]
fn answers_wait_for_room_while_readers_and_handlers_race() {
    let rig = Rig::new();
    rig.register_echo();
    rig.register("slow", |running| {
        running.detached(|| std::thread::sleep(Duration::from_micros(70)));
        (Code::Ok, running.job.payload().to_vec())
    });
    let callers: Vec<_> = (0..3).map(|_| rig.connect_with(1)).collect();
    std::thread::scope(|scope| {
        for caller in &callers {
            scope.spawn(move || {
                for value in 0..600_u64 {
                    let method = if value % 10 == 0 { "slow" } else { "echo" };
                    caller.send(method, &value.to_le_bytes());
                }
            });
            scope.spawn(move || {
                let got: HashSet<u64> = (0..600).map(|_| caller.answer().number()).collect();
                assert_eq!(got.len(), 600);
            });
        }
    });
    rig.finish();
}

#[test]
fn a_client_that_never_reads_is_not_received_from_for_ever() {
    let (rig, gate, _) = with_held(Config { max_in_flight_per_client: 10, ..config() });
    let (stuck, other) = (rig.connect_with(1), rig.connect());
    for _ in 0..500 {
        stuck.send(HEALTH, b"");
    }
    until("its outbox is full", || stuck.link.unreceived() > 0 && rig.engine.in_flight() >= 10);
    assert!(rig.engine.in_flight() <= 10 + 64);
    // Its frames are there all the time; the leader sleeps all the same.
    until("the leader sleeps", || other.link.worker_sleeps());
    assert_eq!(other.call("echo", b"free").payload, b"free");
    assert_eq!(collect(&stuck, 500), [Code::Ok; 500]);
    gate.open();
    rig.finish();
}

#[test]
fn large_answers_about_the_worker_are_sent_too() {
    let rig = Rig::new();
    for at in 0..200 {
        rig.register(&format!("a_method_with_a_name_of_its_own_{at}"), |_| number(0));
    }
    let caller = rig.connect_with(1);
    for _ in 0..5 {
        caller.send(METHODS, b"");
        caller.send(HEALTH, b"");
    }
    for _ in 0..5 {
        assert!(caller.answer().payload.len() > 4096);
        assert!(caller.answer().payload.len() < 4096);
    }
    rig.finish();
}

#[test]
fn expired_and_cancelled_calls_are_not_started() {
    let (rig, gate, runs) = with_held(config());
    let caller = rig.connect();
    let running = caller.send("held", b"");
    occupied(&rig, &runs, 0);
    let expired = caller.send_as("held", b"", deadline(Duration::from_nanos(1)));
    let cancelled = caller.send("held", b"");
    caller.link.cancel(cancelled);
    let lasting = caller.send_as("held", b"", deadline(Duration::from_secs(600)));
    occupied(&rig, &runs, 3);
    gate.open();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = caller.answer();
        if answer.status != Code::Ok {
            assert!(!answer.error().may_have_run);
            assert_eq!(answer.header.version, 0);
        }
        seen.push((answer.id, answer.status));
    }
    seen.sort_unstable_by_key(|(id, _)| *id);
    let expected = [
        (running, Code::Ok),
        (expired, Code::DeadlineExceeded),
        (cancelled, Code::Cancelled),
        (lasting, Code::Ok),
    ];
    assert_eq!(seen, expected);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    rig.finish();
}

#[test]
fn the_slow_tick_answers_what_will_never_run() {
    let (rig, gate, runs) = with_held(config());
    let caller = rig.connect();
    caller.send("held", b"");
    occupied(&rig, &runs, 0);
    let cancelled = caller.send("held", b"");
    caller.send_as("held", b"", deadline(Duration::from_nanos(1)));
    occupied(&rig, &runs, 2);
    caller.link.cancel(cancelled);
    rig.engine.tick();
    assert_eq!(collect(&caller, 2), [Code::Cancelled, Code::DeadlineExceeded]);
    assert_eq!(rig.engine.in_flight(), 1);
    gate.open();
    assert_eq!(collect(&caller, 1), [Code::Ok]);
    rig.finish();
}

#[test]
fn times_from_the_future_and_huge_deadlines_do_no_harm() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    for (ahead_ns, deadline_ns) in [(u64::MAX / 2, 1), (0, u64::MAX), (u64::MAX / 2, u64::MAX)] {
        let mut header = RequestHeader { deadline_ns, ..RequestHeader::default() };
        header.common.sent_ns = monotonic_ns() + ahead_ns;
        caller.send_as("echo", b"", header);
        let status = caller.answer().status;
        assert_eq!(status == Code::DeadlineExceeded, deadline_ns == 1, "{status}");
    }
    rig.finish();
}

#[test]
fn answers_that_cannot_be_sent_are_explained() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let failures = [
        (SendError::TooLarge { len: 9, max: 8 }, Code::ResourceExhausted, "9 bytes, at most 8"),
        (SendError::NoMemory { len: 9, reason: "full".into() }, Code::ResourceExhausted, "full"),
        (SendError::Failed("odd".into()), Code::Internal, "odd"),
    ];
    for (failure, code, says) in failures {
        caller.link.failures.lock().unwrap().push_back(failure);
        let answer = caller.call("echo", b"x");
        assert_eq!(answer.status, code);
        assert!(answer.error().message.contains(says), "{answer:?}");
        assert!(answer.error().may_have_run);
    }
    // Also one that had to wait first.
    caller
        .link
        .failures
        .lock()
        .unwrap()
        .extend([SendError::Full, SendError::NoMemory { len: 9, reason: "full".into() }]);
    assert_eq!(caller.call("echo", b"x").status, Code::ResourceExhausted);
    rig.finish();
}

#[test]
fn the_last_threads_are_kept_for_methods_of_which_no_call_runs() {
    let rig = Rig::with(Config { max_threads: 17, ..config() });
    rig.engine.start().unwrap();
    let (gate, runs) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (gate.clone(), runs.clone());
    rig.engine.publish(vec![support::rig::register("slow", 16, move |running| {
        counted.fetch_add(1, Ordering::SeqCst);
        running.detached(|| held.pass());
        number(1)
    })]);
    rig.register_echo();
    let (greedy, other) = (rig.connect(), rig.connect());
    for _ in 0..40 {
        greedy.send("slow", b"");
    }
    until("all run that may", || runs.load(Ordering::SeqCst) == 14);
    for _ in 0..50 {
        assert_eq!(other.call("echo", b"quick").payload, b"quick");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 14, "what the others let go of is not for it");
    gate.open();
    assert_eq!(collect(&greedy, 40), [Code::Ok; 40]);
    rig.finish();
}

#[test]
fn answers_that_nobody_takes_are_bounded_in_all() {
    let rig = Rig::with(Config { max_waiting_bytes: 100_000, ..config() });
    rig.engine.start().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    rig.register("large", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        (Code::Ok, vec![0; 10_000])
    });
    let (stopped, other) = (rig.connect_with(4), rig.connect());
    for _ in 0..50 {
        stopped.send("large", b"");
    }
    until("all have run", || runs.load(Ordering::SeqCst) == 50);
    // One runs at a time: this one after the last of them was answered.
    assert_eq!(other.call("large", b"").payload.len(), 10_000, "who takes its answers gets them");
    assert_eq!(rig.engine.in_flight(), 46);
    let answers: Vec<_> = (0..50).map(|_| stopped.answer()).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != Code::Ok).collect();
    assert_eq!(refused.len(), 50 - 4 - 10);
    for answer in refused {
        let error = answer.error();
        assert_eq!((answer.status, error.may_have_run), (Code::ResourceExhausted, true));
        assert!(error.message.contains("max_waiting_bytes"), "{}", error.message);
    }
    assert_eq!(stopped.call("large", b"").payload.len(), 10_000);
    rig.finish();
}
