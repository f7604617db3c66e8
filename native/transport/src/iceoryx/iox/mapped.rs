//! iceoryx2's shared memory, which is mapped and not kept open: a mapping needs no descriptor. Its files lie in the
//! directory of their life, where no other user can list, open or make one, and not beside everyone's.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use iceoryx2::prelude::{SemanticString, ZeroCopySend};
use iceoryx2_bb_elementary_traits::testing::abandonable::Abandonable;
use iceoryx2_bb_memory::bump_allocator::BumpAllocator;
use iceoryx2_bb_posix::file::AccessMode;
use iceoryx2_bb_system_types::file_name::FileName;
use iceoryx2_bb_system_types::path::Path;
use iceoryx2_cal::dynamic_storage::{
    DynamicStorage, DynamicStorageBuilder, DynamicStorageCreateError, DynamicStorageOpenError,
    DynamicStorageOpenOrCreateError, Initializer, file as base,
};
use iceoryx2_cal::named_concept::{
    NamedConcept, NamedConceptBuilder, NamedConceptConfiguration, NamedConceptDoesExistError,
    NamedConceptListError, NamedConceptMgmt, NamedConceptPathHintRemoveError, NamedConceptRemoveError,
};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::getuid;

use crate::descriptors;
use crate::memory::reserve;

/// Tells memory that is made in this way, once it is ready.
const READY: u64 = 1;

/// Time between two looks at memory that somebody is making.
const LOOK: Duration = Duration::from_millis(1);

/// Memory up to this size is really there before anything is written to it: a full /dev/shm is an error then, and not a
/// SIGBUS. Larger memory is for frames, whose pages are made as they are used.
const MADE_WHOLE: usize = 512 << 10;

/// What can lie in shared memory.
pub(crate) trait Shared: Debug + Send + Sync + ZeroCopySend {}

impl<T: Debug + Send + Sync + ZeroCopySend> Shared for T {}

/// What lies there.
#[repr(C)]
struct Data<T> {
    /// [`READY`], or 0 while it is being made.
    ready: AtomicU64,
    value: MaybeUninit<T>,
}

/// Shared memory that holds a `T`, and more behind it.
#[derive(Debug)]
pub(crate) struct Storage<T: Shared> {
    mapping: Mapping<T>,
    name: FileName,
    path: PathBuf,
    /// The file goes with this value.
    owned: AtomicBool,
}

/// A mapping, unmapped on drop.
#[derive(Debug)]
struct Mapping<T> {
    start: NonNull<Data<T>>,
    len: usize,
}

// SAFETY: whoever has the mapping shares a `T`, which may be shared and sent.
unsafe impl<T: Send + Sync> Send for Mapping<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Mapping<T> {}

impl<T> Mapping<T> {
    /// Maps a file, which is as long as it says.
    fn new(file: &impl AsFd, len: usize, writable: bool) -> rustix::io::Result<Self> {
        let prot = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a new mapping where the kernel likes it; nobody else has its address.
        let address = unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, file, 0) }?;
        Ok(Self { start: NonNull::new(address.cast()).ok_or(Errno::NOMEM)?, len })
    }

    fn ready(&self) -> &AtomicU64 {
        // SAFETY: mapped, a page's start is aligned for it, and any bytes are valid.
        unsafe { &(*self.start.as_ptr()).ready }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and no reference outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

impl<T: Shared> Drop for Storage<T> {
    fn drop(&mut self) {
        if *self.owned.get_mut() {
            // Others still see the value, so that it is not dropped.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl<T: Shared> Abandonable for Storage<T> {
    unsafe fn abandon_in_place(mut this: NonNull<Self>) {
        // SAFETY: the caller has it alone, and it is not used after.
        let this = unsafe { this.as_mut() };
        *this.owned.get_mut() = false;
        // SAFETY: as above.
        unsafe { ptr::drop_in_place(this) };
    }
}

impl<T: Shared> NamedConcept for Storage<T> {
    fn name(&self) -> &FileName {
        &self.name
    }
}

impl<T: Shared> NamedConceptMgmt for Storage<T> {
    type Configuration = base::Configuration<T>;

    unsafe fn remove_cfg(
        name: &FileName,
        config: &Self::Configuration,
    ) -> Result<bool, NamedConceptRemoveError> {
        // SAFETY: as the caller says.
        unsafe { base::Storage::<T>::remove_cfg(name, config) }
    }

    fn does_exist_cfg(
        name: &FileName,
        config: &Self::Configuration,
    ) -> Result<bool, NamedConceptDoesExistError> {
        base::Storage::<T>::does_exist_cfg(name, config)
    }

    fn list_cfg(config: &Self::Configuration) -> Result<Vec<FileName>, NamedConceptListError> {
        base::Storage::<T>::list_cfg(config)
    }

    fn remove_path_hint(_value: &Path) -> Result<(), NamedConceptPathHintRemoveError> {
        // The directory goes with its life.
        Ok(())
    }
}

impl<T: Shared> DynamicStorage<T> for Storage<T> {
    type Builder<'builder> = Builder<'builder, T>;

    fn does_support_persistency() -> bool {
        true
    }

    fn has_ownership(&self) -> bool {
        self.owned.load(Ordering::Relaxed)
    }

    fn release_ownership(&self) {
        self.owned.store(false, Ordering::Relaxed);
    }

    fn acquire_ownership(&self) {
        self.owned.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> &T {
        // SAFETY: mapped until drop, and initialised before it was ready.
        unsafe { (*self.mapping.start.as_ptr()).value.assume_init_ref() }
    }

    unsafe fn __internal_set_type_name_in_config(config: &mut Self::Configuration, type_name: &str) {
        // SAFETY: as the caller says.
        unsafe { base::Storage::<T>::__internal_set_type_name_in_config(config, type_name) };
    }
}

/// Makes or opens shared memory.
#[derive(Debug)]
pub(crate) struct Builder<'builder, T: Shared> {
    name: FileName,
    config: base::Configuration<T>,
    owned: bool,
    /// Bytes behind the value.
    more: usize,
    timeout: Duration,
    initializer: Initializer<'builder, T>,
}

impl<T: Shared> NamedConceptBuilder<Storage<T>> for Builder<'_, T> {
    fn new(name: &FileName) -> Self {
        Self {
            name: *name,
            config: base::Configuration::default(),
            owned: true,
            more: 0,
            timeout: Duration::ZERO,
            initializer: Initializer::new(|_, _| false),
        }
    }

    fn config(mut self, config: &base::Configuration<T>) -> Self {
        self.config = config.clone();
        self
    }
}

impl<T: Shared> Builder<'_, T> {
    fn path(&self) -> PathBuf {
        OsStr::from_bytes(self.config.path_for(&self.name).as_bytes()).into()
    }

    fn storage(&self, mapping: Mapping<T>, owned: bool) -> Storage<T> {
        Storage { mapping, name: self.name, path: self.path(), owned: owned.into() }
    }

    /// Makes the memory. Nobody else opens it before it is ready, since nobody may read it.
    fn make(&mut self) -> Result<Storage<T>, DynamicStorageCreateError> {
        let path = self.path();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::open(&path, flags, Mode::WUSR).map_err(|error| match descriptors::note(error) {
                Errno::EXIST => DynamicStorageCreateError::AlreadyExists,
                Errno::ACCESS => DynamicStorageCreateError::InsufficientPermissions,
                _ => DynamicStorageCreateError::InternalError,
            })?;
        self.fill(&file).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })
    }

    fn fill(&mut self, file: &OwnedFd) -> Result<Storage<T>, DynamicStorageCreateError> {
        let failed = |_| DynamicStorageCreateError::InternalError;
        let len = size_of::<Data<T>>() + self.more;
        rustix::fs::ftruncate(file, len as u64).map_err(failed)?;
        let mapping = Mapping::<T>::new(file, len, true).map_err(failed)?;
        if len <= MADE_WHOLE {
            reserve::populate(mapping.start.as_ptr().cast_const().cast(), len)
                .map_err(|_| DynamicStorageCreateError::InternalError)?;
        }
        // SAFETY: what lies behind the value is inside of the mapping.
        let behind = unsafe { mapping.start.add(1) }.cast();
        let mut allocator = BumpAllocator::new(behind, self.more);
        // SAFETY: new memory is zeros, and nobody else has it yet.
        let value = unsafe { &mut (*mapping.start.as_ptr()).value };
        if !self.initializer.call(value, &mut allocator) {
            return Err(DynamicStorageCreateError::InitializationFailed);
        }
        mapping.ready().store(READY, Ordering::SeqCst);
        // Also where iceoryx2 would let everyone in, to its count of nodes.
        rustix::fs::fchmod(file, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        Ok(self.storage(mapping, self.owned))
    }

    /// Opens the memory; `None` while somebody makes it.
    fn look(&self, writable: bool) -> Result<Option<Storage<T>>, DynamicStorageOpenError> {
        let failed = |_| DynamicStorageOpenError::InternalError;
        let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        let file =
            match rustix::fs::open(self.path(), flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
                Ok(file) => file,
                Err(Errno::NOENT) => return Err(DynamicStorageOpenError::DoesNotExist),
                Err(Errno::ACCESS) => return Ok(None),
                Err(error) => {
                    descriptors::note(error);
                    return Err(DynamicStorageOpenError::InternalError);
                }
            };
        let found = rustix::fs::fstat(&file).map_err(failed)?;
        if found.st_uid != getuid().as_raw() {
            return Err(DynamicStorageOpenError::InternalError);
        }
        let len = usize::try_from(found.st_size).map_err(|_| DynamicStorageOpenError::InternalError)?;
        // The super-user may read what is not ready, too.
        if found.st_mode & Mode::RUSR.as_raw_mode() == 0 || len < size_of::<Data<T>>() {
            return Ok(None);
        }
        let mapping = Mapping::<T>::new(&file, len, writable).map_err(failed)?;
        match mapping.ready().load(Ordering::SeqCst) {
            READY => Ok(Some(self.storage(mapping, false))),
            0 => Ok(None),
            _ => Err(DynamicStorageOpenError::VersionMismatch),
        }
    }

    fn open_within(&self, writable: bool) -> Result<Storage<T>, DynamicStorageOpenError> {
        let until = Instant::now() + self.timeout;
        loop {
            match self.look(writable)? {
                Some(storage) => return Ok(storage),
                None if Instant::now() >= until => {
                    return Err(DynamicStorageOpenError::InitializationNotYetFinalized);
                }
                None => thread::sleep(LOOK),
            }
        }
    }
}

impl<'builder, T: Shared> DynamicStorageBuilder<'builder, T, Storage<T>> for Builder<'builder, T> {
    fn has_ownership(mut self, value: bool) -> Self {
        self.owned = value;
        self
    }

    fn enable_global_access(self, _value: bool) -> Self {
        self
    }

    fn supplementary_size(mut self, value: usize) -> Self {
        self.more = value;
        self
    }

    fn timeout(mut self, value: Duration) -> Self {
        self.timeout = value;
        self
    }

    fn initializer<F: FnMut(&mut MaybeUninit<T>, &mut BumpAllocator) -> bool + 'builder>(
        mut self,
        value: F,
    ) -> Self {
        self.initializer = Initializer::new(value);
        self
    }

    fn create(mut self) -> Result<Storage<T>, DynamicStorageCreateError> {
        self.make()
    }

    fn open(self, access_mode: AccessMode) -> Result<Storage<T>, DynamicStorageOpenError> {
        self.open_within(access_mode != AccessMode::Read)
    }

    fn open_or_create(mut self) -> Result<Storage<T>, DynamicStorageOpenOrCreateError> {
        loop {
            match self.open_within(true) {
                Err(DynamicStorageOpenError::DoesNotExist) => {}
                opened => return Ok(opened?),
            }
            match self.make() {
                Err(DynamicStorageCreateError::AlreadyExists) => {}
                made => return Ok(made?),
            }
        }
    }
}
