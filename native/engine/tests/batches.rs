//! Calls that run many at once: how they are gathered, and that each is answered for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::rig::{Handler, Rig, config, registration};
use crate::support::{Gate, until};
use pycrust_engine::{Batching, Change};
use pycrust_protocol::Code;
use pycrust_transport::sync::Mutex;

/// A method whose calls run in batches of at most `max_size`; what is noted of each batch is its size.
fn batched(
    max_size: usize,
    max_wait: Duration,
    run: impl Fn(usize) + Send + Sync + 'static,
) -> (Change<Handler>, Arc<Mutex<Vec<usize>>>) {
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let noted = sizes.clone();
    let handler = Handler::Batch(Arc::new(move |payloads: Vec<Vec<u8>>| {
        noted.lock().push(payloads.len());
        run(payloads.len());
        payloads
    }));
    let mut change = registration("batch", 1, handler);
    if let Change::Register { batching, .. } = &mut change {
        *batching = Some(Batching { max_size, max_wait });
    }
    (change, sizes)
}

#[test]
fn calls_that_come_together_run_together_and_each_gets_its_answer() {
    let rig = Rig::new();
    let (change, sizes) = batched(8, Duration::from_secs(3600), |_| {});
    rig.engine.publish(vec![change]);
    let callers = [rig.connect(), rig.connect()];
    // Nothing but the eighth call makes the batch due.
    let ids: Vec<_> = (0..8u8).map(|n| callers[usize::from(n % 2)].send("batch", &[n])).collect();
    for (caller, first) in callers.iter().zip(0..) {
        let mut answers: Vec<_> = (0..4).map(|_| caller.answer()).collect();
        answers.sort_by_key(|answer| answer.id);
        for (answer, n) in answers.iter().zip((first..8u8).step_by(2)) {
            assert_eq!(
                (answer.status, answer.id, &answer.payload[..]),
                (Code::Ok, ids[usize::from(n)], &[n][..])
            );
            assert_eq!(answer.header.version, 1);
        }
    }
    assert_eq!(*sizes.lock(), [8]);
    rig.finish();
}

#[test]
fn a_batch_does_not_wait_longer_than_it_may() {
    let rig = Rig::new();
    let (change, sizes) = batched(64, Duration::from_millis(2), |_| {});
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    for n in 0..20u8 {
        assert_eq!(caller.call("batch", &[n]).payload, [n], "nobody else calls, and yet it is answered");
    }
    assert_eq!(sizes.lock().len(), 20);
    rig.finish();
}

#[test]
fn what_comes_while_a_batch_runs_is_the_next_batch() {
    let rig = Rig::new();
    let gate = Arc::new(Gate::default());
    let (held, began) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let begins = began.clone();
    let (change, sizes) = batched(4, Duration::ZERO, move |_| {
        begins.fetch_add(1, Ordering::SeqCst);
        held.pass();
    });
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    caller.send("batch", &[0]);
    until("the first call runs", || began.load(Ordering::SeqCst) == 1);
    for n in 1..=6u8 {
        caller.send("batch", &[n]);
    }
    until("all are received", || rig.engine.in_flight() == 7);
    gate.open();
    let mut answers: Vec<_> = (0..7).map(|_| caller.answer().payload[0]).collect();
    answers.sort_unstable();
    assert_eq!(answers, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(*sizes.lock(), [1, 4, 2], "at most four, and no longer than it takes");
    rig.finish();
}

#[test]
fn cancelled_calls_are_in_no_batch() {
    let rig = Rig::new();
    let (change, sizes) = batched(3, Duration::from_millis(200), |_| {});
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    let given_up = caller.send("batch", &[0]);
    caller.send("batch", &[1]);
    until("both are received", || rig.engine.in_flight() == 2);
    caller.link.cancel(given_up);
    caller.send("batch", &[2]);
    let mut codes: Vec<_> =
        (0..3).map(|_| caller.answer()).map(|answer| (answer.id, answer.status)).collect();
    codes.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(codes[0], (given_up, Code::Cancelled));
    assert_eq!(codes[1..].iter().map(|(_, code)| *code).collect::<Vec<_>>(), [Code::Ok; 2]);
    assert_eq!(sizes.lock().iter().sum::<usize>(), 2);
    rig.finish();
}

#[test]
fn a_stop_answers_what_still_gathers() {
    let rig = Rig::with(config());
    rig.engine.start().unwrap();
    let (change, sizes) = batched(64, Duration::from_secs(3600), |_| {});
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    caller.send("batch", &[0]);
    until("it is received", || rig.engine.in_flight() == 1);
    assert!(!rig.engine.stop(Duration::ZERO));
    assert_eq!(caller.answer().status, Code::Unavailable);
    assert!(sizes.lock().is_empty());
    rig.check_empty();
}
