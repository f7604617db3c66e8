//! What is kept of calls that ended.

use std::sync::Arc;
use std::time::Duration;

use crate::support;
use crate::support::caller::{deadline, flagged};
use crate::support::rig::{Handler, Rig, config, registration};
use crate::support::{HANG, until};
use pycrust_engine::{Change, Channel, MethodRecording, Recording, Scrub};
use pycrust_protocol::Code;
use pycrust_protocol::header::{RequestHeader, flags};
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{TRAFFIC, TrafficPage};

#[test]
fn a_call_is_recorded_before_its_answer_is_sent() {
    let rig = Rig::new();
    rig.register("add", |running| {
        running.job.output().unwrap().write(Channel::Stdout, "adding");
        running.job.context().set_answer_metadata(b"meta".to_vec());
        (Code::Ok, b"three".to_vec())
    });
    let caller = rig.connect();
    for number in 1..=100 {
        let answer = caller.call("add", b"one two");
        let calls = rig.engine.recorder().calls(number - 1, usize::MAX, true);
        assert_eq!(calls.len(), 1, "call {number}");
        let call = &calls[0];
        assert_eq!((call.seq, &*call.ended.method, call.ended.version), (number, "add", 1));
        assert_eq!((call.ended.status, call.ended.id, call.ended.started), (Code::Ok, answer.id, true));
        assert_eq!((call.request.payload(), call.response.payload()), (&b"one two"[..], &b"three"[..]));
        assert_eq!(call.response.metadata(), b"meta");
        assert_eq!(call.ended.output.as_ref().unwrap().read().0, [(Channel::Stdout, "adding".to_owned())]);
        assert!(call.ended.ended_ns >= call.ended.sent_ns);
    }
    rig.finish();
}

#[test]
fn what_the_client_measured_is_matched_by_the_calls_id() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let other = rig.connect();
    other.call("echo", b"");
    let first = caller.call("echo", b"");
    caller.call("echo", b"");
    let mut reports = Vec::new();
    Report { id: first.id, round_trip_ns: 9_000, return_ns: 1_000, method_key: 1, version: 1, status: 4 }
        .put(&mut reports);
    Report { id: 77, round_trip_ns: 5, return_ns: 1, method_key: 1, version: 1, status: 0 }.put(&mut reports);
    caller.send_reports(&reports);
    let recorder = rig.engine.recorder();
    until("the report to be read", || recorder.calls(0, usize::MAX, true)[1].round_trip_ns() == Some(9_000));
    let calls = recorder.calls(0, usize::MAX, true);
    assert_eq!((calls[1].back_ns(), calls[1].seen()), (Some(1_000), Some(Code::DeadlineExceeded)));
    for other in [&calls[0], &calls[2]] {
        assert_eq!((other.round_trip_ns(), other.seen()), (None, None));
    }
    rig.finish();
}

#[test]
fn refused_and_unknown_calls_are_recorded() {
    let rig = Rig::with(pycrust_engine::Config { max_queued_bytes: 8, ..config() });
    rig.engine.start().unwrap();
    rig.register_echo();
    let caller = rig.connect();
    assert_eq!(caller.call("ecko", b"x").status, Code::Unimplemented);
    caller.call("echo", b"");
    let calls = rig.engine.recorder().calls(0, usize::MAX, true);
    assert_eq!(calls.len(), 2);
    let unknown = &calls[0];
    assert_eq!((&*unknown.ended.method, unknown.ended.version), ("ecko", 0));
    assert_eq!((unknown.ended.status, unknown.ended.started), (Code::Unimplemented, false));
    assert_eq!(unknown.request.payload(), b"x");
    assert!(!unknown.response.payload().is_empty());
    rig.finish();
}

#[test]
fn expired_cancelled_and_one_way_calls_are_recorded() {
    let rig = Rig::new();
    rig.register("hold", |running| {
        running.detached(|| std::thread::sleep(Duration::from_millis(20)));
        (Code::Ok, Vec::new())
    });
    let caller = rig.connect();
    caller.send("hold", b"");
    let late = caller.send_as("hold", b"late", deadline(Duration::from_nanos(1)));
    let quiet = caller.send_as("hold", b"", flagged(flags::ONE_WAY));
    let recorder = rig.engine.recorder();
    until("all to have ended", || recorder.state().recorded == 3);
    let calls = recorder.calls(0, usize::MAX, true);
    let find = |id| calls.iter().find(|call| call.ended.id == id).unwrap();
    assert_eq!(find(late).ended.status, Code::DeadlineExceeded);
    assert_eq!((find(late).ended.deadline_ns, find(late).ended.started), (1, false));
    assert_eq!((find(quiet).ended.flags, find(quiet).ended.status), (flags::ONE_WAY, Code::Ok));
    rig.finish();
}

#[test]
fn a_streams_items_are_counted_and_the_first_are_kept() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("count", 1, Handler::Count(10_000))]);
    let caller = rig.connect();
    let header = RequestHeader { stream_credit: 20_000, stream_bytes: u64::MAX, ..flagged(flags::STREAM) };
    let id = caller.send_as("count", b"", header);
    let recorder = rig.engine.recorder();
    let mut items = 0;
    while caller.answer().header.common.flags & flags::STREAM_ITEM != 0 {
        items += 1;
    }
    assert_eq!(items, 10_000);
    let calls = recorder.calls(0, usize::MAX, true);
    let call = calls.iter().find(|call| call.ended.id == id).unwrap();
    assert!(call.ended.streamed);
    assert_eq!((call.ended.items, call.ended.items_kept), (10_000, (64 << 10) / 8));
    assert_eq!(call.response.payload()[8..16], 1_u64.to_le_bytes());
    rig.finish();
}

#[test]
fn the_ring_is_bounded_by_count_and_by_bytes() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let recorder = rig.engine.recorder();
    recorder.set(Recording { max_calls: 10, ..Recording::default() });
    for _ in 0..25 {
        caller.call("echo", b"");
    }
    let seqs = |after, most, newest| {
        recorder.calls(after, most, newest).iter().map(|call| call.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(0, usize::MAX, true), (16..=25).collect::<Vec<_>>());
    assert_eq!(seqs(20, 2, false), [21, 22]);
    assert_eq!(seqs(20, 2, true), [24, 25]);
    assert_eq!(seqs(25, 2, false), [0; 0]);
    recorder.set(Recording { max_bytes: 30_000, ..Recording::default() });
    for _ in 0..25 {
        caller.call("echo", &[7; 4000]);
    }
    let state = recorder.state();
    assert!(state.bytes <= 30_000 && state.calls == 3, "{state:?}");
    recorder.clear();
    let state = recorder.state();
    assert_eq!((state.bytes, state.calls, state.last), (0, 0, 50));
    assert_eq!(seqs(0, usize::MAX, true), [0; 0]);
    rig.finish();
}

#[test]
fn long_payloads_are_cut_and_say_so() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let recorder = rig.engine.recorder();
    recorder.set(Recording { max_payload: 100, ..Recording::default() });
    caller.call("echo", &[7; 400]);
    let call = &recorder.calls(0, 1, true)[0];
    for side in [&call.request, &call.response] {
        assert_eq!((side.payload(), side.len, side.truncated()), (&[7; 100][..], 400, true));
    }
    rig.finish();
}

#[test]
fn above_the_rate_calls_are_sampled_and_failures_apart() {
    let rig = Rig::new();
    rig.register_echo();
    rig.register("fail", |_| (Code::Unknown, Vec::new()));
    let caller = rig.connect();
    let recorder = rig.engine.recorder();
    recorder.set(Recording { calls_per_second: 50, slow: HANG, ..Recording::default() });
    for _ in 0..1_000 {
        caller.call("echo", b"");
    }
    let state = recorder.state();
    assert_eq!(state.recorded + state.skipped, 1_000);
    assert!(state.skipped > 0 && state.recorded >= 50, "{state:?}");
    caller.call("fail", b"");
    assert_eq!(&*recorder.calls(0, 1, true)[0].ended.method, "fail");
    rig.finish();
}

#[test]
fn nothing_is_kept_while_it_is_off_or_of_a_method_that_is() {
    let rig = Rig::new();
    rig.register_echo();
    let Change::Register { handler, .. } = support::rig::register("secret", 1, |running| {
        assert!(running.job.output().is_none());
        (Code::Ok, Vec::new())
    }) else {
        unreachable!()
    };
    let mut change = registration("secret", 1, handler);
    if let Change::Register { recording, .. } = &mut change {
        *recording = MethodRecording { off: true, ..MethodRecording::default() };
    }
    rig.engine.publish(vec![change]);
    let caller = rig.connect();
    let recorder = rig.engine.recorder();
    caller.call("secret", b"");
    caller.send_as("secret", b"", deadline(Duration::from_nanos(1)));
    caller.answer();
    assert_eq!(recorder.state().recorded, 0);
    recorder.set(Recording { on: false, ..Recording::default() });
    caller.call("echo", b"");
    assert_eq!(recorder.state().recorded, 0);
    recorder.set(Recording::default());
    caller.call("echo", b"");
    assert_eq!(recorder.state().recorded, 1);
    rig.finish();
}

#[test]
fn who_waits_is_told_of_the_next_call() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    assert!(!rig.engine.recorder().wait(0, Duration::from_millis(1)));
    let engine = Arc::clone(&rig.engine);
    let waiting = std::thread::spawn(move || engine.recorder().wait(0, HANG));
    caller.call("echo", b"");
    assert!(waiting.join().unwrap());
    rig.finish();
}

/// What the worker tells of its calls.
fn page(caller: &support::caller::Caller, after: u64, most: u64) -> TrafficPage {
    let asked = rmp_serde::to_vec(&(after, most)).unwrap();
    let answer = caller.call(TRAFFIC, &asked);
    assert_eq!(answer.status, Code::Ok, "{answer:?}");
    rmp_serde::from_slice(&answer.payload).unwrap()
}

#[test]
fn who_asks_is_told_the_calls_after_a_cursor() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let nothing = page(&caller, 0, 10);
    assert_eq!((nothing.recording, nothing.hooked, nothing.first, nothing.last), (true, false, 1, 0));
    assert!(nothing.calls.is_empty());
    for number in 0..5_u8 {
        caller.call("echo", &[number]);
    }
    let told = page(&caller, 2, 2);
    let numbers = |page: &TrafficPage| page.calls.iter().map(|call| call.seq).collect::<Vec<_>>();
    assert_eq!((told.first, told.last, numbers(&told)), (1, 5, vec![3, 4]), "and no question is among them");
    let call = &told.calls[0];
    assert_eq!((&*call.method, call.version, call.status, call.ran), ("echo", 1, 0, true));
    assert_eq!(
        (call.request.as_slice(), call.response.as_slice(), call.request_len),
        (&[2][..], &[2][..], 1)
    );
    assert_eq!(numbers(&page(&caller, 5, 10)), [0; 0]);
    assert_eq!(numbers(&page(&caller, 0, 0)), [0; 0]);
    rig.engine.recorder().set(Recording { on: false, max_calls: 2, ..Recording::default() });
    let less = page(&caller, 0, 10);
    assert_eq!((less.recording, less.first, less.last, numbers(&less)), (false, 4, 5, vec![4, 5]));
    rig.finish();
}

#[test]
fn an_answer_has_an_end_and_a_call_that_is_larger_is_told_without_its_payloads() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let large = vec![0; 100 << 10];
    for _ in 0..3 {
        caller.call("echo", &large);
    }
    caller.call("echo", &vec![0; 300 << 10]);
    let first = page(&caller, 0, 10);
    assert_eq!(first.calls.iter().map(|call| call.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(first.calls[0].request.len(), large.len());
    // Of small ones there are many.
    for _ in 0..300 {
        caller.call("echo", &[0; 100]);
    }
    let many = page(&caller, 4, 1000).calls.len();
    assert!((50..300).contains(&many), "{many} calls");
    let last = page(&caller, 3, 1);
    let [call] = &last.calls[..] else { panic!("{} calls", last.calls.len()) };
    assert_eq!((call.request.len(), call.request_len, call.response.len()), (0, 300 << 10, 0));
    rig.finish();
}

#[test]
fn what_is_hidden_is_not_told() {
    let rig = Rig::new();
    rig.register("login", |running| {
        running.job.output().unwrap().write(Channel::Stdout, "the pin is hunter2");
        (Code::Ok, b"\x81\xa5token\xa6secret".to_vec())
    });
    let caller = rig.connect();
    let recorder = rig.engine.recorder();
    let redact = Arc::new(Scrub::new(["pin".to_owned(), "token".to_owned()]));
    recorder.set(Recording { redact, ..Recording::default() });
    caller.call("login", b"\x82\xa3pin\xa7hunter2\xa4user\xa3ada");
    let told = page(&caller, 0, 1);
    let call = &told.calls[0];
    assert_eq!(call.request.as_slice(), b"\x82\xa3pin\xaa[redacted]\xa4user\xa3ada");
    assert_eq!(call.response.as_slice(), b"\x81\xa5token\xaa[redacted]");
    assert_eq!((call.request_dropped, call.response_dropped), (true, true));
    assert_eq!(call.request_len, call.request.len() as u64);
    assert_eq!(call.output, [("stdout".to_owned(), "the pin is [redacted]".to_owned())]);
    // The record itself is whole.
    assert_eq!(recorder.calls(0, 1, true)[0].response.payload(), b"\x81\xa5token\xa6secret");
    recorder.set(Recording { hooked: true, ..Recording::default() });
    let told = page(&caller, 0, 1);
    assert!(told.hooked);
    let call = &told.calls[0];
    assert!(call.request.is_empty() && call.response.is_empty() && call.output.is_empty());
    assert_eq!((call.request_len, call.output_lost), (22, 18));
    rig.finish();
}

#[test]
fn a_question_that_is_none_is_refused_and_asks_nothing() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    for wrong in
        [&b"\x93\x01\x02\x03"[..], b"\x91\xff", b"\x81\xa5until\x01", b"\x92\x01", b"\xdd\xff\xff\xff\xff"]
    {
        let answer = caller.call(TRAFFIC, wrong);
        assert_eq!(answer.status, Code::InvalidArgument, "{wrong:x?}: {answer:?}");
    }
    assert_eq!(caller.call("echo", b"x").status, Code::Ok);
    rig.finish();
}
