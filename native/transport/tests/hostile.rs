//! A peer that lies or tears: it harms its own connection and no other.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::fs::OpenOptions;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use common::{ENDPOINT, Place, name, receive_one, request, wait_until};
use pycrust_protocol::Code;
use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::limits::{MAX_HANDSHAKE_LEN, PROTOCOL_VERSION, SMALL_WINDOW};
use pycrust_transport::{ConnectError, Connection, ControlEvent, Link, SendError, connect};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketType,
};

fn socket() -> OwnedFd {
    rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap()
}

fn dial(place: &Place) -> OwnedFd {
    let socket = socket();
    let path = place.path().join(name().socket_file());
    rustix::net::connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    socket
}

fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

/// The next message, or `None` after a hang-up.
fn hear(socket: &OwnedFd) -> Option<Message> {
    let mut bytes = vec![0; MAX_HANDSHAKE_LEN];
    let (len, _) = rustix::net::recv(socket, &mut bytes[..], RecvFlags::empty()).unwrap_or_default();
    (len > 0).then(|| Message::decode(&bytes[..len]).unwrap())
}

fn hello() -> Hello {
    Hello { protocol: PROTOCOL_VERSION, endpoint: ENDPOINT.into(), client: "hostile".into() }
}

#[test]
fn a_client_that_breaks_the_handshake_is_refused_alone() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let good = place.connect();
    let null = std::fs::File::open("/dev/null").unwrap();
    let many = [null.as_fd(); 8];
    let too_long = vec![b'x'; MAX_HANDSHAKE_LEN + 1];
    let cases: [(&[u8], &[BorrowedFd<'_>], Code); 6] = [
        (b"\xc1\xff not a message", &[], Code::InvalidArgument),
        (b"\xdf\xff\xff\xff\xff", &[], Code::InvalidArgument),
        (&too_long, &[], Code::InvalidArgument),
        (&Message::Hello(hello()).encode(), &many, Code::InvalidArgument),
        (&Message::Opened.encode(), &[], Code::InvalidArgument),
        (&Message::Hello(Hello { protocol: 999, ..hello() }).encode(), &[], Code::FailedPrecondition),
    ];
    for (bytes, fds, expected) in cases {
        let socket = dial(&place);
        send(&socket, bytes, fds);
        let Some(Message::Refused { code, reason }) = hear(&socket) else { panic!("not refused") };
        assert_eq!(code, expected, "{reason}");
        assert_eq!(hear(&socket), None);
    }
    let socket = dial(&place);
    send(&socket, &Message::Hello(Hello { endpoint: "other".into(), ..hello() }).encode(), &[]);
    assert!(matches!(hear(&socket), Some(Message::Refused { code: Code::NotFound, .. })));
    // Hang-ups at every step, and one that stays silent.
    drop(dial(&place));
    let torn = dial(&place);
    send(&torn, &Message::Hello(hello()).encode(), &[]);
    assert!(matches!(hear(&torn), Some(Message::Welcome(_))));
    drop(torn);
    let silent = dial(&place);
    // One that says that it has opened its ports, and has not.
    let liar = dial(&place);
    send(&liar, &Message::Hello(hello()).encode(), &[]);
    send(&liar, &Message::Opened.encode(), &[]);
    assert!(matches!(hear(&liar), Some(Message::Welcome(_))));

    good.send(&request(3), &[b"abc"]).unwrap();
    let link = events.links().into_iter().find(|link| link.id() == good.id()).unwrap();
    assert_eq!(receive_one(&link), b"abc");
    drop((liar, silent, link, good));
    acceptor.stop();
}

#[test]
fn a_connected_client_that_breaks_the_protocol_is_dropped_alone() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let good = place.connect();
    let offer = |service: &str| Message::BulkOffered { service: service.into() }.encode();
    // What only a later version knows, too.
    let later = b"\x81\xa3say\xa8postpone".to_vec();
    let cases =
        [b"\xc1 garbage".to_vec(), later, Message::Serving.encode(), offer("../x"), offer("9/request/bulk")];
    for (done, bytes) in cases.iter().enumerate() {
        let bad = place.connect();
        send(bad.hangup_fd(), bytes, &[]);
        wait_until("the end", || events.gone().len() == done + 1);
        assert_eq!(events.gone()[done].0, bad.id());
        assert_eq!(bad.on_control(), ControlEvent::HungUp);
    }
    let flood = place.connect();
    for _ in 0..64 {
        let bytes = Message::Goodbye { reason: "again".into() }.encode();
        let _ = rustix::net::send(flood.hangup_fd(), &bytes, SendFlags::NOSIGNAL);
    }
    wait_until("the end", || events.gone().len() == cases.len() + 1);
    assert!(good.is_open());
    drop((flood, good));
    acceptor.stop();
}

/// Where in the shared flags a value is, from `shared_flags.rs`: one line of 64 bytes each.
#[derive(Clone, Copy)]
enum Line {
    SmallPublished = 0,
    SmallConsumed = 1,
    BulkPublished = 2,
    SpaceWanted = 4,
    ClientAsleep = 10,
    WorkerAsleep = 11,
}

/// Writes over the flags of the only connection of this process's memory, as a hostile peer could.
fn lie(line: Line, value: u64) {
    let maps = std::fs::read_to_string("/proc/thread-self/maps").unwrap();
    let mapped = maps.lines().find(|line| line.contains("memfd:pycrust-flags")).unwrap();
    let start = u64::from_str_radix(mapped.split_once('-').unwrap().0, 16).unwrap();
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    memory.write_all_at(&value.to_ne_bytes(), start + line as u64 * 64).unwrap();
}

/// Everything in one test: it finds the flags by their mapping, of which there must be one pair.
#[test]
fn lying_flag_words_cost_a_look_and_nothing_else() {
    let place = Place::new();
    let Some(child) = common::role() else {
        // Alone in a process of its own, so that no other test's connection is there.
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["lying_flag_words_cost_a_look_and_nothing_else", "--exact"])
            .env("PYCRUST_TEST_DIR", place.path())
            .env("PYCRUST_TEST_ROLE", "liar");
        assert!(command.status().unwrap().success());
        return;
    };
    drop((child, place));
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    let nothing = |link: &Connection| link.receive(64, &mut |_| panic!("a frame")).unwrap();

    // Announced and not there: looked for once, until the word changes again.
    for value in [u64::MAX, 1, 1 << 63, 12_345] {
        lie(Line::SmallPublished, value);
        assert!(worker.ready());
        assert_eq!(nothing(&worker), 0);
        assert!(!worker.ready());
        lie(Line::BulkPublished, value);
        assert!(worker.ready());
        assert_eq!(nothing(&worker), 0);
        assert!(!worker.ready());
    }
    // Nobody sleeps, nobody waits: a needless ring.
    for value in [u64::MAX, 7] {
        lie(Line::WorkerAsleep, value);
        lie(Line::ClientAsleep, value);
        lie(Line::SpaceWanted, value);
        client.send(&request(3), &[b"abc"]).unwrap();
        assert_eq!(receive_one(&worker), b"abc");
    }
    // More consumed than ever was sent: the sender waits for room.
    lie(Line::SmallConsumed, 1_000_000);
    assert_eq!(client.send(&request(3), &[b"abc"]), Err(SendError::Full));
    // Consumed although it was not: the sender notices that the buffer is full, and loses nothing.
    lie(Line::SmallConsumed, 2);
    for number in 0..SMALL_WINDOW as u8 {
        client.send(&request(1), &[&[number]]).unwrap();
    }
    lie(Line::SmallConsumed, 40);
    assert_eq!(client.send(&request(3), &[b"abc"]), Err(SendError::Full));
    for number in 0..SMALL_WINDOW as u8 {
        assert_eq!(receive_one(&worker), [number]);
    }
    client.send(&request(3), &[b"abc"]).unwrap();
    assert_eq!(receive_one(&worker), b"abc");
    drop((worker, client));
    acceptor.stop();
}

/// Answers one client's hello with `welcome` and `fds`, and what that client makes of it.
fn fake_worker(welcome: impl FnOnce(Welcome) -> Welcome, fds: &[BorrowedFd<'_>]) -> String {
    let place = Place::new();
    let listener = socket();
    let path = place.path().join(name().socket_file());
    rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    // A prefix as a real worker of this place would choose it.
    let prefix = {
        let other = Place::new();
        let (acceptor, _events) = other.serve();
        let client = other.connect();
        let sample = client.welcome().prefix.clone();
        drop(client);
        acceptor.stop();
        sample
    };
    let answer = Welcome {
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        generation: 1,
        connection: 1,
        prefix,
        request_service: "1/request".into(),
        response_service: "1/response".into(),
        max_in_flight: 16,
    };
    let answer = Message::Welcome(welcome(answer)).encode();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = rustix::net::accept(&listener).unwrap();
            assert!(matches!(hear(&client), Some(Message::Hello(_))));
            send(&client, &answer, fds);
            assert!(matches!(hear(&client), Some(Message::Goodbye { .. })), "the client goes on");
            assert_eq!(hear(&client), None, "the client goes on");
        });
        connect(&place.runtime, &name(), "test").unwrap_err()
    });
    assert!(matches!(error, ConnectError::Transport(_) | ConnectError::Version { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_worker_that_breaks_the_handshake_is_left() {
    let bell = eventfd(0, EventfdFlags::empty()).unwrap();
    let three = [bell.as_fd(); 3];
    for (worker, older) in [(1, "worker"), (PROTOCOL_VERSION + 1, "client"), (u16::MAX, "client")] {
        let said = fake_worker(|welcome| Welcome { protocol: worker, ..welcome }, &three);
        let expected = format!(
            "the worker speaks protocol {worker}, the client {PROTOCOL_VERSION}: upgrade the {older}"
        );
        assert_eq!(said, expected);
    }
    let calls = |welcome: Welcome| Welcome { max_in_flight: 0, ..welcome };
    assert!(fake_worker(calls, &three).contains("0 calls in flight"));
    let calls = |welcome: Welcome| Welcome { max_in_flight: 65_537, ..welcome };
    assert!(fake_worker(calls, &three).contains("65537 calls in flight"));
    for prefix in ["", "../../x_", "pyc0_01234567_89abcdef_01234567_", "a/b"] {
        let said = fake_worker(|welcome| Welcome { prefix: prefix.into(), ..welcome }, &three);
        assert!(said.contains("its prefix is"), "{said}");
    }
}

/// Addresses at which this process may write shared memory that holds `pattern`.
fn written(pattern: &[u8]) -> Vec<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-s ") && line.contains("/dev/shm/")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16).unwrap());
        let mut page = vec![0; end - start];
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        // Not all of a segment is there.
        if memory.read_exact_at(&mut page, start as u64).is_ok() {
            let at = page.windows(pattern.len()).position(|window| window == pattern);
            found.extend(at.map(|at| start + at));
        }
    }
    found
}

#[test]
fn what_is_read_of_a_frame_stays_as_it_was_however_its_sender_writes_to_it() {
    use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let client = place.connect();
    let worker = events.link();
    for round in 0..20_u8 {
        let body = [b"a name that is checked and then used".as_slice(), &[round]].concat();
        client.send(&request(body.len()), &[&body]).unwrap();
        let found = written(&body);
        assert!(!found.is_empty(), "the sender's memory is found");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for address in &found {
                    // SAFETY: mapped for as long as the client lives; nobody but the kernel keeps it from changing.
                    let byte = unsafe { AtomicU8::from_ptr(*address as *mut u8) };
                    while !over.load(Ordering::Relaxed) {
                        byte.fetch_xor(0x80, Ordering::Relaxed);
                    }
                }
            });
            worker
                .receive(1, &mut |frame| {
                    let (first, header) = (frame.head().to_vec(), *frame.header());
                    for _ in 0..2_000 {
                        assert_eq!((frame.head(), frame.header()), (&*first, &header));
                    }
                })
                .unwrap();
            over.store(true, Ordering::Relaxed);
        });
    }
    drop((worker, client));
    acceptor.stop();
}
