//! Calls over a real connection: values, errors, options, numbers.

use std::time::Duration;

use crate::support::{Place, eventually};
use pycrust_client::{Code, Details, Encoding, Error, Retry, RpcClient, Spin};

#[derive(serde::Serialize)]
struct AddArgs {
    a: i32,
    b: i32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_cross_and_the_reply_says_where_the_time_went() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let sum: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await.unwrap();
    assert_eq!(sum, 30);
    client.call::<_, ()>("echo", &()).await.unwrap();
    let nothing: Option<u8> = client.call("echo", &()).await.unwrap();
    assert_eq!(nothing, None);
    let reply = client.request("echo").send::<_, String>("text").await.unwrap();
    assert_eq!((reply.value().as_str(), reply.version()), ("text", 3));
    let timing = reply.timing();
    assert_eq!(timing.handler, Duration::from_micros(1));
    assert!(timing.back > Duration::ZERO && timing.back < timing.round_trip);
    assert_eq!((client.endpoint(), client.is_connected()), ("tested", true));
    client.close().await;
}

#[tokio::test]
async fn structs_are_maps_or_arrays() {
    let place = Place::new();
    let _worker = place.worker();
    let array = place.client().encoding(Encoding::Array).connect().await.unwrap();
    let value: serde_json::Value = array.call("echo", &AddArgs { a: 1, b: 2 }).await.unwrap();
    assert_eq!(value, serde_json::json!([1, 2]));
    let map = place.client().connect().await.unwrap();
    let value: serde_json::Value = map.call("echo", &AddArgs { a: 1, b: 2 }).await.unwrap();
    assert_eq!(value, serde_json::json!({"a": 1, "b": 2}));
}

#[tokio::test]
async fn large_arguments_and_results_cross() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    for len in [3_900, 4_000, 4_096, 5_000, 70_000, 3_000_000] {
        let text: String = ('a'..='z').cycle().take(len).collect();
        let echoed: String = client.call("echo", &text).await.unwrap();
        assert!(echoed == text, "{len} bytes");
    }
}

#[tokio::test]
async fn errors_say_what_the_worker_said() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let raised: Error = client.call::<_, ()>("raise", &()).await.unwrap_err();
    assert_eq!((raised.code(), raised.message()), (Code::Unknown, "no such luck"));
    assert_eq!(raised.exception(), Some("ValueError"));
    assert_eq!(raised.traceback(), Some("Traceback: in raise"));
    assert!(raised.may_have_run());
    let invalid = client.call::<_, ()>("validate", &()).await.unwrap_err();
    let Details::Validation(issues) = invalid.details() else { panic!("{invalid:?}") };
    assert_eq!(issues[0].kind, "int_type");
    let wrong = client.call::<_, i32>("echo", "text").await.unwrap_err();
    assert_eq!(wrong.code(), Code::Internal);
    assert!(wrong.message().contains("i32"), "{wrong}");
    assert!(wrong.may_have_run());
}

#[tokio::test]
async fn errors_say_what_replies_say_beside_them() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let mut blocking = tokio::task::spawn_blocking({
        let builder = place.client();
        move || builder.connect_blocking().unwrap()
    })
    .await
    .unwrap();
    let mut errors = vec![
        client.call::<_, ()>("raise", &()).await.unwrap_err(),
        client.request("raise").send::<_, ()>(&()).await.unwrap_err(),
        client.call::<_, i32>("echo", "no number").await.unwrap_err(),
        client.request("echo").send::<_, i32>("no number").await.unwrap_err(),
        client.stream::<_, ()>("raise", &()).next().await.unwrap().unwrap_err(),
        client.request("raise").upload::<_, ()>(futures::stream::iter([1])).await.unwrap_err(),
    ];
    errors.extend(
        tokio::task::spawn_blocking(move || blocking.call::<_, ()>("raise", &())).await.unwrap().err(),
    );
    assert_eq!(errors.len(), 7);
    for error in errors {
        assert_eq!((error.version(), error.timing().handler), (3, Duration::from_micros(1)), "{error}");
        assert!(error.timing().round_trip > error.timing().back && error.timing().back > Duration::ZERO);
        assert!(error.metadata().is_empty());
    }
    let never = client.call_with_timeout::<_, ()>("echo", &(), Duration::ZERO).await.unwrap_err();
    assert_eq!((never.version(), never.timing()), (0, pycrust_client::Timing::default()));
}

#[tokio::test]
async fn options_with_which_no_call_could_be_made_are_refused() {
    let place = Place::new();
    let worker = place.worker();
    let none = Retry::new().attempts(0);
    for (builder, what) in
        [(place.client().max_in_flight(0), "max_in_flight(0)"), (place.client().retry(none), "0 attempts")]
    {
        let refused = builder.clone().connect().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(what), "{refused}");
        assert_eq!(builder.connect_blocking().unwrap_err().message(), refused.message());
    }
    assert_eq!(worker.seen.connected.load(std::sync::atomic::Ordering::Acquire), 0);
    // What is too much is as much as there can be.
    let long = Retry::new().first_pause(Duration::MAX).longest_pause(Duration::MAX);
    let most = place.client().max_in_flight(usize::MAX).timeout(Duration::MAX).wait_for_worker(Duration::MAX);
    let client = most.retry(long).client_name("n".repeat(1 << 20)).connect().await.unwrap();
    client.request("echo").window(0).idempotent(true).send::<_, ()>(&()).await.unwrap();
    drop(worker);
    eventually("the end", || !client.is_connected()).await;
    let request = client.request("echo").idempotent(true).timeout(Duration::from_secs(60));
    let gone = request.send::<_, ()>(&()).await.unwrap_err();
    assert_eq!(gone.code(), Code::Unavailable, "there is no time for such a pause");
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused_before_it_is() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let before = worker.seen.headers.lock().unwrap().len();
    let nameless = client.call::<_, ()>("", &()).await.unwrap_err();
    assert_eq!(nameless.code(), Code::InvalidArgument);
    let endless = client.call::<_, ()>(&"m".repeat(257), &()).await.unwrap_err();
    assert_eq!(endless.code(), Code::InvalidArgument);
    let late = client.call_with_timeout::<_, ()>("echo", &(), Duration::ZERO).await.unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false));
    assert_eq!(worker.seen.headers.lock().unwrap().len(), before);
    let name = RpcClient::connect("a/b").await.unwrap_err();
    assert_eq!(name.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn options_travel_with_the_call() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let trace = pycrust_client::TraceContext { trace_id: [7; 16], span_id: [8; 8], flags: 1 };
    let call =
        client.request("echo").timeout(Duration::from_secs(9)).schema(77).idempotent(true).trace(trace);
    call.send::<_, ()>(&()).await.unwrap();
    client.request("echo").timeout(Duration::MAX).send::<_, ()>(&()).await.unwrap();
    let headers = worker.seen.headers.lock().unwrap();
    let [.., with, without] = headers.as_slice() else { panic!("two calls") };
    assert!(with.deadline_ns > 0 && with.deadline_ns <= 9_000_000_000);
    assert_eq!((with.schema_pin, with.trace), (77, trace));
    assert_eq!(with.common.flags, pycrust_protocol::header::flags::IDEMPOTENT);
    assert_eq!((without.deadline_ns, without.common.flags), (0, 0));
}

/// 10,000 calls from 64 tasks, each answered with what it asked for.
async fn many(place: &Place, spin: Spin) {
    let worker = place.worker();
    let client = place.client().spin(spin).connect().await.unwrap();
    let tasks: Vec<_> = (0..64_i64)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for call in 0..157_i64 {
                    let sum: i64 = client.call("add", &(task * 1_000_000, call)).await.unwrap();
                    assert_eq!(sum, task * 1_000_000 + call);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(worker.seen.ran("add"), 64 * 157);
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_calls_from_many_tasks_on_many_threads() {
    many(&Place::new(), Spin::Adaptive).await;
    many(&Place::new(), Spin::Off).await;
    many(&Place::new(), Spin::For(Duration::from_micros(20))).await;
}

#[tokio::test]
async fn ten_thousand_calls_from_many_tasks_on_one_thread() {
    many(&Place::new(), Spin::Adaptive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_at_once_than_the_window_holds() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let tasks: Vec<_> = (0..5_000_i64)
        .map(|call| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<_, i64>("delay", &(20_u64, call)).await })
        })
        .collect();
    for (call, task) in (0..).zip(tasks) {
        assert_eq!(task.await.unwrap().unwrap(), call);
    }
    assert_eq!(worker.seen.ran("delay"), 5_000);
}

#[tokio::test]
async fn round_trips_are_reported_once_each() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    for _ in 0..100 {
        client.call::<_, ()>("echo", &()).await.unwrap();
    }
    client.call::<_, ()>("raise", &()).await.unwrap_err();
    // The last ones travel when no request has come for a while.
    eventually("the last reports", || worker.seen.reports.lock().unwrap().len() == 101).await;
    let reports = worker.seen.reports.lock().unwrap();
    let mut ids: Vec<_> = reports.iter().map(|report| report.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 101);
    assert!(reports.iter().all(|report| (report.version, report.method_key) == (3, 9)));
    assert!(reports.iter().all(|report| report.round_trip_ns > u64::from(report.return_ns)));
    assert_eq!(reports.iter().filter(|report| report.status == u8::from(Code::Unknown)).count(), 1);
}
