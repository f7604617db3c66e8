//! The ways of making a call without Tokio.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pycrust_protocol::header::flags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Request, Streaming};
use crate::argument::Arg;
use crate::call::answer::reply;
use crate::call::outgoing::Encoded;
use crate::call::reply::Reply;
use crate::call::stream::Arguments;
use crate::error::Error;
use crate::request::{RequestWith, written};

impl Request<'_> {
    /// Makes the call and waits for its answer.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn send<A, R>(self, args: &A) -> Result<Reply<R>, Error>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let (shared, thread) = (&self.client.shared, &self.client.thread);
        let encoded = shared.encode(&self.call, args);
        thread.block_on(shared.send(thread, encoded))
    }

    /// As in [`crate::Request::notify`].
    ///
    /// # Errors
    /// Those of [`crate::Request::notify`].
    pub fn notify<A: Serialize + ?Sized>(mut self, args: &A) -> Result<(), Error> {
        self.call.set(flags::ONE_WAY, true);
        let (shared, thread) = (&self.client.shared, &self.client.thread);
        let call = shared.encode(&self.call, args)?;
        thread.block_on(shared.notify(thread, call))
    }

    /// Makes the call and expects a stream: see [`super::RpcClient::stream`].
    pub fn stream<A, R>(mut self, args: &A) -> Streaming<'static, R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call.set(flags::STREAM, true);
        let encoded = self.client.shared.write(&self.call, args);
        Streaming::new(&self.client.shared, &self.call, encoded, None)
    }

    /// Makes the call with arguments of an iterator, which are taken as the handler takes them, and waits for its result.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn upload<I, R>(mut self, arguments: I) -> Result<Reply<R>, Error>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send>,
        R: DeserializeOwned,
    {
        self.uploads(false);
        let arguments = self.arguments(arguments.into_iter());
        let (shared, thread) = (&self.client.shared, &self.client.thread);
        let finished = thread.block_on(shared.upload(thread, &self.call, arguments))?;
        reply(self.call.method, finished)
    }

    /// Makes the call with arguments of an iterator and expects a stream. An argument is taken while an item is waited
    /// for; an iterator that blocks holds up the items.
    pub fn exchange<'u, I, R>(mut self, arguments: I) -> Streaming<'u, R>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'u>,
        R: DeserializeOwned,
    {
        self.uploads(true);
        let arguments = self.arguments(arguments.into_iter());
        Streaming::new(&self.client.shared, &self.call, Ok(Encoded::nothing()), Some(arguments))
    }

    fn arguments<'u, I>(&self, arguments: I) -> Arguments<'u>
    where
        I: Iterator<Item: Serialize> + Send + 'u,
    {
        written(self.client.shared.options.encoding, self.call.method, Each(arguments))
    }
}

/// A call's one argument, on this client; see [`crate::Request::arg`].
impl<T: Serialize + ?Sized> RequestWith<'_, '_, &mut super::RpcClient, T> {
    /// Makes the call and waits for its answer.
    ///
    /// # Errors
    /// Those of [`crate::RpcClient::call`].
    pub fn send<R: DeserializeOwned>(self) -> Result<Reply<R>, Error> {
        self.request.send(&Arg(self.argument))
    }

    /// As in [`crate::Request::notify`].
    ///
    /// # Errors
    /// Those of [`crate::Request::notify`].
    pub fn notify(self) -> Result<(), Error> {
        self.request.notify(&Arg(self.argument))
    }

    /// Makes the call and expects a stream: see [`super::RpcClient::stream`].
    pub fn stream<R: DeserializeOwned>(self) -> Streaming<'static, R> {
        self.request.stream(&Arg(self.argument))
    }
}

/// An iterator as a stream that is always ready.
struct Each<I>(I);

impl<I> Unpin for Each<I> {}

impl<I: Iterator> Stream for Each<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}
