//! The worker in the same process behaves as one in Python does.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::StreamExt;
use pycrust_client::testing::{Arguments, Items, Worker, is_cancelled};
use pycrust_client::{
    Arg, Code, ConnectionState, Details, Encoding, Error, Method, Raw, RpcClient, Tensor, TensorView,
};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct AddArgs {
    a: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    b: i64,
}

fn args(a: i64, b: i64) -> AddArgs {
    AddArgs { a, note: None, b }
}

fn calculator() -> Worker {
    let worker = Worker::new("calculator");
    worker.on("add", |args: AddArgs| Ok(args.a + args.b));
    worker.on_async("hang", |(): ()| std::future::pending::<Result<(), Error>>());
    worker
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("waited a minute for {what}");
}

#[tokio::test]
async fn values_cross_in_either_encoding() {
    let worker = calculator();
    worker.on("echo", |raw: Raw| Ok(raw)).on("nothing", |(): ()| Ok(())).on("one", |text: String| Ok(text));
    for encoding in [Encoding::Map, Encoding::Array] {
        let client = worker.builder().encoding(encoding).connect().await.unwrap();
        assert_eq!(client.call::<_, i64>("add", &args(1, 2)).await.unwrap(), 3);
        let noted = AddArgs { note: Some("n".into()), ..args(1, 2) };
        assert_eq!(client.call::<_, AddArgs>("echo", &noted).await.unwrap(), noted);
        assert_eq!(client.call::<_, i64>("add", &(1, None::<u8>, 2)).await.unwrap(), 3);
        assert_eq!(client.call::<_, i64>("add", &Arg(args(3, 4))).await.unwrap(), 7);
        assert_eq!(client.request("add").arg(&args(3, 5)).send::<i64>().await.unwrap().into_value(), 8);
        client.call::<_, ()>("nothing", &()).await.unwrap();
        assert_eq!(client.call::<_, String>("one", &("x",)).await.unwrap(), "x");
        assert_eq!(client.call::<_, String>("one", "x").await.unwrap(), "x");
        let large = "x".repeat(3 << 20);
        assert!(client.call::<_, String>("one", &large).await.unwrap() == large);
        client.close().await;
    }
    assert_eq!(worker.calls("add")[0].read::<AddArgs>().unwrap(), args(1, 2));
    assert_eq!((worker.calls("add").len(), worker.calls("never").len()), (8, 0));
}

#[tokio::test]
async fn arrays_cross() {
    let worker = Worker::new("eye");
    worker.on("double", |(image,): (TensorView,)| {
        let doubled = image.as_slice::<u8>().unwrap().iter().map(|pixel| pixel * 2).collect();
        Ok(Tensor::new(image.shape(), doubled).unwrap())
    });
    let client = worker.client();
    for len in [10, 5000, 2 << 20] {
        let mut image = client.allocate::<u8>(&[len]).await.unwrap();
        image.as_mut_slice().fill(7);
        let doubled: TensorView = client.call("double", &(&image,)).await.unwrap();
        assert!(doubled.as_slice::<u8>().unwrap() == vec![14; len]);
        let doubled: Tensor<u8> = client.call("double", &Arg(Tensor::from(vec![4_u8; len]))).await.unwrap();
        assert!(doubled.as_slice() == vec![8; len]);
    }
    let seen: (TensorView,) = worker.calls("double")[0].read().unwrap();
    assert_eq!(seen.0.as_slice::<u8>().unwrap(), [7; 10]);
}

#[tokio::test]
async fn errors_arrive_as_a_worker_s() {
    let worker = calculator();
    worker.on("raise", |(): ()| {
        Err::<(), _>(Error::new(Code::PermissionDenied, "the market is closed").with_details(&("09:30", 5)))
    });
    worker.on("panic", |(): ()| -> Result<(), Error> { panic!("no such luck") });
    worker.on_async("later", |numbers: Vec<u8>| async move {
        assert!(!numbers.is_empty(), "nothing there");
        Ok(numbers.len())
    });
    let client = worker.client();
    let raised = client.call::<_, ()>("raise", &()).await.unwrap_err();
    assert_eq!((raised.code(), raised.message()), (Code::PermissionDenied, "the market is closed"));
    assert_eq!(raised.details_as::<(String, u8)>(), Some(("09:30".into(), 5)));
    assert!(raised.may_have_run() && raised.version() == 1);
    let none: [u8; 0] = [];
    let cases =
        [("panic", Raw::default(), "no such luck"), ("later", Raw::of(&none[..]).unwrap(), "nothing there")];
    for (method, arguments, part) in cases {
        let panicked = client.call::<_, ()>(method, &arguments).await.unwrap_err();
        assert_eq!((panicked.code(), panicked.may_have_run()), (Code::Unknown, true));
        assert!(panicked.message().contains(part), "{panicked}");
    }
    let invalid = client.call::<_, i64>("add", &serde_json::json!({"a": 1, "b": "x"})).await.unwrap_err();
    assert_eq!((invalid.code(), invalid.may_have_run()), (Code::InvalidArgument, false), "{invalid}");
    let Details::Validation(issues) = invalid.details() else { panic!("{invalid:?}") };
    assert_eq!(issues[0].loc, [pycrust_client::Location::Field("b".into())]);
    let unknown = client.call::<_, i64>("ad", &()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    assert_eq!(unknown.message(), r#""calculator" has no method "ad"; did you mean "add"?"#);
    let other = client.call::<_, String>("add", &args(1, 2)).await.unwrap_err();
    assert_eq!(other.code(), Code::Internal);
    worker.remove("add");
    let removed = client.call::<_, i64>("add", &args(1, 2)).await.unwrap_err();
    assert_eq!(removed.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_call_whose_time_is_over_before_it_began_never_runs() {
    let worker = calculator();
    worker.delay("add", Duration::from_secs(3600));
    let client = worker.client();
    let short = Duration::from_millis(20);
    let late = client.call_with_timeout::<_, i64>("add", &args(1, 2), short).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let late = client.call_with_timeout::<_, ()>("hang", &(), short).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    eventually("the end of both", || worker.cancelled("add") == 1 && worker.cancelled("hang") == 1).await;
    assert_eq!((worker.calls("add").len(), worker.calls("hang").len()), (0, 1));
    worker.delay("add", Duration::ZERO);
    assert_eq!(client.call::<_, i64>("add", &args(1, 2)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_future_that_is_dropped_cancels_its_call() {
    let worker = calculator();
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    worker.on("busy", move |(): ()| {
        while !is_cancelled() {
            std::thread::yield_now();
        }
        seen.store(true, Ordering::Release);
        Ok(())
    });
    let client = worker.builder().connect().await.unwrap();
    for method in ["hang", "busy"] {
        {
            let mut call = pin!(client.call::<_, ()>(method, &()));
            let poll = tokio::time::timeout(Duration::ZERO, call.as_mut()).await;
            assert!(poll.is_err());
            eventually("its start", || worker.calls(method).len() == 1).await;
            assert_eq!(worker.cancelled(method), 0);
        }
        eventually("its end", || worker.cancelled(method) == 1).await;
    }
    eventually("the closure's end", || stopped.load(Ordering::Acquire)).await;
    worker.delay("add", Duration::from_secs(3600));
    {
        let mut call = pin!(client.call::<_, i64>("add", &args(1, 2)));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    eventually("its end", || worker.cancelled("add") == 1).await;
    assert_eq!(worker.calls("add").len(), 0, "one that was queued never runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_at_the_same_time() {
    let worker = calculator();
    let both = Arc::new(Barrier::new(2));
    worker.on("meet", move |(): ()| {
        both.wait();
        Ok(())
    });
    worker.on_async("wait", |number: u32| async move {
        tokio::time::sleep(Duration::from_millis(u64::from(number % 7))).await;
        Ok(number)
    });
    let client = worker.client();
    let (one, other) = futures::join!(client.call::<_, ()>("meet", &()), client.call::<_, ()>("meet", &()));
    one.and(other).unwrap();
    let client = &client;
    let calls =
        (0..1000).map(|number: u32| async move { (number, client.call::<_, u32>("wait", &number).await) });
    for (number, answer) in futures::future::join_all(calls).await {
        assert_eq!(answer.unwrap(), number);
    }
}

#[tokio::test]
async fn streams_go_either_way() {
    let worker = Worker::new("streams");
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    worker.on_stream("count", move |to: u32| {
        let count = Arc::clone(&count);
        (0..to).map(move |number| {
            count.fetch_add(1, Ordering::AcqRel);
            Ok(number)
        })
    });
    worker.on_stream("fails", |(): ()| [Ok(1), Err(Error::new(Code::DataLoss, "no more"))]);
    worker.on_stream_async("ticks", |symbol: String, ticks: Items<(String, u32)>| async move {
        for number in 0..3 {
            tokio::task::yield_now().await;
            ticks.send((symbol.clone(), number)).await?;
        }
        Ok(())
    });
    worker.on_upload("sum", |numbers: Arguments<i64>| async move {
        Ok(numbers.all().await?.into_iter().sum::<i64>())
    });
    worker.on_exchange("double", |mut numbers: Arguments<i64>, doubled: Items<i64>| async move {
        while let Some(number) = numbers.next().await {
            doubled.send(number? * 2).await?;
        }
        Ok(())
    });
    let client = worker.client();
    let items: Vec<u32> = client.stream::<_, u32>("count", &1000).map(Result::unwrap).collect().await;
    assert_eq!(items, (0..1000).collect::<Vec<_>>());
    made.store(0, Ordering::Release);
    let mut slow = client.request("count").window(4).stream::<_, u32>(&1_000_000);
    assert_eq!(slow.next().await.unwrap().unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(made.load(Ordering::Acquire) <= 10, "no more than were granted");
    drop(slow);
    eventually("its end", || worker.cancelled("count") == 1).await;

    let items: Vec<_> = client.stream::<_, (String, u32)>("ticks", "A").map(Result::unwrap).collect().await;
    assert_eq!(items, [("A".into(), 0), ("A".into(), 1), ("A".into(), 2)]);
    let mut fails = client.stream::<_, u8>("fails", &());
    assert_eq!(fails.next().await.unwrap().unwrap(), 1);
    assert_eq!(fails.next().await.unwrap().unwrap_err().code(), Code::DataLoss);
    assert!(fails.next().await.is_none());

    let numbers = || futures::stream::iter(1..=1000_i64);
    assert_eq!(client.request("sum").upload::<_, i64>(numbers()).await.unwrap().into_value(), 500_500);
    let doubled: Vec<i64> =
        client.request("double").exchange::<_, i64>(numbers()).map(Result::unwrap).collect().await;
    assert_eq!(doubled, (1..=1000).map(|number| number * 2).collect::<Vec<_>>());
    let wrong = client.request("sum").upload::<_, i64>(futures::stream::iter(["x"])).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong}");
    let unary = client.call::<_, u32>("count", &3).await.unwrap_err();
    assert!(unary.message().contains("call it with stream()"), "{unary}");
}

#[tokio::test]
async fn a_worker_that_goes_takes_its_calls_along() {
    let worker = calculator();
    let client = worker.builder().connect().await.unwrap();
    let ConnectionState::Connected { generation, .. } = client.state() else { panic!("connected") };
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.call::<_, ()>("hang", &()).await }
    });
    eventually("its start", || worker.calls("hang").len() == 1).await;
    worker.disconnect();
    let lost = hanging.await.unwrap().unwrap_err();
    assert_eq!((lost.code(), lost.may_have_run()), (Code::Unavailable, true), "{lost}");
    assert_eq!(client.call::<_, i64>("add", &args(1, 2)).await.unwrap(), 3, "it comes back");

    worker.stop();
    eventually("the end", || !client.is_connected()).await;
    let nobody = client.call::<_, i64>("add", &args(1, 2)).await.unwrap_err();
    assert_eq!((nobody.code(), nobody.may_have_run()), (Code::Unavailable, false), "{nobody}");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.request("add").wait_for_ready(true).send::<_, i64>(&args(1, 2)).await }
    });
    worker.restart();
    assert_eq!(waiting.await.unwrap().unwrap().into_value(), 3);
    let ConnectionState::Connected { generation: next, .. } = client.state() else { panic!("connected") };
    assert_eq!(next, generation + 1);
    drop(worker);
    eventually("the end", || !client.is_connected()).await;
}

#[tokio::test]
async fn what_does_no_harm_twice_is_made_again() {
    let worker = calculator();
    let gone = || Error::new(Code::Unavailable, "the worker is gone").having_run();
    let client = worker.client();
    worker.fail_next("add", gone()).fail_next("add", gone());
    let request = client.request("add").idempotent(true);
    assert_eq!(worker.calls("add").len(), 0);
    let lost = request.send::<_, i64>(&args(1, 2)).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable, "an answer is an answer");
    let lost = client.request("add").wait_for_ready(true).send::<_, i64>(&args(1, 2)).await.unwrap_err();
    assert!(lost.may_have_run());
    let busy = || Error::new(Code::Unavailable, "not yet");
    worker.fail_next("add", busy()).fail_next("add", busy());
    let reply = client.request("add").wait_for_ready(true).send::<_, i64>(&args(1, 2)).await.unwrap();
    assert_eq!((reply.into_value(), worker.calls("add").len()), (3, 5));

    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.request("hang").idempotent(true).send::<_, ()>(&()).await }
    });
    eventually("its start", || worker.calls("hang").len() == 1).await;
    worker.on("hang", |(): ()| Ok(()));
    worker.disconnect();
    hanging.await.unwrap().unwrap();
    assert_eq!(worker.calls("hang").len(), 2);
}

#[tokio::test]
async fn methods_that_are_expected_are_waited_for() {
    let worker = Worker::new("calculator");
    worker.expect("add");
    let client = worker.client();
    client.ready("add", &args(1, 2)).await.unwrap_err();
    let refused = client.call::<_, i64>("add", &args(1, 2)).await.unwrap_err();
    assert_eq!((refused.code(), refused.may_have_run()), (Code::Unavailable, false), "{refused}");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.request("add").wait_for_ready(true).send::<_, i64>(&args(1, 2)).await }
    });
    worker.on("add", |args: AddArgs| Ok(args.a + args.b));
    assert_eq!(waiting.await.unwrap().unwrap().version(), 1);
    client.ready("add", &args(1, 2)).await.unwrap();
    worker.on("add", |args: AddArgs| Ok(args.a - args.b));
    let reply = client.request("add").send::<_, i64>(&args(1, 2)).await.unwrap();
    assert_eq!((*reply.value(), reply.version()), (-1, 2));
}

#[tokio::test]
async fn schemas_are_checked() {
    const SCHEMA: &str = r#"{"request": {"type": "object"}, "response": {"type": "integer"}}"#;
    const ADD: Method<AddArgs, i64> = Method::new("add").schema(7);
    const DESCRIBED: Method<AddArgs, i64> = ADD.described(SCHEMA);
    let worker = calculator();
    let client = worker.client();
    assert_eq!(client.invoke(&ADD, &args(1, 2)).await.unwrap(), 3, "any, where the worker has none");
    worker.schema("add", 8);
    let refused = client.invoke(&ADD, &args(1, 2)).await.unwrap_err();
    assert_eq!((refused.code(), refused.may_have_run()), (Code::FailedPrecondition, false));
    assert_eq!(refused.exception(), Some("pycrust.errors.SchemaMismatch"));
    client.check(&[&ADD]).await.unwrap_err();
    worker.builder().pin(&[&ADD]).connect().await.unwrap_err();
    worker.described("add", 8, SCHEMA);
    assert_eq!(client.invoke(&DESCRIBED, &args(1, 2)).await.unwrap(), 3, "nothing differs");
    worker.fits(&[&ADD]);
    client.check(&[&ADD]).await.unwrap();
    let pinned = worker.builder().pin(&[&ADD]).connect().await.unwrap();
    assert_eq!(pinned.invoke(&ADD, &args(1, 2)).await.unwrap(), 3);
}

#[tokio::test]
async fn newer_calls_take_the_place_of_older_ones_that_wait() {
    let worker = calculator();
    worker.delay("add", Duration::from_millis(50));
    let client = worker.client();
    let call = |a| client.request("add").latest(true).send::<_, i64>(&args(a, 0));
    let (first, second) = futures::join!(call(1), call(2));
    assert_eq!(first.unwrap_err().code(), Code::Aborted);
    assert_eq!(second.unwrap().into_value(), 2);
    assert_eq!(worker.calls("add").len(), 1);
    worker.delay("add", Duration::ZERO);
    client.request("add").notify(&args(1, 2)).await.unwrap();
    eventually("the call", || worker.calls("add").len() == 2).await;
}

#[test]
fn the_client_without_tokio_is_the_same() {
    let worker = calculator();
    worker.on_stream("count", |to: u32| (0..to).map(Ok));
    worker.on_upload("sum", |numbers: Arguments<i64>| async move { Ok(numbers.all().await?.len()) });
    let mut client = worker.blocking_client();
    assert_eq!(client.call::<_, i64>("add", &args(1, 2)).unwrap(), 3);
    assert_eq!(client.request("add").arg(&args(1, 2)).send::<i64>().unwrap().into_value(), 3);
    let items: Vec<u32> = client.stream::<_, u32>("count", &300).map(Result::unwrap).collect();
    assert_eq!(items, (0..300).collect::<Vec<_>>());
    assert_eq!(client.request("sum").upload::<_, usize>(0..200_i64).unwrap().into_value(), 200);
    let late = client.call_with_timeout::<_, ()>("hang", &(), Duration::from_millis(20)).unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    worker.restart();
    assert_eq!(client.call::<_, i64>("add", &args(1, 2)).unwrap(), 3);
    client.close();
    assert_eq!(client.call::<_, i64>("add", &args(1, 2)).unwrap_err().code(), Code::Cancelled);
}

#[test]
fn a_client_outlives_its_worker_and_its_runtime() {
    let worker = calculator();
    let client: RpcClient = worker.client();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        assert_eq!(runtime().block_on(client.call::<_, i64>("add", &args(1, 2))).unwrap(), 3);
    }
    drop(worker);
    let gone = runtime().block_on(client.call::<_, i64>("add", &args(1, 2))).unwrap_err();
    assert_eq!(gone.code(), Code::Unavailable, "{gone}");
}
