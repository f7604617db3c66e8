//! The control thread: accepts clients, shakes hands, notices deaths, cleans up after the dead.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pycrust_protocol::Code;
use pycrust_protocol::handshake::Message;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::connection::control_socket::{self, Received};
use crate::connection::established::{Connection, ControlEvent};
use crate::error::TransportError;
use crate::faults::reached;
use crate::handshake::accept::{self, Caller, MAX_CONNECTIONS, Step, Terms};
use crate::handshake::acceptor::{AcceptorEvents, Stop};
use crate::handshake::claim::Claim;
use crate::sleeping::{polling, wakeup};

/// Clients at a time that have connected and said nothing. The one that has been silent for longest makes place.
const MAX_SILENT: usize = 64;

/// Clients that are accepted before those that are connected get their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// Time between ticks.
const TICK: Duration = Duration::from_secs(1);

/// Ticks between looks for what the dead left.
const TICKS_PER_LOOK: u64 = 30;

/// How often a clean-up after a dead client is tried, and how long apart: iceoryx2's locks go a moment after
/// the death, and its ports should be dropped on our side first.
const CLEAN_TRIES: u32 = 40;
/// See [`CLEAN_TRIES`].
const CLEAN_AFTER: Duration = Duration::from_millis(20);

/// How long after its hang-up a process may take to end, to be told from one that lives on.
const EXIT_AFTER_HANG_UP: Duration = Duration::from_millis(20);

/// One client, by how far it has come.
enum Client {
    /// Connected its control socket.
    Calls(Caller),
    /// Opens its ports until then.
    Opens(Arc<Connection>, Instant),
    /// Is served.
    Served(Arc<Connection>),
}

/// A clean-up after a client that is gone.
struct CleanUp {
    /// The link, while the engine still holds it.
    link: Weak<Connection>,
    /// Tries left.
    tries: u32,
    /// When to try.
    at: Instant,
}

/// The control thread's state.
pub(crate) struct ControlThread {
    /// The clients, by the number that their connection has or will have.
    clients: BTreeMap<u64, Client>,
    /// Number of the next client, from 1.
    next: u64,
    /// Clean-ups to be done.
    clean_ups: Vec<CleanUp>,
    /// What every handshake needs.
    terms: Terms,
    /// Who is told.
    events: Arc<dyn AcceptorEvents<Connection>>,
    /// How the thread is stopped.
    stop: Arc<Stop>,
    /// When the next tick is due.
    tick_at: Instant,
    /// Ticks so far.
    ticks: u64,
    /// A descriptor to do without for a moment: who comes when there are no more can still be told so.
    spare: Option<OwnedFd>,
    /// The claim: last, so that the name is free only once everything else is gone.
    claim: Claim,
}

/// Descriptors that a worker with all its connections may have: 4 each, and those of the program around it.
const MOST_DESCRIPTORS: u64 = 2048;

/// What a round of the loop found readable.
struct Found {
    /// Someone wants to connect.
    caller: bool,
    /// These clients have something to say or are gone.
    clients: Vec<u64>,
}

/// Has the kernel make this process's table of descriptors as large as it may become here.
///
/// It grows by powers of two, and each time waits until no other core looks at the old table: 10 ms and more, in the
/// middle of the handshake with the client whose descriptors no longer fit. So it waits once, before there is one.
fn prepare_descriptors() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let last = limit.min(MOST_DESCRIPTORS).saturating_sub(1);
    if let (Ok(last), Ok(any)) = (i32::try_from(last), wakeup::create()) {
        // Should it be refused, connecting takes longer now and then. What is made is closed at once.
        let _ = rustix::io::fcntl_dupfd_cloexec(&any, last);
    }
}

impl ControlThread {
    /// Prepares the thread: makes the worker's node.
    pub(crate) fn new(
        claim: Claim,
        max_in_flight: u32,
        events: Arc<dyn AcceptorEvents<Connection>>,
        stop: Arc<Stop>,
    ) -> Self {
        let node = Arc::clone(claim.node());
        let terms = Terms { owner: claim.owner().clone(), max_in_flight, node };
        Self {
            clients: BTreeMap::new(),
            next: 1,
            clean_ups: Vec::new(),
            terms,
            events,
            stop,
            tick_at: Instant::now() + TICK,
            ticks: 0,
            spare: wakeup::create().ok(),
            claim,
        }
    }

    /// Runs until stopped.
    pub(crate) fn run(mut self) {
        prepare_descriptors();
        while !self.stop.wanted() {
            let found = self.wait();
            for number in found.clients {
                self.contained(number, |thread| thread.serve(number));
            }
            if found.caller {
                self.accept();
            }
            let now = Instant::now();
            self.expire(now);
            self.clean_up(now);
            if now >= self.tick_at {
                self.tick_at = now + TICK;
                self.tick();
            }
        }
        self.finish();
    }

    /// Sleeps until something happens.
    fn wait(&self) -> Found {
        let deadlines = self.clients.values().filter_map(|client| match client {
            Client::Calls(caller) => Some(caller.until()),
            Client::Opens(_, until) => Some(*until),
            Client::Served(_) => None,
        });
        let clean_ups = self.clean_ups.iter().map(|clean_up| clean_up.at);
        let until = deadlines.chain(clean_ups).fold(self.tick_at, Instant::min);
        let mut fds = vec![PollFd::from_borrowed_fd(self.stop.wake.as_fd(), PollFlags::IN)];
        fds.extend(self.claim.sockets().map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        let first = fds.len();
        let mut numbers = Vec::with_capacity(self.clients.len() * 2);
        for (number, client) in &self.clients {
            let (control, pidfd) = match client {
                Client::Calls(caller) => (caller.control(), None),
                Client::Opens(link, _) | Client::Served(link) => (link.hangup_fd(), Some(link.pidfd())),
            };
            for fd in [Some(control), pidfd].into_iter().flatten() {
                fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                numbers.push(*number);
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut fds, Some(&polling::timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                log::error!("the control thread can't wait: {error}");
                std::thread::sleep(CLEAN_AFTER);
            }
        }
        let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let mut clients: Vec<_> = fds[first..]
            .iter()
            .zip(numbers)
            .filter(|(fd, _)| happened(fd))
            .map(|(_, number)| number)
            .collect();
        clients.dedup();
        Found { caller: fds[1..first].iter().any(happened), clients }
    }

    /// Does one client's work; a panic in it ends that client and no other.
    fn contained(&mut self, number: u64, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            log::error!("the control thread panicked over client {number}");
            self.drop_client(number, "the worker failed to handle this client");
        }
    }

    /// Accepts whoever waits, as long as there is room.
    fn accept(&mut self) {
        match self.claim.renew_life() {
            Ok(Some(what)) => self.notice(&what),
            Ok(None) => {}
            Err(error) => log::error!("{error}"),
        }
        self.terms.node = Arc::clone(self.claim.node());
        for _ in 0..ACCEPTED_AT_ONCE {
            let next = self.claim.sockets().find_map(next_caller);
            let Some(caller) = next else { return };
            match caller {
                Ok(control) => self.admit(control),
                Err(error) => return self.turn_away(error),
            }
        }
    }

    /// Begins the handshake with a client.
    fn admit(&mut self, control: OwnedFd) {
        let number = self.next;
        self.next += 1;
        match Caller::new(control) {
            Ok(caller) => {
                self.clients.insert(number, Client::Calls(caller));
                // Most have said hello by now.
                self.contained(number, |thread| thread.serve(number));
                self.make_place();
            }
            Err(reason) => self.not_connected(number, &reason),
        }
    }

    /// Parts from whoever has been silent for longest, if too many are.
    fn make_place(&mut self) {
        let silent = |(number, client): (&u64, &Client)| match client {
            Client::Calls(_) => Some(*number),
            _ => None,
        };
        let mut silent = self.clients.iter().filter_map(silent);
        let Some(oldest) = silent.next() else { return };
        if silent.count() < MAX_SILENT {
            return;
        }
        if let Some(Client::Calls(caller)) = self.clients.remove(&oldest) {
            caller.refuse(
                Code::ResourceExhausted,
                format!("{MAX_SILENT} others connected and said nothing, too"),
            );
        }
    }

    /// Tells whoever could not be accepted why, with the spare descriptor's place.
    fn turn_away(&mut self, error: Errno) {
        let reason = TransportError::system("accept a client", error).to_string();
        self.spare = None;
        let waiting = self.claim.sockets().find_map(next_caller);
        if let Some(Ok(control)) = waiting {
            accept::refuse(&control, Code::ResourceExhausted, reason.clone());
        } else {
            // Without a pause the loop would spin until there is one.
            std::thread::sleep(CLEAN_AFTER);
        }
        self.spare = wakeup::create().ok();
        self.notice(&reason);
    }

    /// Tells of a client that wanted to connect and could not.
    fn not_connected(&self, number: u64, reason: &str) {
        self.notice(&format!("client {number} was not connected: {reason}"));
    }

    /// Tells whoever runs the worker.
    fn notice(&self, what: &str) {
        if catch_unwind(AssertUnwindSafe(|| self.events.noticed(what))).is_err() {
            log::error!("telling of {what:?} panicked");
        }
    }

    /// Does what a client's descriptors ask for.
    fn serve(&mut self, number: u64) {
        let connected = self.clients.values().filter(|client| !matches!(client, Client::Calls(_))).count();
        match self.clients.remove(&number) {
            Some(Client::Calls(caller)) => {
                match caller.step(&self.terms, number, connected < MAX_CONNECTIONS) {
                    Step::Waits(caller) => drop(self.clients.insert(number, Client::Calls(caller))),
                    Step::Welcomed(link, until) => {
                        self.clients.insert(number, Client::Opens(link, until));
                    }
                    Step::Looked => {}
                    Step::TakesOver(pid) => self.events.name_asked_for(pid),
                    Step::Gone(reason) => self.not_connected(number, &reason),
                }
            }
            Some(Client::Opens(link, until)) => self.open(number, link, until),
            Some(Client::Served(link)) => {
                self.clients.insert(number, Client::Served(Arc::clone(&link)));
                let reason = match link.on_control() {
                    ControlEvent::Goodbye(reason) => reason,
                    ControlEvent::Nothing if !link.peer_exited() => return,
                    // A process that ends closes its files first.
                    _ if link.exits_within(EXIT_AFTER_HANG_UP) => "its process ended".into(),
                    _ => "it hung up".into(),
                };
                drop(link);
                self.drop_client(number, &reason);
            }
            None => {}
        }
    }

    /// Continues with a client that opens its ports.
    fn open(&mut self, number: u64, link: Arc<Connection>, until: Instant) {
        let reason = match control_socket::receive(link.hangup_fd()) {
            Received::Message(Message::Opened, _) => match link.update() {
                Ok(()) => {
                    reached("accept.opened");
                    self.clients.insert(number, Client::Served(Arc::clone(&link)));
                    self.events.connected(Arc::clone(&link));
                    // A client that is gone by now is noticed by its hang-up.
                    let _ = control_socket::send(link.hangup_fd(), &Message::Serving, &[]);
                    reached("accept.serving");
                    return;
                }
                Err(error) => error.to_string(),
            },
            Received::Nothing if !link.peer_exited() => {
                self.clients.insert(number, Client::Opens(link, until));
                return;
            }
            Received::Nothing | Received::HungUp => "it hung up".into(),
            Received::Message(Message::Goodbye { reason }, _) | Received::Malformed(reason) => reason,
            Received::Message(other, _) => format!("expected it to open its ports, got {other:?}"),
        };
        self.clients.insert(number, Client::Opens(link, until));
        self.drop_client(number, &reason);
    }

    /// Lets go of a client, however far it has come.
    fn drop_client(&mut self, number: u64, reason: &str) {
        let link = match self.clients.remove(&number) {
            Some(Client::Served(link)) => {
                link.part(reason);
                let told = catch_unwind(AssertUnwindSafe(|| self.events.disconnected(number, reason)));
                if told.is_err() {
                    log::error!("telling of client {number}'s end panicked");
                }
                link
            }
            Some(Client::Opens(link, _)) => {
                self.not_connected(number, reason);
                link.part(reason);
                link
            }
            Some(Client::Calls(_)) | None => return,
        };
        reached("drop.client_dropped");
        let clean_up = CleanUp { link: Arc::downgrade(&link), tries: CLEAN_TRIES, at: Instant::now() };
        self.clean_ups.push(clean_up);
    }

    /// Ends handshakes that take too long.
    fn expire(&mut self, now: Instant) {
        let late: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, client)| match client {
                Client::Calls(caller) => now >= caller.until(),
                Client::Opens(_, until) => now >= *until,
                Client::Served(_) => false,
            })
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            if let Some(Client::Calls(caller)) = self.clients.get(&number) {
                log::info!("pid {} connected and said nothing", caller.pid());
                self.clients.remove(&number);
            } else {
                self.drop_client(number, "it took too long to open its ports");
            }
        }
    }

    /// Cleans up after clients that are gone, once nobody here holds their links; in the end even so.
    fn clean_up(&mut self, now: Instant) {
        let mut due = false;
        self.clean_ups.retain_mut(|clean_up| {
            if now < clean_up.at {
                return true;
            }
            clean_up.at = now + CLEAN_AFTER;
            clean_up.tries -= 1;
            let held = clean_up.link.strong_count() > 0;
            if held && clean_up.tries > CLEAN_TRIES / 2 {
                return true;
            }
            due = true;
            // Once would do if the locks of the dead were gone for sure; a second look costs little.
            if !held {
                clean_up.tries = clean_up.tries.min(3);
            }
            clean_up.tries > 0
        });
        // Once for all of them: it looks at every node.
        if due {
            self.terms.node.clean_dead_nodes();
            reached("drop.cleaned");
        }
    }

    /// The slow tick.
    fn tick(&mut self) {
        self.ticks += 1;
        if catch_unwind(AssertUnwindSafe(|| self.events.tick())).is_err() {
            log::error!("a tick panicked");
        }
        self.restore();
        if self.ticks.is_multiple_of(TICKS_PER_LOOK) {
            self.terms.node.clean_dead_nodes();
            self.claim.look();
        }
    }

    /// Makes again what was cleaned away under this worker; lets go of everyone if another serves the name by now.
    fn restore(&mut self) {
        match self.claim.restore() {
            Ok(news) => news.iter().for_each(|what| self.notice(what)),
            Err(error) => {
                let reason = format!("its files were removed, and {error}");
                self.notice(&format!("this worker stops: {reason}"));
                self.part_from_all(&reason);
                self.stop.wanted.store(true, Ordering::Release);
                self.events.name_lost(&format!("stopped: {reason}"));
            }
        }
    }

    /// Ends.
    fn finish(&mut self) {
        self.part_from_all("the worker stops");
        reached("stop.parted");
        self.terms.node.clean_dead_nodes();
    }

    /// Lets go of everyone.
    fn part_from_all(&mut self, reason: &str) {
        for number in self.clients.keys().copied().collect::<Vec<_>>() {
            if let Some(Client::Calls(caller)) = self.clients.get(&number) {
                caller.refuse(Code::Unavailable, reason.into());
            }
            self.drop_client(number, reason);
        }
        self.clients.clear();
    }
}

/// The next client that waits; `None` if none does.
fn next_caller(socket: BorrowedFd<'_>) -> Option<Result<OwnedFd, Errno>> {
    loop {
        match rustix::net::accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::WOULDBLOCK) => return None,
            other => return Some(other),
        }
    }
}
