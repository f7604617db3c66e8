//! iceoryx2's small files, which are read and written and not kept open: what they say never changes.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iceoryx2_bb_elementary_traits::testing::abandonable::Abandonable;
use iceoryx2_bb_system_types::file_name::FileName;
use iceoryx2_bb_system_types::path::Path;
use iceoryx2_cal::named_concept::{
    NamedConcept, NamedConceptBuilder, NamedConceptDoesExistError, NamedConceptListError, NamedConceptMgmt,
    NamedConceptPathHintRemoveError, NamedConceptRemoveError,
};
use iceoryx2_cal::static_storage::{
    StaticStorage, StaticStorageBuilder, StaticStorageCreateError, StaticStorageLocked,
    StaticStorageOpenError, StaticStorageReadError, StaticStorageUnlockError, StaticStorageView,
    file as base,
};

/// A file that was read or written.
#[derive(Debug)]
pub(crate) struct Note {
    place: At,
    contents: Contents,
}

/// Where a file is, and whether it goes with whoever has this.
#[derive(Debug)]
struct At {
    name: FileName,
    config: base::Configuration,
    owned: AtomicBool,
}

/// What a file says.
#[derive(Debug)]
pub(crate) struct Contents(Vec<u8>);

impl Drop for At {
    fn drop(&mut self) {
        if *self.owned.get_mut() {
            // SAFETY: it is ours to remove.
            let _ = unsafe { base::Storage::remove_cfg(&self.name, &self.config) };
        }
    }
}

impl Abandonable for Note {
    unsafe fn abandon_in_place(mut this: NonNull<Self>) {
        // SAFETY: the caller has it alone, and it is not used after.
        let this = unsafe { this.as_mut() };
        this.release_ownership();
        // SAFETY: as above.
        unsafe { ptr::drop_in_place(this) };
    }
}

impl Abandonable for Contents {
    unsafe fn abandon_in_place(this: NonNull<Self>) {
        // SAFETY: the caller has it alone, and it is not used after.
        unsafe { ptr::drop_in_place(this.as_ptr()) };
    }
}

impl NamedConcept for Note {
    fn name(&self) -> &FileName {
        &self.place.name
    }
}

impl NamedConceptMgmt for Note {
    type Configuration = base::Configuration;

    unsafe fn remove_cfg(
        name: &FileName,
        config: &base::Configuration,
    ) -> Result<bool, NamedConceptRemoveError> {
        // SAFETY: as the caller says.
        unsafe { base::Storage::remove_cfg(name, config) }
    }

    fn does_exist_cfg(
        name: &FileName,
        config: &base::Configuration,
    ) -> Result<bool, NamedConceptDoesExistError> {
        base::Storage::does_exist_cfg(name, config)
    }

    fn list_cfg(config: &base::Configuration) -> Result<Vec<FileName>, NamedConceptListError> {
        base::Storage::list_cfg(config)
    }

    fn remove_path_hint(value: &Path) -> Result<(), NamedConceptPathHintRemoveError> {
        base::Storage::remove_path_hint(value)
    }
}

impl StaticStorage for Note {
    type Builder = Builder;
    type Locked = Locked;
    type View = Contents;

    fn view(&self) -> &Contents {
        &self.contents
    }

    fn release_ownership(&self) {
        self.place.owned.store(false, Ordering::Relaxed);
    }

    fn acquire_ownership(&self) {
        self.place.owned.store(true, Ordering::Relaxed);
    }
}

impl StaticStorageView for Note {
    fn len(&self) -> u64 {
        self.contents.len()
    }

    fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }

    fn read(&self, content: &mut [u8]) -> Result<(), StaticStorageReadError> {
        self.contents.read(content)
    }
}

impl StaticStorageView for Contents {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read(&self, content: &mut [u8]) -> Result<(), StaticStorageReadError> {
        let target = content.get_mut(..self.0.len()).ok_or(StaticStorageReadError::BufferTooSmall)?;
        target.copy_from_slice(&self.0);
        Ok(())
    }
}

/// A file that is there and not written yet.
#[derive(Debug)]
pub(crate) struct Locked {
    place: At,
    file: base::Locked,
}

impl Abandonable for Locked {
    unsafe fn abandon_in_place(mut this: NonNull<Self>) {
        // SAFETY: the caller has it alone, and it is not used after.
        let this = unsafe { this.as_mut() };
        *this.place.owned.get_mut() = false;
        // SAFETY: as above.
        unsafe { ptr::drop_in_place(&raw mut this.place) };
        // SAFETY: as above.
        unsafe { base::Locked::abandon_in_place(NonNull::from_mut(&mut this.file)) };
    }
}

impl NamedConcept for Locked {
    fn name(&self) -> &FileName {
        &self.place.name
    }
}

impl StaticStorageLocked<Note> for Locked {
    fn unlock(self, contents: &[u8]) -> Result<Note, StaticStorageUnlockError> {
        drop(self.file.unlock(contents)?);
        Ok(Note { place: self.place, contents: Contents(contents.into()) })
    }
}

/// Makes or opens a file.
#[derive(Debug)]
pub(crate) struct Builder {
    name: FileName,
    config: base::Configuration,
    owned: bool,
}

impl NamedConceptBuilder<Note> for Builder {
    fn new(name: &FileName) -> Self {
        Self { name: *name, config: base::Configuration::default(), owned: true }
    }

    fn config(mut self, config: &base::Configuration) -> Self {
        self.config = config.clone();
        self
    }
}

impl Builder {
    fn base(&self) -> base::Builder {
        // It goes with our value, not with the open file.
        base::Builder::new(&self.name).config(&self.config).has_ownership(false)
    }

    fn at(self) -> At {
        At { name: self.name, config: self.config, owned: self.owned.into() }
    }
}

impl StaticStorageBuilder<Note> for Builder {
    fn has_ownership(mut self, value: bool) -> Self {
        self.owned = value;
        self
    }

    fn create_locked(self) -> Result<Locked, StaticStorageCreateError> {
        let file = self.base().create_locked()?;
        Ok(Locked { file, place: self.at() })
    }

    fn open(self, timeout: Duration) -> Result<Note, StaticStorageOpenError> {
        let file = self.base().open(timeout)?;
        let mut contents = vec![0; file.len() as usize];
        file.read(&mut contents).map_err(|_| StaticStorageOpenError::Read)?;
        Ok(Note { place: self.at(), contents: Contents(contents) })
    }
}
