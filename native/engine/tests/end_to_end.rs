//! The engine over the real transport: shared memory, doorbells, control socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pycrust_engine::{Change, Config, DispatchThread, Engine, MethodRecording};
use pycrust_protocol::Code;
use pycrust_protocol::control::{Response, put_request_head};
use pycrust_protocol::header::{Common, Header, RequestHeader};
use pycrust_protocol::name::EndpointName;
use pycrust_protocol::reserved::{METHODS, MethodInfo};
use pycrust_transport::{Acceptor, Claim, Connection, Limits, Link, Runtime, SendError, connect};

/// How long a test waits before it calls the worker hung.
const HANG: Duration = Duration::from_secs(60);

/// A handler takes the arguments and gives the result.
type Handler = fn(&[u8]) -> Vec<u8>;
type RealEngine = Engine<Handler, Connection>;

fn dispatch(engine: &Arc<RealEngine>, mut thread: DispatchThread) {
    while let Some(mut job) = engine.next(&mut thread) {
        job.attached();
        job.decoded();
        let result = job.handler()(job.payload());
        job.ran();
        job.respond(Code::Ok, &result);
    }
}

fn engine() -> Arc<RealEngine> {
    let spawn = Box::new(|engine: Arc<RealEngine>, thread: DispatchThread| {
        std::thread::spawn(move || dispatch(&engine, thread));
    });
    let engine = Engine::new(Config::new("real", 0), spawn).unwrap();
    let register = |method: &str, handler: Handler| Change::Register {
        method: method.into(),
        handler,
        concurrency: 1,
        exclusive: false,
        refuses_late: false,
        batching: None,
        schema_hash: 0,
        // Long enough that the answer to `pycrust.methods` is a large frame.
        schema_json: "x".repeat(5000),
        compatible_schemas: Vec::new(),
        schema_changes: Vec::new(),
        doc: String::new(),
        recording: MethodRecording::default(),
    };
    engine.publish(vec![
        register("echo", <[u8]>::to_vec),
        register("nap", |arguments| {
            std::thread::sleep(Duration::from_millis(2));
            arguments.to_vec()
        }),
    ]);
    engine
}

/// A client that polls.
struct Caller {
    connection: Connection,
    calls: u64,
}

impl Caller {
    fn new(runtime: &Runtime) -> Self {
        Self { connection: connect(runtime, &name(), "caller").unwrap(), calls: 0 }
    }

    fn send(&mut self, method: &str, payload: &[u8]) -> u64 {
        self.calls += 1;
        let id = (self.calls << 16) | (self.calls % 16);
        let mut head = Vec::new();
        put_request_head(&mut head, id, method, payload.len());
        let common = Common { body_len: (head.len() + payload.len()) as u32, ..Common::default() };
        let header = RequestHeader { common, ..RequestHeader::default() }.encode();
        let begun = Instant::now();
        loop {
            match self.connection.send(&header, &[&head, payload]) {
                Ok(()) => return id,
                Err(SendError::Full) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(begun.elapsed() < HANG, "no room for a request");
            std::thread::yield_now();
        }
    }

    fn answer(&mut self) -> (u64, Code, Vec<u8>) {
        let begun = Instant::now();
        let mut answer = None;
        while answer.is_none() {
            self.connection
                .receive(1, &mut |frame| {
                    let Header::Response(header) = Header::decode(frame.header()).unwrap() else { panic!() };
                    let parts = header.common.split(frame.head()).unwrap();
                    let response = Response::decode(parts.control).unwrap();
                    answer = Some((response.id, response.status, response.payload.to_vec()));
                })
                .unwrap();
            self.connection.on_control();
            assert!(begun.elapsed() < HANG, "no answer");
            std::thread::yield_now();
        }
        answer.unwrap()
    }

    fn call(&mut self, method: &str, payload: &[u8]) -> Vec<u8> {
        let id = self.send(method, payload);
        let (answered, status, result) = self.answer();
        assert_eq!((answered, status), (id, Code::Ok));
        result
    }
}

fn name() -> EndpointName {
    EndpointName::new("real").unwrap()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < HANG, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn clients_call_a_worker_that_stops_and_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Runtime::at(&dir.path().join("run")).unwrap();
    let engine = engine();
    for _ in 0..2 {
        let claim = Claim::take(&runtime, &name(), "").unwrap();
        engine.set_generation(claim.owner().generation);
        engine.start().unwrap();
        let acceptor = Acceptor::start(claim, Limits { max_in_flight: 16 }, engine.clone()).unwrap();
        std::thread::scope(|scope| {
            for client in 0..3_usize {
                let runtime = &runtime;
                scope.spawn(move || {
                    let mut caller = Caller::new(runtime);
                    for value in 0..500_usize {
                        let method = if value % 50 == client { "nap" } else { "echo" };
                        assert_eq!(caller.call(method, &value.to_le_bytes()), value.to_le_bytes());
                    }
                    let large: Vec<u8> = (0..300_000_u32).map(|value| value as u8).collect();
                    for _ in 0..5 {
                        assert_eq!(caller.call("echo", &large), large);
                    }
                    let methods: Vec<MethodInfo> = rmp_serde::from_slice(&caller.call(METHODS, b"")).unwrap();
                    assert_eq!(
                        methods.iter().map(|method| &*method.name).collect::<Vec<_>>(),
                        ["echo", "nap"]
                    );
                    // More answers than the window has room for, read only when all requests are out.
                    let ids: Vec<_> = (0..200).map(|_| caller.send("echo", b"")).collect();
                    for id in ids {
                        assert_eq!(caller.answer().0, id);
                    }
                });
            }
        });
        until("the clients are gone", || engine.stats().clients.is_empty());
        assert_eq!(engine.in_flight(), 0);
        let mut last = Caller::new(&runtime);
        assert_eq!(last.call("echo", b"last"), b"last");
        assert!(engine.stop(HANG));
        acceptor.stop();
        assert!(engine.join(HANG));
    }
    let calls: u64 = engine.stats().methods.iter().map(|method| method.calls).sum();
    assert_eq!(calls, 2 * (3 * 705 + 1));
}
