//! The client without Tokio.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::{HANG, Place, Worker};
use pycrust_client::blocking::RpcClient;
use pycrust_client::{Arena, Code, ConnectionState, Details, Error, Retry, Spin, TensorView, WhenFull};

fn until(what: &str, mut condition: impl FnMut() -> bool) {
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
fn calls_with_less_time_than_connecting_takes_connect_all_the_same() {
    let place = Place::new();
    let (_worker, shortest) = (place.worker(), Duration::from_nanos(1));
    let mut client = place.client().connect_lazy_blocking();
    until("the connection", || {
        let late = client.call_with_timeout::<_, i64>("add", &(1, 2), shortest).unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert!(!late.may_have_run());
        client.is_connected()
    });
    assert_eq!(client.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
}

#[test]
fn a_handshake_that_was_left_is_not_gone_on_with_at_a_worker_that_is_gone() {
    let place = Place::new();
    let worker = place.worker();
    let mut client = place.client().connect_lazy_blocking();
    let _late = client.call_with_timeout::<_, i64>("add", &(1, 2), Duration::from_nanos(1)).unwrap_err();
    drop(worker);
    let _next = place.worker();
    assert_eq!(client.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
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
    let retry = Retry::new().attempts(3).first_pause(Duration::from_millis(1));
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

#[test]
fn streams_are_read_while_other_calls_are_made() {
    let place = Place::new();
    let _worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let mut numbers = client.stream::<_, i64>("count", &(40_u32,));
    for number in 0..40 {
        assert_eq!(numbers.next().unwrap().unwrap(), number);
        assert_eq!(client.call::<_, i64>("add", &(number, 1)).unwrap(), number + 1);
    }
    assert!(numbers.next().is_none() && numbers.next().is_none());
    assert_eq!(numbers.version(), 3);
    // On a thread of its own, and longer than its client.
    let drip = client.stream::<_, i64>("count", &(3_u32,));
    let read = std::thread::spawn(move || drip.map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(read.join().unwrap(), [0, 1, 2]);
    // A handler that does not stream gives one item.
    let one: Vec<_> = client.request("add").window(1).stream::<_, i64>(&(1, 2)).map(Result::unwrap).collect();
    assert_eq!(one, [3]);
}

#[test]
fn arguments_of_an_iterator_are_sent_as_they_are_taken() {
    let place = Place::new();
    let _worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let numbers = [1_i64, 2, 3];
    let reply = client.request("upload").upload::<_, i64>(numbers.iter()).unwrap();
    assert_eq!((*reply.value(), reply.version()), (6, 3));
    let both: Vec<_> =
        client.request("exchange").exchange::<_, i64>(numbers.iter()).map(Result::unwrap).collect();
    assert_eq!(both, [6]);
}

#[test]
fn silence_and_time_end_a_stream_and_cancel_its_call() {
    let place = Place::new();
    let worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let mut drip = client.stream::<_, i64>("drip", &()).idle_timeout(Duration::from_millis(20));
    assert_eq!(drip.next().unwrap().unwrap(), 1);
    let silent = drip.next().unwrap().unwrap_err();
    assert_eq!((silent.code(), silent.may_have_run()), (Code::DeadlineExceeded, true));
    assert!(silent.message().contains("idle_timeout"), "{silent}");
    assert!(drip.next().is_none());
    let limited = client.request("drip").timeout(Duration::from_millis(20)).stream::<_, i64>(&());
    let ends: Vec<_> = limited.map(|item| item.map_err(|error| error.code())).collect();
    assert_eq!(ends, [Ok(1), Err(Code::DeadlineExceeded)]);
    until("the cancellations", || worker.seen.cancelled.load(Ordering::Acquire) >= 1);
}

#[test]
fn arrays_are_built_in_place_and_given_back() {
    let place = Place::new();
    let _worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let mut image = client.allocate::<u8>(&[300, 1000]).unwrap();
    image.as_mut_slice().fill(7);
    assert!(image.is_shared());
    let late = client.call_with_timeout::<_, ()>("echo", &(&image,), Duration::ZERO).unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let (seen,): (TensorView,) = client.call("echo", &(&image,)).unwrap();
    assert!(seen.as_slice::<u8>().unwrap().iter().all(|byte| *byte == 7));
    let gone = client.call::<_, ()>("echo", &(&image,)).unwrap_err();
    assert!(gone.message().contains("sent with an earlier call"), "{gone}");
    let build = |arena: &Arena| [arena.allocate::<f32>(&[100]), arena.allocate::<f32>(&[100])];
    let [mut left, mut right] = client.build(1000, build).unwrap();
    left.as_mut_slice().fill(1.0);
    right.as_mut_slice().fill(2.0);
    let (one, two): (TensorView, TensorView) = client.call("echo", &(&left, &right)).unwrap();
    assert_eq!((one.as_slice::<f32>().unwrap()[0], two.as_slice::<f32>().unwrap()[99]), (1.0, 2.0));
}

#[test]
fn it_waits_for_a_worker_tells_its_state_and_closes() {
    let place = Place::new();
    let mut client = place.client().wait_for_ready(true).connect_lazy_blocking();
    let mut changes = client.state_changes();
    let late = client.call_with_timeout::<_, ()>("echo", &(), Duration::from_millis(20)).unwrap_err();
    assert_eq!((late.code(), late.may_have_run()), (Code::DeadlineExceeded, false), "{late}");
    let at_once = client.request("echo").wait_for_ready(false).send::<_, ()>(&()).unwrap_err();
    assert_eq!(at_once.code(), Code::Unavailable);
    let mut client = std::thread::scope(|scope| {
        let call = scope.spawn(move || {
            let sum = client.call::<_, i64>("add", &(1, 2));
            (client, sum)
        });
        let worker = place.worker();
        let (client, sum) = call.join().unwrap();
        assert_eq!(sum.unwrap(), 3);
        assert!(client.is_connected());
        drop(worker);
        client
    });
    until("its end", || matches!(client.state(), ConnectionState::Disconnected { .. }));
    let _worker = place.worker();
    client.ready("add", &(1, 2)).unwrap();
    let mut open = client.stream::<_, i64>("drip", &());
    assert_eq!(open.next().unwrap().unwrap(), 1);
    client.close();
    client.close();
    assert_eq!(open.next().unwrap().unwrap_err().code(), Code::Cancelled);
    assert_eq!(client.call::<_, ()>("echo", &()).unwrap_err().code(), Code::Cancelled);
    assert_eq!(changes.wait(), Some(ConnectionState::Closed));
    drop((client, open));
    assert_eq!(changes.wait(), None);
}

#[test]
fn a_pacer_s_ticks_come_in_time_or_late_and_those_that_are_missed_are_counted() {
    const PERIOD: Duration = Duration::from_millis(2);
    let place = Place::new();
    let _worker = place.worker();
    let mut client = place.client().connect_blocking().unwrap();
    let mut pacer = client.pacer(PERIOD);
    let begun = Instant::now();
    pacer.tick();
    for n in 0..50_i64 {
        pacer.tick();
        // Never before its time, however often one was missed.
        assert!(begun.elapsed() >= PERIOD * u32::try_from(n + 1).unwrap());
        assert_eq!(client.call::<_, i64>("add", &(n, 1)).unwrap(), n + 1);
    }
    let missed = pacer.missed();
    std::thread::sleep(3 * PERIOD);
    pacer.tick();
    assert!(pacer.missed() >= missed + 2, "those that passed while it slept");
    assert!(pacer.lateness() >= 2 * PERIOD);
}
