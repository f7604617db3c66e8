//! Clients in a forked child: an error at once there, and nothing that the parent would notice.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::time::Duration;

use pycrust_client::{Code, Error, RpcClient};
use rustix::process::{Pid, WaitOptions, waitpid};
use support::{HANG, Place};
use tokio::runtime::{Builder, Runtime};

unsafe extern "C" {
    fn fork() -> i32;
    fn _exit(status: i32) -> !;
    fn exit(status: i32) -> !;
    fn alarm(seconds: u32) -> u32;
}

/// How a child ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// As `multiprocessing`'s children do.
    AtOnce,
    /// As a program does, with what the parent wants to be done at its own end.
    Orderly,
}

/// Forks; whether the child's `work` said yes. A child that hangs is ended by a signal, which counts as a no.
fn child_agrees(ending: Ending, work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child uses memory, descriptors and system calls, none of the parent's threads, and does not return.
    let pid = unsafe { fork() };
    if pid == 0 {
        // SAFETY: ends the child if it hangs.
        unsafe { alarm(HANG.as_secs() as u32) };
        let status = i32::from(!work());
        match ending {
            // SAFETY: the end of the child.
            Ending::AtOnce => unsafe { _exit(status) },
            // SAFETY: the end of the child.
            Ending::Orderly => unsafe { exit(status) },
        }
    }
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty()).unwrap().unwrap();
    status.exit_status() == Some(0)
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Whether it is the error of a client that belongs to another process.
fn is_inherited<T>(outcome: Result<T, Error>) -> bool {
    outcome.is_err_and(|error| {
        error.code() == Code::FailedPrecondition && error.message().contains("make a new one")
    })
}

fn add(runtime: &Runtime, client: &RpcClient, n: i64) -> i64 {
    runtime.block_on(client.call("add", &(n, 1))).unwrap()
}

#[test]
fn a_child_that_touches_nothing_ends_and_its_parent_s_client_goes_on() {
    let place = Place::new();
    let worker = place.worker();
    let runtime = current_thread();
    let client = runtime.block_on(place.client().connect()).unwrap();
    for ending in [Ending::AtOnce, Ending::Orderly, Ending::AtOnce, Ending::Orderly] {
        assert_eq!(add(&runtime, &client, 3), 4);
        assert!(child_agrees(ending, || true), "{ending:?}");
    }
    assert_eq!(add(&runtime, &client, 7), 8);
    assert_eq!(worker.seen.connected.load(std::sync::atomic::Ordering::Acquire), 1, "the same connection");
}

#[test]
fn what_a_child_does_with_an_inherited_client_is_an_error_there_and_nothing_here() {
    let place = Place::new();
    let worker = place.worker();
    let runtime = current_thread();
    let client = runtime.block_on(place.client().connect()).unwrap();
    let mut stream = client.stream::<_, i64>("count", &1000_i64);
    // The call has begun; `echo` answers once.
    let echo = client.stream::<_, i64>("hang", &1_i64);
    let mut open = Box::pin(echo);
    runtime.block_on(async {
        let _ = tokio::time::timeout(Duration::from_millis(20), open.next()).await;
    });
    assert_eq!(add(&runtime, &client, 1), 2);
    for ending in [Ending::AtOnce, Ending::Orderly] {
        let agreed = child_agrees(ending, || {
            let call = is_inherited(runtime.block_on(client.call::<_, i64>("add", &(1, 1))));
            let notified = is_inherited(runtime.block_on(client.request("add").notify(&(1, 1))));
            let built = is_inherited(runtime.block_on(client.allocate::<u8>(&[1 << 20])));
            let unopened = runtime.block_on(stream.next()).is_some_and(is_inherited);
            let opened = runtime.block_on(open.next()).is_some_and(is_inherited);
            let mut changes = client.state_changes();
            let untold = runtime.block_on(changes.next()).is_none();
            let apart = !client.is_connected();
            runtime.block_on(client.close());
            call && notified && built && unopened && opened && untold && apart
        });
        assert!(agreed, "{ending:?}");
        assert_eq!(add(&runtime, &client, 3), 4);
    }
    assert_eq!(worker.seen.ran("add"), 3, "none of the child's calls ran");
    assert_eq!(worker.seen.links(), 1);
}

#[test]
fn a_child_that_drops_client_and_runtime_leaves_the_parent_s_alone() {
    let place = Place::new();
    let worker = place.worker();
    let runtime = current_thread();
    let client = runtime.block_on(place.client().connect()).unwrap();
    assert_eq!(add(&runtime, &client, 1), 2);
    let mut held = Some((client, runtime));
    assert!(child_agrees(Ending::Orderly, || {
        let (client, runtime) = held.take().unwrap();
        drop(client);
        // It would wait for threads that connected, which the child does not have, if it were just dropped.
        runtime.shutdown_background();
        true
    }));
    let (client, runtime) = held.unwrap();
    // It sleeps for its answer: the doorbell is still in the runtime's epoll set, which the child shared.
    let slow = client.call::<_, i64>("delay", &(50_u64, 5));
    assert_eq!(runtime.block_on(slow).unwrap(), 5);
    assert_eq!(worker.seen.links(), 1);
}

#[test]
fn a_child_has_clients_of_its_own_also_where_the_parent_has_many_threads() {
    let place = Place::new();
    let worker = place.worker();
    let parents = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client = parents.block_on(place.client().connect()).unwrap();
    // Threads of the parent's that take and give locks while it forks.
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            parents.spawn(async move {
                for n in 0..i64::MAX {
                    if client.call::<_, i64>("add", &(n, 1)).await.is_err() {
                        break;
                    }
                }
            })
        })
        .collect();
    for n in 0..12 {
        let agreed = child_agrees(Ending::Orderly, || {
            let runtime = current_thread();
            let own = runtime.block_on(place.client().connect()).unwrap();
            let answered = runtime.block_on(own.call::<_, i64>("add", &(n, 1)));
            let inherited = is_inherited(runtime.block_on(client.call::<_, i64>("add", &(1, 1))));
            runtime.block_on(own.close());
            let mut blocking = place.client().connect_blocking().unwrap();
            let again = blocking.call::<_, i64>("add", &(n, 2));
            answered.unwrap() == n + 1 && again.unwrap() == n + 2 && inherited
        });
        assert!(agreed, "child {n}");
    }
    assert_eq!(parents.block_on(client.call::<_, i64>("add", &(1, 2))).unwrap(), 3);
    parents.block_on(client.close());
    for task in busy {
        parents.block_on(task).unwrap();
    }
    drop(worker);
}

#[test]
fn a_blocking_client_is_its_parent_s_too() {
    let place = Place::new();
    let worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let mut held = None;
    for ending in [Ending::AtOnce, Ending::Orderly] {
        assert_eq!(client.call::<_, i64>("add", &(1, 1)).unwrap(), 2);
        held = Some(client);
        let agreed = child_agrees(ending, || {
            let mut client = held.take().unwrap();
            let refused = is_inherited(client.call::<_, i64>("add", &(1, 1)))
                && is_inherited(client.request("add").notify(&(1, 1)))
                && !client.is_connected();
            drop(client);
            refused
        });
        assert!(agreed, "{ending:?}");
        client = held.take().unwrap();
        assert_eq!(client.call::<_, i64>("add", &(2, 1)).unwrap(), 3);
    }
    drop(held);
    assert_eq!(worker.seen.links(), 1);
    assert_eq!(worker.seen.ran("add"), 4);
}
