//! Clients on several Tokio runtimes, of both kinds, and on ones that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support;
use crate::support::Place;
use pycrust_client::{Code, RpcClient, Spin};
use tokio::runtime::{Builder, Runtime};

fn on_one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn on_many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn adds(client: &RpcClient, calls: i64) {
    for call in 0..calls {
        assert_eq!(client.call::<_, i64>("add", &(call, 1)).await.unwrap(), call + 1);
    }
}

#[test]
fn from_block_on_of_either_kind() {
    let place = Place::new();
    let _worker = place.worker();
    for runtime in [on_one_thread(), on_many_threads()] {
        for spin in [Spin::Off, Spin::Adaptive] {
            let client = runtime.block_on(place.client().spin(spin).connect()).unwrap();
            runtime.block_on(adds(&client, 200));
            // Between two runs nothing runs the tasks of a runtime on one thread.
            thread::sleep(Duration::from_millis(60));
            runtime.block_on(adds(&client, 200));
            runtime.block_on(client.close());
        }
    }
}

#[test]
fn a_runtime_that_nobody_runs_holds_up_no_other() {
    let place = Place::new();
    let _worker = place.worker();
    let (first, second) = (on_one_thread(), on_one_thread());
    let client = first.block_on(place.client().connect()).unwrap();
    // The task that waits for the doorbell on the first runtime does not run now.
    second.block_on(adds(&client, 200));
    first.block_on(adds(&client, 200));
    second.block_on(client.call::<_, i64>("delay", &(10_u64, 4))).unwrap();
}

#[test]
fn a_runtime_that_ends_takes_no_call_of_another_with_it() {
    let place = Place::new();
    let _worker = place.worker();
    let (first, second) = (on_many_threads(), on_many_threads());
    let client = first.block_on(place.client().connect()).unwrap();
    let clone = client.clone();
    first.spawn(async move { clone.call::<_, ()>("hang", &()).await });
    let clone = client.clone();
    let pending = second.spawn(async move { clone.call::<_, i64>("delay", &(200_u64, 5)).await });
    first.block_on(adds(&client, 10));
    drop(first);
    assert_eq!(second.block_on(pending).unwrap().unwrap(), 5);
    second.block_on(adds(&client, 200));
    let third = on_one_thread();
    drop(second);
    third.block_on(adds(&client, 200));
}

#[test]
fn runtimes_at_the_same_time_share_a_connection() {
    let place = Place::new();
    let worker = place.worker();
    let client = on_one_thread().block_on(place.client().connect()).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|kind| {
            let client = client.clone();
            thread::spawn(move || {
                let runtime = if kind % 2 == 0 { on_one_thread() } else { on_many_threads() };
                runtime.block_on(adds(&client, 1_000));
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(worker.seen.ran("add"), 4_000);
    assert_eq!(worker.seen.connected.load(Ordering::Acquire), 1);
}

#[test]
fn outside_a_runtime_a_call_says_so() {
    let place = Place::new();
    let _worker = place.worker();
    let runtime = on_one_thread();
    let client = runtime.block_on(place.client().connect()).unwrap();
    let mut call = Box::pin(client.call::<_, ()>("echo", &()));
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = call.as_mut().poll(context) else { panic!("no error") };
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[test]
fn the_last_clone_takes_the_connection_down() {
    let place = Place::new();
    let worker = place.worker();
    let runtime = on_many_threads();
    runtime.block_on(async {
        let client = place.client().connect().await.unwrap();
        adds(&client, 10).await;
        let clone = client.clone();
        drop(client);
        adds(&clone, 10).await;
        drop(clone);
        support::eventually("the disconnection", || worker.seen.links() == 0).await;
    });
}

#[test]
fn futures_are_send() {
    fn check<T: Send>(_: &T) {}
    let place = Place::new();
    let _worker = place.worker();
    on_one_thread().block_on(async {
        let client = place.client().connect().await.unwrap();
        // The arguments are encoded before the future exists: they need not be shareable themselves.
        let arguments = std::cell::Cell::new(5);
        let call = client.call::<_, i32>("echo", &arguments);
        check(&call);
        assert_eq!(call.await.unwrap(), 5);
        check(&client.close());
    });
}

#[test]
fn a_pacer_ticks_on_either_runtime_and_lets_others_run() {
    for runtime in [on_one_thread(), on_many_threads()] {
        let client = RpcClient::builder("nobody-serves-this").connect_lazy();
        runtime.block_on(async move {
            let turns = Arc::new(AtomicU32::new(0));
            let counted = turns.clone();
            let other = tokio::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            });
            let mut pacer = client.pacer(Duration::from_millis(1));
            let begun = Instant::now();
            pacer.tick().await;
            for ticks in 1..=20 {
                pacer.tick().await;
                assert!(begun.elapsed() >= Duration::from_millis(ticks), "not before its time");
            }
            assert!(turns.load(Ordering::Relaxed) > 0, "others have their turns");
            other.abort();
        });
    }
}
