//! The kind of service that connections are made of: iceoryx2's own for processes and threads, but for its lock and for what
//! it keeps open.
//!
//! A port locks its state several times for one frame. iceoryx2's lock is a recursive pthread mutex, and a new one is made
//! for every frame that is written; with this one a call that polls takes some 5 % less time (decision 16). And each of a
//! connection's files is open for as long as it is used, though what is mapped or was read needs no descriptor (decision 19).

use std::fmt::Debug;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use iceoryx2::prelude::ZeroCopySend;
use iceoryx2::service::{Service, internal::ServiceInternal, ipc_threadsafe};
use iceoryx2_bb_elementary_traits::testing::abandonable::Abandonable;
use iceoryx2_cal::arc_sync_policy::{ArcSyncPolicy, ArcSyncPolicyCreationError, LockGuard};
use iceoryx2_cal::resizable_shared_memory::dynamic::DynamicMemory;
use iceoryx2_cal::shared_memory::common::details::{self as memory, AllocatorDetails};
use iceoryx2_cal::shm_allocator::pool_allocator::PoolAllocator;
use iceoryx2_cal::zero_copy_connection::common::details::{Connection, SharedManagementData};

use super::mapped::Storage;
use super::notes::Note;
use crate::reentrant::{ReentrantMutex, ReentrantMutexGuard};

/// Memory for frames.
type Memory = memory::Memory<PoolAllocator, Storage<AllocatorDetails<PoolAllocator>>>;

/// What is not named otherwise is as iceoryx2 has it.
type Base = ipc_threadsafe::Service;

/// Services whose ports any thread may use.
#[derive(Debug, Clone)]
pub(crate) struct Variant;

impl Service for Variant {
    type StaticStorage = Note;
    type ConfigSerializer = <Base as Service>::ConfigSerializer;
    type PersistentDynamicStorage<T: Debug + Send + Sync + ZeroCopySend + 'static> = Storage<T>;
    type Bag = <Base as Service>::Bag;
    type DynamicStorage<T: Debug + Send + Sync + ZeroCopySend + 'static> = Storage<T>;
    type ServiceNameHasher = <Base as Service>::ServiceNameHasher;
    type SharedMemory = Memory;
    type ResizableSharedMemory = DynamicMemory<PoolAllocator, Memory>;
    type Connection = Connection<Storage<SharedManagementData>>;
    type Event = <Base as Service>::Event;
    type Monitoring = <Base as Service>::Monitoring;
    type Reactor = <Base as Service>::Reactor;
    type ArcThreadSafetyPolicy<T: Send + Debug + Abandonable> = Locked<T>;
    type BlackboardMgmt<T: Send + Sync + Debug + ZeroCopySend + 'static> =
        <Base as Service>::BlackboardMgmt<T>;
    type BlackboardPayload = <Base as Service>::BlackboardPayload;
    type UniqueId = <Base as Service>::UniqueId;
}

impl ServiceInternal<Self> for Variant {}

/// A port's state behind a lock. iceoryx2 may lock it again while it has it.
#[derive(Debug)]
pub(crate) struct Locked<T>(Arc<ReentrantMutex<T>>);

/// The state while it is locked.
pub(crate) struct Guard<'a, T>(ReentrantMutexGuard<'a, T>);

impl<T> Clone for Locked<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'a, T: Send + Abandonable> LockGuard<'a, T> for Guard<'a, T> {}

impl<T: Send + Debug + Abandonable> ArcSyncPolicy<T> for Locked<T> {
    type LockGuard<'a>
        = Guard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Result<Self, ArcSyncPolicyCreationError> {
        Ok(Self(Arc::new(ReentrantMutex::new(value))))
    }

    fn lock(&self) -> Guard<'_, T> {
        Guard(self.0.lock())
    }
}

impl<T: Send + Debug + Abandonable> Abandonable for Locked<T> {
    unsafe fn abandon_in_place(mut this: NonNull<Self>) {
        // SAFETY: the caller has it alone, and it is not used after.
        let this = unsafe { this.as_mut() };
        match Arc::get_mut(&mut this.0) {
            // SAFETY: as above; nobody else has the state.
            Some(state) => unsafe { T::abandon_in_place(NonNull::from_mut(state.get_mut())) },
            // SAFETY: as above.
            None => unsafe { ptr::drop_in_place(&raw mut this.0) },
        }
    }
}
