//! The items of a streamed answer, as they come.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::header::flags;

use crate::call::answer::Finished;
use crate::call::stream::{Event, Open, Opened};
use crate::connection::in_flight::Body;
use crate::error::Error;

/// A call that is being opened.
pub(crate) type Opening<'u> = Pin<Box<dyn Future<Output = Result<Opened<'u>, Error>> + Send + 'u>>;

/// Begins to open a call whose items may be so far apart.
pub(crate) type Begin<'u> = Box<dyn FnOnce(Option<Duration>) -> Opening<'u> + Send + 'u>;

/// A streamed answer.
pub(crate) struct Items<'u> {
    state: State<'u>,
    pub(crate) method: String,
    /// The handler version that ended it; 0 before.
    pub(crate) version: u32,
    pub(crate) idle_timeout: Option<Duration>,
}

enum State<'u> {
    New(Begin<'u>),
    Opening(Opening<'u>),
    Open(Open<'u>),
    /// What came while it was opened, before all else.
    First(Open<'u>, Event),
    /// One item, then the end.
    Single(Finished),
    Ended,
}

impl<'u> Items<'u> {
    pub(crate) fn new(method: &str, idle_timeout: Option<Duration>, begin: Begin<'u>) -> Self {
        Self { state: State::New(begin), method: method.to_owned(), version: 0, idle_timeout }
    }

    /// When to poll again, if nothing comes.
    pub(crate) fn limit_ns(&self) -> Option<u64> {
        match &self.state {
            State::Open(open) => open.limit_ns(),
            _ => None,
        }
    }

    /// The next item; `None` at the end. After an error there is none.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Body, Error>>> {
        loop {
            let event = match &mut self.state {
                State::Opening(opening) => match std::task::ready!(opening.as_mut().poll(cx)) {
                    Ok(Opened { open, first: None }) => {
                        self.state = State::Open(open);
                        continue;
                    }
                    Ok(Opened { open, first: Some(event) }) => {
                        self.state = State::First(open, event);
                        continue;
                    }
                    Err(error) => Err(error),
                },
                State::Open(open) => std::task::ready!(open.poll(cx)),
                _ => match self.turn() {
                    Some(event) => event,
                    None if matches!(self.state, State::Ended) => return Poll::Ready(None),
                    None => continue,
                },
            };
            if let Some(item) = self.heed(event) {
                return Poll::Ready(Some(item));
            }
        }
    }

    /// Leaves a state in which nothing is waited for: the event that it held.
    fn turn(&mut self) -> Option<Result<Event, Error>> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::New(begin) => self.state = State::Opening(begin(self.idle_timeout)),
            State::First(open, event) => {
                self.state = State::Open(open);
                return Some(Ok(event));
            }
            State::Single(finished) => return Some(Ok(Event::Item(finished.body))),
            other => self.state = other,
        }
        None
    }

    /// What an event means to whoever takes the items.
    fn heed(&mut self, event: Result<Event, Error>) -> Option<Result<Body, Error>> {
        let mut finished = match event {
            Ok(Event::Item(item)) => return Some(Ok(item)),
            Ok(Event::Answer(finished)) => finished,
            Err(error) => {
                self.state = State::Ended;
                return Some(Err(error));
            }
        };
        self.version = finished.header.version;
        self.state = State::Ended;
        if finished.status != Code::Ok {
            return Some(Err(finished.fail(&self.method)));
        }
        // A handler that does not stream answers with one item and the end in one.
        if finished.header.common.flags & flags::STREAM == 0 {
            self.state = State::Single(finished);
        }
        None
    }

    /// Cancels the call, if it has not ended, since an item can't be read.
    pub(crate) fn fail(&mut self, error: &Error) {
        match &mut self.state {
            State::Open(open) | State::First(open, _) => open.observed.failed(error),
            State::Single(finished) => finished.observed.failed(error),
            State::New(_) | State::Opening(_) | State::Ended => {}
        }
        self.state = State::Ended;
    }
}
