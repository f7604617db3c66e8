//! A worker's lock and socket in one place, and what keeps them there.

use std::path::Path;

use pycrust_protocol::name::EndpointName;
use rustix::fs::{AtFlags, CWD};

use crate::claiming::inode::NOW;
use crate::claiming::listener::{Listener, who_answers};
use crate::claiming::lockfile::{self, LockFile};
use crate::claiming::place::Place;
use crate::error::{ClaimError, TransportError};
use crate::owner::Owner;

/// The lock of a name in one place, and the socket beside it once there is one.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The name.
    name: EndpointName,
    /// The place.
    place: Place,
    /// The listening control socket. Its path goes before the lock does.
    socket: Option<Listener>,
    /// The lock: last, since whoever takes it next finds everything else gone.
    lock: LockFile,
}

impl Seat {
    /// Takes the lock.
    pub(crate) fn take(place: &Place, name: &EndpointName, owner: &Owner) -> Result<Self, ClaimError> {
        let lock = LockFile::take(&place.lock_path(name), owner)?;
        Ok(Self { name: name.clone(), place: place.clone(), socket: None, lock })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// Who serves the name in a place, also if the lock file was cleaned away.
    pub(crate) fn holder(place: &Place, name: &EndpointName) -> Option<Owner> {
        let pid = who_answers(&place.socket_path(name))?;
        let owner = lockfile::held_by(&place.lock_path(name));
        Some(owner.unwrap_or_else(|| Owner { endpoint: name.to_string(), pid, ..Owner::default() }))
    }

    /// Listens.
    pub(crate) fn listen(&mut self) -> Result<(), TransportError> {
        self.socket = None;
        self.socket = Some(Listener::bind(
            self.place.socket_path(&self.name),
            self.place.older_socket_path(&self.name),
        )?);
        Ok(())
    }

    /// The listening socket.
    pub(crate) fn socket(&self) -> Option<&Listener> {
        self.socket.as_ref()
    }

    /// Makes directory, lock and socket again if they were cleaned away. What was made again, if anything was.
    ///
    /// # Errors
    /// [`ClaimError::Served`] if another worker has taken the name meanwhile.
    pub(crate) fn restore(&mut self, owner: &Owner) -> Result<Option<String>, ClaimError> {
        let dir = self.dir().to_owned();
        self.place.restore().map_err(|reason| TransportError::RuntimeDir { path: dir.clone(), reason })?;
        let locked = self.lock.is_there();
        if !locked {
            self.lock = LockFile::take(&self.place.lock_path(&self.name), owner)?;
        }
        let listens = self.socket.as_ref().is_some_and(Listener::is_there);
        if !listens {
            self.listen()?;
        }
        let what = match (locked, listens) {
            (true, true) => return Ok(None),
            (true, false) => "the socket",
            (false, true) => "the lock file",
            (false, false) => "the lock file and the socket",
        };
        Ok(Some(format!("somebody removed {what} of {} from {}: made again", owner.endpoint, dir.display())))
    }

    /// Makes everything look new to whoever cleans old files away.
    pub(crate) fn touch(&self) {
        self.lock.touch();
        self.socket.iter().for_each(Listener::touch);
        let _ = rustix::fs::utimensat(CWD, self.dir(), &NOW, AtFlags::SYMLINK_NOFOLLOW);
    }
}
