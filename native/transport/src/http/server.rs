//! The server: one thread, which waits for all connections at once and gives each one answer.
//!
//! Whoever connects may be anybody on this machine, or beyond, if it was told to listen there. So everything is bounded:
//! connections, bytes of a request, bytes of answers that wait, time, and the share of a core that answering takes.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

use crate::fork::{Descriptor, Guarded};
use crate::gate;
use crate::http::exchange::Exchange;
use crate::process::Process;
use crate::sleeping::{polling, wakeup};
use crate::sync::Mutex;

/// Connections at once; one more takes the place of the oldest.
const MAX_CONNECTIONS: usize = 32;
/// Bytes of answers that wait for those who asked; past it, the oldest of them are let go of.
const MAX_WAITING: usize = 16 << 20;
/// After an answer, it rests so many times as long as making that answer took.
const REST: u32 = 4;
/// It rests no longer than that.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How long nobody is accepted after a connection could not be.
const NO_MORE: Duration = Duration::from_millis(100);
/// How often it looks whether a connection has had its time.
const SLICE: Duration = Duration::from_secs(1);

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// The path, without a query.
    pub path: &'a str,
    /// The `Accept` header; empty if there is none.
    pub accept: &'a str,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// An HTTP status.
    pub status: u16,
    /// The content's type.
    pub content_type: &'static str,
    /// The content.
    pub body: String,
}

impl HttpResponse {
    /// A plain text.
    pub fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.to_owned() }
    }
}

/// What makes the answers, on the server's thread.
pub type Respond = Box<dyn FnMut(&HttpRequest<'_>) -> HttpResponse + Send>;

/// A server that listens until it is stopped or dropped. Forked children have no part of it.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process that started it.
    process: Process,
}

/// How the thread is stopped.
#[derive(Debug)]
struct Stop {
    wanted: AtomicBool,
    wake: Guarded,
}

impl HttpServer {
    /// Listens at `address`, `host:port`, of which port 0 is any free one; answers on a thread of its own,
    /// `pycrust-metrics`.
    ///
    /// # Errors
    /// The system's: the address is no address, or another program listens there.
    pub fn start(address: &str, respond: Respond) -> io::Result<Self> {
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        let listener = TcpListener::bind(&addresses[..])?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = Descriptor::from(OwnedFd::from(listener));
        let stop = Arc::new(Stop { wanted: AtomicBool::new(false), wake: wakeup::create()?.into() });
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("pycrust-metrics".into())
            .spawn(move || Listening { listener, stop: stopped, exchanges: Vec::new(), respond }.run())?;
        Ok(Self { address, stop, thread: Mutex::new(Some(thread)), process: Process::current() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and ends the thread. Calling it again does nothing.
    pub fn stop(&self) {
        // The thread lives in the parent of a forked child.
        if !self.process.is_current() {
            return;
        }
        self.stop.wanted.store(true, Ordering::Release);
        wakeup::wake(self.stop.wake.as_fd());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            log::error!("the thread that answers HTTP panicked");
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread has.
struct Listening {
    listener: Descriptor,
    stop: Arc<Stop>,
    /// The connections, the oldest first.
    exchanges: Vec<Exchange>,
    respond: Respond,
}

impl Listening {
    fn run(mut self) {
        let mut accept_from = Instant::now();
        while !self.stop.wanted.load(Ordering::Acquire) {
            let now = Instant::now();
            let accepts = now >= accept_from;
            let ready = self.wait(accepts, if accepts { SLICE } else { accept_from - now });
            if self.stop.wanted.load(Ordering::Acquire) {
                break;
            }
            self.go_on(&ready[1..]);
            if ready[0] && !self.accept() {
                accept_from = Instant::now() + NO_MORE;
            }
            self.bound();
        }
        for exchange in &self.exchanges {
            let _ = shutdown(&exchange.socket, Shutdown::Both);
        }
        // A copy of it in a process that was forked at the wrong moment would listen on.
        let _ = shutdown(&self.listener, Shutdown::Both);
    }

    /// Waits for something to do: whether somebody wants to connect, then which connections can go on.
    fn wait(&self, accepts: bool, patience: Duration) -> Vec<bool> {
        let mut fds = vec![
            PollFd::new(&self.stop.wake, PollFlags::IN),
            PollFd::new(&self.listener, if accepts { PollFlags::IN } else { PollFlags::empty() }),
        ];
        fds.extend(self.exchanges.iter().map(|exchange| PollFd::new(&exchange.socket, exchange.awaits())));
        if let Err(error) = poll(&mut fds, Some(&polling::timespec(patience)))
            && error != Errno::INTR
        {
            log::error!("the thread that answers HTTP can't wait: {error}");
            thread::sleep(SLICE);
        }
        fds[1..].iter().map(|fd| !fd.revents().is_empty()).collect()
    }

    /// Goes on with the connections that are ready, and lets go of those that have ended.
    fn go_on(&mut self, ready: &[bool]) {
        let mut exchanges = std::mem::take(&mut self.exchanges);
        let mut position = 0;
        let now = Instant::now();
        exchanges.retain_mut(|exchange| {
            let is_ready = ready.get(position).copied().unwrap_or_default();
            position += 1;
            if self.stop.wanted.load(Ordering::Acquire) {
                return true;
            }
            now < exchange.until && (!is_ready || exchange.go_on(&mut |request| self.respond(request)))
        });
        self.exchanges = exchanges;
    }

    /// Makes an answer, and rests.
    fn respond(&mut self, request: &HttpRequest<'_>) -> HttpResponse {
        let begun = Instant::now();
        let made = catch_unwind(AssertUnwindSafe(|| (self.respond)(request)));
        let rest = (begun.elapsed() * REST).min(LONGEST_REST);
        let _ = poll(&mut [PollFd::new(&self.stop.wake, PollFlags::IN)], Some(&polling::timespec(rest)));
        made.unwrap_or_else(|_| HttpResponse::text(500, "making the answer has failed\n"))
    }

    /// Takes the connections that wait; whether any more could be taken.
    fn accept(&mut self) -> bool {
        for _ in 0..MAX_CONNECTIONS {
            // Remembered before anybody forks.
            let gate = gate::enter();
            let accepted = accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
            let accepted = accepted.map(Descriptor::from);
            drop(gate);
            match accepted {
                Ok(socket) => self.exchanges.push(Exchange::new(socket)),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    log::warn!("a connection that asks for metrics is not taken: {error}");
                    return false;
                }
            }
        }
        true
    }

    /// Lets go of the oldest connections, if there are too many or their answers are too large.
    fn bound(&mut self) {
        let surplus = self.exchanges.len().saturating_sub(MAX_CONNECTIONS);
        self.exchanges.drain(..surplus);
        let mut waiting: usize = self.exchanges.iter().map(Exchange::holds).sum();
        while waiting > MAX_WAITING && self.exchanges.len() > 1 {
            waiting -= self.exchanges.remove(0).holds();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn server() -> HttpServer {
        let respond: Respond = Box::new(|request| match request.path {
            "/large" => HttpResponse::text(200, &"x".repeat(4 << 20)),
            "/panics" => panic!("on purpose"),
            path => HttpResponse::text(200, path),
        });
        HttpServer::start("127.0.0.1:0", respond).expect("a server")
    }

    fn connect(server: &HttpServer) -> TcpStream {
        TcpStream::connect(server.address()).expect("a connection")
    }

    /// What it answers, or what has come before it closed the connection.
    fn ask(server: &HttpServer, request: &str) -> String {
        let mut stream = connect(server);
        let _ = stream.write_all(request.as_bytes());
        read(&mut stream)
    }

    fn read(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn it_answers_and_stops() {
        let server = server();
        let answer = ask(&server, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/metrics"),
            "{answer}"
        );
        assert!(ask(&server, "HEAD /x HTTP/1.1\r\n\r\n").ends_with("close\r\n\r\n"));
        assert!(ask(&server, "POST /x HTTP/1.1\r\n\r\n").contains("Allow: GET, HEAD"));
        assert!(ask(&server, "GET /panics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 500 "));
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        let again = HttpServer::start(&address.to_string(), Box::new(|_| HttpResponse::text(200, "")));
        assert!(again.is_ok(), "its port is free at once");
    }

    #[test]
    fn who_is_slow_or_endless_keeps_nobody_from_it() {
        let server = server();
        let mut silent: Vec<_> = (0..MAX_CONNECTIONS * 2).map(|_| connect(&server)).collect();
        for stream in &mut silent {
            let _ = stream.write_all(b"GET /slow HTTP/1.1\r\n");
        }
        // They ask for much and read nothing.
        let mut deaf: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connect(&server)).collect();
        for stream in &mut deaf {
            let _ = stream.write_all(b"GET /large HTTP/1.1\r\n\r\n");
        }
        let mut endless = connect(&server);
        let mut sent = 0;
        while endless.write_all(&[b'x'; 4096]).is_ok() && sent < 64 << 20 {
            sent += 4096;
        }
        assert!(sent < 64 << 20, "it listens to no more than it has room for");
        assert!(ask(&server, "GET /metrics HTTP/1.1\r\n\r\n").ends_with("/metrics"));
        // The oldest were let go of.
        assert_eq!(read(&mut silent[0]), "");
    }
}
