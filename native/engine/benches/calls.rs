//! What a call costs in the engine, by methods, clients and calls in flight: `cargo bench -p pycrust-engine`.
#![allow(missing_docs, reason = "the macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a failed benchmark panics")]

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::rig::{Rig, number};

/// One call at a time, of the last of many methods.
fn methods(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one call, methods");
    for count in [1_u64, 10, 100, 1000] {
        let rig = Rig::new();
        for method in 0..count {
            rig.register(&format!("method{method}"), |_| number(1));
        }
        let caller = rig.connect();
        let last = format!("method{}", count - 1);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| caller.call(&last, b"").number());
        });
        rig.finish();
    }
}

/// One call from each of many clients.
fn clients(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a call of each, clients");
    for count in [1_usize, 8, 64] {
        let rig = Rig::new();
        rig.register("one", |_| number(1));
        let callers: Vec<_> = (0..count).map(|_| rig.connect()).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| callers.iter().map(|caller| caller.call("one", b"").number()).sum::<u64>());
        });
        rig.finish();
    }
}

/// Many calls of one client at once.
fn in_flight(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("calls at once, in flight");
    for count in [1_usize, 64, 4096] {
        let rig = Rig::new();
        rig.register("one", |_| number(1));
        let caller = rig.connect_with(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let ids: Vec<_> = (0..count).map(|_| caller.send("one", b"")).collect();
                ids.iter().map(|_| caller.answer().number()).sum::<u64>()
            });
        });
        rig.finish();
    }
}

criterion_group!(benches, methods, clients, in_flight);
criterion_main!(benches);
