//! What listens hears: spans, traces, counts. And the layers of tower.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures::StreamExt;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context as OtelContext, KeyValue, global};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use pycrust_client::{Code, Error, MethodService, Retry, RpcClient, TraceContext};
use support::{HANG, Place, Process, Worker, eventually};
use tower::{Service, ServiceBuilder, ServiceExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Instrument, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// No test of its own: the body of [`Process`].
#[test]
fn worker_process() {
    support::worker_process();
}

/// Fields as text.
type Fields = BTreeMap<String, String>;

/// A span that was closed, or an event.
#[derive(Debug, Clone)]
struct Heard {
    name: String,
    target: String,
    level: Level,
    fields: Fields,
    /// The name of the span around it.
    parent: Option<String>,
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }
}

/// Keeps what this process's clients tell.
struct Keeper(Arc<Mutex<Vec<Heard>>>);

impl Keeper {
    fn keep(&self, metadata: &Metadata<'_>, fields: Fields, parent: Option<String>) {
        let (target, level) = (metadata.target().to_owned(), *metadata.level());
        self.0.lock().unwrap().push(Heard { name: metadata.name().into(), target, level, fields, parent });
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keeper {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Reader(&mut fields));
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(&mut Reader(span.extensions_mut().get_mut::<Fields>().unwrap()));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("pycrust_client") {
            return;
        }
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        let around = context.event_span(event).map(|span| span.name().to_owned());
        self.keep(event.metadata(), fields, around);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.metadata().target().starts_with("pycrust_client") {
            let fields = span.extensions().get::<Fields>().unwrap().clone();
            self.keep(span.metadata(), fields, span.parent().map(|parent| parent.name().to_owned()));
        }
    }
}

/// Everything that listens in this process, installed once, before any client makes a call.
struct Listeners {
    heard: Arc<Mutex<Vec<Heard>>>,
    spans: InMemorySpanExporter,
    meters: SdkMeterProvider,
    measured: InMemoryMetricExporter,
    counts: Snapshotter,
}

static LISTENERS: LazyLock<Listeners> = LazyLock::new(|| {
    let (heard, spans, measured) =
        (Arc::default(), InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(measured.clone()).build();
    global::set_meter_provider(meters.clone());
    let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("tests"));
    tracing_subscriber::registry().with(Keeper(Arc::clone(&heard))).with(layer).init();
    let recorder = DebuggingRecorder::new();
    let counts = recorder.snapshotter();
    recorder.install().unwrap();
    Listeners { heard, spans, meters, measured, counts }
});

/// An endpoint of a test's own, so that what it hears is its own: the clients of all tests tell the same listeners.
struct Own {
    place: Place,
    worker: Worker,
}

impl Own {
    fn new() -> Self {
        LazyLock::force(&LISTENERS);
        let place = Place::new();
        let worker = place.worker();
        Self { place, worker }
    }
}

/// What was heard that says this.
fn heard(says: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    LISTENERS.heard.lock().unwrap().iter().filter(|heard| says(heard)).cloned().collect()
}

/// The spans of calls of this method within the span of this name, which is a test's own: all tests have the same listeners.
fn calls(within: &str, method: &str) -> Vec<Heard> {
    heard(|heard| {
        heard.name == "pycrust.call"
            && heard.parent.as_deref() == Some(within)
            && heard.fields["method"] == method
    })
}

#[tokio::test]
async fn a_call_is_a_span_of_its_caller_s() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    let call = client.call::<_, ()>("spanned", &());
    call.instrument(tracing::info_span!("the caller")).await.unwrap();
    let [span] = &calls("the caller", "spanned")[..] else { panic!("one span of one call") };
    assert_eq!((span.target.as_str(), span.level), ("pycrust_client::call", Level::INFO));
    let fields = &span.fields;
    let expected = [
        ("endpoint", support::ENDPOINT),
        ("version", "3"),
        ("code", "OK"),
        ("rpc.system.name", "pycrust"),
        ("rpc.method", "tested/spanned"),
        ("rpc.response.status_code", "OK"),
    ];
    for (name, value) in expected {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name} of {fields:?}");
    }
    let left: f64 = fields["time_left_ms"].parse().unwrap();
    assert!(left > 0.0 && left <= HANG.as_secs_f64() * 1e3, "{left}");
    assert!(!fields.contains_key("error.type") && !fields.contains_key("error.message"), "{fields:?}");
}

#[tokio::test]
async fn however_a_call_ends_its_span_says_so() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    let _within = tracing::info_span!("ends").entered();

    client.call::<_, ()>("raise", &()).await.unwrap_err();
    let [raised] = &calls("ends", "raise")[..] else { panic!("one span of one call") };
    assert_eq!(raised.fields["code"], "UNKNOWN");
    assert_eq!(raised.fields["error.type"], "UNKNOWN");
    assert_eq!(raised.fields["error.message"], "no such luck");
    assert_eq!(raised.fields["version"], "3");

    // The answer is there, and is no number.
    client.call::<_, i64>("misread", &"text").await.unwrap_err();
    let [misread] = &calls("ends", "misread")[..] else { panic!("one span of one call") };
    assert_eq!((misread.fields["code"].as_str(), misread.fields["version"].as_str()), ("INTERNAL", "3"));

    let mut dropped = Box::pin(client.call::<_, ()>("hang", &()));
    assert!(support::poll_once(dropped.as_mut()).is_pending());
    assert!(calls("ends", "hang").is_empty(), "it has not ended");
    drop(dropped);
    let [dropped] = &calls("ends", "hang")[..] else { panic!("one span of one call") };
    assert_eq!(dropped.fields["code"], "CANCELLED");
    assert!(!dropped.fields.contains_key("version"), "nobody answered");

    let late = client.call_with_timeout::<_, ()>("silent", &(), Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let [late] = &calls("ends", "silent")[..] else { panic!("one span of one call") };
    assert_eq!(late.fields["code"], "DEADLINE_EXCEEDED");

    // What the worker answers itself is no handler of the user's.
    client.ready("echo", &()).await.unwrap();
    assert!(
        heard(|heard| heard.fields.get("method").is_some_and(|of| of.starts_with("pycrust."))).is_empty()
    );
}

#[tokio::test]
async fn a_stream_is_one_span_to_its_end() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    let _within = tracing::info_span!("streams").entered();
    let mut items = client.stream::<_, i64>("count", &(3_u32,));
    assert_eq!(items.next().await.unwrap().unwrap(), 0);
    assert!(calls("streams", "count").is_empty(), "it goes on");
    while items.next().await.is_some() {}
    let [whole] = &calls("streams", "count")[..] else { panic!("one span of one stream") };
    assert_eq!((whole.fields["code"].as_str(), whole.fields["version"].as_str()), ("OK", "3"));

    let mut items = client.stream::<_, i64>("drip", &());
    assert_eq!(items.next().await.unwrap().unwrap(), 1);
    drop(items);
    let [left] = &calls("streams", "drip")[..] else { panic!("one span of one stream") };
    assert_eq!(left.fields["code"], "CANCELLED");

    // An item that is no text ends it.
    let misread = client.request("count").stream::<_, String>(&(3_u32,)).next().await;
    assert_eq!(misread.unwrap().unwrap_err().code(), Code::Internal);
    let [_, misread] = &calls("streams", "count")[..] else { panic!("two spans of two streams") };
    assert_eq!(misread.fields["code"], "INTERNAL");

    let arguments = futures::stream::iter([1_i64, 2, 3]);
    let sum = client.request("exchange").exchange::<_, i64>(arguments).collect::<Vec<_>>().await;
    assert_eq!(sum.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [6]);
    client.request("sum up").upload::<_, i64>(futures::stream::iter([1_i64, 2])).await.unwrap();
    client.request("told").notify(&()).await.unwrap();
    for method in ["exchange", "sum up", "told"] {
        let [one] = &calls("streams", method)[..] else { panic!("one span of {method}") };
        assert_eq!(one.fields["code"], "OK", "{method}");
    }

    // The blocking client tells the same.
    drop(client);
    let place = own.place;
    std::thread::spawn(move || {
        let _within = tracing::info_span!("blocks").entered();
        let mut client = place.client().connect_blocking().unwrap();
        client.call::<_, i64>("add", &(1, 2)).unwrap();
        let [one] = &calls("blocks", "add")[..] else { panic!("one span of one call") };
        assert_eq!(one.fields["code"], "OK");
    })
    .join()
    .unwrap();
}

#[tokio::test]
async fn losses_and_retries_are_events() {
    LazyLock::force(&LISTENERS);
    let place = Place::new();
    let mut process = Process::start(&place.path());
    let client = place.client().connect().await.unwrap();
    let pid = process.pid();
    let connected = heard(|heard| heard.fields.get("pid") == Some(&pid.to_string()));
    let [connected] = &connected[..] else { panic!("one connection: {connected:?}") };
    assert_eq!((connected.target.as_str(), connected.level), ("pycrust_client::connection", Level::INFO));
    assert_eq!(connected.fields["message"], "connected");

    // Its process is killed while the call is there, and the next one answers it.
    let _within = tracing::info_span!("retries").entered();
    let mut call = Box::pin(client.request("delay").idempotent(true).send::<_, i64>(&(200_u64, 7_i64)));
    assert!(support::poll_once(call.as_mut()).is_pending());
    process.kill();
    let directory = place.path();
    let answers = async {
        // Not before it was tried in vain.
        eventually("a retry", || !again().is_empty()).await;
        tokio::task::spawn_blocking(move || Process::start(&directory)).await.unwrap()
    };
    let (reply, process) = tokio::join!(call, answers);
    assert_eq!(*reply.unwrap().value(), 7);

    let lost = heard(|heard| {
        heard.level == Level::WARN
            && heard.fields.get("reason").is_some_and(|why| why.contains(&format!("pid {pid}")))
    });
    let [lost] = &lost[..] else { panic!("one loss: {lost:?}") };
    assert_eq!(lost.target, "pycrust_client::connection");
    let again = again();
    let first = &again[0];
    assert_eq!((first.target.as_str(), first.level), ("pycrust_client::call", Level::DEBUG));
    assert_eq!((first.fields["code"].as_str(), first.fields["attempt"].as_str()), ("UNAVAILABLE", "2"));
    assert_eq!(first.parent.as_deref(), Some("pycrust.call"));
    let [span] = &calls("retries", "delay")[..] else { panic!("one span of all attempts") };
    assert_eq!(span.fields["code"], "OK");
    client.close().await;
    drop(process);
}

/// Attempts beyond the first: one test makes such.
fn again() -> Vec<Heard> {
    heard(|heard| heard.fields.contains_key("attempt") && heard.fields["reason"].contains("pid"))
}

fn exported(name: &str) -> Vec<SpanData> {
    let spans = LISTENERS.spans.get_finished_spans().unwrap();
    spans.into_iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_call_carries_the_trace_of_its_span() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    let sent = || own.worker.seen.headers.lock().unwrap().last().unwrap().trace;

    client.call::<_, ()>("traced", &()).instrument(tracing::info_span!("outer")).await.unwrap();
    let [span] = &exported("tested/traced")[..] else { panic!("one span of one call") };
    let (context, trace) = (&span.span_context, sent());
    assert_eq!(
        (trace.trace_id, trace.span_id),
        (context.trace_id().to_bytes(), context.span_id().to_bytes())
    );
    assert_eq!(trace.flags, 1, "it is sampled");
    assert_eq!(span.span_kind, opentelemetry::trace::SpanKind::Client);
    assert_eq!(exported("outer").last().unwrap().span_context.span_id(), span.parent_span_id);

    // What the caller says comes first.
    let own_trace = TraceContext { trace_id: [7; 16], span_id: [8; 8], flags: 0 };
    client.request("traced").trace(own_trace).send::<_, ()>(&()).await.unwrap();
    assert_eq!(sent(), own_trace);

    // Where nobody makes spans of it, the current context is the caller's.
    let _nobody = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    client.call::<_, ()>("untraced", &()).await.unwrap();
    assert_eq!(sent(), TraceContext::default());
    let remote = opentelemetry::trace::SpanContext::new(
        opentelemetry::trace::TraceId::from_bytes([5; 16]),
        opentelemetry::trace::SpanId::from_bytes([6; 8]),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        opentelemetry::trace::TraceState::default(),
    );
    let _current = OtelContext::new().with_remote_span_context(remote).attach();
    client.call::<_, ()>("untraced", &()).await.unwrap();
    assert_eq!(sent(), TraceContext { trace_id: [5; 16], span_id: [6; 8], flags: 1 });
}

/// The calls that `rpc.client.call.duration` has of a method, with the attributes that it has.
fn measured(method: &str) -> Vec<(u64, BTreeMap<String, String>)> {
    LISTENERS.meters.force_flush().unwrap();
    let mut found = Vec::new();
    let all = LISTENERS.measured.get_finished_metrics().unwrap();
    let scopes = all.last().unwrap().scope_metrics();
    for metric in
        scopes.flat_map(ScopeMetrics::metrics).filter(|one| one.name() == "rpc.client.call.duration")
    {
        assert_eq!(metric.unit(), "s");
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
            panic!("{metric:?}")
        };
        for point in histogram.data_points() {
            let text = |one: &KeyValue| (one.key.to_string(), one.value.to_string());
            let attributes: BTreeMap<_, _> = point.attributes().map(text).collect();
            if attributes["rpc.method"] == format!("tested/{method}") {
                found.push((point.count(), attributes));
            }
        }
    }
    found
}

#[tokio::test]
async fn durations_are_measured_by_method_and_end() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    for _ in 0..3 {
        client.call::<_, ()>("measured", &()).await.unwrap();
    }
    client.call::<_, i64>("measured", &"text").await.unwrap_err();
    let mut found = measured("measured");
    found.sort_by_key(|(count, _)| *count);
    let [(1, failed), (3, well)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (failed["error.type"].as_str(), failed["rpc.response.status_code"].as_str()),
        ("INTERNAL", "INTERNAL")
    );
    assert_eq!((well["rpc.system.name"].as_str(), well.get("error.type")), ("pycrust", None));
}

/// Held by whoever calls the method "later", so that each of two tests counts its own calls.
static LATER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What was recorded of one series.
#[derive(Debug, Clone, PartialEq)]
enum Recorded {
    Counter(u64),
    Gauge(f64),
    /// How many values.
    Histogram(usize),
}

/// Series by their labels.
type Series = BTreeMap<BTreeMap<String, String>, Recorded>;

/// All that was recorded, by name: looking at the recorder empties it.
static RECORDED: LazyLock<Mutex<BTreeMap<String, Series>>> = LazyLock::new(Mutex::default);

/// What was recorded under a name.
fn counted(name: &str) -> Series {
    let mut recorded = RECORDED.lock().unwrap();
    for (key, _, _, value) in LISTENERS.counts.snapshot().into_vec() {
        let (name, labels) = key.key().clone().into_parts();
        let labels = labels.iter().map(|label| (label.key().into(), label.value().into())).collect();
        let series = recorded.entry(name.as_str().to_owned()).or_default();
        let now = match (series.get(&labels), value) {
            (Some(Recorded::Counter(before)), DebugValue::Counter(more)) => Recorded::Counter(before + more),
            (_, DebugValue::Counter(all)) => Recorded::Counter(all),
            (Some(Recorded::Gauge(before)), DebugValue::Gauge(more)) => Recorded::Gauge(before + *more),
            (_, DebugValue::Gauge(all)) => Recorded::Gauge(*all),
            (Some(Recorded::Histogram(before)), DebugValue::Histogram(more)) => {
                Recorded::Histogram(before + more.len())
            }
            (_, DebugValue::Histogram(all)) => Recorded::Histogram(all.len()),
        };
        series.insert(labels, now);
    }
    recorded.get(name).cloned().unwrap_or_default()
}

fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = of.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    all.chain([("endpoint".into(), support::ENDPOINT.into())]).collect()
}

#[tokio::test]
async fn calls_are_counted_for_the_recorder() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    for _ in 0..3 {
        client.call::<_, ()>("counted", &()).await.unwrap();
    }
    client.call::<_, ()>("validate", &()).await.unwrap_err();
    let durations = counted("pycrust_client_call_duration_seconds");
    assert_eq!(durations[&labels(&[("method", "counted")])], Recorded::Histogram(3));
    let ends = counted("pycrust_client_calls_total");
    assert_eq!(ends[&labels(&[("method", "counted"), ("code", "OK")])], Recorded::Counter(3));
    assert_eq!(ends[&labels(&[("method", "validate"), ("code", "INVALID_ARGUMENT")])], Recorded::Counter(1));

    // It waits for a handler that is not there yet, again and again.
    let _alone = LATER.lock().await;
    let later = labels(&[("method", "later")]);
    let count = |name: &str, labels: &BTreeMap<String, String>| match counted(name).get(labels) {
        Some(Recorded::Counter(count)) => *count,
        _ => 0,
    };
    let retries_before = count("pycrust_client_retries_total", &later);
    let answered = labels(&[("method", "later"), ("code", "OK")]);
    let answered_before = count("pycrust_client_calls_total", &answered);
    let request = client.request("later").wait_for_ready(true);
    let waiting = request.send::<_, ()>(&());
    let looks = async {
        eventually("two refusals", || own.worker.seen.refused.load(Ordering::Acquire) >= 2).await;
        let in_flight = counted("pycrust_client_calls_in_flight");
        assert_eq!(in_flight[&later], Recorded::Gauge(1.0));
        own.worker.seen.registered.store(true, Ordering::Release);
    };
    let (reply, ()) = tokio::join!(waiting, looks);
    reply.unwrap();
    assert_eq!(counted("pycrust_client_calls_in_flight")[&later], Recorded::Gauge(0.0));
    let refused = own.worker.seen.refused.load(Ordering::Acquire);
    assert_eq!(count("pycrust_client_retries_total", &later) - retries_before, refused);
    assert_eq!(count("pycrust_client_calls_total", &answered) - answered_before, 1);
    let Recorded::Counter(made) = counted("pycrust_client_connections_total")[&labels(&[])] else { panic!() };
    assert!(made >= 1);

    // Names that a program makes up do not fill the recorder.
    let client = own.place.client().connect().await.unwrap();
    for number in 0..300 {
        client.call::<_, ()>(&format!("many {number}"), &()).await.unwrap();
    }
    let ends = counted("pycrust_client_calls_total");
    let own_label = ends.keys().filter(|labels| labels["method"].starts_with("many")).count();
    assert_eq!(own_label, 256);
    assert_eq!(ends[&labels(&[("method", "_OTHER"), ("code", "OK")])], Recorded::Counter(44));
}

/// Polls until the service is ready, or says why it is not.
async fn ready<R: serde::de::DeserializeOwned + 'static>(
    service: &mut MethodService<R>,
) -> Result<(), Error> {
    std::future::poll_fn(|cx| Service::<()>::poll_ready(service, cx)).await
}

#[tokio::test]
async fn a_service_is_as_ready_as_there_is_room() {
    let own = Own::new();
    let client = own.place.client().max_in_flight(2).connect().await.unwrap();
    let mut services: Vec<_> = (0..3).map(|_| client.service::<i64>("delay")).collect();
    let [first, second, third] = &mut services[..] else { unreachable!() };
    ready(first).await.unwrap();
    ready(second).await.unwrap();
    let mut no_room = Box::pin(ready(third));
    assert!(support::poll_once(no_room.as_mut()).is_pending());
    // What is ready has its place for sure.
    let refused = client.call::<_, ()>("echo", &()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    // A call that ends makes room for the one that waits.
    assert_eq!(first.call((0_u64, 5_i64)).await.unwrap(), 5);
    no_room.await.unwrap();
    // So does a service that is dropped; one that was cloned has no place.
    let mut clone = second.clone();
    let mut no_room = Box::pin(ready(&mut clone));
    assert!(support::poll_once(no_room.as_mut()).is_pending());
    services.remove(1);
    no_room.await.unwrap();
    services.clear();
    // Calls without asking whether it is ready are as the client's own.
    assert_eq!(client.service::<i64>("add").call((1, 2)).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_the_room_and_none_is_refused() {
    let own = Own::new();
    let client = own.place.client().max_in_flight(4).connect().await.unwrap();
    let tasks: Vec<_> = (0..200_i64)
        .map(|number| {
            let service = client.service::<i64>("add");
            tokio::spawn(async move { service.oneshot((number, 1)).await })
        })
        .collect();
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(task.await.unwrap().unwrap(), number + 1);
    }
}

#[tokio::test]
async fn layers_of_tower_fit() {
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    let seen = &own.worker.seen;

    // Its time is over, so its future is dropped, so it is cancelled in the worker, and never runs.
    let hangs = ServiceBuilder::new()
        .concurrency_limit(3)
        .timeout(Duration::from_millis(30))
        .service(client.service::<()>("hang"));
    let error = hangs.oneshot(()).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error}");
    eventually("the cancelled call's end", || seen.cancelled.load(Ordering::Acquire) == 1).await;
    seen.release.store(true, Ordering::Release);
    client.call::<_, ()>("echo", &()).await.unwrap();
    assert_eq!(seen.ran("hang"), 0);

    // Load is what is under way.
    let pending = tower::load::CompleteOnResponse::default();
    let mut measured = tower::load::PendingRequests::new(client.service::<i64>("delay"), pending);
    let load = |of: &tower::load::PendingRequests<_, _>| tower::load::Load::load(of);
    let idle = load(&measured);
    let ready = ServiceExt::<(u64, i64)>::ready(&mut measured).await.unwrap();
    let call = ready.call((1_u64, 4_i64));
    assert!(load(&measured) > idle);
    assert_eq!(call.await.unwrap(), 4);
    assert_eq!(load(&measured), idle);

    // An error of the method is an error of the service, as the client has it.
    let raised = client.service::<()>("raise").oneshot(()).await.unwrap_err();
    assert_eq!((raised.code(), raised.traceback()), (Code::Unknown, Some("Traceback: in raise")));
    // Options are those of a request; arguments that can't be encoded are found.
    let quick = client.request("silent").timeout(Duration::from_millis(10)).into_service::<()>();
    assert_eq!(quick.oneshot(()).await.unwrap_err().code(), Code::DeadlineExceeded);
    let unfit = client.service::<()>("").oneshot(()).await.unwrap_err();
    assert_eq!(unfit.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_service_that_waits_is_ready_once_there_is_a_worker() {
    let place = Place::new();
    let client = place.client().wait_for_ready(true).connect_lazy();
    let mut service = client.service::<i64>("add");
    let mut waits = Box::pin(ready(&mut service));
    assert!(support::poll_once(waits.as_mut()).is_pending());
    let starts = async {
        eventually("an attempt to connect", || {
            matches!(client.state(), pycrust_client::ConnectionState::Disconnected { reason } if !reason.is_empty())
        })
        .await;
        place.worker()
    };
    let (ready, worker) = tokio::join!(waits, starts);
    ready.unwrap();
    assert_eq!(service.call((1, 2)).await.unwrap(), 3);
    client.close().await;
    // What was closed is not ready any more, and says so.
    let closed = std::future::poll_fn(|cx| Service::<()>::poll_ready(&mut service, cx)).await.unwrap_err();
    assert_eq!(closed.code(), Code::Cancelled);
    drop(worker);
}

/// Makes calls again that certainly did not run.
#[derive(Clone)]
struct Unrun(Arc<Mutex<Vec<Error>>>);

impl<A: Clone, R> tower::retry::Policy<A, R, Error> for Unrun {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(&mut self, _args: &mut A, result: &mut Result<R, Error>) -> Option<Self::Future> {
        let error = result.as_ref().err()?;
        self.0.lock().unwrap().push(error.clone());
        let again = error.code() == Code::Unavailable && !error.may_have_run();
        again.then(|| Box::pin(tokio::time::sleep(Duration::from_millis(5))) as _)
    }

    fn clone_request(&mut self, args: &A) -> Option<A> {
        Some(args.clone())
    }
}

#[tokio::test]
async fn a_policy_can_retry_what_did_not_run_and_only_that() {
    LazyLock::force(&LISTENERS);
    let own = Own::new();
    let client = own.place.client().connect().await.unwrap();
    let failures = Arc::new(Mutex::new(Vec::new()));
    let retrying = |client: &RpcClient, method: &str, failures: &Arc<Mutex<Vec<Error>>>| {
        let policy = tower::retry::RetryLayer::new(Unrun(Arc::clone(failures)));
        ServiceBuilder::new().layer(policy).service(client.service::<()>(method))
    };
    // The handler is not there yet, so the calls that find none did not run.
    let alone = LATER.lock().await;
    let call = retrying(&client, "later", &failures).oneshot(());
    let comes = async {
        eventually("two refusals", || own.worker.seen.refused.load(Ordering::Acquire) >= 2).await;
        own.worker.seen.registered.store(true, Ordering::Release);
    };
    let (answered, ()) = tokio::join!(call, comes);
    answered.unwrap();
    assert_eq!(failures.lock().unwrap().len() as u64, own.worker.seen.refused.load(Ordering::Acquire));
    assert_eq!(own.worker.seen.ran("later"), 1);
    drop(alone);

    // A call that was with a worker which died may have run.
    let place = Place::new();
    let mut process = Process::start(&place.path());
    let client = place.client().retry(Retry::new().attempts(1)).connect().await.unwrap();
    let failures = Arc::new(Mutex::new(Vec::new()));
    let mut call = Box::pin(retrying(&client, "hang", &failures).oneshot(()));
    assert!(support::poll_once(call.as_mut()).is_pending());
    process.kill();
    let error = call.await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), (Code::Unavailable, true));
    assert_eq!(failures.lock().unwrap().len(), 1);

    // A service whose worker is gone says so, and is ready again with the next one.
    let mut service = client.service::<i64>("add");
    let gone = ready(&mut service).await.unwrap_err();
    assert_eq!((gone.code(), gone.may_have_run()), (Code::Unavailable, false));
    let process = Process::start(&place.path());
    ready(&mut service).await.unwrap();
    assert_eq!(service.call((1, 2)).await.unwrap(), 3);
    // A place on a connection that is lost meanwhile is made anew.
    ready(&mut service).await.unwrap();
    drop(process);
    eventually("the loss", || !client.is_connected()).await;
    let process = Process::start(&place.path());
    ready(&mut service).await.unwrap();
    assert_eq!(service.call((2, 2)).await.unwrap(), 4);
    client.close().await;
    drop(process);
}
