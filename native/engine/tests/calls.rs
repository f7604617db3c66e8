//! What callers get: answers in order, the right version, one answer each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support;
use crate::support::caller::flagged;
use crate::support::rig::{Handler, Rig, config, number, register};
use crate::support::{Gate, until};
use pycrust_engine::{Change, Config, MethodRecording};
use pycrust_protocol::Code;
use pycrust_protocol::header::{RequestHeader, TraceContext, flags};
use pycrust_protocol::report::Report;
use pycrust_protocol::reserved::{EndpointStats, HEALTH, Health, METHODS, MethodInfo, STATS};

#[test]
fn a_call_is_answered_with_its_version_and_stages() {
    let rig = Rig::new();
    rig.engine.publish(vec![Change::Register {
        method: "slow".into(),
        handler: Handler::Run(Arc::new(|running| {
            std::thread::sleep(Duration::from_millis(2));
            (Code::Ok, running.job.payload().to_vec())
        })),
        concurrency: 1,
        exclusive: false,
        refuses_late: false,
        batching: None,
        schema_hash: 99,
        schema_json: "{}".into(),
        compatible_schemas: Vec::new(),
        schema_changes: Vec::new(),
        doc: "Sleeps.".into(),
        recording: MethodRecording::default(),
    }]);
    let caller = rig.connect();
    let answer = caller.call("slow", b"hello");
    assert_eq!((answer.status, &answer.payload[..]), (Code::Ok, &b"hello"[..]));
    assert_eq!((answer.header.version, answer.header.method_key, answer.header.schema_hash), (1, 1, 99));
    assert!(answer.header.stages.handler_ns >= 2_000_000);
    assert!(answer.header.stages.transit_ns > 0);
    rig.finish();
}

#[test]
fn one_client_is_served_in_order() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let ids: Vec<_> = (0..50_u64).map(|value| caller.send("echo", &value.to_le_bytes())).collect();
    for (value, id) in (0..).zip(ids) {
        let answer = caller.answer();
        assert_eq!((answer.id, answer.number()), (id, value));
    }
    rig.finish();
}

#[test]
fn every_call_is_answered_once_and_versions_never_go_back() {
    const PUBLICATIONS: u32 = 1000;
    let rig = Rig::new();
    let publish = |rig: &Rig| {
        // The handler knows its own version, so that a mix-up of versions and handlers shows.
        let number = Arc::new(AtomicU64::new(0));
        let known = number.clone();
        let version = rig.register("swap", move |running| {
            let known = known.load(Ordering::Acquire);
            assert!(known == 0 || known == u64::from(running.job.version()));
            (Code::Ok, u64::from(running.job.version()).to_le_bytes().to_vec())
        });
        number.store(u64::from(version), Ordering::Release);
        version
    };
    assert_eq!(publish(&rig), 1);
    let (acknowledged, done) = (AtomicU64::new(1), AtomicBool::new(false));
    let callers: Vec<_> = (0..4).map(|_| rig.connect()).collect();
    let calls: usize = std::thread::scope(|scope| {
        let (acknowledged, done) = (&acknowledged, &done);
        let threads: Vec<_> = callers
            .iter()
            .map(|caller| {
                scope.spawn(move || {
                    let (mut calls, mut last) = (0, 0);
                    while !done.load(Ordering::Acquire) || calls < 10 {
                        let at_least = acknowledged.load(Ordering::Acquire);
                        let answer = caller.call("swap", b"");
                        assert_eq!(answer.number(), u64::from(answer.header.version));
                        assert!(answer.number() >= at_least.max(last), "an old version answered");
                        last = answer.number();
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for expected in 2..=PUBLICATIONS {
            assert_eq!(publish(&rig), expected);
            acknowledged.store(u64::from(expected), Ordering::Release);
            std::thread::yield_now();
        }
        done.store(true, Ordering::Release);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    for caller in &callers {
        assert!(caller.answer_within(Duration::from_millis(20)).is_none(), "answered twice");
    }
    let stats = rig.engine.stats();
    assert_eq!((stats.methods[0].calls, stats.methods[0].errors), (calls as u64, 0));
    rig.finish();
}

#[test]
fn concurrency_is_respected() {
    for limit in [1, 3] {
        let rig = Rig::new();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (now.clone(), most.clone());
        let run = move |running: &mut support::rig::Running<'_>| {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            running.detached(|| std::thread::sleep(Duration::from_millis(2)));
            counted.fetch_sub(1, Ordering::SeqCst);
            number(0)
        };
        rig.engine.publish(vec![register("busy", limit, run)]);
        let callers: Vec<_> = (0..4).map(|_| rig.connect()).collect();
        for caller in &callers {
            for _ in 0..25 {
                caller.send("busy", b"");
            }
        }
        for caller in &callers {
            for _ in 0..25 {
                caller.answer().number();
            }
        }
        let most = most.load(Ordering::SeqCst);
        assert!(most <= limit, "{most} at once, {limit} are allowed");
        assert!(limit == 1 || most > 1, "the calls never overlapped");
        rig.finish();
    }
}

#[test]
fn a_new_version_does_not_wait_for_one_that_hangs_unless_it_asks_to() {
    for exclusive in [false, true] {
        let rig = Rig::new();
        let (started, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let (begun, held) = (started.clone(), gate.clone());
        rig.register("m", move |running| {
            begun.open();
            running.detached(|| held.pass());
            number(1)
        });
        let (first, second) = (rig.connect(), rig.connect());
        first.send("m", b"");
        started.pass();
        let mut change = register("m", 1, |_| number(2));
        if let Change::Register { exclusive: flag, .. } = &mut change {
            *flag = exclusive;
        }
        rig.engine.publish(vec![change]);
        second.send("m", b"");
        if exclusive {
            assert!(second.answer_within(Duration::from_millis(50)).is_none(), "it must wait");
            gate.open();
        }
        assert_eq!(second.answer().number(), 2);
        gate.open();
        assert_eq!(first.answer().number(), 1);
        rig.finish();
    }
}

#[test]
fn a_removed_method_serves_what_it_had_received() {
    let rig = Rig::new();
    let (started, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (begun, held) = (started.clone(), gate.clone());
    rig.register("gone", move |running| {
        begun.open();
        running.detached(|| held.pass());
        number(u64::from(running.job.version()))
    });
    let caller = rig.connect();
    for _ in 0..3 {
        caller.send("gone", b"");
    }
    started.pass();
    until("all three are received", || rig.engine.in_flight() == 3);
    assert_eq!(rig.engine.publish(vec![Change::Remove { method: "gone".into() }]), [1]);
    let late = rig.connect();
    assert_eq!(late.call("gone", b"").status, Code::Unimplemented);
    gate.open();
    for _ in 0..3 {
        assert_eq!(caller.answer().number(), 1);
    }
    assert_eq!(rig.register("gone", |running| number(u64::from(running.job.version()))), 2);
    assert_eq!(late.call("gone", b"").number(), 2);
    rig.finish();
}

#[test]
fn a_retired_version_is_let_go_of_after_its_last_call() {
    let rig = Rig::new();
    let model = Arc::new(());
    let (started, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (kept, begun, held) = (model.clone(), started.clone(), gate.clone());
    rig.register("m", move |running| {
        std::hint::black_box(&kept);
        begun.open();
        running.detached(|| held.pass());
        number(1)
    });
    let caller = rig.connect();
    caller.send("m", b"");
    started.pass();
    rig.register("m", |_| number(2));
    assert_eq!(Arc::strong_count(&model), 2, "its call still runs");
    gate.open();
    caller.answer();
    until("the old handler is dropped", || Arc::strong_count(&model) == 1);
    rig.finish();
}

#[test]
fn unknown_names_are_explained() {
    let rig = Rig::new();
    rig.register_echo();
    rig.engine.expect(vec!["later".into()]);
    let caller = rig.connect();
    let answer = caller.call("ecko", b"");
    assert_eq!(answer.status, Code::Unimplemented);
    assert_eq!(answer.error().message, "\"test\" has no method \"ecko\"; did you mean \"echo\"?");
    assert_eq!(caller.call("later", b"").status, Code::Unavailable);
    let answer = caller.call("pycrust.stat", b"");
    assert_eq!(answer.status, Code::Unimplemented);
    assert!(answer.error().message.contains("did you mean \"pycrust.stats\""), "{answer:?}");
    rig.register("later", |_| number(5));
    assert_eq!(caller.call("later", b"").number(), 5);
    assert_eq!(rig.engine.stats().unknown_method_calls, 2);
    rig.finish();
}

#[test]
fn the_worker_answers_about_itself() {
    let rig = Rig::new();
    rig.register_echo();
    rig.register("broken", |_| (Code::Unknown, Vec::new()));
    let caller = rig.connect();
    caller.call("echo", b"x");
    caller.call("broken", b"");
    let report =
        Report { id: 1, round_trip_ns: 9_000, return_ns: 3_000, method_key: 1, version: 1, status: 0 };
    let mut reports = Vec::new();
    report.put(&mut reports);
    caller.send_reports(&reports);

    let health: Health = rmp_serde::from_slice(&caller.call(HEALTH, b"\xc0").payload).unwrap();
    assert_eq!((&*health.status, &*health.endpoint, health.generation), ("serving", "test", 77));
    assert!(health.uptime_ns > 0);
    let methods: Vec<MethodInfo> = rmp_serde::from_slice(&caller.call(METHODS, b"").payload).unwrap();
    let names: Vec<_> = methods.iter().map(|method| &*method.name).collect();
    assert_eq!(names, ["broken", "echo"]);

    let stats: EndpointStats = rmp_serde::from_slice(&caller.call(STATS, b"").payload).unwrap();
    let [broken, echo] = &stats.methods[..] else { panic!("{stats:?}") };
    assert_eq!((broken.calls, broken.errors, broken.in_flight), (1, 1, 0));
    assert_eq!((echo.calls, echo.errors, &echo.by_version[..]), (1, 0, &[(1, 1)][..]));
    assert_eq!((echo.round_trip.count, echo.stages.back.count, echo.stages.handler.count), (1, 1, 1));
    assert_eq!((&broken.by_code[..], &echo.by_code[..]), (&[(broken.by_code[0].0, 1)][..], &[][..]));
    assert_eq!((stats.round_trip.count, stats.latest.count, stats.interpreter.count), (1, 1, 2));
    let [visit] = &stats.visits[..] else { panic!("{:?}", stats.visits) };
    assert_eq!((visit.came, &*visit.name), (true, "client 1"));
    assert_eq!((stats.clients.len(), &*stats.clients[0].name), (1, "client 1"));
    assert_eq!(stats.malformed_frames, 0);
    rig.finish();
}

#[test]
fn a_call_carries_what_its_header_says() {
    let rig = Rig::new();
    rig.register("look", |running| {
        let job = running.job.context();
        assert_eq!(job.trace.trace_id, [7; 16]);
        assert!(job.idempotent && !running.job.one_way() && !job.cancelled());
        assert!(job.time_left().is_some_and(|left| left > Duration::from_secs(1)));
        assert_eq!((job.peer().pid, job.connection(), &*job.method), (1001, 1, "look"));
        number(job.id)
    });
    let caller = rig.connect();
    let id = caller.send_as(
        "look",
        b"",
        RequestHeader {
            deadline_ns: 60_000_000_000,
            trace: TraceContext { trace_id: [7; 16], ..TraceContext::default() },
            ..flagged(flags::IDEMPOTENT)
        },
    );
    assert_eq!(caller.answer().number(), id);
    rig.finish();
}

#[test]
fn a_caller_with_another_schema_is_told() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    caller.send_as("echo", b"", RequestHeader { schema_pin: 5, ..RequestHeader::default() });
    let answer = caller.answer();
    assert_eq!(answer.status, Code::FailedPrecondition);
    let error = answer.error();
    assert!(error.message.contains("schema"), "{answer:?}");
    let mismatch: Mismatch = rmp_serde::from_slice(&error.details).unwrap();
    assert_eq!((mismatch.pinned, mismatch.live, mismatch.changes.len()), (5, 0, 0));
    rig.finish();
}

#[test]
fn a_caller_with_an_earlier_schema_is_told_what_changed() {
    let rig = Rig::new();
    rig.engine.publish(vec![Change::Register {
        method: "add".into(),
        handler: Handler::Run(Arc::new(|_| (Code::Ok, Vec::new()))),
        concurrency: 1,
        exclusive: false,
        refuses_late: false,
        batching: None,
        schema_hash: 99,
        schema_json: "{}".into(),
        compatible_schemas: vec![6, 7],
        schema_changes: vec![
            (4, vec!["other".into()]),
            (
                5,
                vec![
                    "request.b: number → integer".into(),
                    "request.c: removed (was integer, required)".into(),
                ],
            ),
        ],
        doc: String::new(),
        recording: MethodRecording::default(),
    }]);
    let caller = rig.connect();
    caller.send_as("add", b"", RequestHeader { schema_pin: 5, ..RequestHeader::default() });
    let answer = caller.answer();
    assert_eq!(answer.status, Code::FailedPrecondition);
    let error = answer.error();
    assert_eq!(
        error.message,
        "the caller was built against schema 0x0000000000000005 of \"add\", version 1 has schema 0x0000000000000063: \
         request.b: number → integer; request.c: removed (was integer, required); generate the client again: \
         pycrust types test -o FILE"
    );
    assert_eq!((&*error.exception, error.may_have_run), ("pycrust.errors.SchemaMismatch", false));
    let told = Mismatch {
        method: "add".into(),
        pinned: 5,
        live: 99,
        version: 1,
        changes: vec![
            "request.b: number → integer".into(),
            "request.c: removed (was integer, required)".into(),
        ],
    };
    assert_eq!(rmp_serde::from_slice::<Mismatch>(&error.details).unwrap(), told);
    // Callers that were built against what goes on working, or against nothing, are answered.
    for schema_pin in [99, 6, 7, 0] {
        caller.send_as("add", b"", RequestHeader { schema_pin, ..RequestHeader::default() });
        assert_eq!(caller.answer().status, Code::Ok, "{schema_pin}");
    }
    rig.finish();
}

/// What a caller reads of such a refusal.
#[derive(Debug, PartialEq, Eq, serde::Deserialize)]
struct Mismatch {
    method: String,
    pinned: u64,
    live: u64,
    version: u32,
    changes: Vec<String>,
}

#[test]
fn one_way_calls_are_not_answered() {
    let rig = Rig::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = ran.clone();
    rig.register("count", move |_| number(counted.fetch_add(1, Ordering::SeqCst) as u64));
    let caller = rig.connect();
    for method in ["count", "unknown", HEALTH] {
        caller.send_as(method, b"", flagged(flags::ONE_WAY));
    }
    assert_eq!(caller.call("count", b"").number(), 1, "the one-way call ran, and nothing answered it");
    assert_eq!(ran.load(Ordering::SeqCst), 2);
    rig.finish();
}

#[test]
fn a_thread_that_dies_answers_and_is_replaced() {
    let rig = Rig::with(config());
    rig.engine.start().unwrap();
    rig.register("die", |_| panic!("as the test asked"));
    rig.register_echo();
    let caller = rig.connect();
    for _ in 0..10 {
        let answer = caller.call("die", b"");
        assert_eq!(answer.status, Code::Internal);
        assert!(answer.error().may_have_run);
        assert_eq!(caller.call("echo", b"on").payload, b"on");
    }
    rig.finish();
}

#[test]
fn readiness_is_a_real_handler_s_answer() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    // [method, bin "ping"]
    let question = |method: &str| [b"\x92\xa4", method.as_bytes(), b"\xc4\x04ping"].concat();
    let answer = caller.call("pycrust.ready", &question("echo"));
    assert_eq!((answer.status, &answer.payload[..], answer.header.version), (Code::Ok, &b"ping"[..], 1));
    let unknown = caller.call("pycrust.ready", &question("ecco"));
    assert_eq!(unknown.status, Code::Unimplemented);
    assert!(unknown.error().message.contains("echo"), "{}", unknown.error().message);
    let nothing = caller.call("pycrust.ready", b"\xc0");
    assert_eq!(nothing.status, Code::InvalidArgument);
    assert!(nothing.error().message.contains("[method, bin]"), "{}", nothing.error().message);
    rig.finish();
}

#[test]
fn handlers_that_wait_for_calls_of_their_own_endpoint_hold_no_thread_back() {
    // Two threads: one leads, one runs. Every nested call needs one more.
    let rig = Rig::with(Config { max_threads: 2, ..config() });
    rig.engine.start().unwrap();
    rig.register_echo();
    let inner = Arc::new(rig.connect());
    rig.engine.publish(vec![register("outer", 8, move |running| {
        let _lent = running.job.lend();
        let inner = inner.clone();
        let payload = running.job.payload().to_vec();
        running.detached(|| {
            inner.send("echo", &payload);
            inner.answer();
        });
        (Code::Ok, payload)
    })]);
    let caller = rig.connect();
    for _ in 0..50 {
        for n in 0..8u8 {
            caller.send("outer", &[n]);
        }
        let mut answers: Vec<_> = (0..8).map(|_| caller.answer().payload[0]).collect();
        answers.sort_unstable();
        assert_eq!(answers, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
    until("the threads that were lent have ended", || rig.engine.live_threads() <= 4);
    rig.finish();
}
