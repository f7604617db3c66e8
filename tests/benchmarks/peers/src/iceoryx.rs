//! iceoryx2 by itself: publish-subscribe each way with MessagePack inside, its events for sleeping.

use std::time::{Duration, Instant};

use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    Config, FileName, LogLevel, NodeBuilder, Path, SemanticString, SignalHandlingMode, ZeroCopySend, ipc,
    set_log_level,
};
use pycrust_peers_calling::ARGS;
use pycrust_peers_calling::measure::Times;

use crate::Options;

/// A message of either direction.
#[derive(Debug, Clone, Copy, ZeroCopySend)]
#[repr(C)]
#[type_name("Message")]
struct Message {
    len: u64,
    bytes: [u8; 56],
}

impl Message {
    fn new(body: &[u8]) -> Self {
        let mut bytes = [0; 56];
        bytes[..body.len()].copy_from_slice(body);
        Self { len: body.len() as u64, bytes }
    }

    fn body(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

pub fn run(options: &Options, polled: bool) -> anyhow::Result<Times> {
    set_log_level(LogLevel::Error);
    let fail = |error: &dyn std::fmt::Debug| anyhow::anyhow!("iceoryx2: {error:?}");
    let mut config = Config::default();
    config.global.set_root_path(
        &Path::new(options.path.as_os_str().as_encoded_bytes()).map_err(|error| fail(&error))?,
    );
    config.global.prefix = FileName::new(b"pycpeer_").map_err(|error| fail(&error))?;
    let node = NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<ipc::Service>()?;
    let service = |name: &str| -> anyhow::Result<_> {
        Ok(node.service_builder(&name.try_into()?).publish_subscribe::<Message>().open()?)
    };
    let event =
        |name: &str| -> anyhow::Result<_> { Ok(node.service_builder(&name.try_into()?).event().open()?) };
    let publisher = service("requests")?.publisher_builder().create()?;
    let subscriber = service("answers")?.subscriber_builder().create()?;
    let notifier = event("requests")?.notifier_builder().create()?;
    let listener = event("answers")?.listener_builder().create()?;

    let mut times = Times::default();
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < options.calls.seconds {
        if let Some(hertz) = options.calls.pace {
            std::thread::sleep(Duration::from_secs_f64(1.0 / hertz));
        }
        let sent = Instant::now();
        publisher.send_copy(Message::new(&rmp_serde::to_vec_named(&ARGS)?))?;
        if !polled {
            notifier.notify()?;
        }
        let answer = loop {
            if let Some(answer) = received(&subscriber)? {
                break answer;
            }
            if !polled {
                listener.blocking_wait(|_| {})?;
            }
        };
        let sum: i64 = rmp_serde::from_slice(answer.body())?;
        times.record(sent.elapsed());
        anyhow::ensure!(sum == 3, "wrong sum: {sum}");
    }
    times.took = begun.elapsed();
    Ok(times)
}

fn received(subscriber: &Subscriber<ipc::Service, Message, ()>) -> anyhow::Result<Option<Message>> {
    Ok(subscriber.receive()?.map(|sample| *sample))
}
