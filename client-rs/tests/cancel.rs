//! Calls whose caller goes away, whose time is over, or for which there is no room.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{HANG, Place, Worker, eventually, poll_once};
use pycrust_client::{Code, WhenFull};

#[tokio::test]
async fn a_call_dropped_before_it_was_polled_is_not_sent() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    drop(client.call::<_, ()>("dropped", &()));
    client.call::<_, ()>("echo", &()).await.unwrap();
    assert_eq!(worker.seen.ran("dropped"), 0);
    assert_eq!(worker.seen.cancelled.load(Ordering::Acquire), 0);
}

#[tokio::test]
async fn a_call_dropped_in_flight_is_cancelled_and_never_runs() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    for _ in 0..20 {
        let mut call = Box::pin(client.call::<_, ()>("hang", &()));
        assert!(poll_once(call.as_mut()).is_pending());
        drop(call);
    }
    eventually("the cancelled calls' ends", || worker.seen.cancelled.load(Ordering::Acquire) == 20).await;
    worker.seen.release.store(true, Ordering::Release);
    client.call::<_, ()>("echo", &()).await.unwrap();
    assert_eq!(worker.seen.ran("hang"), 0);
}

#[tokio::test]
async fn a_call_dropped_after_its_answer_came_frees_its_slot() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().max_in_flight(2).connect().await.unwrap();
    for round in 1..=50 {
        let mut call = Box::pin(client.call::<_, i64>("delay", &(0_u64, 1_i64)));
        let _ = poll_once(call.as_mut());
        // An answer to a later call comes after the answer to this one.
        client.call::<_, ()>("echo", &()).await.unwrap();
        drop(call);
        assert_eq!(worker.seen.ran("delay"), round);
    }
    client.call::<_, ()>("echo", &()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_and_second_answers_reach_nobody() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    for round in 0..50_i64 {
        // Given up while its answer is on its way.
        let short = Duration::from_micros(100 * (round.unsigned_abs() % 20));
        let _ = tokio::time::timeout(short, client.call::<_, i64>("delay", &(1_u64, -1_i64))).await;
        assert_eq!(client.call::<_, i64>("twice", &round).await.unwrap(), round);
        assert_eq!(client.call::<_, i64>("add", &(round, 1)).await.unwrap(), round + 1);
    }
    assert_eq!(worker.seen.ran("twice"), 50);
}

#[tokio::test]
async fn the_time_is_over() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let limit = Duration::from_millis(30);
    let slow = client.call_with_timeout::<_, ()>("hang", &(), limit).await.unwrap_err();
    assert_eq!((slow.code(), slow.may_have_run()), (Code::DeadlineExceeded, true));
    assert!(slow.message().contains("its handler has begun and not ended"), "{slow}");
    eventually("the worker to learn of it", || worker.seen.cancelled.load(Ordering::Acquire) == 1).await;

    let queued = client.call_with_timeout::<_, i64>("delay", &(60_000_u64, 1), limit).await.unwrap_err();
    assert!(queued.message().contains("waits in the queue"), "{queued}");
}

#[tokio::test]
async fn when_all_slots_are_taken_a_call_fails_or_waits() {
    let place = Place::new();
    let worker = Worker::with_limit(&place.path(), 3);
    let failing = place.client().connect().await.unwrap();
    let mut held: Vec<_> = (0..3).map(|_| Box::pin(failing.call::<_, ()>("hang", &()))).collect();
    for call in &mut held {
        assert!(poll_once(call.as_mut()).is_pending());
    }
    let full = failing.call::<_, ()>("echo", &()).await.unwrap_err();
    assert_eq!((full.code(), full.may_have_run()), (Code::ResourceExhausted, false));
    assert!(full.message().contains("all 3 calls"), "{full}");

    let waiting = place.client().when_full(WhenFull::Wait).max_in_flight(2).connect().await.unwrap();
    let late = waiting.clone();
    let _held: Vec<_> = (0..2)
        .map(|_| {
            let waiting = waiting.clone();
            tokio::spawn(async move { waiting.call::<_, ()>("hang", &()).await })
        })
        .collect();
    eventually("the calls to be held", || worker.seen.headers.lock().unwrap().len() >= 7).await;
    let late = late.call_with_timeout::<_, ()>("echo", &(), Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false));
    assert!(late.message().contains("all 2 calls"), "{late}");
    let queued: Vec<_> = (0..10_i64)
        .map(|value| {
            let waiting = waiting.clone();
            tokio::spawn(async move { waiting.call_with_timeout::<_, i64>("echo", &value, HANG).await })
        })
        .collect();
    worker.seen.release.store(true, Ordering::Release);
    for (value, call) in (0..).zip(queued) {
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    for call in held {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn closing_ends_the_calls_of_all_clones() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let clone = client.clone();
    let hanging = tokio::spawn(async move { clone.call::<_, ()>("hang", &()).await });
    eventually("the call", || worker.seen.headers.lock().unwrap().len() == 2).await;
    client.close().await;
    client.close().await;
    let ended = hanging.await.unwrap().unwrap_err();
    assert_eq!((ended.code(), ended.may_have_run()), (Code::Cancelled, true));
    let after = client.call::<_, ()>("echo", &()).await.unwrap_err();
    assert_eq!((after.code(), after.may_have_run()), (Code::Cancelled, false));
    assert!(!client.is_connected());
}
