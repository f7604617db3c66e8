//! Somebody between a real client and a real worker, who reads every message and every descriptor that they exchange and
//! passes on something else: each side has a hostile peer.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::handshake::{Hello, Message, Welcome};
use pycrust_protocol::limits::PROTOCOL_VERSION;
use pycrust_transport::{Connecting, Connection, Progress};

use super::engine::HANG;
use super::place::{ENDPOINT, Place, name};
use super::socket::{self, Letter};
use crate::cursor::Cursor;

/// How long both sides may be silent after something went wrong, before the middleman hangs up.
const SILENCE: Duration = Duration::from_millis(30);

/// The middleman's ends, and what he has seen.
pub struct Middleman {
    client: Option<OwnedFd>,
    worker: Option<OwnedFd>,
    /// The doorbells and the shared flags.
    secrets: Vec<OwnedFd>,
    /// Something that he passed on was not what he was given.
    pub lied: bool,
}

/// A service's name, most often a real one's.
fn service(input: &mut Cursor<'_>) -> String {
    let number = input.below(4);
    match input.below(6) {
        0 => "../x".into(),
        1 => String::new(),
        2 => format!("{number}/request"),
        3 => format!("{number}/response/bulk"),
        4 => "x".repeat(usize::from(input.byte()) * 4),
        _ => format!("{number}/request/bulk"),
    }
}

/// Any message.
pub fn message(input: &mut Cursor<'_>) -> Message {
    let text = |input: &mut Cursor<'_>| {
        let len = input.below(12);
        String::from_utf8_lossy(input.bytes(len)).into_owned()
    };
    match input.below(10) {
        0 => Message::Hello(Hello {
            protocol: if input.seldom() { input.word() as u16 } else { PROTOCOL_VERSION },
            endpoint: if input.seldom() { text(input) } else { ENDPOINT.into() },
            client: text(input),
        }),
        1 => Message::HandOver { endpoint: text(input) },
        2 => Message::Refused { code: input.pick(Code::ALL), reason: text(input) },
        3 => Message::Opened,
        4 => Message::Serving,
        5 => Message::BulkOffered { service: service(input) },
        6 => Message::BulkOpened { service: service(input) },
        7 => Message::BulkRefused { service: service(input), reason: text(input) },
        8 => Message::Welcome(Welcome {
            protocol: PROTOCOL_VERSION,
            pid: std::process::id(),
            generation: input.number(),
            connection: input.number(),
            prefix: "pyc0_01234567_89abcdef_01234567_".into(),
            request_service: service(input),
            response_service: service(input),
            max_in_flight: input.number() as u32,
        }),
        _ => Message::Goodbye { reason: text(input) },
    }
}

/// The same message with one thing wrong in it.
fn misquote(input: &mut Cursor<'_>, message: Message) -> Message {
    match message {
        Message::Welcome(mut welcome) => {
            match input.below(8) {
                0 => welcome.protocol = input.number() as u16,
                1 => welcome.pid = input.number() as u32,
                2 => welcome.connection = input.number(),
                3 => welcome.max_in_flight = input.number() as u32,
                4 => welcome.request_service = service(input),
                5 => welcome.response_service = service(input),
                6 => std::mem::swap(&mut welcome.request_service, &mut welcome.response_service),
                _ => {
                    let mut prefix = welcome.prefix.into_bytes();
                    let at = input.below(prefix.len());
                    prefix[at] = input.pick(b"0/._\x00g");
                    welcome.prefix = String::from_utf8_lossy(&prefix).into_owned();
                }
            }
            Message::Welcome(welcome)
        }
        Message::Hello(mut hello) => {
            match input.below(3) {
                0 => hello.protocol = input.number() as u16,
                1 => hello.endpoint = "another".into(),
                _ => hello.client = "x".repeat(usize::from(input.byte()) * 16),
            }
            Message::Hello(hello)
        }
        other => other,
    }
}

impl Middleman {
    /// Lets a client shake hands with the worker at `real` and believe that it is at `fake`, where `listener` listens.
    /// What comes of it, if the client is content.
    pub fn introduce(
        input: &mut Cursor<'_>,
        fake: &Place,
        real: &Place,
        listener: &OwnedFd,
    ) -> (Self, Option<Connection>) {
        let beginning = Connecting::new(&fake.runtime, &name(), "victim").proceed();
        let Ok(Progress::Waits(mut connecting)) = beginning else { panic!("nobody has answered yet") };
        let mut this = Self {
            client: Some(socket::accept(listener)),
            worker: Some(socket::dial(&real.socket())),
            secrets: Vec::new(),
            lied: false,
        };
        let mut heard = Instant::now();
        loop {
            if this.pass_on(input) {
                heard = Instant::now();
            }
            connecting = match connecting.proceed() {
                Ok(Progress::Connected(connection)) => return (this, Some(*connection)),
                Ok(Progress::Waits(connecting)) => connecting,
                Err(error) => {
                    assert!(this.lied, "an honest handshake failed: {error}");
                    return (this, None);
                }
            };
            if heard.elapsed() > SILENCE && this.lied {
                this.hang_up();
            }
            assert!(heard.elapsed() < HANG, "an honest handshake hangs");
            this.wait(Duration::from_millis(2));
        }
    }

    /// Closes both ends.
    pub fn hang_up(&mut self) {
        self.lied = true;
        (self.client, self.worker) = (None, None);
    }

    /// Closes one end.
    pub fn leave(&mut self, worker: bool) {
        self.lied = true;
        drop(if worker { self.worker.take() } else { self.client.take() });
    }

    fn wait(&self, time: Duration) {
        match (&self.client, &self.worker) {
            (Some(client), Some(worker)) => drop(socket::wait([client.as_fd(), worker.as_fd()], time)),
            (Some(one), None) | (None, Some(one)) => drop(socket::wait([one.as_fd()], time)),
            (None, None) => std::thread::sleep(Duration::from_micros(100)),
        }
    }

    /// Passes on what has come, and lies as the input says; whether anything came.
    pub fn pass_on(&mut self, input: &mut Cursor<'_>) -> bool {
        let mut any = false;
        for to_worker in [true, false] {
            let from = if to_worker { &self.client } else { &self.worker };
            let Some(from) = from else { continue };
            match socket::receive(from) {
                Ok(None) => {}
                Ok(Some(letter)) => {
                    any = true;
                    self.deliver(input, letter, to_worker);
                }
                // Whoever is gone leaves the other alone.
                Err(()) => self.hang_up(),
            }
        }
        any
    }

    fn deliver(&mut self, input: &mut Cursor<'_>, letter: Letter, to_worker: bool) {
        let Letter { mut bytes, fds } = letter;
        for fd in &fds {
            self.secrets.extend(fd.try_clone());
        }
        let mut given: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        let null = File::open("/dev/null").expect("a descriptor");
        let what = input.below(96);
        // Where the input has ended, he is honest.
        self.lied |= (1..12).contains(&what);
        match what {
            11 => {
                let at = input.below(bytes.len());
                bytes[at] = input.byte();
            }
            1 => bytes.truncate(input.below(bytes.len())),
            2 => bytes = message(input).encode(),
            3 | 4 => {
                if let Ok(said) = Message::decode(&bytes) {
                    bytes = misquote(input, said).encode();
                }
            }
            5 => drop(given.pop()),
            6 if !given.is_empty() => {
                let at = input.below(given.len());
                given[at] = null.as_fd();
            }
            7 => given.push(null.as_fd()),
            8 => given.reverse(),
            9 => {
                // Twice.
                self.send(to_worker, &bytes, &given);
            }
            10 => {
                self.hang_up();
                return;
            }
            _ => {}
        }
        self.send(to_worker, &bytes, &given);
    }

    fn send(&self, to_worker: bool, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        if let Some(to) = if to_worker { &self.worker } else { &self.client } {
            socket::send(to, bytes, fds);
        }
    }

    /// Says something of his own.
    pub fn say(&mut self, to_worker: bool, bytes: &[u8]) {
        self.lied = true;
        self.send(to_worker, bytes, &[]);
    }

    /// Writes over one of the shared flags, of which both sides think that the other has written it.
    pub fn write_flag(&mut self, offset: u64, value: &[u8]) {
        if let Some(memory) = self.secrets.get(2).and_then(|memory| memory.try_clone().ok()) {
            self.lied = true;
            let _ = File::from(memory).write_all_at(value, offset);
        }
    }

    /// Rings one of the doorbells, many times.
    pub fn ring(&mut self, which: usize) {
        if let Some(bell) = self.secrets.get(which % 2) {
            // What would block does not go.
            if rustix::fs::fcntl_setfl(bell, rustix::fs::OFlags::NONBLOCK).is_ok() {
                let _ = rustix::io::write(bell, &[1; 4096]);
            }
        }
    }
}
