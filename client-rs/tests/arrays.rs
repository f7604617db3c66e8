//! Arrays that are built in place: sent once, or given back.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Place, Worker, eventually, poll_once};
use futures::stream;
use pycrust_client::{Code, Error, RpcClient, TensorMut, TensorView};

const LEN: usize = 100_000;

async fn filled(client: &RpcClient, with: u8) -> TensorMut<u8> {
    let mut image = client.allocate(&[LEN]).await.unwrap();
    image.as_mut_slice().fill(with);
    image
}

/// What the worker sees of an array.
async fn seen(client: &RpcClient, image: &TensorMut<u8>) -> Result<Vec<u8>, Error> {
    let (seen,): (TensorView,) = client.call("echo", &(image,)).await?;
    Ok(seen.as_slice().unwrap().to_vec())
}

fn assert_gone(error: &Error) {
    assert_eq!((error.code(), error.may_have_run()), (Code::InvalidArgument, false), "{error}");
    assert!(error.message().contains("sent with an earlier call"), "{error}");
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_as_zeros() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let mut image = filled(&client, 7).await;
    assert!(image.is_shared() && !image.is_sent());
    let failed = client.call::<_, ()>("validate", &(&image,)).await.unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    assert!(image.is_sent());
    assert_gone(&seen(&client, &image).await.unwrap_err());
    let late =
        client.call_with_timeout::<_, ()>("hang", &(filled(&client, 8).await,), Duration::from_millis(20));
    assert_eq!(late.await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_gone(&client.request("note").notify(&(&image,)).await.unwrap_err());
    assert_eq!(worker.seen.ran("note"), 0);
    image.as_mut_slice().fill(9);
    assert_eq!(seen(&client, &image).await.unwrap(), vec![9; LEN], "written again, all of it");
}

#[tokio::test]
async fn a_call_that_was_never_sent_gives_it_back() {
    let place = Place::new();
    let worker = Worker::with_limit(&place.path(), 1);
    let client = place.client().connect().await.unwrap();
    let image = filled(&client, 7).await;

    drop(client.call::<_, ()>("never polled", &(&image,)));
    let no_time =
        client.call_with_timeout::<_, ()>("too late", &(&image,), Duration::ZERO).await.unwrap_err();
    assert_eq!((no_time.code(), no_time.may_have_run()), (Code::DeadlineExceeded, false), "{no_time}");
    let mut hanging = pin!(client.call::<_, ()>("hang", &()));
    assert!(poll_once(hanging.as_mut()).is_pending());
    let full = client.call::<_, ()>("no slot", &(&image,)).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    worker.seen.release.store(true, Ordering::Release);
    hanging.await.unwrap();
    // What comes behind it in the same arguments can't be encoded, or its method has no name.
    client.call::<_, ()>("echo", &(&image, Unencodable)).await.unwrap_err();
    client.call::<_, ()>("", &(&image,)).await.unwrap_err();
    client.ready("echo", &(&image,)).await.unwrap_err();

    assert!(image.is_shared());
    assert_eq!(seen(&client, &image).await.unwrap(), vec![7; LEN]);
    assert_gone(&seen(&client, &image).await.unwrap_err());
}

struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("on purpose"))
    }
}

#[tokio::test]
async fn calls_that_wait_send_what_was_there_when_they_were_made() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let mut args = (filled(&client, 1).await,);
    let first = client.call::<_, (TensorView,)>("echo", &args);
    let same = client.call::<_, (TensorView,)>("echo", &args);
    args.0.as_mut_slice()[0] = 2;
    let second = client.call::<_, (TensorView,)>("echo", &args);
    for (call, start) in [(second, [2, 1]), (first, [1, 1]), (same, [1, 1])] {
        let (seen,) = call.await.unwrap();
        assert_eq!(seen.as_slice::<u8>().unwrap()[..2], start);
        assert_eq!(seen.len(), LEN);
    }
}

#[tokio::test]
async fn an_array_may_be_there_twice_and_idempotent_calls_keep_it() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let image = filled(&client, 5).await;
    for _ in 0..2 {
        let call = client.request("echo").idempotent(true);
        let (left, right): (TensorView, TensorView) =
            call.send(&(&image, &image)).await.unwrap().into_value();
        for seen in [left, right] {
            assert_eq!(seen.as_slice::<u8>().unwrap(), vec![5; LEN]);
        }
    }
    assert_eq!(seen(&client, &image).await.unwrap(), vec![5; LEN]);
}

#[tokio::test]
async fn an_array_outlives_its_client_and_its_worker() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let image = filled(&client, 3).await;
    client.close().await;
    assert_eq!(seen(&client, &image).await.unwrap_err().code(), Code::Cancelled);
    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    assert_eq!(seen(&client, &image).await.unwrap(), vec![3; LEN]);
    assert_gone(&seen(&client, &image).await.unwrap_err());
}

#[tokio::test]
async fn a_stream_of_arguments_takes_each_once() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let image = Arc::new(filled(&client, 1).await);
    let twice = stream::iter([Arc::clone(&image), Arc::clone(&image)].map(Shared));
    let error = client.request("upload").upload::<_, i64>(twice).await.unwrap_err();
    assert!(error.message().contains("sent with an earlier call"), "{error}");
    eventually("the cancellation", || worker.seen.cancelled.load(Ordering::Acquire) == 1).await;

    let image = Arc::new(filled(&client, 1).await);
    drop(client.request("upload").exchange::<_, i64>(stream::iter([Shared(Arc::clone(&image))])));
    assert_eq!(seen(&client, &image).await.unwrap(), vec![1; LEN], "that call was never made");
}

struct Shared(Arc<TensorMut<u8>>);

impl serde::Serialize for Shared {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
