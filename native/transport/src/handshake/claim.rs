//! A worker's claim of a name.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pycrust_protocol::name::EndpointName;

use crate::claiming::lockfile::LockFile;
use crate::claiming::runtime_dir::Runtime;
use crate::claiming::seat::Seat;
use crate::error::ClaimError;
use crate::faults::reached;
use crate::iceoryx::life;
use crate::iceoryx::node::Node;
use crate::owner::Owner;

/// The claim of a name: while it lives, no other process serves it.
///
/// Clients can connect from now on; they wait for an [`Acceptor`](crate::Acceptor).
pub struct Claim {
    /// What the lock file says.
    owner: Owner,
    /// Where the worker is to be found.
    runtime: Runtime,
    /// What the prefixes of all lives of this endpoint begin with.
    common_prefix: String,
    /// This worker's life in shared memory.
    node: Arc<Node>,
    /// Says in that life that this is its worker.
    life_lock: LockFile,
    /// What was last told of a seat that can't be kept.
    told: Vec<Option<String>>,
    /// The life of another worker that held a lock of ours at the last look.
    rival: Option<u64>,
    /// Locks and sockets: last, since whoever takes the locks next finds everything else gone.
    seats: Vec<Seat>,
}

impl Claim {
    /// Claims a name and removes what a dead owner left behind.
    ///
    /// `notebook` is the notebook that this process runs in, or nothing.
    ///
    /// # Errors
    /// [`ClaimError::Served`] says which live process serves the name.
    pub fn take(runtime: &Runtime, name: &EndpointName, notebook: &str) -> Result<Self, ClaimError> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let owner = Owner {
            endpoint: name.to_string(),
            pid: std::process::id(),
            notebook: notebook.into(),
            started_unix_ns: started.as_nanos() as u64,
            generation: random(),
        };
        let common_prefix = runtime.prefix(name);
        // Before any lock is taken: a worker whose lock file was cleaned away is about to take it again.
        let holder = || runtime.places().iter().find_map(|place| Seat::holder(place, name));
        if let Some(other) = life::worker_of(&common_prefix).or_else(holder) {
            return Err(ClaimError::Served(other));
        }
        let mut seats = take_seats(runtime, name, &owner)?;
        if let Some(other) = life::worker_of(&common_prefix).or_else(holder) {
            return Err(ClaimError::Served(other));
        }
        reached("serve.locked");
        runtime.look();
        let (node, life_lock) = Node::begin(&life_prefix(&common_prefix, owner.generation), &owner)?;
        reached("serve.life_begun");
        for seat in &mut seats {
            seat.listen()?;
        }
        reached("serve.listening");
        let told = vec![None; seats.len()];
        let runtime = runtime.clone();
        Ok(Self { owner, runtime, common_prefix, node, life_lock, told, rival: None, seats })
    }

    /// What the lock file says about this process.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The listening control sockets.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.seats.iter().filter_map(|seat| seat.socket().map(AsFd::as_fd))
    }

    /// This worker's life in shared memory.
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Begins another life if shared memory was cleaned under this one, for clients that come from now on; what was
    /// done, if anything was.
    pub(crate) fn renew_life(&mut self) -> Result<Option<String>, ClaimError> {
        if self.node.is_there() {
            return Ok(None);
        }
        (self.node, self.life_lock) = Node::begin(&life_prefix(&self.common_prefix, random()), &self.owner)?;
        let endpoint = &self.owner.endpoint;
        Ok(Some(format!(
            "somebody removed the shared memory of {endpoint} from /dev/shm (systemd does at a user's last logout: see \
             RemoveIPC in logind.conf): made again; what clients have mapped goes on"
        )))
    }

    /// Makes again what was cleaned away, and says what happened since it was last asked.
    ///
    /// # Errors
    /// [`ClaimError::Served`] if another worker serves the name by now.
    pub(crate) fn restore(&mut self) -> Result<Vec<String>, ClaimError> {
        let (mut news, mut rival) = (Vec::new(), None);
        for (seat, told) in self.seats.iter_mut().zip(&mut self.told) {
            let (new, trouble) = match seat.restore(&self.owner) {
                Ok(made) => (made, None),
                Err(ClaimError::Served(other)) => {
                    // One that begins holds it for a moment, until it finds this one.
                    if self.rival == Some(other.generation) {
                        return Err(ClaimError::Served(other));
                    }
                    rival = Some(other.generation);
                    (None, told.clone())
                }
                Err(error) => (None, Some(unreachable(seat, &error))),
            };
            news.extend(new);
            if *told != trouble {
                news.extend(trouble.clone());
                *told = trouble;
            }
        }
        self.rival = rival;
        match self.renew_life() {
            Ok(made) => news.extend(made),
            Err(error) => log::error!("{}: {error}", self.owner.endpoint),
        }
        Ok(news)
    }

    /// Removes what the dead left in this directory since, and makes what is here look new to whoever cleans old files
    /// away.
    pub(crate) fn look(&self) {
        self.runtime.look();
        self.seats.iter().for_each(Seat::touch);
    }
}

/// Takes the locks of all places: a worker that sees fewer of them finds this one in those. One must be had.
fn take_seats(runtime: &Runtime, name: &EndpointName, owner: &Owner) -> Result<Vec<Seat>, ClaimError> {
    let (mut seats, mut failed) = (Vec::new(), None);
    for place in runtime.places() {
        match Seat::take(place, name, owner) {
            Ok(seat) => seats.push(seat),
            Err(ClaimError::Served(other)) => return Err(ClaimError::Served(other)),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if seats.is_empty() => Err(error),
        Some(error) => {
            log::warn!("{name} is not to be found everywhere: {error}");
            Ok(seats)
        }
        None => Ok(seats),
    }
}

/// What is told of a place where the worker can't be found.
fn unreachable(seat: &Seat, error: &ClaimError) -> String {
    format!("no client finds this worker in {} any more: {error}", seat.dir().display())
}

fn life_prefix(common: &str, number: u64) -> String {
    format!("{common}{:08x}_", number as u32)
}

/// Random, so that no life is taken for another, whatever the clock does.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("owner", &self.owner).finish_non_exhaustive()
    }
}
