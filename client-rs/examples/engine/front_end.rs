//! All of a front end's requests on one stream, which brings what each step of the engine has made for them.
//!
//! A stream for each request is the plainer way; this one costs a message a step instead of one a token, which tells when
//! hundreds of requests run at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pycrust_client::{Code, Error, Streaming};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::engine::{EngineClient, EngineCoreOutput, EngineCoreRequest, methods};

type Read = Result<EngineCoreOutput, Error>;

/// A front end, and who reads which request.
pub struct FrontEnd {
    client: EngineClient,
    index: u64,
    readers: Mutex<HashMap<String, UnboundedSender<Read>>>,
    /// Whether the engine tells of its steps, so that requests may be sent.
    told: watch::Sender<bool>,
}

impl FrontEnd {
    /// Reads the engine's steps from now on, also those of an engine that takes a dead one's place.
    pub fn open(client: EngineClient, index: u64) -> Arc<Self> {
        let (readers, told) = (Mutex::default(), watch::Sender::new(false));
        let opened = Arc::new(Self { client, index, readers, told });
        tokio::spawn(Arc::clone(&opened).read());
        opened
    }

    /// Sends a request; an error is the engine's refusal of it.
    pub async fn generate(self: &Arc<Self>, request: EngineCoreRequest) -> Result<Tokens, Error> {
        let mut told = self.told.subscribe();
        while !*told.borrow_and_update() {
            // It can't end with an error: the sender is `self`'s.
            let _changed = told.changed().await;
        }
        let (reader, outputs) = unbounded_channel();
        let request_id = request.request_id.clone();
        // Before it is sent: its first token may come before the answer does.
        lock(&self.readers).insert(request_id.clone(), reader);
        let mut tokens =
            Tokens { front_end: Arc::clone(self), request_id, outputs, version: 0, ended: false };
        let request = EngineCoreRequest { client_index: self.index, ..request };
        match self.client.client().request_of(&methods::SUBMIT).send::<_, ()>(&(request,)).await {
            Ok(reply) => tokens.version = reply.version(),
            Err(refused) => {
                tokens.ended = true;
                return Err(refused);
            }
        }
        Ok(tokens)
    }

    async fn read(self: Arc<Self>) {
        loop {
            let gone = self.hand_out(self.client.steps(self.index)).await;
            self.told.send_replace(false);
            for reader in lock(&self.readers).drain().map(|(_, reader)| reader) {
                let _left = reader.send(Err(Error::new(gone.code(), gone.message())));
            }
        }
    }

    /// Gives each output to whoever reads its request; how the stream ended.
    async fn hand_out(&self, mut steps: Streaming<Vec<EngineCoreOutput>>) -> Error {
        while let Some(step) = steps.next().await {
            let outputs = match step {
                Ok(outputs) => outputs,
                Err(error) => return error,
            };
            self.told.send_if_modified(|told| !std::mem::replace(told, true));
            let readers = lock(&self.readers);
            for output in outputs {
                if let Some(reader) = readers.get(&output.request_id) {
                    // Whoever has left meanwhile aborts it himself.
                    let _left = reader.send(Ok(output));
                }
            }
        }
        Error::new(Code::Unavailable, "the engine tells of no more steps")
    }
}

/// The tokens of one request; dropped before their end, they end the request.
pub struct Tokens {
    front_end: Arc<FrontEnd>,
    request_id: String,
    outputs: UnboundedReceiver<Read>,
    /// The handler's that took the request.
    pub version: u32,
    ended: bool,
}

impl Tokens {
    /// What comes next; `None` at the end.
    pub async fn next(&mut self) -> Option<Read> {
        if self.ended {
            return None;
        }
        let read = self.outputs.recv().await?;
        self.ended = read.as_ref().map_or(true, |output| output.finish_reason.is_some());
        Some(read)
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        lock(&self.front_end.readers).remove(&self.request_id);
        if !self.ended {
            let (client, request_id) = (self.front_end.client.clone(), std::mem::take(&mut self.request_id));
            tokio::spawn(async move { client.abort(vec![request_id]).await });
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
