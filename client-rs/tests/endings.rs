//! Clients that go: closed or dropped, inside and outside of runtimes, many at once, and without threads.

use std::process::Command;
use std::time::Duration;

use crate::support::{ENDPOINT, HANG, Place, eventually, poll_once};
use pycrust_client::{Code, RpcClient};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::runtime::{Builder, Runtime};

fn on_one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn on_many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_client_can_be_closed_outside_of_a_runtime() {
    let place = Place::new();
    let worker = place.worker();
    let runtime = on_many_threads();
    let client = runtime.block_on(place.client().connect()).unwrap();
    futures::executor::block_on(client.close());
    let closed = runtime.block_on(client.call::<_, ()>("echo", &())).unwrap_err();
    assert_eq!(closed.code(), Code::Cancelled);
    // Also one whose runtime is gone.
    let client = runtime.block_on(place.client().connect()).unwrap();
    drop(runtime);
    futures::executor::block_on(client.close());
    on_one_thread().block_on(eventually("the ends", || worker.seen.links() == 0));
}

#[test]
fn a_client_is_used_and_dropped_after_its_runtime_has_gone() {
    let place = Place::new();
    let worker = place.worker();
    let runtime = on_one_thread();
    let client = runtime.block_on(place.client().connect()).unwrap();
    drop(runtime);
    let outside = futures::executor::block_on(client.call::<_, ()>("echo", &())).unwrap_err();
    assert_eq!(outside.code(), Code::FailedPrecondition);
    let other = on_one_thread();
    assert_eq!(other.block_on(client.call::<_, i64>("delay", &(5_u64, 1))).unwrap(), 1);
    drop(client);
    other.block_on(eventually("the end", || worker.seen.links() == 0));
}

/// Drops what it holds when it is dropped itself, with its runtime.
struct Holder(Option<RpcClient>);

impl Drop for Holder {
    fn drop(&mut self) {
        let client = self.0.take().unwrap();
        let mut call = Box::pin(client.call::<_, ()>("hang", &()));
        // The runtime that it would wait on is shutting down.
        let _ = poll_once(call.as_mut());
        drop(call);
        drop(client);
    }
}

#[test]
fn a_client_goes_with_a_runtime_that_shuts_down() {
    let place = Place::new();
    let worker = place.worker();
    for runtime in [on_one_thread(), on_many_threads()] {
        let client = runtime.block_on(place.client().connect()).unwrap();
        let holder = Holder(Some(client));
        runtime.spawn(async move {
            let _holder = holder;
            std::future::pending::<()>().await;
        });
        drop(runtime);
    }
    on_one_thread().block_on(eventually("the ends", || worker.seen.links() == 0));
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Work of this thread, and of the whole process.
fn work() -> [i64; 2] {
    [ClockId::ThreadCPUTime, ClockId::ProcessCPUTime].map(|clock| nanoseconds(clock_gettime(clock)))
}

/// Descriptors that threads of the process's own may open for themselves, once.
const FEW: usize = 8;

/// Descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// No test of its own: what the next one runs in a process that does nothing else.
#[test]
fn process_that_drops() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (runtime, waiting) = (on_many_threads(), on_one_thread());
    let builder = || RpcClient::builder(ENDPOINT).runtime_dir(&dir);
    let first = runtime.block_on(builder().connect()).unwrap();
    let connect = || (0..30).map(|_| runtime.block_on(builder().connect()).unwrap()).collect::<Vec<_>>();
    let held = descriptors();
    let (inside, outside) = (connect(), connect());
    let blocking: Vec<_> = (0..30).map(|_| builder().connect_blocking().unwrap()).collect();
    let before = work();
    {
        let _entered = runtime.enter();
        drop(inside);
    }
    drop((outside, blocking));
    let here = work()[0] - before[0];
    // Each client has several; a few of the process's own threads may have come since it was looked.
    waiting.block_on(eventually("the ends", || descriptors() <= held + FEW));
    let elsewhere = work()[1] - before[1] - here;
    // Each takes milliseconds to take down, of which whoever drops it does some hundredths.
    assert!(here < elsewhere / 2, "{here} ns of work here, {elsewhere} ns elsewhere");
    drop(first);
}

#[test]
fn whoever_drops_many_clients_does_not_take_them_down() {
    in_a_process("process_that_drops");
}

/// Runs a test of this file in a process of its own, beside a worker in this one.
fn in_a_process(test: &str) {
    let place = Place::new();
    let worker = place.worker();
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("endings::{test}"), "--nocapture"])
        .env(DIR, place.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    on_one_thread().block_on(eventually("the ends", || worker.seen.links() == 0));
}

/// In a process of its own, where the worker lives.
const DIR: &str = "PYCRUST_TEST_DIR";

/// Bytes of address space that this process has.
fn address_space() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096
}

/// No test of its own: what the next one runs in a process that it may limit.
#[test]
fn process_without_threads() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = on_one_thread();
    let client = || RpcClient::builder(ENDPOINT).runtime_dir(&dir).timeout(HANG);
    let Rlimit { maximum, .. } = getrlimit(Resource::As);
    // No room for a thread's stack. Warm, so that nothing else is short.
    let room = address_space() + (1 << 20);
    setrlimit(Resource::As, Rlimit { current: Some(room), maximum }).unwrap();
    let refused = runtime.block_on(client().connect()).unwrap_err();
    setrlimit(Resource::As, Rlimit { current: maximum, maximum }).unwrap();
    assert_eq!((refused.code(), refused.may_have_run()), (Code::ResourceExhausted, false), "{refused}");
    assert!(refused.message().contains("no more threads"), "{refused}");
    let client = runtime.block_on(client().connect()).unwrap();
    runtime.block_on(client.call::<_, ()>("echo", &())).unwrap();
    runtime.block_on(client.close());
}

#[test]
fn a_process_that_gets_no_thread_is_told() {
    in_a_process("process_without_threads");
}

/// No test of its own: a program that ends with a client, and another one that is connecting.
#[test]
fn process_that_ends() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = on_many_threads();
    let client = runtime.block_on(RpcClient::builder(ENDPOINT).runtime_dir(&dir).connect()).unwrap();
    runtime.block_on(client.call::<_, ()>("echo", &())).unwrap();
    let _ = runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(1), client.call::<_, String>("hang", &"x".repeat(2 << 20)))
            .await
    });
    drop(runtime);
    std::process::exit(0);
}

#[test]
fn a_program_ends_without_waiting_for_its_clients() {
    in_a_process("process_that_ends");
}
