//! What a round trip between two processes costs at least, as JSON on one line: bare eventfds (blocking), and
//! iceoryx2's publish-subscribe by itself (polled, 64 bytes).
//!
//! `cargo run --release -p pycrust-transport --example floors [rounds]`
#![allow(clippy::print_stdout, reason = "it prints its result")]

#[cfg(not(loom))]
mod floors {
    use std::error::Error;
    use std::io::{BufRead, BufReader};
    use std::os::fd::AsFd;
    use std::path::Path as StdPath;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use iceoryx2::port::publisher::Publisher;
    use iceoryx2::port::subscriber::Subscriber;
    use iceoryx2::prelude::{
        Config, FileName, LogLevel, NodeBuilder, Path, SemanticString, SignalHandlingMode, ipc, set_log_level,
    };
    use rustix::event::{EventfdFlags, eventfd};

    type Outcome<T> = Result<T, Box<dyn Error>>;
    type Payload = [u8; 64];

    /// Rounds before the measured ones.
    const WARM_UP: usize = 2_000;
    /// The last byte of the round that ends the echo.
    const END: u8 = 255;

    pub fn main() -> Outcome<()> {
        let args: Vec<_> = std::env::args().collect();
        match args.get(1).map(String::as_str) {
            Some("echo-eventfd") => echo_eventfd(),
            Some("echo-iceoryx2") => echo_iceoryx2(StdPath::new(&args[2])),
            rounds => {
                let rounds = rounds.map_or(Ok(20_000), str::parse)?;
                println!(
                    "{{\"eventfd\": {}, \"iceoryx2\": {}}}",
                    measure_eventfd(rounds)?,
                    measure_iceoryx2(rounds)?
                );
                Ok(())
            }
        }
    }

    /// Percentiles in microseconds.
    fn summary(mut nanos: Vec<u64>) -> String {
        nanos.drain(..WARM_UP.min(nanos.len()));
        nanos.sort_unstable();
        let at = |per_mille: usize| nanos[(nanos.len() - 1) * per_mille / 1000] as f64 / 1e3;
        let (p50, p90, p99, p999) = (at(500), at(900), at(990), at(999));
        format!("{{\"p50\": {p50}, \"p90\": {p90}, \"p99\": {p99}, \"p999\": {p999}}}")
    }

    fn timed(rounds: usize, mut round: impl FnMut() -> Outcome<()>) -> Outcome<String> {
        let mut nanos = Vec::with_capacity(rounds + WARM_UP);
        for _ in 0..rounds + WARM_UP {
            let begun = Instant::now();
            round()?;
            nanos.push(begun.elapsed().as_nanos() as u64);
        }
        Ok(summary(nanos))
    }

    fn ring(bell: impl AsFd) -> Outcome<()> {
        rustix::io::write(bell, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    fn hear(bell: impl AsFd) -> Outcome<()> {
        rustix::io::read(bell, &mut [0_u8; 8])?;
        Ok(())
    }

    fn measure_eventfd(rounds: usize) -> Outcome<String> {
        let (there, back) = (eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?);
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo-eventfd")
            .stdin(Stdio::from(there.try_clone()?))
            .stdout(Stdio::from(back.try_clone()?))
            .spawn()?;
        let result = timed(rounds, || {
            ring(&there)?;
            hear(&back)
        });
        child.kill()?;
        child.wait()?;
        result
    }

    fn echo_eventfd() -> Outcome<()> {
        loop {
            hear(std::io::stdin())?;
            ring(std::io::stdout())?;
        }
    }

    type Ports = (Publisher<ipc::Service, Payload, ()>, Subscriber<ipc::Service, Payload, ()>);

    fn ports(root: &StdPath, out: &str, back: &str) -> Outcome<Ports> {
        set_log_level(LogLevel::Error);
        let mut config = Config::default();
        config.global.set_root_path(&Path::new(root.as_os_str().as_encoded_bytes())?);
        config.global.prefix = FileName::new(prefix(root).as_bytes())?;
        let node = NodeBuilder::new()
            .config(&config)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?;
        let open = |name: &str| -> Outcome<_> {
            Ok(node
                .service_builder(&name.try_into()?)
                .publish_subscribe::<Payload>()
                .enable_safe_overflow(false)
                .open_or_create()?)
        };
        Ok((open(out)?.publisher_builder().create()?, open(back)?.subscriber_builder().create()?))
    }

    fn wait_for(subscriber: &Subscriber<ipc::Service, Payload, ()>) -> Outcome<Payload> {
        loop {
            if let Some(sample) = subscriber.receive()? {
                return Ok(*sample);
            }
            std::hint::spin_loop();
        }
    }

    /// What the names of one run's files begin with.
    fn prefix(root: &StdPath) -> String {
        format!("{}_", root.file_name().unwrap_or_default().to_string_lossy())
    }

    fn measure_iceoryx2(rounds: usize) -> Outcome<String> {
        let root = std::env::temp_dir().join(format!("pycrust-floor-{}", std::process::id()));
        std::fs::create_dir(&root)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo-iceoryx2")
            .arg(&root)
            .stdout(Stdio::piped())
            .spawn()?;
        let result = (|| {
            let (publisher, subscriber) = ports(&root, "there", "back")?;
            let Some(stdout) = child.stdout.take() else { return Err("no output".into()) };
            BufReader::new(stdout).read_line(&mut String::new())?;
            let result = timed(rounds, || {
                publisher.send_copy([7; 64])?;
                wait_for(&subscriber)?;
                Ok(())
            });
            publisher.send_copy([END; 64])?;
            child.wait()?;
            result
        })();
        let _ = child.kill();
        child.wait()?;
        std::fs::remove_dir_all(&root)?;
        // iceoryx2 leaves its count of nodes.
        for entry in std::fs::read_dir("/dev/shm")?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix(&root)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        result
    }

    fn echo_iceoryx2(root: &StdPath) -> Outcome<()> {
        let (publisher, subscriber) = ports(root, "back", "there")?;
        println!("ready");
        loop {
            let payload = wait_for(&subscriber)?;
            if payload[63] == END {
                return Ok(());
            }
            publisher.send_copy(payload)?;
        }
    }
}

#[cfg(not(loom))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    floors::main()
}

#[cfg(loom)]
fn main() {}
