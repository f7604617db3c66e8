//! Methods as constants: their name, types and options in one place.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use pycrust_protocol::header::flags;

use crate::call::outgoing::Call;
use crate::options::Pin;

/// A handler that a program calls: its name, what it takes and gives, and how it is called, said once.
///
/// It is a constant; [`RpcClient::invoke`](crate::RpcClient::invoke) calls it,
/// [`RpcClient::request_of`](crate::RpcClient::request_of) with more options, and
/// [`RpcClient::open`](crate::RpcClient::open) where the answer streams. `A` is what the arguments are, which may be
/// borrowed: a `Method<str, R>` takes `&str`, a `Method<Order<'_>, R>` an order that lives as long as the call is being
/// written. `R` is what the answer, or each item of it, is.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// use pycrust_client::{Error, Method, RpcClient};
///
/// #[derive(serde::Serialize)]
/// struct AddArgs { a: i32, b: i32 }
///
/// const ADD: Method<AddArgs, i32> = Method::new("add").timeout(Duration::from_millis(2)).idempotent();
///
/// # async fn add(client: RpcClient) -> Result<(), Error> {
/// let sum = client.invoke(&ADD, &AddArgs { a: 10, b: 20 }).await?;
/// assert_eq!(sum, 30);
/// # Ok(())
/// # }
/// ```
pub struct Method<A: ?Sized, R> {
    name: &'static str,
    timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    wait_for_ready: Option<bool>,
    idempotent: bool,
    latest: bool,
    schema: u64,
    described: &'static str,
    /// Neither is held. Shorter lives than those of the constant's types do as well.
    types: PhantomData<fn() -> (*const A, R)>,
}

impl<A: ?Sized, R> Method<A, R> {
    /// The handler of this name, with the client's usual options.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            timeout: None,
            idle_timeout: None,
            wait_for_ready: None,
            idempotent: false,
            latest: false,
            schema: 0,
            described: "",
            types: PhantomData,
        }
    }

    /// The time that each call has: see [`Request::timeout`](crate::Request::timeout).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The longest that a call which streams may be silent: see
    /// [`Request::idle_timeout`](crate::Request::idle_timeout).
    #[must_use]
    pub const fn idle_timeout(mut self, longest: Duration) -> Self {
        self.idle_timeout = Some(longest);
        self
    }

    /// Says that running a call twice does no harm: see [`Request::idempotent`](crate::Request::idempotent).
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Whether calls wait for a worker that can take them: see
    /// [`Request::wait_for_ready`](crate::Request::wait_for_ready).
    #[must_use]
    pub const fn wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = Some(wait);
        self
    }

    /// Lets a newer call take the place of older ones that still wait: see
    /// [`Request::latest`](crate::Request::latest).
    #[must_use]
    pub const fn latest(mut self) -> Self {
        self.latest = true;
        self
    }

    /// Pins the schema that the caller was built against: a handler with another one, which callers of this one can't
    /// call, refuses instead of misreading. See [`Request::schema`](crate::Request::schema).
    #[must_use]
    pub const fn schema(mut self, hash: u64) -> Self {
        self.schema = hash;
        self
    }

    /// That schema itself: JSON text `{"kind": …, "request": …, "response": …}`, as `pycrust.methods` gave it.
    ///
    /// With it a client can see what differs where a handler refuses the [pinned](Self::schema) hash. If nothing of it
    /// concerns a caller that was built against this one (a parameter with a default was added, say) the call is sent
    /// again, with the hash of the handler, within its time; otherwise the error names what differs.
    #[must_use]
    pub const fn described(mut self, schema: &'static str) -> Self {
        self.described = schema;
        self
    }

    /// The handler's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The hash of the schema that it is pinned to; 0 if it is not.
    pub const fn schema_hash(&self) -> u64 {
        self.schema
    }

    /// The text of that schema; empty if it is not described.
    pub const fn description(&self) -> &'static str {
        self.described
    }

    /// A call of it.
    pub(crate) fn call(&self) -> Call<'static> {
        let mut call = Call {
            timeout: self.timeout,
            idle_timeout: self.idle_timeout,
            wait_for_ready: self.wait_for_ready,
            schema_pin: self.schema,
            described: self.described,
            ..Call::new(self.name)
        };
        call.set(flags::IDEMPOTENT, self.idempotent);
        call.set(flags::LATEST, self.latest);
        call
    }
}

impl<A: ?Sized, R> Clone for Method<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: ?Sized, R> Copy for Method<A, R> {}

impl<A: ?Sized, R> fmt::Debug for Method<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Method");
        shown.field("name", &self.name);
        if self.schema != 0 {
            shown.field("schema", &format_args!("{:#018x}", self.schema));
        }
        shown.field("arguments", &format_args!("{}", std::any::type_name::<A>()));
        shown.field("result", &format_args!("{}", std::any::type_name::<R>()));
        shown.finish_non_exhaustive()
    }
}

/// A [`Method`] of whatever types, so that different ones fit into one list:
/// `client.check(&[&ADD, &PLACE])`. Nothing else is one.
///
/// # Examples
/// ```
/// use pycrust_client::{Method, Pinned};
///
/// const ADD: Method<(i32, i32), i32> = Method::new("add").schema(0x5bd1_e995_7f4a_7c15);
/// const PLACE: Method<str, u64> = Method::new("place");
///
/// let methods: [&dyn Pinned; 2] = [&ADD, &PLACE];
/// assert_eq!(methods.map(|method| method.name()), ["add", "place"]);
/// ```
pub trait Pinned: fmt::Debug + Send + Sync + sealed::Sealed {
    /// The handler's name.
    fn name(&self) -> &'static str;

    /// The hash of the schema that it is pinned to; 0 if it is not.
    fn schema_hash(&self) -> u64;

    /// The text of that schema; empty if it is not described.
    fn description(&self) -> &'static str;
}

impl<A: ?Sized, R> Pinned for Method<A, R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema_hash(&self) -> u64 {
        self.schema
    }

    fn description(&self) -> &'static str {
        self.described
    }
}

mod sealed {
    pub trait Sealed {}

    impl<A: ?Sized, R> Sealed for super::Method<A, R> {}
}

/// What these handles expect.
pub(crate) fn pins(handles: &[&dyn Pinned]) -> Vec<Pin<'static>> {
    let pin = |handle: &&dyn Pinned| Pin {
        method: handle.name(),
        built: handle.schema_hash(),
        described: handle.description(),
    };
    handles.iter().map(pin).collect()
}
