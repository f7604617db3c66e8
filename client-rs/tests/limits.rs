//! Time limits: short ones, many at once, on every kind of runtime, and against workers that say nothing.

use std::time::{Duration, Instant};

use crate::support::{HANG, Place, Process, Silent, Worker, eventually};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pycrust_client::{Code, Error, WhenFull};
use tokio::runtime::{Builder, Runtime};

fn on_one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn on_many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Tokio's clock ticks in milliseconds, so its sleep of the same time ends up to two of them later; one that was begun
/// first and is looked at first would still win, were limits kept by the same clock.
#[test]
fn a_short_limit_ends_before_a_sleep_of_tokio_s() {
    let place = Place::new();
    let _worker = place.worker();
    for runtime in [on_one_thread(), on_many_threads()] {
        let client = runtime.block_on(place.client().connect()).unwrap();
        let earlier = runtime.block_on(async {
            let mut earlier = 0;
            for _ in 0..100 {
                let limit = Duration::from_micros(200);
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(limit) => {}
                    late = client.call_with_timeout::<_, ()>("hang", &(), limit) => {
                        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
                        earlier += 1;
                    }
                }
            }
            earlier
        });
        assert!(earlier >= 10, "{earlier} of 100");
    }
}

#[test]
fn thousands_of_short_limits_end_each_in_its_own_time() {
    let place = Place::new();
    let worker = place.worker();
    for runtime in [on_one_thread(), on_many_threads()] {
        runtime.block_on(async {
            let client = place.client().connect().await.unwrap();
            let calls: FuturesUnordered<_> = (0..4_000_u64)
                .map(|number| {
                    let limit = Duration::from_micros(1_000 + number * 7 % 4_000);
                    let client = &client;
                    async move {
                        let begun = Instant::now();
                        let late = client.call_with_timeout::<_, ()>("hang", &(), limit).await.unwrap_err();
                        assert!(begun.elapsed() >= limit, "not before its time");
                        late.code()
                    }
                })
                .collect();
            let codes: Vec<_> = calls.collect().await;
            assert_eq!(codes.len(), 4_000);
            assert!(codes.iter().all(|code| *code == Code::DeadlineExceeded));
            client.call::<_, ()>("echo", &()).await.unwrap();
            client.close().await;
        });
    }
    assert_eq!(worker.seen.ran("hang"), 0);
}

/// The worker's time goes on, whatever the test does with that of its runtime.
#[tokio::test(start_paused = true)]
async fn a_paused_clock_moves_no_limit() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    assert_eq!(client.call::<_, i64>("delay", &(30_u64, 5)).await.unwrap(), 5);
    let late = client.call_with_timeout::<_, ()>("hang", &(), Duration::from_millis(5)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let mut items = client.request("delay").timeout(HANG).stream::<_, i64>(&(30_u64, 6));
    assert_eq!(items.next().await.unwrap().unwrap(), 6);
    client.close().await;
    assert_eq!(worker.seen.ran("delay"), 2);
}

#[test]
fn a_runtime_needs_no_time_driver() {
    let place = Place::new();
    let _worker = place.worker();
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let client = place.client().wait_for_worker(HANG).connect().await.unwrap();
        assert_eq!(client.call::<_, i64>("delay", &(10_u64, 5)).await.unwrap(), 5);
        let late = client.call_with_timeout::<_, ()>("hang", &(), Duration::from_millis(5)).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
        client.close().await;
    });
}

#[test]
fn a_runtime_without_io_is_told() {
    let place = Place::new();
    let _worker = place.worker();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let error = runtime.block_on(place.client().connect()).unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    assert!(error.message().contains("enable_all()"), "{error}");
    // A connection that another runtime has made can't be waited for there either.
    let other = on_one_thread();
    let client = other.block_on(place.client().connect()).unwrap();
    let error = runtime.block_on(client.call::<_, ()>("hang", &())).unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    other.block_on(client.close());
}

#[tokio::test]
async fn waiting_for_a_place_is_limited() {
    let place = Place::new();
    let worker = Worker::with_limit(&place.path(), 1);
    let client = place.client().when_full(WhenFull::Wait).connect().await.unwrap();
    let holding = tokio::spawn({
        let client = client.clone();
        async move { client.call::<_, ()>("hang", &()).await }
    });
    eventually("the call", || worker.seen.headers.lock().unwrap().len() == 2).await;
    let limit = Duration::from_millis(2);
    let late = client.call_with_timeout::<_, ()>("echo", &(), limit).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false), "{late}");
    let late = client.request("echo").timeout(limit).notify(&()).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false), "{late}");
    let mut late = client.request("echo").timeout(limit).stream::<_, ()>(&());
    assert_eq!(late.next().await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    let arguments = futures::stream::iter([1, 2]);
    let late = client.request("echo").timeout(limit).upload::<_, ()>(arguments).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    worker.seen.release.store(true, std::sync::atomic::Ordering::Release);
    holding.await.unwrap().unwrap();
}

#[tokio::test]
async fn connecting_to_a_worker_that_says_nothing_is_limited_in_every_way() {
    let place = Place::new();
    let _silent = Silent::start(&place.path());
    let limit = Duration::from_millis(20);
    let late = |error: Error| {
        assert_eq!((error.code(), error.may_have_run()), (Code::DeadlineExceeded, false), "{error}");
        assert!(error.message().contains("connection"), "{error}");
    };
    late(place.client().timeout(limit).connect().await.unwrap_err());
    let blocking = place.client().timeout(limit);
    late(tokio::task::spawn_blocking(|| blocking.connect_blocking().unwrap_err()).await.unwrap());
}

#[tokio::test]
async fn a_stopped_worker_is_called_that_whatever_it_said_before() {
    let place = Place::new();
    let worker = Process::start(&place.path());
    let client = place.client().connect().await.unwrap();
    let (begun, limit) = (client.clone(), Duration::from_millis(300));
    let begun = tokio::spawn(async move { begun.call_with_timeout::<_, ()>("hang", &(), limit).await });
    tokio::task::yield_now().await;
    // Answered after that one was sent.
    client.call::<_, ()>("echo", &()).await.unwrap();
    worker.stop();
    let limit = Duration::from_millis(20);
    let late = |error: Error, may_have_run| {
        assert_eq!((error.code(), error.may_have_run()), (Code::DeadlineExceeded, may_have_run), "{error}");
        let pid = worker.pid();
        assert!(error.message().contains(&format!("the worker (pid {pid}) is stopped")), "{error}");
    };
    late(client.call_with_timeout::<_, ()>("echo", &(), limit).await.unwrap_err(), true);
    late(begun.await.unwrap().unwrap_err(), true);
    // What needs the worker's help before it is sent is not sent.
    let large = "x".repeat(2 << 20);
    late(client.call_with_timeout::<_, String>("echo", &large, limit).await.unwrap_err(), false);
    worker.go_on();
    let quick = place.client().timeout(Duration::from_millis(500)).connect().await.unwrap();
    worker.stop();
    late(quick.allocate::<u8>(&[1 << 20]).await.unwrap_err(), false);
    late(quick.build(1 << 20, |_| ()).await.unwrap_err(), false);
    quick.close().await;
    worker.go_on();
    assert!(client.call::<_, String>("echo", &large).await.unwrap() == large);
    client.close().await;
}

#[test]
fn a_blocking_client_is_held_up_by_a_stopped_worker_within_its_limit() {
    let place = Place::new();
    let worker = Process::start(&place.path());
    let mut client = place.client().connect_blocking().unwrap();
    worker.stop();
    let limit = Duration::from_millis(20);
    let large = "x".repeat(2 << 20);
    let late = client.call_with_timeout::<_, String>("echo", &large, limit).unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false), "{late}");
    assert!(late.message().contains("is stopped"), "{late}");
    worker.go_on();
    assert!(client.call::<_, String>("echo", &large).unwrap() == large);
}

/// Names of this process's threads that begin so.
fn threads(prefix: &str) -> usize {
    let names = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path().join("comm"));
    names.filter(|name| std::fs::read_to_string(name).is_ok_and(|name| name.starts_with(prefix))).count()
}

#[test]
fn connects_that_were_given_up_hold_no_thread_and_no_descriptor() {
    let place = Place::new();
    let silent = Silent::start(&place.path());
    let runtime = on_many_threads();
    runtime.block_on(async {
        let connects: Vec<_> = (0..100)
            .map(|_| {
                let connect = place.client().timeout(HANG).connect();
                tokio::spawn(async move { tokio::time::timeout(Duration::from_millis(300), connect).await })
            })
            .collect();
        for connect in connects {
            assert!(connect.await.unwrap().is_err(), "given up");
        }
        assert!(threads("pycrust-work") <= 16, "{}", threads("pycrust-work"));
        assert_eq!(threads("pycrust-connect"), 1);
        // Each control socket is closed without its worker having said anything.
        eventually("the hang-ups", || silent.connected() > 0 && silent.open() == 0).await;
    });
    // The runtime ends at once: none of its threads waits for a worker.
    drop(runtime);
}
