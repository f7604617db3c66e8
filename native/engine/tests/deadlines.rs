//! Of what is queued, the call that is due first runs first, in turns between clients; and a call that would be answered too
//! late is refused when it comes, where its method asks for that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::caller::{Caller, deadline};
use crate::support::rig::{Handler, Rig, number, register, registration};
use crate::support::{Gate, until};
use pycrust_engine::Change;
use pycrust_protocol::Code;
use pycrust_protocol::header::{Common, RequestHeader, flags};

/// What ran, in order: the first byte of each call's arguments.
type Order = Arc<Mutex<Vec<u8>>>;

/// A rig whose methods note what runs.
fn noting(methods: &[&str]) -> (Rig, Order) {
    let (rig, order) = (Rig::new(), Order::default());
    for method in methods {
        let noted = Arc::clone(&order);
        rig.engine.publish(vec![register(method, 8, move |running| {
            noted.lock().unwrap().extend(running.job.payload().first());
            number(0)
        })]);
    }
    (rig, order)
}

/// Has calls meet in the queues: `queue` makes so many, and what ran is told once all are answered.
fn met(rig: &Rig, order: &Order, methods: &[&str], queue: impl FnOnce() -> Vec<(Caller, usize)>) -> Vec<u8> {
    // The interpreter is held, and this call waits for it: no other is started meanwhile.
    let first = rig.connect();
    let cell = rig.interpreter.lock();
    first.send(methods[0], b"");
    until("one waits for the interpreter", || rig.attaching.load(Ordering::SeqCst) == 1);
    let callers = queue();
    let calls: usize = callers.iter().map(|(_, calls)| *calls).sum();
    until("the others are queued", || rig.engine.in_flight() == calls + 1);
    drop(cell);
    first.answer();
    for (caller, calls) in &callers {
        for _ in 0..*calls {
            caller.answer().number();
        }
    }
    std::mem::take(&mut order.lock().unwrap())
}

fn minutes(minutes: u64) -> RequestHeader {
    deadline(Duration::from_secs(60 * minutes))
}

fn seconds(seconds: u64) -> RequestHeader {
    deadline(Duration::from_secs(seconds))
}

#[test]
fn of_one_client_s_calls_the_one_that_is_due_first_runs_first() {
    let (rig, order) = noting(&["note"]);
    let ran = met(&rig, &order, &["note"], || {
        let caller = rig.connect();
        for (name, header) in [
            (b"c", RequestHeader::default()),
            (b"d", seconds(60)),
            (b"a", seconds(10)),
            (b"e", seconds(90)),
            (b"b", seconds(20)),
        ] {
            caller.send_as("note", name, header);
        }
        vec![(caller, 5)]
    });
    assert_eq!(ran, b"abcde", "one without a deadline is due in half a minute");
    rig.finish();
}

#[test]
fn calls_with_equal_deadlines_run_as_they_came() {
    let (rig, order) = noting(&["note"]);
    let ran = met(&rig, &order, &["note"], || {
        let caller = rig.connect();
        for name in 0..100 {
            caller.send_as("note", &[name], seconds(60));
        }
        vec![(caller, 100)]
    });
    assert_eq!(ran, (0..100).collect::<Vec<_>>());
    rig.finish();
}

#[test]
fn of_one_client_s_methods_the_one_with_the_call_that_is_due_first_is_next() {
    let methods = ["first", "second", "third"];
    let (rig, order) = noting(&methods);
    let ran = met(&rig, &order, &methods, || {
        let caller = rig.connect();
        for (method, name, after) in [
            ("first", b"f", 100),
            ("first", b"c", 70),
            ("second", b"b", 50),
            ("third", b"a", 40),
            ("second", b"d", 80),
            ("third", b"e", 90),
        ] {
            caller.send_as(method, name, seconds(after));
        }
        vec![(caller, 6)]
    });
    assert_eq!(ran, b"abcdef");
    rig.finish();
}

#[test]
fn who_claims_to_be_in_a_hurry_has_no_more_turns_than_others() {
    for methods in [["note", "note"], ["note", "other"]] {
        let (rig, order) = noting(&methods);
        let ran = met(&rig, &order, &methods, || {
            let (patient, hurried) = (rig.connect(), rig.connect());
            for _ in 0..10 {
                patient.send(methods[0], b"p");
            }
            for _ in 0..30 {
                hurried.send_as(methods[1], b"h", seconds(20));
            }
            vec![(patient, 10), (hurried, 30)]
        });
        assert_eq!(ran[..20], *b"hp".repeat(10), "{methods:?}");
        assert_eq!(ran[20..], *b"h".repeat(20));
        rig.finish();
    }
}

/// How long the first call of `work` takes.
const TAKES: Duration = Duration::from_millis(50);

/// A rig whose `work` refuses what would be late and has been seen to take [`TAKES`]; it runs one call at a time, each
/// until the gate opens, and counts them.
fn working(takes: Duration) -> (Rig, Arc<Gate>, Arc<AtomicUsize>) {
    let rig = Rig::new();
    let (gate, runs) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (gate.clone(), runs.clone());
    let mut change = register("work", 1, move |running| {
        if running.job.payload() == b"known" {
            running.detached(|| std::thread::sleep(takes));
        } else {
            counted.fetch_add(1, Ordering::SeqCst);
            running.detached(|| held.pass());
        }
        number(1)
    });
    refusing_late(&mut change);
    rig.engine.publish(vec![change]);
    (rig, gate, runs)
}

fn refusing_late(change: &mut Change<Handler>) {
    let Change::Register { refuses_late, .. } = change else { panic!("no registration") };
    *refuses_late = true;
}

/// Has a call of `work` run until the gate opens.
fn occupied(caller: &Caller, runs: &AtomicUsize) {
    caller.send("work", b"");
    until("one runs", || runs.load(Ordering::SeqCst) == 1);
}

/// Waits until the worker has queued what was sent.
fn received(rig: &Rig, in_flight: usize) {
    until("the calls are received", || rig.engine.in_flight() == in_flight);
}

#[test]
fn a_call_that_would_be_late_is_refused_when_it_comes() {
    let (rig, gate, runs) = working(TAKES);
    let (caller, other) = (rig.connect(), rig.connect());
    caller.call("work", b"known").number();
    occupied(&caller, &runs);
    for _ in 0..1000 {
        caller.send("work", b"");
    }
    received(&rig, 1001);
    // The gate is closed: this answer waited for nobody.
    caller.send_as("work", b"", seconds(31));
    let answer = caller.answer();
    let error = answer.error();
    assert_eq!((answer.status, error.may_have_run), (Code::ResourceExhausted, false));
    assert_eq!(answer.header.version, 0);
    for part in [
        "had 3",
        " ms left when it came",
        "calls of \"work\" take ",
        "1000 are queued before it",
        "concurrency",
    ] {
        assert!(error.message.contains(part), "{part} is missing: {}", error.message);
    }
    // One that comes before those has time, and so has another client's, whose turn is the next.
    caller.send_as("work", b"", seconds(20));
    other.send_as("work", b"", seconds(31));
    received(&rig, 1003);
    // One without a deadline can't be late, and of these nobody waits for the end.
    let one_way = Common { flags: flags::ONE_WAY, ..Common::default() };
    caller.send_as("work", b"", RequestHeader { common: one_way, ..seconds(31) });
    caller.send("work", b"");
    received(&rig, 1005);
    gate.open();
    for _ in 0..1003 {
        caller.answer().number();
    }
    other.answer().number();
    until("all have run", || rig.engine.in_flight() == 0);
    assert_eq!(runs.load(Ordering::SeqCst), 1005);
    let stats = rig.engine.stats();
    assert_eq!(stats.methods[0].by_code.len(), 1, "{:?}", stats.methods[0].by_code);
    assert_eq!(stats.methods[0].by_code[0].1, 1);
    rig.finish();
}

#[test]
fn nothing_is_refused_by_a_method_that_does_not_ask_for_it_or_of_which_no_call_has_ended() {
    for asks in [true, false] {
        let rig = Rig::new();
        let (gate, runs) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let (held, counted) = (gate.clone(), runs.clone());
        let mut change = register("work", 1, move |running| {
            if running.job.payload() == b"known" {
                running.detached(|| std::thread::sleep(TAKES));
            } else {
                counted.fetch_add(1, Ordering::SeqCst);
                running.detached(|| held.pass());
            }
            number(1)
        });
        if asks {
            refusing_late(&mut change);
        }
        rig.engine.publish(vec![change]);
        let caller = rig.connect();
        if !asks {
            caller.call("work", b"known").number();
        }
        occupied(&caller, &runs);
        for _ in 0..1000 {
            caller.send_as("work", b"", seconds(31));
        }
        received(&rig, 1001);
        gate.open();
        for _ in 0..1001 {
            caller.answer().number();
        }
        rig.finish();
    }
}

#[test]
fn a_call_that_is_alone_is_tried_whatever_calls_take() {
    let (rig, gate, runs) = working(Duration::from_millis(1200));
    gate.open();
    let caller = rig.connect();
    caller.call("work", b"known").number();
    caller.send_as("work", b"", deadline(Duration::from_secs(1)));
    assert_eq!(caller.answer().number(), 1);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    rig.finish();
}

#[test]
fn a_call_that_is_refused_takes_nobody_s_place() {
    let (rig, gate, runs) = working(TAKES);
    let (caller, others) = (rig.connect(), rig.connect());
    caller.call("work", b"known").number();
    occupied(&caller, &runs);
    let latest = |after| {
        let common = Common { flags: flags::LATEST, ..Common::default() };
        caller.send_as("work", b"", RequestHeader { common, ..after })
    };
    let older = latest(minutes(5));
    for _ in 0..2 {
        others.send("work", b"");
    }
    received(&rig, 4);
    // Less than half of what runs before it.
    let refused = latest(deadline(TAKES / 4));
    let answer = caller.answer();
    assert_eq!((answer.id, answer.status), (refused, Code::ResourceExhausted));
    // The one whose place it takes is not before it.
    let newer = latest(minutes(5));
    let answer = caller.answer();
    assert_eq!((answer.id, answer.status), (older, Code::Aborted));
    gate.open();
    assert_eq!(caller.answer().number(), 1);
    let answer = caller.answer();
    assert_eq!((answer.id, answer.number()), (newer, 1));
    for _ in 0..2 {
        others.answer().number();
    }
    rig.finish();
}

#[test]
fn calls_on_an_event_loop_are_refused_where_their_places_are_counted() {
    let rig = Rig::new();
    let jobs = Arc::default();
    let mut change = registration("later", 1, Handler::Later(Arc::clone(&jobs)));
    refusing_late(&mut change);
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    let answer_one = || {
        until("one is on the loop", || !jobs.lock().is_empty());
        let job = jobs.lock().remove(0);
        job.respond(Code::Ok, &1_u64.to_le_bytes());
    };
    caller.send("later", b"");
    until("one is on the loop", || !jobs.lock().is_empty());
    std::thread::sleep(TAKES);
    answer_one();
    caller.answer().number();
    caller.send("later", b"");
    until("one is on the loop", || !jobs.lock().is_empty());
    caller.send_as("later", b"", deadline(TAKES));
    assert_eq!(caller.answer().status, Code::ResourceExhausted);
    answer_one();
    caller.answer().number();
    rig.finish();
}
