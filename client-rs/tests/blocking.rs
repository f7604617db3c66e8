//! The client without Tokio.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pycrust_client::blocking::RpcClient;
use pycrust_client::{Code, Details, Error, Retry, Spin, WhenFull};
use support::{HANG, Place, Worker};

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn calls_are_answered_polling_and_asleep() {
    let place = Place::new();
    let _worker = place.worker();
    for spin in [Spin::Off, Spin::Adaptive] {
        let mut client = place.client().spin(spin).connect_blocking().unwrap();
        for n in 0..500_i64 {
            assert_eq!(client.call::<_, i64>("add", &(n, 1)).unwrap(), n + 1);
        }
        assert_eq!(client.call::<_, i64>("delay", &(20_u64, 5)).unwrap(), 5);
        let large = vec![7_i64; 20_000];
        assert_eq!(client.call::<_, Vec<i64>>("echo", &large).unwrap(), large);
    }
}

#[test]
fn errors_say_what_happened() {
    let place = Place::new();
    let _worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let raised = client.call::<_, ()>("raise", &()).unwrap_err();
    assert_eq!((raised.code(), raised.traceback()), (Code::Unknown, Some("Traceback: in raise")));
    let invalid = client.call::<_, ()>("validate", &()).unwrap_err();
    assert!(matches!(invalid.details(), Details::Validation(issues) if issues.len() == 1));
    let late = client.call_with_timeout::<_, ()>("hang", &(), Duration::from_millis(20)).unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    client.call::<_, ()>("echo", &()).unwrap();
    let nobody = Place::new().client().connect_blocking().unwrap_err();
    assert_eq!(nobody.code(), Code::Unavailable);
}

#[test]
fn a_call_out_of_time_is_cancelled_and_its_slot_comes_back() {
    let place = Place::new();
    let worker = Worker::with_limit(&place.path(), 1);
    let mut client = place.client().when_full(WhenFull::Wait).connect_blocking().unwrap();
    for _ in 0..20 {
        let late = client.call_with_timeout::<_, ()>("hang", &(), Duration::from_millis(2)).unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert_eq!(client.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
    }
    until("the cancellations", || worker.seen.cancelled.load(Ordering::Acquire) > 0);
    assert_eq!(worker.seen.ran("hang"), 0);
}

#[test]
fn a_successor_is_called_after_a_worker_s_end() {
    let place = Place::new();
    let worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    drop(worker);
    let gone = client.call::<_, i64>("add", &(1, 2)).unwrap_err();
    assert_eq!((gone.code(), gone.may_have_run()), (Code::Unavailable, false));
    let worker = place.worker();
    assert_eq!(client.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
    drop(worker);
    let again: Result<i64, Error> = std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            client.request("add").idempotent(true).send(&(2, 2)).map(pycrust_client::Reply::into_value)
        });
        let successor = place.worker();
        let outcome = call.join().unwrap();
        drop(successor);
        outcome
    });
    assert_eq!(again.unwrap(), 4);
}

#[test]
fn retries_are_as_many_as_were_asked_for() {
    let place = Place::new();
    let worker = place.worker();
    let retry = Retry { attempts: 3, first_pause: Duration::from_millis(1), ..Retry::default() };
    let mut client = place.client().retry(retry).connect_blocking().unwrap();
    drop(worker);
    let gone = client.request("add").idempotent(true).send::<_, i64>(&(1, 2)).unwrap_err();
    assert_eq!(gone.code(), Code::Unavailable, "and it does not wait a minute");
}

#[test]
fn replies_tell_the_version_and_reports_reach_the_worker() {
    let place = Place::new();
    let worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let reply = client.request("add").metadata("who", "me").latest(true).send::<_, i64>(&(1, 2)).unwrap();
    assert_eq!((*reply.value(), reply.version()), (3, 3));
    client.request("note").notify(&("observed",)).unwrap();
    until("the one-way call", || worker.seen.ran("note") == 1);
    drop(client);
    until("the report", || !worker.seen.reports.lock().unwrap().is_empty());
}

#[test]
fn it_works_inside_a_tokio_runtime_s_blocking_thread_too() {
    let place = Place::new();
    let _worker = place.worker();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sum = runtime.block_on(async {
        let builder = place.client();
        tokio::task::spawn_blocking(move || {
            let mut client: RpcClient = builder.connect_blocking()?;
            client.call::<_, i64>("add", &(20, 22))
        })
        .await
    });
    assert_eq!(sum.unwrap().unwrap(), 42);
}
