//! A warm call allocates nothing of its own: counted on the thread that makes it.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::time::Duration;

use pycrust_client::{Method, RpcClient, Spin};
use support::Place;
use tokio::runtime::{Builder, Runtime};

/// Calls that are counted together.
const CALLS: u64 = 1_000;
/// iceoryx2 allocates once for each sample that is sent; the rest is for the runtime's timers, now and then.
const AT_MOST: u64 = CALLS + CALLS / 20;

#[derive(serde::Serialize)]
struct AddArgs {
    a: i32,
    b: i32,
}

/// What is said once costs no more, also where the schema is pinned.
const ADD: Method<AddArgs, i32> =
    Method::new("add").timeout(Duration::from_secs(60)).idempotent().schema(7).described("{}");

async fn calls(client: &RpcClient) {
    for a in 0..CALLS as i32 {
        let args = AddArgs { a, b: 20 };
        let sum = if a % 2 == 0 {
            client.call("add", &args).await.unwrap()
        } else {
            client.invoke(&ADD, &args).await.unwrap()
        };
        assert_eq!(sum, a + 20);
    }
}

/// Allocations of `CALLS` calls on the thread that makes them, in the quietest of some runs: an answer that comes
/// late, since the machine is busy, takes other ways.
fn fewest(runtime: &Runtime, spin: Spin) -> u64 {
    let place = Place::new();
    let _worker = place.worker();
    let client = runtime.block_on(place.client().spin(spin).connect()).unwrap();
    runtime.block_on(calls(&client));
    let counts = (0..10).map(|_| {
        let made = allocation_counter::measure(|| runtime.block_on(calls(&client)));
        made.count_total
    });
    let fewest = counts.min().unwrap();
    runtime.block_on(client.close());
    fewest
}

#[test]
fn a_call_that_polls_for_its_answer_allocates_nothing_of_its_own() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fewest = fewest(&runtime, Spin::Adaptive);
    assert!(fewest <= AT_MOST, "{fewest} allocations in {CALLS} calls");
}

#[test]
fn a_call_that_sleeps_for_its_answer_allocates_nothing_of_its_own() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let fewest = fewest(&runtime, Spin::Off);
    assert!(fewest <= AT_MOST, "{fewest} allocations in {CALLS} calls");
}
