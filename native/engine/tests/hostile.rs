//! Bytes from the other side: an answer or a count for each, never a panic or a hang.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::caller::{Caller, flagged};
use crate::support::link::Frame;
use crate::support::rig::{Handler, Rig, config, registration};
use crate::support::until;
use proptest::prelude::*;
use pycrust_protocol::Code;
use pycrust_protocol::attachments::put_table;
use pycrust_protocol::control::put_request_head;
use pycrust_protocol::header::{Common, HEADER_LEN, RequestHeader, ResponseHeader, flags};
use pycrust_protocol::reserved::HEALTH;

/// A sound request for `echo` with this id.
fn request(id: u64) -> (RequestHeader, Vec<u8>) {
    let mut body = Vec::new();
    put_request_head(&mut body, id, "echo", 1);
    body.push(0xc0);
    let common = Common { body_len: body.len() as u32, sent_ns: 1, ..Common::default() };
    (RequestHeader { common, ..RequestHeader::default() }, body)
}

/// Sends a frame that is to be refused and gives the message.
fn refused(caller: &Caller, frame: Frame, id: u64) -> String {
    caller.link.put(frame);
    let answer = caller.answer();
    assert_eq!((answer.id, answer.status), (id, Code::InvalidArgument));
    answer.error().message
}

#[test]
fn broken_frames_are_refused_by_offset_and_reason() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();

    let (header, body) = request(70_001);
    let mut raw = header.encode();
    raw[7] = 0x80;
    let message = refused(&caller, (raw, body.clone()), 70_001);
    assert!(message.contains("at byte 7") && message.contains("flags"), "{message}");

    let mut raw = header.encode();
    raw[18] = 3;
    let message = refused(&caller, (raw, body.clone()), 70_001);
    assert!(message.contains("at byte 16") && message.contains("attachments"), "{message}");

    let mut attached = header;
    attached.common.attachments = 1;
    let mut sample = body.clone();
    put_table(&mut sample, &[std::ops::Range { start: 64, end: 1000 }]);
    sample.resize(999, 0);
    let message = refused(&caller, (attached.encode(), sample), 70_001);
    assert!(message.contains("attachment 0 has 936 bytes at 64, the sample has 999"), "{message}");

    let mut cut = header;
    cut.common.metadata_len = 1000;
    let message = refused(&caller, (cut.encode(), body.clone()), 70_001);
    assert!(message.contains("at byte 8"), "{message}");

    let mut body = body;
    *body.last_mut().unwrap() = 0;
    let at = body.len() - 3;
    body[at] = 0xc0; // the payload is nil instead of binary
    let message = refused(&caller, (header.encode(), body), 70_001);
    assert!(message.contains("the payload"), "{message}");
    assert_eq!(rig.engine.stats().malformed_frames, 5);
    rig.finish();
}

#[test]
fn frames_without_an_id_to_answer_are_counted() {
    let rig = Rig::new();
    rig.register_echo();
    let caller = rig.connect();
    let (header, body) = request(5);
    let mut magic = header.encode();
    magic[0] = 0;
    caller.link.put((magic, body.clone()));
    caller.link.put((header.encode(), vec![0xff; body.len()]));
    caller.link.put((header.encode(), Vec::new()));
    caller.link.put((ResponseHeader::default().encode(), body.clone()));
    let reports = Common { reports: u32::MAX, ..Common::default() };
    caller.link.put((reports.encode_report(), vec![0; 64]));
    let mut one_way = flagged(flags::ONE_WAY);
    one_way.common.body_len = 2;
    caller.link.put((one_way.encode(), vec![0x93, 5]));
    assert_eq!(caller.call("echo", b"still here").payload, b"still here");
    assert_eq!(rig.engine.stats().malformed_frames, 6);
    rig.finish();
}

#[test]
fn an_id_that_is_used_twice_keeps_no_handler_waiting() {
    let rig = Rig::new();
    rig.engine.publish(vec![registration("each", 1, Handler::Echo)]);
    let caller = rig.connect();
    let mut body = Vec::new();
    put_request_head(&mut body, 70_001, "each", 0);
    let mut header = flagged(flags::STREAM | flags::UPLOAD);
    header.common.body_len = body.len() as u32;
    caller.link.put((header.encode(), body.clone()));
    caller.link.put((header.encode(), body));
    let answer = caller.answer();
    assert_eq!((answer.id, answer.status), (70_001, Code::Cancelled), "the older call has ended");
    rig.disconnect(&caller);
    until("the newer one has ended with its client", || rig.engine.in_flight() == 0);
    rig.finish();
}

#[test]
fn a_flag_that_announces_nothing_costs_no_core() {
    let rig = Rig::new();
    rig.register_echo();
    let (liar, honest) = (rig.connect(), rig.connect());
    liar.link.lies.store(true, Ordering::Relaxed);
    honest.call("echo", b"");
    until("the leader sleeps all the same", || honest.link.worker_sleeps());
    assert_eq!(honest.call("echo", b"a").payload, b"a");
    assert_eq!(liar.call("echo", b"b").payload, b"b");
    rig.finish();
}

#[test]
fn a_connection_that_panics_costs_only_itself() {
    let rig = Rig::new();
    rig.register_echo();
    let (bad, good) = (rig.connect(), rig.connect());
    bad.link.panics.store(true, Ordering::Relaxed);
    bad.send("echo", b"");
    until("the connection is closed", || !pycrust_transport::Link::is_open(&*bad.link));
    assert_eq!(good.call("echo", b"on").payload, b"on");
    rig.disconnect(&bad);
    rig.finish();
}

/// Headers that are sound, nearly sound, or noise.
fn headers() -> impl Strategy<Value = [u8; HEADER_LEN]> {
    let (sound, body) = request(9);
    let sound = sound.encode();
    let len = body.len() as u32;
    prop_oneof![
        Just(sound),
        (0..HEADER_LEN, any::<u8>()).prop_map(move |(at, value)| {
            let mut raw = sound;
            raw[at] = value;
            raw
        }),
        (0..len * 3, any::<u32>(), 0..4_u32, any::<u64>()).prop_map(
            |(body_len, metadata_len, reports, deadline_ns)| {
                let common = Common { body_len, metadata_len, reports, ..Common::default() };
                RequestHeader { common, deadline_ns, ..RequestHeader::default() }.encode()
            }
        ),
        proptest::array::uniform32(any::<u8>()).prop_map(|noise| {
            let mut raw = [0; HEADER_LEN];
            raw[..32].copy_from_slice(&noise);
            raw
        }),
    ]
}

/// Samples that are sound, nearly sound, or noise.
fn samples() -> impl Strategy<Value = Vec<u8>> {
    let (_, body) = request(9);
    let mutated = body.clone();
    prop_oneof![
        Just(body),
        (0..mutated.len(), any::<u8>()).prop_map(move |(at, value)| {
            let mut body = mutated.clone();
            body[at] = value;
            body
        }),
        proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

#[test]
fn noise_never_stops_the_worker() {
    let rig = Rig::with(config());
    rig.engine.start().unwrap();
    rig.register_echo();
    let (noisy, quiet) = (rig.connect_with(1_000_000), rig.connect());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&(headers(), samples()), |frame| {
            noisy.link.put(frame);
            Ok(())
        })
        .unwrap();
    assert_eq!(quiet.call("echo", b"on").payload, b"on");
    assert_eq!(quiet.call(HEALTH, b"").status, Code::Ok);
    until("all of it is received", || noisy.link.unreceived() == 0);
    until("all calls are answered", || rig.engine.in_flight() == 0);
    let mut answers = 0;
    while noisy.answer_within(Duration::ZERO).is_some() {
        answers += 1;
    }
    assert!(answers > 0);
    assert!(rig.engine.stats().malformed_frames > 0);
    rig.finish();
}
