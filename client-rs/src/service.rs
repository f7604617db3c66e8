//! A method as a `tower::Service`.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pycrust_transport::sync::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_service::Service;

use crate::call::attempt::Outgoing;
use crate::call::outgoing::Call;
use crate::call::slot::Reserved;
use crate::client::RpcClient;
use crate::connection::waiting::Tokio;
use crate::error::Error;
use crate::request::Request;
use crate::shared::Shared;

/// A future of a service's.
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A method as a [`tower::Service`](Service), which takes its arguments and gives its result, so that tower's layers fit:
/// time limits, limits, retries, load. See [`RpcClient::service`].
///
/// It is ready once there is a connection and room for one more call in flight, which is kept for the call that follows, or
/// until the service is dropped; other calls of the client can't have that place meanwhile. Where as many calls are in
/// flight as may be, it is not ready until one ends: that is the back-pressure that layers work with, whatever
/// [`WhenFull`](crate::WhenFull) says. A connection that is lost is made again before the service is ready. If it can't be
/// made, `poll_ready` gives the error, and may be asked again; with
/// [`wait_for_ready`](crate::Builder::wait_for_ready) the service is not ready until there is a worker.
///
/// A call's future is the call: dropping it, as a time limit does, cancels the call in the worker.
///
/// A policy that makes calls again may do so where [`Error::may_have_run`] is false; others may have run, and only
/// [idempotent](Request::idempotent) methods can be called again.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pycrust_client::Error> {
/// # #[cfg(feature = "testing")] {
/// # let worker = pycrust_client::testing::Worker::new("calculator");
/// # worker.on("add", |(a, b): (i32, i32)| Ok(a + b));
/// # let client = worker.client();
/// let add = client.request("add").timeout(Duration::from_secs(1)).into_service::<i32>();
/// let limited = tower::ServiceBuilder::new().concurrency_limit(8).service(add);
/// let sum = limited.oneshot((10, 20)).await?;
/// assert_eq!(sum, 30);
/// # }
/// # Ok(())
/// # }
/// ```
pub struct MethodService<R> {
    shared: Arc<Shared>,
    method: Arc<str>,
    /// The options of its calls, without the method's name.
    call: Call<'static>,
    readiness: Readiness,
    result: PhantomData<fn() -> R>,
}

enum Readiness {
    Unknown,
    /// Behind a lock, so that the service is `Sync`, though nobody ever takes it.
    Awaited(Mutex<Boxed<Reserved>>),
    Ready(Reserved),
}

impl RpcClient {
    /// A method as a [`tower::Service`](Service), whose calls have the client's usual time limit.
    ///
    /// # Examples
    /// ```no_run
    /// use tower_service::Service;
    ///
    /// # async fn add(client: pycrust_client::RpcClient) -> Result<(), pycrust_client::Error> {
    /// let mut add = client.service::<i32>("add");
    /// std::future::poll_fn(|cx| Service::<(i32, i32)>::poll_ready(&mut add, cx)).await?;
    /// let sum = add.call((10, 20)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn service<R>(&self, method: &str) -> MethodService<R> {
        self.request(method).into_service()
    }
}

impl Request<'_> {
    /// A [`tower::Service`](Service) whose calls all have these options; see [`RpcClient::service`].
    ///
    /// # Examples
    /// ```no_run
    /// # fn quick(client: pycrust_client::RpcClient) {
    /// use std::time::Duration;
    ///
    /// let price = client.request("price").timeout(Duration::from_millis(2)).idempotent(true).into_service::<f64>();
    /// # }
    /// ```
    pub fn into_service<R>(self) -> MethodService<R> {
        MethodService {
            shared: Arc::clone(&self.client.shared),
            method: self.call.method.into(),
            call: Call { method: "", ..self.call },
            readiness: Readiness::Unknown,
            result: PhantomData,
        }
    }
}

impl<A: Serialize, R: DeserializeOwned + 'static> Service<A> for MethodService<R> {
    type Response = R;
    type Error = Error;
    type Future = Boxed<R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            self.readiness = match &mut self.readiness {
                Readiness::Ready(reserved) if reserved.holds() => return Poll::Ready(Ok(())),
                Readiness::Awaited(awaited) => {
                    let found = std::task::ready!(awaited.get_mut().as_mut().poll(cx));
                    self.readiness = Readiness::Unknown;
                    Readiness::Ready(found?)
                }
                Readiness::Unknown | Readiness::Ready(_) => {
                    let (shared, method) = (Arc::clone(&self.shared), Arc::clone(&self.method));
                    let call = self.call.clone();
                    let reserve =
                        async move { shared.reserve(&Tokio, &Call { method: &method, ..call }).await };
                    Readiness::Awaited(Mutex::new(Box::pin(reserve)))
                }
            };
        }
    }

    /// The arguments are encoded before this returns.
    fn call(&mut self, args: A) -> Boxed<R> {
        let (shared, method) = (Arc::clone(&self.shared), Arc::clone(&self.method));
        let reserved = match mem::replace(&mut self.readiness, Readiness::Unknown) {
            Readiness::Ready(reserved) => Some(reserved),
            _ => None,
        };
        let call = Call { method: &method, ..self.call.clone() };
        let outgoing = shared.encode(&call, &args).map(Outgoing::into_owned);
        Box::pin(async move {
            let (method, mut call) = outgoing?;
            call.reserved = reserved;
            shared.call(&Tokio, Ok(call.borrowed(&method))).await
        })
    }
}

impl<R> Clone for MethodService<R> {
    /// Another service of the same method, which is not ready yet.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            method: Arc::clone(&self.method),
            call: self.call.clone(),
            readiness: Readiness::Unknown,
            result: PhantomData,
        }
    }
}

impl<R> fmt::Debug for MethodService<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = matches!(&self.readiness, Readiness::Ready(reserved) if reserved.holds());
        f.debug_struct("MethodService")
            .field("endpoint", &self.shared.endpoint())
            .field("method", &self.method)
            .field("ready", &ready)
            .finish_non_exhaustive()
    }
}
