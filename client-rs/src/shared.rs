//! What both clients do in the same way, however their callers wait.

mod agreeing;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::limits::{MAX_BODY_LEN, MAX_METHOD_LEN};
use pycrust_protocol::name::RESERVED_PREFIX;
use pycrust_protocol::reserved::{HEALTH, Health, READY};
use pycrust_transport::monotonic_ns;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Builder;
use crate::call::answer::{Finished, decode, reply};
use crate::call::attempt::{self, Attempt, Failure, Outgoing};
use crate::call::items::{Items, Opening};
use crate::call::large;
use crate::call::outgoing::{Call, Encoded, write};
use crate::call::reply::Reply;
use crate::call::retries::Retries;
#[cfg(feature = "tower")]
use crate::call::retries::{MAX_CONNECTIONS, never_sent};
#[cfg(feature = "tower")]
use crate::call::slot::Reserved;
use crate::call::stream::{Arguments, Event, Open, Opened};
use crate::connection::buffers;
use crate::connection::connector::Connector;
use crate::connection::session::Session;
use crate::connection::state::ConnectionState;
use crate::connection::waiting::Waiting;
use crate::error::Error;
use crate::metadata;
use crate::options::FOREVER;
use crate::options::Options;
#[cfg(feature = "tower")]
use crate::options::WhenFull;
use crate::schemas::Schemas;
use crate::telemetry::{Beginning, Observed, Telemetry};
use crate::tensor::{Arena, Element, TensorMut};

/// The first pause of a connection that waits for its worker; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long a worker has for its first sign of life on a new connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What an error of a connection, not of a call, is about.
const CONNECTING: &str = "connect";

/// What the clones of a client share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// Finds, keeps and replaces the connection.
    pub(crate) connector: Arc<Connector>,
    /// What is known of handlers that are not what the program was built against.
    schemas: Schemas,
    telemetry: Telemetry,
    /// When the next tick of its [pacer](crate::Pacer) comes, on `CLOCK_MONOTONIC`; 0 without one.
    pub(crate) next_tick_ns: AtomicU64,
}

impl Shared {
    pub(crate) fn new(builder: Builder) -> Self {
        #[cfg(feature = "testing")]
        let Builder { name, options, inside } = builder;
        #[cfg(not(feature = "testing"))]
        let Builder { name, options } = builder;
        let connector = Connector::new(
            &name,
            &options,
            #[cfg(feature = "testing")]
            inside,
        );
        let (schemas, telemetry) = (Schemas::new(), Telemetry::default());
        Self { options, connector, schemas, telemetry, next_tick_ns: AtomicU64::new(0) }
    }

    /// Connects, and asks the worker through the data path whether it is there; waits for one as long as was asked for.
    pub(crate) async fn begin<W: Waiting>(&self, waiting: &W) -> Result<(), Error> {
        let started_ns = monotonic_ns();
        let waits = if self.options.wait_for_ready { self.options.timeout } else { Duration::ZERO };
        let patience = waits.max(self.options.wait_for_worker);
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(error) = self.probe(waiting).await else { return Ok(()) };
            let waited = Duration::from_nanos(monotonic_ns() - started_ns);
            // Of methods that are pinned, those that are not there may be on their way.
            let passes = matches!(error.code(), Code::Unavailable | Code::Unimplemented);
            if !passes || waited >= patience {
                return Err(error.of(CONNECTING));
            }
            waiting.pause(pause.min(patience.saturating_sub(waited))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn probe<W: Waiting>(&self, waiting: &W) -> Result<(), Error> {
        let call = Call {
            wait_for_ready: Some(false),
            ..Call::with_timeout(HEALTH, self.options.timeout.min(PROBE_TIMEOUT))
        };
        let finished = self.make(waiting, &mut self.encode(&call, &())?).await?;
        decode::<Health>(HEALTH, &finished.body)?;
        if self.options.pins.is_empty() {
            return Ok(());
        }
        let first = self.outgoing(&Call { method: CONNECTING, ..call }, Ok(Encoded::nothing()))?;
        self.session(waiting, &first).await.map(drop).map_err(Failure::into_error)
    }

    /// Encodes arguments.
    pub(crate) fn encode<'a, A: Serialize + ?Sized>(
        &self,
        call: &Call<'a>,
        args: &A,
    ) -> Result<Outgoing<'a>, Error> {
        let started_ns = monotonic_ns();
        let mut outgoing = self.outgoing(call, self.write(call, args))?;
        outgoing.started_ns = started_ns;
        Ok(outgoing)
    }

    /// Encodes arguments, or one of those that are streamed.
    pub(crate) fn write<A: Serialize + ?Sized>(&self, call: &Call<'_>, args: &A) -> Result<Encoded, Error> {
        write(self.options.encoding, call.method, args)
    }

    /// Checks what a call says.
    pub(crate) fn outgoing<'a>(
        &self,
        call: &Call<'a>,
        encoded: Result<Encoded, Error>,
    ) -> Result<Outgoing<'a>, Error> {
        let started_ns = monotonic_ns();
        let &Call { method, flags, schema_pin, described, trace, window, .. } = call;
        let refuse = |reason: String| Err(Error::of_call(Code::InvalidArgument, method, reason));
        if !(1..=MAX_METHOD_LEN).contains(&method.len()) {
            let len = method.len();
            return refuse(format!("a method's name has 1 to {MAX_METHOD_LEN} bytes, this one has {len}"));
        }
        let metadata = match metadata::encoded(&call.metadata) {
            Ok(metadata) => metadata,
            Err(reason) => return refuse(reason),
        };
        let Encoded { payload, arrays } = encoded?;
        // What streams takes as long as it takes, unless its caller says otherwise.
        let usual = if call.streams() { Duration::MAX } else { self.options.timeout };
        let timeout = call.timeout.unwrap_or(usual);
        let expires_ns = (timeout < FOREVER).then(|| started_ns.saturating_add(timeout.as_nanos() as u64));
        Ok(Outgoing {
            method,
            payload,
            arrays,
            started_ns,
            timeout,
            expires_ns,
            sent_ns: started_ns,
            flags,
            schema_pin: if described.is_empty() { schema_pin } else { self.schemas.sent(method, schema_pin) },
            built: schema_pin,
            described,
            agreed: 0,
            trace,
            metadata,
            window,
            when_full: self.options.when_full,
            next_ns: self.next_tick_ns.load(Ordering::Relaxed),
            wait_for_ready: call.wait_for_ready.unwrap_or(self.options.wait_for_ready),
            idle_timeout: call.idle_timeout,
            observed: Observed::default(),
            #[cfg(feature = "tower")]
            reserved: None,
        })
    }

    /// Begins to tell of a call.
    fn observe(&self, call: &mut Outgoing<'_>) {
        let &mut Outgoing { method, started_ns, expires_ns, .. } = call;
        let beginning = Beginning { endpoint: self.endpoint(), method, started_ns, expires_ns };
        call.observed = self.telemetry.observe(&beginning, &mut call.trace);
    }

    /// Makes a call, on as many connections as it takes and may.
    pub(crate) async fn make<W: Waiting>(
        &self,
        waiting: &W,
        call: &mut Outgoing<'_>,
    ) -> Result<Finished, Error> {
        waiting.check(call.method)?;
        self.observe(call);
        let mut retries = Retries::new(self.options.retry);
        let finished = loop {
            match self.attempt(waiting, call).await {
                Ok(finished) => break finished,
                Err(failure) => Box::pin(self.again(waiting, &mut retries, failure, call)).await?,
            }
        };
        let mut finished = finished.observed(mem::take(&mut call.observed));
        buffers::give(mem::take(&mut call.payload));
        if finished.status == Code::Ok {
            return Ok(finished);
        }
        let error = finished.fail(call.method);
        buffers::give(finished.body.payload);
        Err(error)
    }

    /// What is to be done before a call is made again; or the error that it ends in.
    async fn again<W: Waiting>(
        &self,
        waiting: &W,
        retries: &mut Retries,
        failure: Failure,
        call: &mut Outgoing<'_>,
    ) -> Result<(), Error> {
        let failure = match failure {
            Failure::OtherSchema(refusal) => match Box::pin(self.agree(waiting, call, refusal)).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
            other => other,
        };
        retries.pause(waiting, failure, call).await.inspect_err(|error| call.observed.failed(error))
    }

    /// Makes a call on the connection of the moment.
    async fn attempt<W: Waiting>(&self, waiting: &W, call: &mut Outgoing<'_>) -> Result<Finished, Failure> {
        let session = self.session(waiting, call).await?;
        let finished = attempt::run(waiting, &session, call).await?;
        call.taken(&session, finished)
    }

    /// Calls, and reads the answer with what is known about it.
    pub(crate) fn send<'a, W: Waiting, R: DeserializeOwned>(
        &'a self,
        waiting: &'a W,
        call: Result<Outgoing<'a>, Error>,
    ) -> impl Future<Output = Result<Reply<R>, Error>> + Send + use<'a, W, R> {
        // Captured, not a parameter: of those an async function keeps two, one of them moved from.
        let mut call = call;
        async move {
            let call = begun(&mut call)?;
            reply(call.method, self.make(waiting, call).await?)
        }
    }

    /// Calls, and reads the answer.
    pub(crate) fn call<'a, W: Waiting, R: DeserializeOwned>(
        &'a self,
        waiting: &'a W,
        call: Result<Outgoing<'a>, Error>,
    ) -> impl Future<Output = Result<R, Error>> + Send + use<'a, W, R> {
        // As in `send`.
        let mut call = call;
        async move {
            let call = begun(&mut call)?;
            let mut finished = self.make(waiting, call).await?;
            let value = decode(call.method, &finished.body).map_err(|error| finished.misread(error));
            buffers::give(finished.body.payload);
            value
        }
    }

    /// Sends a call that gets no answer.
    pub(crate) async fn notify<W: Waiting>(&self, waiting: &W, mut call: Outgoing<'_>) -> Result<(), Error> {
        waiting.check(call.method)?;
        self.observe(&mut call);
        let mut retries = Retries::new(self.options.retry);
        loop {
            let sent = async {
                let session = self.session(waiting, &call).await?;
                attempt::notify(waiting, &session, &mut call).await
            };
            match sent.await {
                Ok(()) => {
                    // That it is on its way is all that is known of it.
                    call.observed.answered(Code::Ok, 0);
                    return Ok(());
                }
                Err(failure) => self.again(waiting, &mut retries, failure, &mut call).await?,
            }
        }
    }

    /// Opens a call that streams, on as many connections as it takes.
    pub(crate) async fn open<'u, W: Waiting>(
        &self,
        waiting: &W,
        mut call: Outgoing<'_>,
        mut arguments: Option<Arguments<'u>>,
    ) -> Result<Opened<'u>, Error> {
        waiting.check(call.method)?;
        self.observe(&mut call);
        let mut retries = Retries::new(self.options.retry);
        loop {
            match self.try_open(waiting, &mut call, &mut arguments).await {
                Ok(opened) => return Ok(opened),
                Err(failure) => self.again(waiting, &mut retries, failure, &mut call).await?,
            }
        }
    }

    /// The items of a call that streams, which is opened when the first is asked for.
    pub(crate) fn items<'u, W: Waiting>(
        shared: &Arc<Self>,
        waiting: Arc<W>,
        call: &Call<'_>,
        encoded: Result<Encoded, Error>,
        arguments: Option<Arguments<'u>>,
    ) -> Items<'u> {
        let outgoing = shared.outgoing(call, encoded).map(Outgoing::into_owned);
        let shared = Arc::clone(shared);
        let begin = move |idle_timeout| -> Opening<'u> {
            Box::pin(async move {
                let (method, mut call) = outgoing?;
                call.idle_timeout = idle_timeout;
                shared.open(&*waiting, call.borrowed(&method), arguments).await
            })
        };
        Items::new(call.method, call.idle_timeout, Box::new(begin))
    }

    /// The answer to a call whose arguments stream.
    pub(crate) async fn upload<W: Waiting>(
        &self,
        waiting: &W,
        call: &Call<'_>,
        arguments: Arguments<'_>,
    ) -> Result<Finished, Error> {
        let outgoing = self.outgoing(call, Ok(Encoded::nothing()))?;
        let Opened { open, first } = self.open(waiting, outgoing, Some(arguments)).await?;
        match first {
            Some(Event::Answer(finished)) => Ok(finished),
            _ => open.answer(waiting).await,
        }
    }

    async fn try_open<'u, W: Waiting>(
        &self,
        waiting: &W,
        call: &mut Outgoing<'_>,
        arguments: &mut Option<Arguments<'u>>,
    ) -> Result<Opened<'u>, Failure> {
        let session = self.session(waiting, call).await?;
        let mut open = Open::new(waiting, &session, call, arguments).await?;
        if !call.may_be_refused() {
            return Ok(Opened { open, first: None });
        }
        // A worker that can't take it says so instead of the first item.
        let event = open.event(waiting).await.map_err(|error| {
            call.observed = mem::take(&mut open.observed);
            Failure::Failed(error)
        })?;
        match event {
            Event::Answer(mut finished) => {
                let observed = mem::take(&mut finished.observed);
                match call.taken(&session, finished) {
                    Ok(finished) => {
                        Ok(Opened { open, first: Some(Event::Answer(finished.observed(observed))) })
                    }
                    Err(refused) => {
                        call.observed = observed;
                        *arguments = open.arguments_again();
                        Err(refused)
                    }
                }
            }
            item @ Event::Item(_) => Ok(Opened { open, first: Some(item) }),
        }
    }

    /// The connection of the moment, made if there is none, to a worker that has what the client expects.
    async fn session<W: Waiting>(&self, waiting: &W, call: &Outgoing<'_>) -> Result<Arc<Session>, Failure> {
        let session = self.connected(waiting, call).await?;
        if !self.options.pins.is_empty() && !session.fits() && !call.method.starts_with(RESERVED_PREFIX) {
            Box::pin(self.fit(waiting, &session, call)).await?;
        }
        Ok(session)
    }

    /// Keeps a place for one more call, as soon as there is a connection and room on it.
    #[cfg(feature = "tower")]
    pub(crate) async fn reserve<W: Waiting>(&self, waiting: &W, call: &Call<'_>) -> Result<Reserved, Error> {
        waiting.check(call.method)?;
        // Without limit: whoever waits for it may cease to.
        let call = Call { timeout: Some(Duration::MAX), ..call.clone() };
        let mut first = self.outgoing(&call, Ok(Encoded::nothing()))?;
        first.when_full = WhenFull::Wait;
        for _ in 0..MAX_CONNECTIONS {
            let session = self.session(waiting, &first).await.map_err(Failure::into_error)?;
            match attempt::begin(waiting, &session, &first).await {
                Ok(begun) => return Ok(Reserved::of(&session, begun)),
                // It ended meanwhile.
                Err(Failure::NotSent) => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(never_sent(call.method))
    }

    /// The connection of the moment, made if there is none.
    async fn connected<W: Waiting>(&self, waiting: &W, call: &Outgoing<'_>) -> Result<Arc<Session>, Failure> {
        match self.connector.current() {
            Some(session) => Ok(session),
            // Boxed, as all that few calls need: a call's future is moved a few times, and has no room for it.
            None => Box::pin(self.connect(waiting, call)).await,
        }
    }

    async fn connect<W: Waiting>(&self, waiting: &W, call: &Outgoing<'_>) -> Result<Arc<Session>, Failure> {
        let connected = if call.wait_for_ready {
            waiting.until(call.expires_ns, self.connector.connect_when_ready(waiting, call.expires_ns)).await
        } else {
            waiting.until(call.expires_ns, self.connector.connect(waiting, call.expires_ns)).await
        };
        let outcome = match connected {
            Some(Err(error)) if error.code() == Code::DeadlineExceeded => Err(call.too_late(error.message())),
            Some(connected) => connected.map_err(|error| error.of(call.method)),
            None => Err(call.too_late(&self.connector.why_not())),
        };
        outcome.map_err(Failure::Failed)
    }

    /// An array of arguments that is built in shared memory.
    pub(crate) async fn allocate<W: Waiting, T: Element>(
        &self,
        waiting: &W,
        shape: &[usize],
    ) -> Result<TensorMut<T>, Error> {
        let bytes = TensorMut::<T>::bytes(shape).filter(|bytes| *bytes <= MAX_BODY_LEN);
        let Some(bytes) = bytes else {
            let reason = format!("an array of the shape {shape:?} has more than {MAX_BODY_LEN} bytes");
            return Err(Error::of_call(Code::InvalidArgument, "allocate", reason));
        };
        self.build(waiting, bytes, |arena| arena.allocate(shape)).await
    }

    /// Several arrays for one call, in one piece of shared memory.
    pub(crate) async fn build<W: Waiting, T>(
        &self,
        waiting: &W,
        bytes: usize,
        build: impl FnOnce(&Arena) -> T,
    ) -> Result<T, Error> {
        let method = "allocate";
        waiting.check(method)?;
        let call = self.outgoing(&Call::new(method), Ok(Encoded::default()))?;
        let session = self.session(waiting, &call).await.map_err(Failure::into_error)?;
        let block = if bytes <= session.sent_large.load(Ordering::Acquire) {
            session.link.block(bytes)
        } else {
            // The first one waits for the worker, a larger one makes a segment.
            match large::block(waiting, &session, &call, bytes).await {
                Ok(block) => block,
                Err(Attempt::Sending(error)) => Err(error),
                Err(Attempt::Failure(failure) | Attempt::UnderWay(failure)) => {
                    return Err(failure.into_error());
                }
            }
        };
        // Without shared memory it is built on the heap; what is wrong is found when it is sent.
        Ok(build(&Arena::new(block.ok())))
    }

    /// Whether the worker serves and `method` answers these arguments.
    pub(crate) async fn ready<W: Waiting, A: Serialize + ?Sized>(
        &self,
        waiting: &W,
        method: &str,
        args: &A,
    ) -> Result<(), Error> {
        let Encoded { payload, arrays } = write(self.options.encoding, method, args)?;
        if !arrays.is_empty() {
            let reason = "the question whether a handler is ready has no room for arrays";
            return Err(Error::of_call(Code::InvalidArgument, method, reason));
        }
        let asked = (method, serde_bytes::Bytes::new(&payload));
        self.make(waiting, &mut self.encode(&Call::new(READY), &asked)?).await.map(drop)
    }

    /// The endpoint's name.
    pub(crate) fn endpoint(&self) -> &str {
        self.connector.name()
    }

    /// Whether there is a connection right now.
    pub(crate) fn is_connected(&self) -> bool {
        self.connector.current().is_some()
    }

    /// One line, for `Debug`.
    pub(crate) fn debug(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcClient")
            .field("endpoint", &self.endpoint())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// What is known of a connection that was not made in time.
    fn why_not(&self) -> String {
        match self.states.now() {
            ConnectionState::Disconnected { reason } if !reason.is_empty() => {
                format!("no worker was ready: {reason}")
            }
            _ => "the connection took longer than that".into(),
        }
    }
}

/// The call, if its arguments could be encoded.
fn begun<'c, 'a>(call: &'c mut Result<Outgoing<'a>, Error>) -> Result<&'c mut Outgoing<'a>, Error> {
    call.as_mut().map_err(|error| Error::clone(error))
}
