//! Time limits of calls that stream.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Place, eventually};
use futures::StreamExt;
use pycrust_client::{Code, Error, Streaming};

const SHORT: Duration = Duration::from_millis(20);

async fn ends(stream: Streaming<i64>) -> (Vec<i64>, Option<Error>) {
    let all: Vec<_> = stream.collect().await;
    let error = all.iter().find_map(|item| item.as_ref().err().cloned());
    (all.into_iter().filter_map(Result::ok).collect(), error)
}

#[tokio::test]
async fn the_client_s_usual_time_is_not_a_stream_s() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let hasty = place.client().timeout(SHORT).connect_lazy();
    client.call::<_, ()>("echo", &()).await.unwrap();
    let late = hasty.call::<_, ()>("hang", &()).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let last_header = || *worker.seen.headers.lock().unwrap().last().unwrap();
    assert!(last_header().deadline_ns > 0);
    assert_eq!(ends(hasty.stream("count", &(2_u32,))).await.0, [0, 1]);
    assert_eq!(last_header().deadline_ns, 0, "a stream");
    assert_eq!(ends(hasty.request("count").stream(&(2_u32,))).await.0, [0, 1]);
    assert_eq!(last_header().deadline_ns, 0, "a stream with options");
    let numbers = || futures::stream::iter([1_i64, 2]);
    hasty.request("upload").upload::<_, i64>(numbers()).await.unwrap();
    assert_eq!(last_header().deadline_ns, 0, "an upload");
    assert_eq!(ends(hasty.request("exchange").exchange(numbers())).await.0, [3]);
    assert_eq!(last_header().deadline_ns, 0, "both ways");
    hasty.request("upload").timeout(Duration::from_secs(60)).upload::<_, i64>(numbers()).await.unwrap();
    assert!(last_header().deadline_ns > 0, "if it says so");
}

#[tokio::test]
async fn a_stream_s_own_time_is_that_of_all_of_it() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let (items, error) = ends(client.request("drip").timeout(SHORT).stream(&())).await;
    assert_eq!((items, error.unwrap().code()), (vec![1], Code::DeadlineExceeded));
    let endless = futures::stream::pending::<i64>;
    let late = client.request("upload").timeout(SHORT).upload::<_, i64>(endless()).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, true), "{late}");
    let (items, error) = ends(client.request("exchange").timeout(SHORT).exchange(endless())).await;
    assert_eq!((items.len(), error.unwrap().code()), (0, Code::DeadlineExceeded));
    eventually("the cancellations", || worker.seen.cancelled.load(Ordering::Acquire) >= 2).await;
}

#[tokio::test]
async fn silence_ends_whatever_streams() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let (items, error) = ends(client.stream("drip", &()).idle_timeout(SHORT)).await;
    let error = error.unwrap();
    assert_eq!((items, error.code(), error.may_have_run()), (vec![1], Code::DeadlineExceeded, true));
    assert!(error.message().contains("idle_timeout"), "{error}");
    let endless = futures::stream::pending::<i64>;
    let silent = client.request("upload").idle_timeout(SHORT).upload::<_, i64>(endless()).await.unwrap_err();
    assert_eq!(silent.code(), Code::DeadlineExceeded);
    let (_, error) = ends(client.request("exchange").idle_timeout(SHORT).exchange(endless())).await;
    assert_eq!(error.unwrap().code(), Code::DeadlineExceeded);
    eventually("the cancellations", || worker.seen.cancelled.load(Ordering::Acquire) >= 2).await;
}

#[tokio::test]
async fn a_slow_reader_is_not_silence() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let mut numbers = client.stream::<_, i64>("count", &(5_u32,)).idle_timeout(SHORT);
    for number in 0..5 {
        tokio::time::sleep(2 * SHORT).await;
        assert_eq!(numbers.next().await.unwrap().unwrap(), number);
    }
    assert!(numbers.next().await.is_none());
}
