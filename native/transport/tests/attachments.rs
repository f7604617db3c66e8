//! Attachments through real shared memory: in place and copied, kept for long, and what is given back.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Place, body, driven, wait_until};
use pycrust_protocol::header::{Common, HEADER_LEN, Header, RequestHeader, ResponseHeader};
use pycrust_protocol::limits::{BULK_LOANS, BULK_VIEWS, MAX_BODY_LEN};
use pycrust_transport::{Attachment, Attachments, Connection, Link, Piece, SendError, View};

fn counted(body_len: usize, attachments: usize) -> Common {
    Common { body_len: body_len as u32, attachments: attachments as u32, ..Common::default() }
}

fn request(body_len: usize, attachments: usize) -> [u8; HEADER_LEN] {
    RequestHeader { common: counted(body_len, attachments), ..RequestHeader::default() }.encode()
}

fn response(body_len: usize, attachments: usize) -> [u8; HEADER_LEN] {
    ResponseHeader { common: counted(body_len, attachments), ..ResponseHeader::default() }.encode()
}

/// Receives one frame: its control message and its attachments.
fn receive(link: &Connection) -> (Vec<u8>, Attachments) {
    let mut found = None;
    wait_until("a frame", || link.ready());
    link.receive(1, &mut |frame| {
        let header = Header::decode(frame.header()).unwrap();
        let parts = header.common().split(frame.head()).unwrap();
        let ranges = header.common().attachments_in(frame.head(), frame.sample_len()).unwrap();
        found = Some((parts.control.to_vec(), frame.attachments(ranges)));
    })
    .unwrap();
    found.unwrap()
}

/// An attachment that is copied.
fn source(bytes: &[u8]) -> Attachment {
    Attachment::Source(Arc::new(View::copy_of(bytes)))
}

/// A filled piece.
fn built(mut piece: Piece, seed: u8) -> Attachment {
    for (at, byte) in piece.bytes_mut().iter_mut().enumerate() {
        *byte = (at % 249) as u8 ^ seed;
    }
    Attachment::Piece(piece)
}

fn bytes_of(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at % 249) as u8 ^ seed).collect()
}

fn mapped(address: *const u8) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/dev/shm/")).any(|line| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        (number(start)..number(end)).contains(&address.addr())
    })
}

/// Runs a test with both ends of a connection.
fn connected(test: impl FnOnce(&Connection, &Connection)) {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    driven(&client, || test(&client, &worker));
    let prefix = common::prefix(&client);
    drop(client);
    wait_until("the departure", || events.gone().len() == 1);
    drop(worker);
    acceptor.stop();
    assert!(place.is_clean(&prefix));
}

#[test]
fn attachments_of_all_sizes_cross_both_ways() {
    connected(|client, worker| {
        for lens in [vec![0], vec![1, 0, 63], vec![3000, 64], vec![5000], vec![1 << 20, 7, 300_000]] {
            let sent: Vec<_> = lens.iter().map(|len| body(*len)).collect();
            let sources = || sent.iter().map(|bytes| source(bytes)).collect::<Vec<_>>();
            let check = |received: &Attachments| {
                assert_eq!(received.len(), sent.len());
                for (number, bytes) in sent.iter().enumerate() {
                    let view = received.get(number).unwrap();
                    assert!(view[..] == bytes[..], "{lens:?}");
                    assert_eq!(view.as_ptr().addr() % 64, 0);
                }
                assert!(received.get(sent.len()).is_none());
            };
            client.send_with(&request(3, lens.len()), &[b"ab", b"c"], &mut sources()).unwrap();
            let (control, received) = receive(worker);
            assert_eq!(control, b"abc");
            check(&received);
            worker.send_with(&response(0, lens.len()), &[], &mut sources()).unwrap();
            check(&receive(client).1);
        }
    });
}

#[test]
fn what_is_built_in_place_is_sent_where_it_is_and_seen_there() {
    connected(|client, worker| {
        for round in 0..20_u8 {
            let block = client.block(1 << 20).unwrap();
            let (first, second) = (block.take(300_000).unwrap().unwrap(), block.take(5).unwrap().unwrap());
            assert!(first.is_shared() && mapped(first.start().as_ptr()));
            drop(block);
            // Not in the order in which they were taken, and one of them copied beside them.
            let mut attachments =
                vec![built(second, round), source(&body(1000)), built(first, round.wrapping_add(1))];
            client.send_with(&request(1, 3), &[b"x"], &mut attachments).unwrap();
            assert!(attachments.is_empty());
            let (_, received) = receive(worker);
            assert!(received.get(0).unwrap()[..] == bytes_of(5, round)[..]);
            assert!(received.get(1).unwrap()[..] == body(1000)[..]);
            let large = received.get(2).unwrap();
            assert!(large[..] == bytes_of(300_000, round.wrapping_add(1))[..]);
            assert!(large.is_shared() && mapped(large.as_ptr()));
        }
        assert_eq!(client.memory().sent_in_place, 20);
    });
}

#[test]
fn what_somebody_could_still_write_is_copied() {
    connected(|client, worker| {
        let block = client.block(100_000).unwrap();
        let mut kept = block.take(10).unwrap().unwrap();
        let sent = built(block.take(50_000).unwrap().unwrap(), 1);
        drop(block);
        client.send_with(&request(0, 1), &[], &mut vec![sent]).unwrap();
        kept.bytes_mut().fill(9);
        assert!(receive(worker).1.get(0).unwrap()[..] == bytes_of(50_000, 1)[..]);
        // The block itself could give a piece to somebody.
        let block = client.block(100_000).unwrap();
        let sent = built(block.take(50_000).unwrap().unwrap(), 2);
        client.send_with(&request(0, 1), &[], &mut vec![sent]).unwrap();
        assert!(receive(worker).1.get(0).unwrap()[..] == bytes_of(50_000, 2)[..]);
        // What precedes the attachments is longer than the room that was left for it.
        let block = client.block(100_000).unwrap();
        let sent = built(block.take(50_000).unwrap().unwrap(), 3);
        drop(block);
        client.send_with(&request(20_000, 1), &[&body(20_000)], &mut vec![sent]).unwrap();
        let (control, received) = receive(worker);
        assert!(control == body(20_000) && received.get(0).unwrap()[..] == bytes_of(50_000, 3)[..]);
        assert_eq!(client.memory().sent_in_place, 0);
    });
}

#[test]
fn a_piece_of_another_connection_is_copied() {
    connected(|client, worker| {
        let sent = built(client.block(70_000).unwrap().take(70_000).unwrap().unwrap(), 5);
        worker.send_with(&response(0, 1), &[], &mut vec![sent]).unwrap();
        assert!(receive(client).1.get(0).unwrap()[..] == bytes_of(70_000, 5)[..]);
        assert_eq!(worker.memory().sent_in_place, 0);
    });
}

#[test]
fn views_past_the_bound_are_copied_and_nothing_stalls() {
    connected(|client, worker| {
        let mut kept = Vec::new();
        for number in 0..BULK_VIEWS + 20 {
            client.send_with(&request(0, 1), &[], &mut vec![source(&bytes_of(9000, number as u8))]).unwrap();
            kept.push(receive(worker).1);
        }
        assert_eq!((worker.memory().views, worker.memory().copied), (BULK_VIEWS, 20));
        for (number, attachments) in kept.iter().enumerate() {
            let view = attachments.get(0).unwrap();
            assert_eq!(view.is_shared(), number < BULK_VIEWS);
            assert_eq!(attachments.copied_len(), if number < BULK_VIEWS { 0 } else { 9000 });
            assert!(view[..] == bytes_of(9000, number as u8)[..], "{number}");
        }
        drop(kept);
        assert_eq!(worker.memory().views, 0);
        client.send_with(&request(0, 1), &[], &mut vec![source(&body(9000))]).unwrap();
        assert!(receive(worker).1.get(0).unwrap().is_shared());
    });
}

#[test]
fn few_blocks_can_be_had_at_a_time_and_frames_are_copied_meanwhile() {
    connected(|client, worker| {
        let blocks: Vec<_> = (0..BULK_LOANS).map(|_| client.block(10_000).unwrap()).collect();
        assert!(matches!(client.block(1), Err(SendError::NoMemory { .. })));
        client.send_with(&request(0, 1), &[], &mut vec![source(&body(9000))]).unwrap();
        assert!(receive(worker).1.get(0).unwrap()[..] == body(9000)[..]);
        drop(blocks);
        assert!(client.block(1).is_ok());
        assert!(matches!(client.block(MAX_BODY_LEN + 1), Err(SendError::TooLarge { .. })));
    });
}

#[test]
fn views_and_pieces_outlive_the_connection_and_go_on_any_thread() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    let prefix = common::prefix(&client);
    let (view, mut piece) = driven(&client, || {
        client.send_with(&request(0, 1), &[], &mut vec![source(&body(1 << 20))]).unwrap();
        let view = receive(&worker).1.get(0).unwrap();
        (view, worker.block(100_000).unwrap().take(100_000).unwrap().unwrap())
    });
    drop(client);
    wait_until("the departure", || events.gone().len() == 1);
    drop(worker);
    acceptor.stop();
    let other = view.slice(10..20);
    std::thread::spawn(move || {
        assert!(view[..] == body(1 << 20)[..]);
        piece.bytes_mut().fill(1);
    })
    .join()
    .unwrap();
    assert_eq!(other[..], body(20)[10..]);
    drop(other);
    assert!(place.is_clean(&prefix));
}

#[test]
fn memory_goes_back_when_it_is_idle_and_comes_again() {
    use std::os::unix::fs::MetadataExt;
    connected(|client, worker| {
        let taken = || -> u64 {
            let names = common::shared_memory(&client.welcome().prefix);
            names
                .iter()
                .map(|name| std::fs::metadata(format!("/dev/shm/{name}")).unwrap().blocks() * 512)
                .sum()
        };
        let large = 8 << 20;
        let send = |seed| {
            client.send_with(&request(0, 1), &[], &mut vec![source(&bytes_of(large, seed))]).unwrap();
            receive(worker).1.get(0).unwrap()
        };
        let before = taken();
        let views: Vec<_> = (0..3).map(send).collect();
        assert!(taken() >= before + 3 * large as u64);
        assert!(client.give_back(Duration::from_secs(3600)), "it is not idle yet");
        // What is looked at stays.
        client.give_back(Duration::ZERO);
        for (seed, view) in views.iter().enumerate() {
            assert!(view[..] == bytes_of(large, seed as u8)[..]);
        }
        drop(views);
        assert!(!client.give_back(Duration::ZERO), "nothing is left to be given back");
        assert!(taken() < before + (1 << 20), "{} bytes are still taken", taken() - before);
        assert!(send(7)[..] == bytes_of(large, 7)[..]);
    });
}

#[test]
fn a_gibibyte_crosses_in_place_and_more_does_not() {
    connected(|client, worker| {
        let large = 1 << 30;
        let mut piece = client.block(large).unwrap().take(large).unwrap().unwrap();
        piece.bytes_mut()[large - 1] = 7;
        client.send_with(&request(0, 1), &[], &mut vec![Attachment::Piece(piece)]).unwrap();
        let view = receive(worker).1.get(0).unwrap();
        assert_eq!((view.len(), view[large - 1]), (large, 7));
        assert_eq!(client.memory().sent_in_place, 1);
        drop(view);
        let too_large =
            client.send_with(&request(0, 1), &[], &mut vec![Attachment::Piece(Piece::on_heap(MAX_BODY_LEN))]);
        assert!(matches!(too_large, Err(SendError::TooLarge { .. })));
        client.give_back(Duration::ZERO);
    });
}

#[test]
fn a_thread_without_time_to_wait_knows_what_is_sent_at_once() {
    connected(|client, worker| {
        assert!(!client.sends_at_once(100_000), "the service is not open yet");
        client.send_with(&request(0, 1), &[], &mut vec![source(&body(500_000))]).unwrap();
        assert!(
            client.sends_at_once(500_000) && !client.sends_at_once(5_000_000),
            "a new segment takes time"
        );
        assert!(receive(worker).1.get(0).unwrap()[..] == body(500_000)[..]);
    });
}

#[test]
fn a_frame_of_an_older_segment_does_not_vouch_for_the_pages_of_a_newer_one() {
    connected(|client, worker| {
        for round in 0..6 {
            // Taken before the pool moves, filled after it has.
            let old = client.block(200_000 << round).unwrap();
            client.send_with(&request(0, 1), &[], &mut vec![source(&body(500_000 << round))]).unwrap();
            assert!(receive(worker).1.get(0).unwrap()[..] == body(500_000 << round)[..]);
            let piece = built(old.take(100_000 << round).unwrap().unwrap(), 1);
            drop(old);
            client.send_with(&request(0, 1), &[], &mut vec![piece]).unwrap();
            assert!(receive(worker).1.get(0).unwrap()[..] == bytes_of(100_000 << round, 1)[..]);
        }
    });
}

/// The page frames' entries in the kernel's page map, from an address on.
fn page_map(address: usize, count: usize) -> Vec<u64> {
    use std::os::unix::fs::FileExt;
    let mut raw = vec![0; 8 * count];
    let file = std::fs::File::open("/proc/self/pagemap").unwrap();
    file.read_exact_at(&mut raw, 8 * (address / 4096) as u64).unwrap();
    raw.as_chunks().0.iter().map(|entry| u64::from_ne_bytes(*entry)).collect()
}

/// Whether pages are a file's, not this process's own.
fn shared(address: usize, count: usize) -> bool {
    page_map(address, count).iter().all(|entry| entry >> 61 & 0b101 == 0b101)
}

#[test]
fn received_bytes_can_be_written_without_a_copy_and_without_the_sender_s_seeing_it() {
    const LEN: usize = 300_000;
    connected(|client, worker| {
        for round in 0..50_u8 {
            let sent = bytes_of(LEN, round);
            client.send_with(&request(1, 2), &[b"x"], &mut vec![source(&sent), source(&sent)]).unwrap();
            let received = receive(worker).1;
            let (first, second) = (received.get(0).unwrap(), received.get(1).unwrap());
            let private = first.private().expect("it has pages of its own");
            let start = private.start();
            assert!(start.as_ptr().cast_const() != first.as_ptr() && mapped(start.as_ptr()));
            // SAFETY: its owner may read and write it.
            let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), private.len()) };
            assert!(bytes == &sent[..]);
            assert!(shared(start.addr().get(), LEN / 4096), "nothing was copied");
            assert!(
                first.private().is_none() && first.slice(0..LEN / 2).private().is_none(),
                "one at a time"
            );
            bytes[70_000..80_000].fill(0xff);
            assert!(!shared(start.addr().get(), LEN / 4096));
            assert!(first[..] == sent[..] && second[..] == sent[..], "it stays here");
            let beside = second.private().expect("other pages");
            // SAFETY: as above.
            assert!(unsafe { std::slice::from_raw_parts(beside.start().as_ptr(), LEN) } == sent);
            drop((first, second, received, beside));
            assert!(bytes[75_000] == 0xff && bytes[LEN - 1] == sent[LEN - 1], "it keeps the sample");
            drop(private);
        }
        assert_eq!(worker.memory().views, 0);
    });
}

#[test]
fn only_whole_pages_of_a_sample_in_shared_memory_can_be_written() {
    connected(|client, worker| {
        let sent = body(200_000);
        client.send_with(&request(0, 2), &[], &mut vec![source(&sent), source(&body(20_000))]).unwrap();
        let received = receive(worker).1;
        let view = received.get(0).unwrap();
        assert!(view.slice(64..200_000).private().is_none(), "it does not begin with a page");
        assert!(view.slice(0..0).private().is_none());
        assert!(View::copy_of(&view).private().is_none());
        let part = view.slice(4096..8192).private().unwrap();
        assert_eq!(part.len(), 4096);
        assert!(view.private().is_none() && view.slice(8192..9000).private().is_some());
        drop(part);
        assert!(view.private().is_some());
    });
}

#[test]
fn private_mappings_follow_the_pool_and_go_when_they_are_idle() {
    connected(|client, worker| {
        let mut old = Vec::new();
        for round in 0..6 {
            let sent = body(100_000 << round);
            client.send_with(&request(0, 1), &[], &mut vec![source(&sent)]).unwrap();
            let private = receive(worker).1.get(0).unwrap().private().unwrap();
            // SAFETY: its owner may read and write it.
            let bytes = unsafe { std::slice::from_raw_parts_mut(private.start().as_ptr(), private.len()) };
            assert!(bytes == &sent[..]);
            bytes.fill(round);
            old.push(private);
        }
        for (round, private) in old.iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(private.start().as_ptr(), private.len()) };
            assert!(bytes.iter().all(|byte| usize::from(*byte) == round));
        }
        drop(old);
        let private = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let prefix = common::prefix(client);
            maps.lines().filter(|line| line.contains("rw-p") && line.contains(&prefix)).count()
        };
        assert_eq!(private(), 1);
        assert!(worker.give_back(Duration::MAX), "it is not idle yet");
        worker.give_back(Duration::ZERO);
        assert_eq!(private(), 0);
    });
}
