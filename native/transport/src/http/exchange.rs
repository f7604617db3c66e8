//! One connection: a request comes, its answer goes, and that is all.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::{Errno, read};
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use crate::fork::Descriptor;
use crate::http::server::{HttpRequest, HttpResponse};

/// Bytes that a request may have before its empty line.
const MAX_REQUEST: usize = 8 << 10;
/// Bytes behind a request that are read, so that closing the connection does not take the answer with it.
const MAX_REST: usize = 64 << 10;
/// How long a connection may take for all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
pub(super) struct Exchange {
    pub(super) socket: Descriptor,
    /// When it is closed, however far it is.
    pub(super) until: Instant,
    state: State,
}

enum State {
    /// The request comes.
    Reads(Vec<u8>),
    /// The answer goes: what it is, and how much of it has gone.
    Writes(Vec<u8>, usize),
    /// Waits for the other side to close; so much may still come.
    Ends(usize),
}

/// A request's first line and headers.
#[derive(Debug, PartialEq, Eq)]
struct Head<'a> {
    only_head: bool,
    request: HttpRequest<'a>,
}

impl Exchange {
    pub(super) fn new(socket: Descriptor) -> Self {
        Self { socket, until: Instant::now() + PATIENCE, state: State::Reads(Vec::new()) }
    }

    /// What it waits for.
    pub(super) fn awaits(&self) -> PollFlags {
        match self.state {
            State::Reads(_) | State::Ends(_) => PollFlags::IN,
            State::Writes(..) => PollFlags::OUT,
        }
    }

    /// Bytes of its answer.
    pub(super) fn holds(&self) -> usize {
        match &self.state {
            State::Writes(answer, _) => answer.len(),
            State::Reads(_) | State::Ends(_) => 0,
        }
    }

    /// Goes on as far as it goes without waiting; whether there is more to come.
    pub(super) fn go_on(&mut self, respond: &mut dyn FnMut(&HttpRequest<'_>) -> HttpResponse) -> bool {
        loop {
            let next = match &mut self.state {
                State::Reads(request) => match receive(&self.socket, request) {
                    Ok(true) => State::Writes(answer(request, respond), 0),
                    Ok(false) => return false,
                    Err(error) => return error == Errno::AGAIN,
                },
                State::Writes(answer, sent) => {
                    match send(&self.socket, &answer[*sent..], SendFlags::NOSIGNAL) {
                        Ok(count) if *sent + count < answer.len() => {
                            *sent += count;
                            continue;
                        }
                        // Said before it is closed: a forked child may have a copy of the socket.
                        Ok(_) if shutdown(&self.socket, Shutdown::Write).is_ok() => State::Ends(MAX_REST),
                        Err(Errno::INTR) => continue,
                        Err(Errno::AGAIN) => return true,
                        Ok(_) | Err(_) => return false,
                    }
                }
                State::Ends(left) => match read(&self.socket, &mut [0; 4096][..]) {
                    Ok(count) if count > 0 && count <= *left => {
                        *left -= count;
                        continue;
                    }
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) => return true,
                    Ok(_) | Err(_) => return false,
                },
            };
            self.state = next;
        }
    }
}

/// Receives what has come of a request: whether all of it has, `false` if the other side has closed before.
fn receive(socket: &Descriptor, request: &mut Vec<u8>) -> Result<bool, Errno> {
    let mut bytes = [0; 4096];
    loop {
        match read(socket, &mut bytes[..]) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                let before = request.len().saturating_sub(3);
                request.extend_from_slice(&bytes[..count]);
                if ends(&request[before..]).is_some() || request.len() > MAX_REQUEST {
                    return Ok(true);
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where the empty line is that ends a request.
fn ends(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

/// The answer to what was received, as it goes out.
fn answer(request: &[u8], respond: &mut dyn FnMut(&HttpRequest<'_>) -> HttpResponse) -> Vec<u8> {
    let (response, only_head) = match parse(request) {
        Ok(head) => (respond(&head.request), head.only_head),
        Err(refusal) => (refusal, false),
    };
    let HttpResponse { status, content_type, body } = response;
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let mut out = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n{allow}Connection: close\r\n\r\n",
        reason(status),
        body.len()
    )
    .into_bytes();
    if !only_head {
        out.extend_from_slice(body.as_bytes());
    }
    out
}

/// Reads a request.
///
/// # Errors
/// What is answered to one that is none, or that nobody answers here.
fn parse(request: &[u8]) -> Result<Head<'_>, HttpResponse> {
    let Some(end) = ends(request).filter(|end| *end <= MAX_REQUEST) else {
        return Err(HttpResponse::text(431, "a request has at most 8 KiB here\n"));
    };
    let bad = |what: &str| HttpResponse::text(400, &format!("{what}\n"));
    let head = std::str::from_utf8(&request[..end]).map_err(|_| bad("a request's head is ASCII"))?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("a request begins with METHOD TARGET HTTP/1.1"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(HttpResponse::text(505, "this speaks HTTP/1.1\n"));
    }
    if method != "GET" && method != "HEAD" {
        return Err(HttpResponse::text(405, "there is nothing here but to GET\n"));
    }
    let mut accept = "";
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Err(bad("a header has a colon")) };
        if name.eq_ignore_ascii_case("accept") {
            accept = value.trim();
        }
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    Ok(Head { only_head: method == "HEAD", request: HttpRequest { path, accept } })
}

/// What a status is called.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> u16 {
        parse(request.as_bytes()).map_or_else(|refusal| refusal.status, |_| 200)
    }

    #[test]
    fn a_request_is_read() {
        let asked = parse(b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\naCCept:  text/plain \r\n\r\nmore");
        let request = HttpRequest { path: "/metrics", accept: "text/plain" };
        assert_eq!(asked.ok(), Some(Head { only_head: false, request }));
        assert_eq!(parse(b"HEAD / HTTP/1.0\r\n\r\n").ok().map(|head| head.only_head), Some(true));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (request, expected) in [
            ("\r\n\r\n", 400),
            ("GET\r\n\r\n", 400),
            ("GET / HTTP/1.1 more\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("GET / HTTP/2\r\n\r\n", 505),
            ("POST / HTTP/1.1\r\n\r\n", 405),
            ("get / HTTP/1.1\r\n\r\n", 405),
            ("GET / HTTP/1.1\r\n", 431),
        ] {
            assert_eq!(status(request), expected, "{request:?}");
        }
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_REQUEST))), 431);
        let mut bytes = b"GET /\xff HTTP/1.1\r\n\r\n".to_vec();
        assert_eq!(parse(&bytes).err().map(|refusal| refusal.status), Some(400));
        bytes.clear();
        assert_eq!(parse(&bytes).err().map(|refusal| refusal.status), Some(431));
    }
}
