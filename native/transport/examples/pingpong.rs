//! Round trips between two processes: bare eventfds, this transport sleeping, this transport polled.
//!
//! `cargo run --release -p pycrust-transport --example pingpong [rounds]`
#![allow(clippy::print_stdout, reason = "it prints a table")]

#[cfg(not(loom))]
mod pingpong {
    use std::error::Error;
    use std::io::{BufRead, BufReader};
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use pycrust_protocol::header::{Common, RequestHeader};
    use pycrust_protocol::name::EndpointName;
    use pycrust_transport::{
        Acceptor, AcceptorEvents, Claim, Connection, Limits, Link, Runtime, Waiter, connect,
    };
    use rustix::event::{EventfdFlags, eventfd};

    type Outcome<T> = Result<T, Box<dyn Error>>;

    /// Bytes of a frame's body.
    const BODY: [u8; 64] = [7; 64];

    /// Rounds before the measured ones.
    const WARM_UP: usize = 2_000;

    #[derive(Default)]
    struct Links(Mutex<Vec<Arc<Connection>>>);

    impl Links {
        fn all(&self) -> Vec<Arc<Connection>> {
            self.0.lock().map(|links| links.clone()).unwrap_or_default()
        }
    }

    impl AcceptorEvents<Connection> for Links {
        fn connected(&self, link: Arc<Connection>) {
            if let Ok(mut links) = self.0.lock() {
                links.push(link);
            }
        }

        fn disconnected(&self, connection: u64, _reason: &str) {
            if let Ok(mut links) = self.0.lock() {
                links.retain(|link| link.id() != connection);
            }
        }
    }

    pub fn main() -> Outcome<()> {
        let args: Vec<_> = std::env::args().collect();
        match args.get(1).map(String::as_str) {
            Some("echo-eventfd") => echo_eventfd(),
            Some("echo-frames") => echo_frames(Path::new(&args[2]), args[3] == "sleeping"),
            rounds => measure(rounds.map_or(Ok(50_000), str::parse)?),
        }
    }

    fn measure(rounds: usize) -> Outcome<()> {
        println!("{rounds} round trips of {} bytes, in microseconds", BODY.len());
        println!("{:<24}{:>8}{:>8}{:>8}", "", "p50", "p99", "p99.9");
        report("eventfd, blocking", eventfds(rounds)?);
        report("transport, sleeping", frames(rounds, true)?);
        report("transport, polled", frames(rounds, false)?);
        Ok(())
    }

    fn report(name: &str, mut nanos: Vec<u64>) {
        nanos.sort_unstable();
        let at = |per_mille: usize| nanos[(nanos.len() - 1) * per_mille / 1000] as f64 / 1000.0;
        println!("{name:<24}{:>8.2}{:>8.2}{:>8.2}", at(500), at(990), at(999));
    }

    fn timed(rounds: usize, mut round: impl FnMut() -> Outcome<()>) -> Outcome<Vec<u64>> {
        let mut nanos = Vec::with_capacity(rounds);
        for number in 0..WARM_UP + rounds {
            let begun = Instant::now();
            round()?;
            if number >= WARM_UP {
                nanos.push(begun.elapsed().as_nanos() as u64);
            }
        }
        Ok(nanos)
    }

    /// The floor: two blocking eventfds and nothing else.
    fn eventfds(rounds: usize) -> Outcome<Vec<u64>> {
        let (there, back) = (eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?);
        let ours = |fd: &OwnedFd| fd.try_clone();
        // The child's ends are its standard input and output.
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo-eventfd")
            .stdin(ours(&there)?)
            .stdout(ours(&back)?)
            .spawn()?;
        let nanos = timed(rounds, || {
            rustix::io::write(&there, &1_u64.to_ne_bytes())?;
            rustix::io::read(&back, &mut [0; 8])?;
            Ok(())
        });
        end(&mut child)?;
        nanos
    }

    fn echo_eventfd() -> Outcome<()> {
        let (from, to) = (std::io::stdin(), std::io::stdout());
        loop {
            rustix::io::read(&from, &mut [0; 8])?;
            rustix::io::write(&to, &1_u64.to_ne_bytes())?;
        }
    }

    fn frames(rounds: usize, sleeping: bool) -> Outcome<Vec<u64>> {
        let place = tempfile::tempdir()?;
        // Made by the transport, with the mode that it asks for.
        let dir = place.path().join("run");
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo-frames")
            .arg(&dir)
            .arg(if sleeping { "sleeping" } else { "polled" })
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(said) = child.stdout.take() {
            BufReader::new(said).read_line(&mut String::new())?;
        }
        let client = connect(&Runtime::at(&dir)?, &EndpointName::new("bench")?, "pingpong")?;
        let waiter = Waiter::new()?;
        waiter.add(client.doorbell(), 0)?;
        let nanos = timed(rounds, || {
            client.send(&header(), &[&BODY])?;
            await_frame(&client, &waiter, sleeping);
            client.receive(1, &mut |_| {})?;
            Ok(())
        });
        client.close();
        end(&mut child)?;
        nanos
    }

    fn echo_frames(dir: &Path, sleeping: bool) -> Outcome<()> {
        let links = Arc::new(Links::default());
        let claim = Claim::take(&Runtime::at(dir)?, &EndpointName::new("bench")?, "")?;
        let _acceptor = Acceptor::start(claim, Limits { max_in_flight: 1 }, Arc::clone(&links) as _)?;
        println!("serving");
        let link = loop {
            match links.all().first() {
                Some(link) => break Arc::clone(link),
                None => std::thread::yield_now(),
            }
        };
        let waiter = Waiter::new()?;
        waiter.add(link.doorbell(), 0)?;
        let mut body = Vec::new();
        loop {
            await_frame(&link, &waiter, sleeping);
            link.receive(1, &mut |frame| {
                body.clear();
                body.extend_from_slice(frame.head());
            })?;
            link.send(&header(), &[&body])?;
        }
    }

    /// The frame that both sides send.
    fn header() -> [u8; pycrust_protocol::header::HEADER_LEN] {
        let common = Common { body_len: BODY.len() as u32, ..Common::default() };
        RequestHeader { common, ..RequestHeader::default() }.encode()
    }

    fn await_frame(link: &Connection, waiter: &Waiter, sleeping: bool) {
        while !link.ready() {
            if sleeping {
                link.announce_sleep();
                if !link.ready() {
                    waiter.wait(None);
                }
                link.announce_awake();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    fn end(child: &mut Child) -> Outcome<()> {
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

#[cfg(not(loom))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    pingpong::main()
}

#[cfg(loom)]
fn main() {}
