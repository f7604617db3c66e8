//! Calls that go on after their first frame: streams both ways, calls without a thread, newer calls for older.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::rig::{Handler, Rig, TestJob, config, number, registration};
use crate::support::{Gate, HANG, until};
use pycrust_engine::{Argument, Config};
use pycrust_protocol::Code;
use pycrust_protocol::header::{Common, RequestHeader, flags};
use pycrust_transport::sync::Mutex;

/// No item comes within this time where none may.
const QUIET: Duration = Duration::from_millis(30);

fn flagged(flags: u8, stream_credit: u32) -> RequestHeader {
    let common = Common { flags, ..Common::default() };
    RequestHeader { common, stream_credit, stream_bytes: u64::MAX, ..RequestHeader::default() }
}

#[test]
fn a_stream_sends_what_is_granted_and_no_more() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("count", 1, Handler::Count(1000))]);
    let caller = rig.connect();
    let id = caller.send_as("count", b"", flagged(flags::STREAM, 3));
    let item = |expected: u64| {
        let answer = caller.answer();
        assert_eq!(
            (answer.id, answer.number(), u64::from(answer.header.stream_seq)),
            (id, expected, expected)
        );
        assert_eq!(answer.header.common.flags, flags::STREAM_ITEM);
    };
    (0..3).for_each(item);
    assert!(caller.answer_within(QUIET).is_none(), "the credit is used up");
    caller.grant(id, 900);
    (3..900).for_each(item);
    caller.grant(id, 5);
    assert!(caller.answer_within(QUIET).is_none(), "a grant is never taken back");
    caller.grant(id, 5000);
    (900..1000).for_each(item);
    let end = caller.answer();
    assert_eq!((end.status, end.header.common.flags, end.payload.len()), (Code::Ok, flags::STREAM, 0));
    assert_eq!(end.header.stream_seq, 1000);
    rig.finish();
}

#[test]
fn a_waiting_stream_holds_no_thread_and_no_place() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("count", 1, Handler::Count(10))]);
    rig.register_echo();
    let caller = rig.connect();
    let ids: Vec<_> = (0..100).map(|_| caller.send_as("count", b"", flagged(flags::STREAM, 1))).collect();
    for _ in &ids {
        assert_eq!(caller.answer().number(), 0);
    }
    assert_eq!(caller.call("echo", b"free").payload, b"free");
    for id in &ids {
        caller.grant(*id, 10);
    }
    for _ in 0..100 * 10 {
        assert!(ids.contains(&caller.answer().id));
    }
    rig.finish();
}

#[test]
fn a_stream_goes_on_after_a_call_that_took_its_turn_and_was_not_started() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("count", 1, Handler::Count(10))]);
    rig.register_echo();
    let caller = rig.connect();
    let id = caller.send_as("count", b"", flagged(flags::STREAM, 1));
    assert_eq!(caller.answer().number(), 0);
    // Whose turn is first changes each time.
    for item in 1..5 {
        let held = rig.interpreter.lock();
        let echo = caller.send("echo", b"");
        until("nothing starts", || rig.attaching.load(Ordering::SeqCst) == 1);
        let expired = RequestHeader { deadline_ns: 1, ..flagged(flags::STREAM, 1) };
        let expired = caller.send_as("count", b"", expired);
        caller.grant(id, item + 1);
        until("all are received", || rig.engine.in_flight() == 3 && caller.link.unreceived() == 0);
        drop(held);
        let mut answers: Vec<_> =
            (0..3).map(|_| caller.answer()).map(|told| (told.id, told.status)).collect();
        answers.sort_unstable();
        assert_eq!(answers, [(id, Code::Ok), (echo, Code::Ok), (expired, Code::DeadlineExceeded)]);
    }
    rig.disconnect(&caller);
    until("the stream has ended with its caller", || rig.engine.in_flight() == 0);
    rig.finish();
}

#[test]
fn a_waiting_stream_ends_when_it_is_cancelled_or_its_caller_goes() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("count", 1, Handler::Count(10))]);
    let (caller, other) = (rig.connect(), rig.connect());
    let id = caller.send_as("count", b"", flagged(flags::STREAM, 0));
    let _other = other.send_as("count", b"", flagged(flags::STREAM, 0));
    until("both wait", || rig.engine.in_flight() == 2);
    caller.link.cancel(id);
    assert_eq!(caller.answer().header.common.flags, flags::STREAM);
    rig.disconnect(&other);
    until("the other is dropped", || rig.engine.in_flight() == 0);
    rig.finish();
}

#[test]
fn arguments_stream_in_and_results_out() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("each", 1, Handler::Echo)]);
    let caller = rig.connect_with(1024);
    let id = caller.send_as("each", b"", flagged(flags::STREAM | flags::UPLOAD, 1000));
    for number in 0..32_u64 {
        caller.send_argument(id, "each", number as u32, Some(&number.to_le_bytes()));
    }
    for number in 0..31 {
        assert_eq!(caller.answer().number(), number);
    }
    // The grant for the 32nd argument, which this caller does not read, comes before its echo. None comes once the
    // end is known, so that follows after it.
    let credit = caller.link.take();
    assert_eq!(credit.0[6], 4, "a credit frame");
    assert_eq!(caller.answer().number(), 31);
    caller.send_argument(id, "each", 32, None);
    assert_eq!(caller.answer().header.common.flags, flags::STREAM);
    caller.send_argument(id, "each", 33, Some(b"late"));
    rig.register_echo();
    assert_eq!(caller.call("echo", b"on").payload, b"on");
    rig.finish();
}

#[test]
fn calls_without_a_thread_are_answered_from_anywhere() {
    let rig = Rig::new();
    let jobs: Arc<Mutex<Vec<TestJob>>> = Arc::default();
    rig.engine.publish(vec![registration("later", 1000, Handler::Later(Arc::clone(&jobs)))]);
    let caller = rig.connect_with(1000);
    let ids: Vec<_> = (0..500).map(|_| caller.send("later", b"")).collect();
    until("all are handed off", || jobs.lock().len() == 500);
    assert!(!rig.engine.stop(Duration::ZERO), "they count as running");
    for job in jobs.lock().drain(..) {
        let (status, payload) = number(job.context().id);
        job.respond(status, &payload);
    }
    drop(ids);
    rig.check_empty();
}

#[test]
fn a_handed_off_call_hears_that_it_is_cancelled() {
    let rig = Rig::new();
    let jobs: Arc<Mutex<Vec<TestJob>>> = Arc::default();
    rig.engine.publish(vec![registration("later", 1, Handler::Later(Arc::clone(&jobs)))]);
    let caller = rig.connect();
    let id = caller.send("later", b"");
    until("it is handed off", || jobs.lock().len() == 1);
    let mut job = jobs.lock().pop().unwrap();
    let told = Arc::new(Gate::default());
    let (ongoing, tell) = (job.ongoing(), Arc::clone(&told));
    ongoing.listen(Arc::new(move || tell.open()));
    caller.link.cancel(id);
    told.pass();
    assert!(ongoing.cancelled() && job.cancelled());
    job.respond(Code::Cancelled, &[]);
    assert_eq!(caller.answer().status, Code::Cancelled);
    rig.finish();
}

#[test]
fn the_latest_call_takes_the_place_of_those_that_wait() {
    let rig = Rig::new();
    let gate = Arc::new(Gate::default());
    let opened = Arc::clone(&gate);
    rig.register("observe", move |running| {
        running.detached(|| opened.pass());
        (Code::Ok, running.job.payload().to_vec())
    });
    let caller = rig.connect();
    let latest = || flagged(flags::LATEST, 0);
    let first = caller.send_as("observe", b"1", latest());
    until("the first runs", || caller.link.unreceived() == 0);
    let older: Vec<_> = [b"2", b"3"].map(|at| caller.send_as("observe", at, latest())).into();
    let plain = caller.send("observe", b"plain");
    let last = caller.send_as("observe", b"4", latest());
    for id in older {
        let answer = caller.answer();
        assert_eq!((answer.id, answer.status), (id, Code::Aborted));
    }
    gate.open();
    let answers = [caller.answer(), caller.answer(), caller.answer()];
    assert_eq!(answers.each_ref().map(|answer| answer.id), [first, plain, last]);
    assert_eq!(answers[2].payload, b"4");
    rig.finish();
}

#[test]
fn a_caller_that_takes_nothing_gets_no_more_whatever_it_grants() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("count", 1, Handler::Count(1_000_000))]);
    rig.register_echo();
    let (stopped, other) = (rig.connect_with(8), rig.connect());
    let id = stopped.send_as("count", b"", flagged(flags::STREAM, u32::MAX));
    stopped.grant(id, u64::MAX);
    // The call itself, and what waits beyond the eight frames of its window.
    until("as much waits as may", || rig.engine.in_flight() == 65);
    for _ in 0..100 {
        assert_eq!(other.call("echo", b"on").payload, b"on");
    }
    assert_eq!(rig.engine.in_flight(), 65);
    for number in 0..5_000 {
        assert_eq!(stopped.answer().number(), number, "it goes on as its answers are taken");
    }
    rig.disconnect(&stopped);
    until("it is dropped", || rig.engine.in_flight() == 0);
    rig.finish();
}

#[test]
fn items_that_do_not_fit_their_stream_end_the_call() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("each", 1, Handler::Echo)]);
    let caller = rig.connect_with(1024);
    let broken = |send: &dyn Fn(u64)| {
        let id = caller.send_as("each", b"", flagged(flags::STREAM | flags::UPLOAD, 1000));
        send(id);
        loop {
            let answer = caller.answer();
            if answer.header.common.flags == flags::STREAM {
                assert_eq!(
                    (answer.id, answer.status),
                    (id, Code::InvalidArgument),
                    "{}",
                    answer.error().message
                );
                return;
            }
        }
    };
    let item = |id, position| caller.send_argument(id, "each", position, Some(b"a"));
    broken(&|id| [0, 0].into_iter().for_each(|position| item(id, position)));
    broken(&|id| [1, 1].into_iter().for_each(|position| item(id, position)));
    broken(&|id| item(id, 64));
    broken(&|id| {
        item(id, 0);
        item(id, 1);
        caller.send_argument(id, "each", 1, None);
    });
    broken(&|id| caller.send_argument(id, "each", 1000, None));
    rig.finish();
}

#[test]
fn streamed_arguments_that_nobody_takes_are_bounded_in_all_and_cost_no_other_its_place() {
    let rig = Rig::with(Config { max_waiting_bytes: 256_000, ..config() });
    rig.engine.start().unwrap();
    let jobs: Arc<Mutex<Vec<TestJob>>> = Arc::default();
    rig.engine.publish(vec![
        registration("later", 1000, Handler::Later(Arc::clone(&jobs))),
        registration("each", 1, Handler::Echo),
    ]);
    let (greedy, modest) = (rig.connect_with(1024), rig.connect_with(1024));
    let upload = |count: u32| {
        let id = greedy.send_as("later", b"", flagged(flags::UPLOAD, 0));
        (0..count).for_each(|position| greedy.send_argument(id, "later", position, Some(&[7; 1000])));
    };
    (0..10).for_each(|_| upload(60));
    until("all are handed off", || jobs.lock().len() == 10);
    // What another sends finds room all the same, and is taken at once.
    let id = modest.send_as("each", b"", flagged(flags::STREAM | flags::UPLOAD, 1000));
    for position in 0..31 {
        modest.send_argument(id, "each", position, Some(&[1; 500]));
        assert_eq!(modest.answer().payload, [1; 500]);
    }
    modest.send_argument(id, "each", 31, None);
    assert_eq!(modest.answer().status, Code::Ok);
    let mut taken = (0, 0);
    for mut job in jobs.lock().drain(..) {
        let arguments = job.arguments();
        let status = loop {
            match arguments.take() {
                Argument::Item(item, _) => taken = (taken.0 + 1, taken.1 + item.len()),
                Argument::Full(reason) => {
                    assert!(reason.contains("at most 256000 may wait"), "{reason}");
                    break Code::ResourceExhausted;
                }
                Argument::Later => break Code::Ok,
                other => panic!("{other:?}"),
            }
        };
        job.respond(status, &[]);
    }
    assert_eq!(taken, (256, 256_000), "what there was room for was kept");
    upload(1);
    until("there is room again", || !jobs.lock().is_empty());
    let mut job = jobs.lock().pop().unwrap();
    assert!(matches!(job.arguments().wait(HANG), Argument::Item(..)));
    job.respond(Code::Ok, &[]);
    rig.finish();
}
