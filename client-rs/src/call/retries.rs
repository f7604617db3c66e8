//! What becomes of an attempt that got no answer: another one, or the call's error.

use std::time::Duration;

use pycrust_protocol::Code;
use pycrust_protocol::header::flags;
use pycrust_transport::monotonic_ns;

use crate::call::attempt::{Failure, Outgoing};
use crate::connection::backoff::jittered;
use crate::connection::waiting::Waiting;
use crate::error::Error;
use crate::options::FOREVER;
use crate::options::Retry;

/// Connections that a call tries when each ends before the call could be sent.
pub(crate) const MAX_CONNECTIONS: usize = 3;

/// The attempts of one call.
pub(crate) struct Retries {
    retry: Retry,
    /// The pause after the next failure.
    pause: Duration,
    /// Attempts that may have reached a worker, with the one that is made.
    attempts: u32,
    /// Connections that ended before the call could be sent.
    connections: usize,
    /// Why a call that waits was last not taken.
    refused: Option<String>,
}

impl Retries {
    pub(crate) fn new(retry: Retry) -> Self {
        let pause = retry.first_pause.min(retry.longest_pause).min(FOREVER);
        Self { retry, pause, attempts: 1, connections: 0, refused: None }
    }

    /// Waits before the call is made again; or the error that it ends in.
    pub(crate) async fn pause<W: Waiting>(
        &mut self,
        waiting: &W,
        failure: Failure,
        call: &Outgoing<'_>,
    ) -> Result<(), Error> {
        match self.after(failure, call)? {
            Duration::ZERO => {}
            pause => waiting.pause(pause).await,
        }
        Ok(())
    }

    /// How long to wait before the call is made again; or the error that it ends in: if it must not be made twice,
    /// was made often enough, or has not that much time left.
    fn after(&mut self, failure: Failure, call: &Outgoing<'_>) -> Result<Duration, Error> {
        let error = match failure {
            Failure::NotSent => {
                self.connections += 1;
                if self.connections < MAX_CONNECTIONS {
                    return Ok(Duration::ZERO);
                }
                never_sent(call.method)
            }
            Failure::Lost(error) | Failure::OtherSchema(error) | Failure::Failed(error) => error,
        };
        if let (Some(refused), Code::DeadlineExceeded, false) =
            (&self.refused, error.code(), error.may_have_run())
        {
            return Err(call.too_late(refused));
        }
        if error.code() != Code::Unavailable || call.arrays.are_gone() {
            return Err(error);
        }
        let left = call.expires_ns.map(|at| Duration::from_nanos(at.saturating_sub(monotonic_ns())));
        let waits = jittered(self.pause);
        self.pause = self.pause.saturating_mul(2).min(self.retry.longest_pause).min(FOREVER);
        if call.wait_for_ready && !error.may_have_run() {
            self.connections = 0;
            call.observed.again(&error, waits, self.attempts);
            self.refused = Some(format!("no worker was ready: {}", error.message()));
            return Ok(left.map_or(waits, |left| left.min(waits)));
        }
        let again = call.flags & flags::IDEMPOTENT != 0 && self.attempts < self.retry.attempts;
        if !again || left.is_some_and(|left| left <= waits) {
            return Err(error);
        }
        self.attempts += 1;
        call.observed.again(&error, waits, self.attempts);
        Ok(waits)
    }
}

/// The error of a call that no connection lived long enough for.
pub(crate) fn never_sent(method: &str) -> Error {
    let reason = format!("{MAX_CONNECTIONS} connections ended before the call could be sent");
    Error::of_call(Code::Unavailable, method, reason)
}
