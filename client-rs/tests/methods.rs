//! Methods as constants: their options, and whether the worker still has what they were built against.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Place, Worker, eventually};
use futures::StreamExt;
use pycrust_client::{Code, Error, Method, RpcClient, TensorView};
use pycrust_protocol::header::flags;

#[derive(serde::Serialize)]
struct AddArgs {
    a: i64,
    b: i64,
}

#[derive(serde::Serialize)]
struct Named<'a> {
    name: &'a str,
}

/// One parameter, and the same with another that may be left out.
const BUILT: &str = r#"{"kind": "unary", "request": {"type": "object", "properties": {"a": {"type": "integer"}},
    "required": ["a"]}, "response": {"type": "integer"}}"#;
const GROWN: &str = r#"{"kind": "unary", "request": {"type": "object", "properties": {"a": {"type": "integer"},
    "b": {"type": "integer", "default": 0}}, "required": ["a"]}, "response": {"type": "integer"}}"#;
/// What nobody can read is another schema than any.
const OTHER: &str = "{";

const ADD: Method<AddArgs, i64> = Method::new("add");
const PINNED: Method<AddArgs, i64> = ADD.schema(7);
const DESCRIBED: Method<AddArgs, i64> = PINNED.described(BUILT);

async fn client(place: &Place) -> RpcClient {
    place.client().connect().await.unwrap()
}

/// What is said of one method.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Detail {
    method: String,
    pinned: u64,
    live: u64,
}

#[tokio::test]
async fn a_method_brings_its_options() {
    const ASK: Method<AddArgs, i64> =
        Method::new("add").timeout(Duration::from_secs(9)).idempotent().latest().schema(5);
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    let three = AddArgs { a: 1, b: 2 };
    assert_eq!(client.invoke(&ASK, &three).await.unwrap(), 3);
    let reply = client.request_of(&ASK).idempotent(false).send::<_, i64>(&three).await.unwrap();
    assert_eq!(reply.into_value(), 3);
    client.invoke(&ADD, &three).await.unwrap();
    let headers = worker.seen.headers.lock().unwrap();
    let [.., all, other, plain] = headers.as_slice() else { panic!("three calls") };
    assert_eq!((all.common.flags, all.schema_pin), (flags::IDEMPOTENT | flags::LATEST, 5));
    assert!(all.deadline_ns > 0 && all.deadline_ns <= 9_000_000_000);
    assert_eq!((other.common.flags, other.schema_pin), (flags::LATEST, 5));
    assert_eq!((plain.common.flags, plain.schema_pin), (0, 0));
    assert!(plain.deadline_ns > 9_000_000_000);
}

#[tokio::test]
async fn arguments_may_be_borrowed() {
    const TEXT: Method<str, String> = Method::new("echo");
    const NUMBERS: Method<[u8], Vec<u8>> = Method::new("echo");
    const NAMED: Method<Named<'_>, serde_json::Value> = Method::new("echo");
    const PAIR: Method<(&str, u8), (String, u8)> = Method::new("echo");
    let place = Place::new();
    let _worker = place.worker();
    let client = client(&place).await;
    let text = String::from("a text that does not live as long as the program");
    assert_eq!(client.invoke(&TEXT, &text).await.unwrap(), text);
    assert_eq!(client.invoke(&NUMBERS, &[1, 2]).await.unwrap(), [1, 2]);
    let named = client.invoke(&NAMED, &Named { name: &text }).await.unwrap();
    assert_eq!(named, serde_json::json!({"name": text}));
    assert_eq!(client.invoke(&PAIR, &(&text, 1)).await.unwrap(), (text, 1));
}

#[tokio::test]
async fn every_way_of_calling_takes_a_method() {
    const COUNT: Method<(u32,), i64> = Method::new("count");
    const SUM: Method<i64, i64> = Method::new("sum");
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    let items: Vec<_> = client.open(&COUNT, &(3,)).map(Result::unwrap).collect().await;
    assert_eq!(items, [0, 1, 2]);
    let sum = client.request_of(&SUM).upload::<_, i64>(futures::stream::iter([1_i64, 2, 3])).await.unwrap();
    assert_eq!(sum.into_value(), 6);
    client.request_of(&ADD).notify(&AddArgs { a: 1, b: 2 }).await.unwrap();
    eventually("the call", || worker.seen.ran("add") == 1).await;
    let place = place.client();
    let blocking = tokio::task::spawn_blocking(move || {
        let mut client = place.connect_blocking().unwrap();
        let items: Vec<_> = client.open(&COUNT, &(2,)).map(Result::unwrap).collect();
        let sum = client.invoke(&ADD, &AddArgs { a: 2, b: 2 }).unwrap();
        let twice = client.request_of(&ADD).send::<_, i64>(&AddArgs { a: 3, b: 3 }).unwrap().into_value();
        client.check(&[&COUNT]).unwrap_err();
        (items, sum, twice)
    });
    assert_eq!(blocking.await.unwrap(), (vec![0, 1], 4, 6));
}

#[tokio::test]
async fn a_check_names_every_method_that_is_missing_or_differs() {
    const FAR: Method<str, ()> = Method::new("far").schema(1);
    const NEAR: Method<(), f64> = Method::new("near").schema(2);
    const BROKEN: Method<(), f64> = Method::new("broken").schema(3).described(BUILT);
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    worker.seen.publish("add", 7, BUILT);
    worker.seen.publish("near", 9, BUILT);
    worker.seen.publish("broken", 4, OTHER);
    client.check(&[&ADD, &PINNED]).await.unwrap();
    let missing = client.check(&[&ADD, &FAR]).await.unwrap_err();
    assert_eq!(missing.code(), Code::Unimplemented, "{missing}");
    assert!(missing.message().contains("\"far\" is not there") && missing.message().contains("\"near\""));
    let wrong = client.check(&[&PINNED, &FAR, &NEAR, &BROKEN]).await.unwrap_err();
    assert_eq!(wrong.code(), Code::FailedPrecondition, "{wrong}");
    for part in [
        "3 of 4 methods of \"tested\"",
        "\"far\" is not there",
        "\"near\" was built against schema 0x0000000000000002, version 1 has 0x0000000000000009",
        "\"broken\" was built against schema 0x0000000000000003, version 1 has 0x0000000000000004: ",
        "pycrust types tested -o FILE",
    ] {
        assert!(wrong.message().contains(part), "{part} is not in {wrong}");
    }
    let details: Vec<Detail> = wrong.details_as().unwrap();
    let expected = [("far", 1, 0), ("near", 2, 9), ("broken", 3, 4)].map(|(method, pinned, live)| Detail {
        method: method.into(),
        pinned,
        live,
    });
    assert_eq!(details, expected);
}

#[tokio::test]
async fn pins_are_looked_at_on_every_connection() {
    let place = Place::new();
    let worker = place.worker();
    let pinned = || place.client().pin(&[&PINNED]).pin(&[&ADD]);
    let refused = pinned().connect().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    worker.seen.publish("add", 8, BUILT);
    let refused = pinned().connect().await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    worker.seen.publish("add", 7, BUILT);
    let client = pinned().connect().await.unwrap();
    let asked = worker.seen.asked.load(Ordering::Acquire);
    for _ in 0..10 {
        client.call::<_, ()>("echo", &()).await.unwrap();
    }
    assert_eq!(worker.seen.asked.load(Ordering::Acquire), asked, "once a connection");

    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    eventually("the end", || !client.is_connected()).await;
    let worker = place.worker();
    worker.seen.publish("add", 8, BUILT);
    let refused = client.call::<_, ()>("echo", &()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert_eq!(worker.seen.ran("echo"), 0);
    worker.seen.publish("add", 7, BUILT);
    client.call::<_, ()>("echo", &()).await.unwrap();
}

#[tokio::test]
async fn who_waits_for_a_worker_waits_for_its_methods() {
    let place = Place::new();
    let worker = place.worker();
    let connecting = tokio::spawn(place.client().wait_for_ready(true).pin(&[&PINNED]).connect());
    eventually("a look", || worker.seen.asked.load(Ordering::Acquire) > 1).await;
    worker.seen.publish("add", 7, BUILT);
    let client = connecting.await.unwrap().unwrap();

    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    let worker = place.worker();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.invoke(&PINNED, &AddArgs { a: 1, b: 2 }).await }
    });
    eventually("a look", || worker.seen.asked.load(Ordering::Acquire) > 1).await;
    assert_eq!(worker.seen.ran("add"), 0);
    worker.seen.publish("add", 7, BUILT);
    assert_eq!(call.await.unwrap().unwrap(), 3);
}

async fn sum(client: &RpcClient, method: &Method<AddArgs, i64>) -> Result<i64, Error> {
    client.invoke(method, &AddArgs { a: 1, b: 2 }).await
}

fn asked(worker: &Worker) -> u64 {
    worker.seen.asked.load(Ordering::Acquire)
}

fn refused(worker: &Worker) -> u64 {
    worker.seen.refused.load(Ordering::Acquire)
}

#[tokio::test]
async fn a_described_call_goes_on_if_nothing_that_concerns_it_has_changed() {
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    worker.seen.publish("add", 7, BUILT);
    assert_eq!(sum(&client, &DESCRIBED).await.unwrap(), 3);
    assert_eq!((asked(&worker), refused(&worker)), (0, 0));
    // There and back, twice: each swap costs the first call after it one refusal.
    for swap in 0..2 {
        worker.seen.publish("add", 8, GROWN);
        for _ in 0..3 {
            assert_eq!(sum(&client, &DESCRIBED).await.unwrap(), 3);
        }
        assert_eq!((asked(&worker), refused(&worker)), (swap + 1, 2 * swap + 1));
        worker.seen.publish("add", 7, BUILT);
        for _ in 0..3 {
            assert_eq!(sum(&client, &DESCRIBED).await.unwrap(), 3);
        }
        assert_eq!((asked(&worker), refused(&worker)), (swap + 1, 2 * swap + 2), "nothing to ask for");
    }
    let plain = sum(&client, &PINNED.schema(1)).await.unwrap_err();
    assert_eq!(plain.code(), Code::FailedPrecondition, "without a description there is nothing to compare");
    let checked = client.check(&[&DESCRIBED]).await;
    checked.unwrap();
}

#[tokio::test]
async fn what_concerns_the_caller_is_named_and_the_call_does_not_run() {
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    worker.seen.publish("add", 8, OTHER);
    for _ in 0..3 {
        let refused = sum(&client, &DESCRIBED).await.unwrap_err();
        assert_eq!((refused.code(), refused.may_have_run()), (Code::FailedPrecondition, false));
        assert_eq!(refused.exception(), Some("pycrust.errors.SchemaMismatch"));
        for part in
            ["0x0000000000000007", "0x0000000000000008", "schema can't be read", "pycrust types tested"]
        {
            assert!(refused.message().contains(part), "{part} is not in {refused}");
        }
    }
    assert_eq!((asked(&worker), worker.seen.ran("add")), (1, 0), "it is asked once for each schema");
    let missing = client.check(&[&DESCRIBED]).await.unwrap_err();
    assert!(missing.message().contains("schema can't be read"), "{missing}");
    // It is mended while the client is connected.
    worker.seen.publish("add", 9, GROWN);
    assert_eq!(sum(&client, &DESCRIBED).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_refused_at_the_same_moment_ask_once() {
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    for swap in 1..=4 {
        let schema = if swap % 2 == 0 { BUILT } else { GROWN };
        worker.seen.publish("add", 7 + swap, schema);
        let calls = (0..100).map(|_| sum(&client, &DESCRIBED));
        for sum in futures::future::join_all(calls).await {
            assert_eq!(sum.unwrap(), 3);
        }
        assert_eq!(asked(&worker), swap);
    }
    assert_eq!(worker.seen.ran("add"), 400, "none twice, none lost");
}

#[tokio::test]
async fn a_worker_that_forgot_everything_is_agreed_with() {
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    worker.seen.publish("add", 8, GROWN);
    assert_eq!(sum(&client, &DESCRIBED).await.unwrap(), 3);
    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    eventually("the end", || !client.is_connected()).await;
    let worker = place.worker();
    worker.seen.publish("add", 9, GROWN);
    assert_eq!(sum(&client, &DESCRIBED).await.unwrap(), 3);
    assert_eq!((asked(&worker), refused(&worker)), (1, 1));
}

#[tokio::test]
async fn streams_and_arrays_go_on_too() {
    const COUNT: Method<(u32,), i64> = Method::new("count").schema(7).described(BUILT);
    const TOTAL: Method<i64, i64> = Method::new("total").schema(7).described(BUILT);
    const EXCHANGE: Method<i64, i64> = Method::new("exchange").schema(7).described(BUILT);
    const ECHO: Method<(TensorView,), (TensorView,)> = Method::new("echo").schema(7).described(BUILT);
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    for method in ["count", "total", "exchange", "echo"] {
        worker.seen.publish(method, 8, GROWN);
    }
    for _ in 0..2 {
        let items: Vec<_> = client.open(&COUNT, &(3,)).map(Result::unwrap).collect().await;
        assert_eq!(items, [0, 1, 2]);
        let numbers = || futures::stream::iter(1..=50_i64);
        let total = client.request_of(&TOTAL).upload::<_, i64>(numbers()).await.unwrap();
        assert_eq!(total.into_value(), 1275, "every argument, once");
        let items = client.request_of(&EXCHANGE).exchange::<_, i64>(numbers()).map(Result::unwrap);
        assert_eq!(items.collect::<Vec<_>>().await, [1275]);
        let mut image = client.allocate::<u8>(&[100_000]).await.unwrap();
        image.as_mut_slice().fill(7);
        let reply = client.request_of(&ECHO).send::<_, (TensorView,)>(&(&image,)).await.unwrap();
        assert!(reply.value().0.as_slice::<u8>().unwrap().iter().all(|byte| *byte == 7));
    }
    assert_eq!((asked(&worker), refused(&worker)), (4, 4), "once for each");
}

#[tokio::test]
async fn agreeing_takes_no_longer_than_the_call_may() {
    let place = Place::new();
    let worker = place.worker();
    let client = client(&place).await;
    worker.seen.publish("add", 8, GROWN);
    worker.seen.mute.store(true, Ordering::Release);
    let hurried = DESCRIBED.timeout(Duration::from_millis(30));
    let late = sum(&client, &hurried).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false), "{late}");
    assert!(late.message().contains("has not said in time"), "{late}");
    assert_eq!(worker.seen.ran("add"), 0);
}
