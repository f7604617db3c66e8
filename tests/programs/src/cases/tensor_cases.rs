//! Sends arrays of every kind to an endpoint that echoes them, and checks what comes back.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "a program for a test, whose numbers are small"
)]

use std::fmt::Debug;

use bytes::Bytes;
use half::{bf16, f16};
use pycrust_client::{DType, Element, RpcClient, Tensor, TensorError, TensorView};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Observation {
    step: u64,
    cameras: Vec<Tensor<u8>>,
    state: Option<Tensor<f64>>,
    kind: Kind,
    #[serde(with = "pycrust_client::attached")]
    raw: Bytes,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[serde(tag = "kind")]
enum Kind {
    Depth { map: Tensor<f32> },
    None,
}

async fn echoes<T: Element + PartialEq + Debug>(client: &RpcClient, make: impl Fn(usize) -> T) {
    for shape in [vec![], vec![0], vec![7], vec![3, 0, 2], vec![2, 3, 4], vec![100, 200]] {
        let elements: Vec<T> = (0..shape.iter().product()).map(&make).collect();
        let sent = Tensor::new(&shape, elements).unwrap();
        let owned: Tensor<T> = client.call("echo", &(&sent,)).await.unwrap();
        assert_eq!(owned, sent);
        let view: TensorView = client.call("echo", &(&sent,)).await.unwrap();
        assert_eq!((view.shape(), view.dtype()), (sent.shape(), T::DTYPE));
        assert_eq!(view.as_slice::<T>().unwrap(), sent.as_slice());
        assert_eq!(view.is_shared(), size_of_val(sent.as_slice()) > 4096);
        // Sent on as it came.
        let again: Tensor<T> = client.call("echo", &(&view,)).await.unwrap();
        assert_eq!(again, sent);
    }
}

#[tokio::main]
async fn main() {
    let name = std::env::args().nth(1).unwrap();
    let client = RpcClient::connect(&name).await.unwrap();

    echoes(&client, |at| at as u8).await;
    echoes(&client, |at| at as i8).await;
    echoes(&client, |at| at as u16).await;
    echoes(&client, |at| at as i16).await;
    echoes(&client, |at| at as u32).await;
    echoes(&client, |at| at as i32).await;
    echoes(&client, |at| at as u64).await;
    echoes(&client, |at| at as i64).await;
    echoes(&client, |at| f16::from_f32(at as f32)).await;
    echoes(&client, |at| at as f32).await;
    echoes(&client, |at| at as f64).await;
    if std::env::args().any(|argument| argument == "bfloat16") {
        echoes(&client, |at| bf16::from_f32(at as f32)).await;
    }
    println!("types");

    let observation = Observation {
        step: 7,
        cameras: (0..3).map(|n| Tensor::new(&[224, 224, 3], vec![n; 224 * 224 * 3]).unwrap()).collect(),
        state: Some(Tensor::from(vec![1.0, 2.0])),
        kind: Kind::Depth { map: Tensor::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap() },
        raw: Bytes::from(vec![5; 10_000]),
    };
    let back: Observation = client.call("echo", &(&observation,)).await.unwrap();
    assert_eq!(back, observation);
    let nothing = Observation { state: None, kind: Kind::None, ..observation };
    assert_eq!(client.call::<_, Observation>("echo", &(&nothing,)).await.unwrap(), nothing);
    println!("nested");

    let orders: (TensorView, TensorView) = client.call("orders", &()).await.unwrap();
    assert_eq!(orders.0.as_slice::<f32>(), Err(TensorError::Order));
    assert_eq!(orders.0.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(orders.1.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(matches!(
        orders.0.as_slice::<f64>(),
        Err(TensorError::DType { found: DType::F32, expected: DType::F64 })
    ));
    println!("orders");

    for round in 0..10_u8 {
        let (mut first, mut second) = client
            .build(3 * 1_000_000, |arena| {
                (arena.allocate::<u8>(&[1000, 1000]), arena.allocate::<f64>(&[1000]))
            })
            .await
            .unwrap();
        assert!(first.is_shared() && second.is_shared());
        first.as_mut_slice().fill(round);
        second.as_mut_slice().fill(f64::from(round));
        let sums: (u64, f64) = client.call("sums", &(&first, &second)).await.unwrap();
        assert_eq!(sums, (u64::from(round) * 1_000_000, f64::from(round) * 1000.0));
        // Its memory went with the call.
        assert!(!first.is_shared() && first.as_mut_slice().iter().all(|byte| *byte == 0));
    }
    println!("in place");

    let mut items = client.stream::<_, TensorView>("frames", &(20,));
    let mut kept = Vec::new();
    while let Some(item) = items.next().await {
        kept.push(item.unwrap());
    }
    client.close().await;
    drop(client);
    for (number, view) in kept.iter().enumerate() {
        assert!(
            view.is_shared() && view.as_slice::<u16>().unwrap().iter().all(|pixel| *pixel == number as u16)
        );
    }
    assert_eq!(kept.len(), 20);
    std::thread::spawn(move || drop(kept)).join().unwrap();
    println!("kept");
}
