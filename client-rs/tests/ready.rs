//! Calls that wait for a worker, and what is told of its connection meanwhile.

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support;
use crate::support::{ENDPOINT, HANG, Place, eventually, poll_once};
use futures::StreamExt;
use pycrust_client::{Code, ConnectionState, Retry, RpcClient, TensorMut, TensorView};
use pycrust_protocol::name::EndpointName;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Pauses short enough for many attempts to fail in a test.
const QUICK: Retry =
    Retry::new().first_pause(Duration::from_millis(1)).longest_pause(Duration::from_millis(4));

fn waiting(place: &Place) -> RpcClient {
    place.client().wait_for_ready(true).retry(QUICK).connect_lazy()
}

async fn stopped(worker: support::Worker) {
    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
}

#[tokio::test]
async fn a_call_that_waits_is_answered_by_the_worker_that_comes() {
    let place = Place::new();
    let client = waiting(&place);
    assert_eq!(client.state(), ConnectionState::Disconnected { reason: String::new() }, "nobody was asked");
    let clone = client.clone();
    let call = tokio::spawn(async move { clone.call::<_, i64>("add", &(1, 2)).await });
    let why = || matches!(client.state(), ConnectionState::Disconnected { reason } if !reason.is_empty());
    eventually("a vain attempt", why).await;
    let at_once = client.request("add").wait_for_ready(false).send::<_, i64>(&(1, 2)).await.unwrap_err();
    assert_eq!((at_once.code(), at_once.may_have_run()), (Code::Unavailable, false), "{at_once}");
    let worker = place.worker();
    assert_eq!(call.await.unwrap().unwrap(), 3);
    assert_eq!((worker.seen.ran("add"), worker.seen.connected.load(Ordering::Acquire)), (1, 1));
}

#[tokio::test]
async fn a_lazy_client_does_not_wait_unless_it_is_told_to() {
    let place = Place::new();
    let client = place.client().connect_lazy();
    let error = client.call::<_, i64>("add", &(1, 2)).await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), (Code::Unavailable, false), "{error}");
    let worker = place.worker();
    assert_eq!(client.call::<_, i64>("add", &(1, 2)).await.unwrap(), 3);
    assert_eq!(worker.seen.connected.load(Ordering::Acquire), 1);
    let nameless = RpcClient::builder("no such/name").connect_lazy();
    assert_eq!(nameless.call::<_, ()>("add", &()).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn waiting_ends_with_the_call_s_time_and_says_for_what_it_waited() {
    let place = Place::new();
    let client = waiting(&place);
    let late = client.call_with_timeout::<_, ()>("echo", &(), Duration::from_millis(30)).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false), "{late}");
    assert!(late.message().contains("no worker was ready"), "{late}");
    assert!(late.message().contains(&place.path().display().to_string()), "where was looked: {late}");
}

#[tokio::test]
async fn a_method_that_is_expected_is_waited_for() {
    let place = Place::new();
    let worker = place.worker();
    let client = waiting(&place);
    let refused = client.request("later").wait_for_ready(false).send::<_, ()>(&()).await.unwrap_err();
    assert_eq!((refused.code(), refused.may_have_run()), (Code::Unavailable, false), "{refused}");
    let late = client.call_with_timeout::<_, ()>("later", &(), Duration::from_millis(30)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(late.message().contains("not registered yet"), "{late}");

    let mut image = client.allocate::<u8>(&[100_000]).await.unwrap();
    image.as_mut_slice().fill(7);
    let call = client.call::<_, (TensorView,)>("later", &(&image,));
    let upload = client.request("later").upload::<_, i64>(futures::stream::iter([1_i64, 2, 3]));
    let stream = client.stream::<_, (i64,)>("later", &(5_i64,)).collect::<Vec<_>>();
    let mut all = pin!(futures::future::join3(call, upload, stream));
    let begun = worker.seen.refused.load(Ordering::Acquire);
    while worker.seen.refused.load(Ordering::Acquire) < begun + 9 {
        let _ = tokio::time::timeout(Duration::from_millis(2), all.as_mut()).await;
    }
    assert_eq!(worker.seen.ran("later"), 0);
    worker.seen.registered.store(true, Ordering::Release);
    let (image, sum, items) = all.await;
    assert!(image.unwrap().0.as_slice::<u8>().unwrap().iter().all(|byte| *byte == 7));
    assert_eq!(sum.unwrap().into_value(), 6, "every argument, once");
    assert_eq!(items.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [(5,)]);
    assert_eq!(worker.seen.ran("later"), 3);
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_made_again() {
    let place = Place::new();
    let worker = place.worker();
    let client = waiting(&place);
    let clone = client.clone();
    let call = tokio::spawn(async move { clone.call::<_, ()>("hang", &()).await });
    eventually("the call", || worker.seen.headers.lock().unwrap().len() == 1).await;
    stopped(worker).await;
    let successor = place.worker();
    let lost = call.await.unwrap().unwrap_err();
    assert_eq!((lost.code(), lost.may_have_run()), (Code::Unavailable, true), "{lost}");
    client.call::<_, ()>("echo", &()).await.unwrap();
    assert_eq!(successor.seen.headers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn one_way_calls_wait_too() {
    let place = Place::new();
    let client = waiting(&place);
    let clone = client.clone();
    let sent = tokio::spawn(async move { clone.request("note").notify(&("seen",)).await });
    let worker = place.worker();
    sent.await.unwrap().unwrap();
    eventually("the call", || worker.seen.ran("note") == 1).await;
}

/// Takes connections and hangs up on each; how many there were, and the most at a time.
struct Impostor {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, usize)>,
    path: std::path::PathBuf,
}

impl Impostor {
    fn start(place: &Place, attempts: Arc<AtomicUsize>) -> Self {
        let path = place.path().join(EndpointName::new(ENDPOINT).unwrap().socket_file());
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 128).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut all, mut most) = (0, 0);
            while !stopped.load(Ordering::Acquire) {
                // What comes within this time of each other would be accepted together.
                std::thread::sleep(Duration::from_millis(5));
                let together: Vec<_> = std::iter::from_fn(|| rustix::net::accept(&socket).ok()).collect();
                all += together.len();
                most = most.max(together.len());
                attempts.store(all, Ordering::Release);
            }
            (all, most)
        });
        Self { stop, thread, path }
    }

    fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Release);
        let seen = self.thread.join().unwrap();
        fs::remove_file(self.path).unwrap();
        seen
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_make_one_attempt_at_a_time_and_states_do_not_flap() {
    let place = Place::new();
    let first = place.worker();
    let client = waiting(&place);
    client.call::<_, ()>("echo", &()).await.unwrap();
    let mut changes = client.state_changes();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(state) = changes.next().await {
            let done = matches!(state, ConnectionState::Connected { .. });
            told.push(state);
            if done {
                break;
            }
        }
        told
    });
    stopped(first).await;
    eventually("the end", || !client.is_connected()).await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let impostor = Impostor::start(&place, Arc::clone(&attempts));
    let calls: Vec<_> = (0..100_i64)
        .map(|value| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<_, i64>("echo", &value).await })
        })
        .collect();
    eventually("ten attempts", || attempts.load(Ordering::Acquire) >= 10).await;
    let (_, together) = impostor.end();
    assert_eq!(together, 1, "attempts at a time");
    let worker = place.worker();
    for (value, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    assert_eq!(worker.seen.connected.load(Ordering::Acquire), 1);
    assert_eq!(worker.seen.ran("echo"), 100);
    let told = told.await.unwrap();
    let connecting = told.iter().filter(|state| matches!(state, ConnectionState::Connecting)).count();
    assert!(connecting <= 1, "{told:?}");
    assert!(told.len() <= 5, "an end, an attempt, why it failed (hung up; nobody), and success: {told:?}");
    assert!(matches!(told.last(), Some(ConnectionState::Connected { .. })), "{told:?}");
}

#[tokio::test]
async fn a_caller_that_does_not_wait_meets_a_new_worker_at_once() {
    let place = Place::new();
    let slow = QUICK.first_pause(HANG).longest_pause(HANG);
    let client = place.client().retry(slow).connect_lazy();
    let clone = client.clone();
    let waits = tokio::spawn(async move {
        let request = clone.request("echo").wait_for_ready(true).timeout(2 * HANG);
        request.send::<_, i64>(&7).await.map(pycrust_client::Reply::into_value)
    });
    let why = || matches!(client.state(), ConnectionState::Disconnected { reason } if !reason.is_empty());
    eventually("a vain attempt", why).await;
    let _worker = place.worker();
    client.call::<_, i64>("echo", &1).await.unwrap();
    // Not after its pause: the other's success is told to it.
    assert_eq!(waits.await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn closing_ends_the_wait() {
    let place = Place::new();
    let client = waiting(&place);
    let mut call = Box::pin(client.call::<_, ()>("echo", &()));
    assert!(poll_once(call.as_mut()).is_pending());
    client.close().await;
    assert_eq!(call.await.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test]
async fn what_is_built_for_a_call_that_never_found_a_worker_stays() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let mut image: TensorMut<u8> = client.allocate(&[100_000]).await.unwrap();
    image.as_mut_slice().fill(9);
    stopped(worker).await;
    // Sent on a connection whose end was not seen yet, it would go along.
    eventually("its end", || matches!(client.state(), ConnectionState::Disconnected { .. })).await;
    client.call::<_, ()>("echo", &(&image,)).await.unwrap_err();
    let _worker = place.worker();
    let (seen,): (TensorView,) = client.call("echo", &(&image,)).await.unwrap();
    assert!(seen.as_slice::<u8>().unwrap().iter().all(|byte| *byte == 9));
}
