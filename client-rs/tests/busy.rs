//! A runtime whose blocking pool is busy for good, and processes that get no more threads.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::sync::mpsc;

use pycrust_client::{Tensor, TensorView};
use support::{Place, eventually};
use tokio::runtime::Runtime;

/// A runtime of one blocking thread, which waits for as long as what is returned lives.
fn with_a_busy_pool() -> (Runtime, mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (release, held) = mpsc::channel::<()>();
    let (started, begun) = mpsc::channel();
    runtime.spawn_blocking(move || {
        started.send(()).unwrap();
        let _ = held.recv();
    });
    begun.recv().unwrap();
    (runtime, release)
}

#[test]
fn everything_goes_on_while_the_pool_is_busy() {
    let place = Place::new();
    let worker = place.worker();
    let (runtime, release) = with_a_busy_pool();
    runtime.block_on(async {
        let client = place.client().connect().await.unwrap();
        let large = "x".repeat(2 << 20);
        assert!(client.call::<_, String>("echo", &large).await.unwrap() == large);
        let mut array = client.allocate::<u8>(&[3 << 20]).await.unwrap();
        assert!(array.is_shared());
        array.as_mut_slice().fill(7);
        let view: TensorView = client.call("echo", &array).await.unwrap();
        assert!(view.bytes().iter().all(|byte| *byte == 7) && view.len() == 3 << 20);
        let (left, right) = client
            .build(20 << 20, |arena| (arena.allocate::<u8>(&[1 << 20]), arena.allocate::<u8>(&[1 << 20])))
            .await
            .unwrap();
        assert!(left.is_shared() && right.is_shared());
        client.request("note").notify(&Tensor::new(&[3 << 20], vec![1_u8; 3 << 20]).unwrap()).await.unwrap();
        drop((view, left, right));
        client.close().await;
        let dropped = place.client().connect().await.unwrap();
        dropped.call::<_, ()>("echo", &()).await.unwrap();
        drop(dropped);
        eventually("the clients' ends", || worker.seen.links() == 0).await;
    });
    drop(release);
}
