//! Calls whose handler has another schema than they were built against.

use std::sync::Arc;
use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::reserved::{METHODS, MethodInfo};

use super::Shared;
use crate::call::answer::decode;
use crate::call::attempt::{self, Failure, Outgoing};
use crate::call::outgoing::{Call, Encoded};
use crate::connection::session::Session;
use crate::connection::waiting::Waiting;
use crate::error::Error;
use crate::options::Pin;
use crate::schemas::{self, Mismatch, Verdict};

/// How often a call is sent with another hash: a handler that is swapped more often than that while a call is on its
/// way is one to be told of.
const MOST: u32 = 4;

/// What is known of a call whose time was over before its worker had said what its handlers take.
const NOT_TOLD: &str = "the worker has not said in time what its handlers take";

impl Shared {
    /// Whether the worker has these methods, as they were built against.
    pub(crate) async fn check<W: Waiting>(&self, waiting: &W, pins: &[Pin<'_>]) -> Result<(), Error> {
        let finished = self.make(waiting, &mut self.encode(&Call::new(METHODS), &())?).await?;
        let methods: Vec<MethodInfo> = decode(METHODS, &finished.body)?;
        self.schemas.compare_all(self.endpoint(), pins, &methods)
    }

    /// Sees to it that the worker of a connection has what the client was told to expect.
    pub(super) async fn fit<W: Waiting>(
        &self,
        waiting: &W,
        session: &Arc<Session>,
        call: &Outgoing<'_>,
    ) -> Result<(), Failure> {
        let turn = waiting.until(call.expires_ns, self.schemas.asking.lock()).await;
        let _turn = turn.ok_or_else(|| Failure::Failed(call.too_late(NOT_TOLD)))?;
        if session.fits() {
            return Ok(());
        }
        let methods = self.ask(waiting, session, call).await?;
        match self.schemas.compare_all(self.endpoint(), &self.options.pins, &methods) {
            Ok(()) => {
                session.does_fit();
                Ok(())
            }
            // What is not there may be on its way: a notebook registers one cell after the other.
            Err(error) if error.code() == Code::Unimplemented && call.wait_for_ready => {
                Err(Failure::Failed(Error::of_call(Code::Unavailable, call.method, error.message())))
            }
            Err(error) => Err(Failure::Failed(error.of(call.method))),
        }
    }

    /// Makes a call that its handler refused one that it takes, if nothing that concerns its caller has changed.
    pub(super) async fn agree<W: Waiting>(
        &self,
        waiting: &W,
        call: &mut Outgoing<'_>,
        refusal: Error,
    ) -> Result<(), Failure> {
        let live = refusal.details_as::<Mismatch>().map_or(0, |mismatch| mismatch.live);
        let verdict = if live == call.built {
            self.schemas.learn(call.method, call.built, live, Verdict::Fits(live));
            Some(Verdict::Fits(live))
        } else {
            match self.schemas.verdict(call.method, call.built, live) {
                Some(verdict) => Some(verdict),
                None => self.look(waiting, call, live).await?,
            }
        };
        match verdict {
            // What is gone with the frame can't be sent again; the next call is sent with the other hash.
            Some(Verdict::Fits(hash)) if call.agreed < MOST && !call.arrays.are_gone() => {
                call.agreed += 1;
                call.schema_pin = hash;
                Ok(())
            }
            Some(Verdict::Breaks(mismatch)) => {
                Err(Failure::Failed(schemas::refused(self.endpoint(), call.method, &mismatch)))
            }
            _ => Err(Failure::Failed(refusal)),
        }
    }

    /// Asks what a handler takes now, unless another call was told meanwhile. `None` if it is not there any more.
    async fn look<W: Waiting>(
        &self,
        waiting: &W,
        call: &Outgoing<'_>,
        live: u64,
    ) -> Result<Option<Verdict>, Failure> {
        let turn = waiting.until(call.expires_ns, self.schemas.asking.lock()).await;
        let _turn = turn.ok_or_else(|| Failure::Failed(call.too_late(NOT_TOLD)))?;
        if let Some(verdict) = self.schemas.verdict(call.method, call.built, live) {
            return Ok(Some(verdict));
        }
        let session = self.connected(waiting, call).await?;
        let methods = self.ask(waiting, &session, call).await?;
        let Some(live) = methods.iter().find(|live| live.name == call.method) else { return Ok(None) };
        let pin = Pin { method: call.method, built: call.built, described: call.described };
        Ok(Some(self.schemas.judge(pin, live)))
    }

    /// The worker's methods, asked for within a call's time. Whatever goes wrong, the call itself did not run.
    async fn ask<W: Waiting>(
        &self,
        waiting: &W,
        session: &Arc<Session>,
        call: &Outgoing<'_>,
    ) -> Result<Vec<MethodInfo>, Failure> {
        let question = Call::with_timeout(METHODS, Duration::MAX);
        let mut asked = self.outgoing(&question, Ok(Encoded::nothing())).map_err(Failure::Failed)?;
        (asked.timeout, asked.expires_ns) = (call.timeout, call.expires_ns);
        let answered = match attempt::run(waiting, session, &mut asked).await {
            Ok(finished) if finished.status == Code::Ok => decode(METHODS, &finished.body),
            Ok(finished) => Err(finished.failure(METHODS)),
            Err(Failure::NotSent) => return Err(Failure::NotSent),
            Err(failure) => Err(failure.into_error()),
        };
        answered.map_err(|error| {
            Failure::Failed(match error.code() {
                Code::DeadlineExceeded => call.too_late(NOT_TOLD),
                code => Error::of_call(code, call.method, format!("{NOT_TOLD}: {}", error.message())),
            })
        })
    }
}
