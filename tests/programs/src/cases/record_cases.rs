//! Sends arrays of records to an endpoint that works with their fields, and checks what comes back.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a test")]

use bytemuck::{Pod, Zeroable};
use half::f16;
use pycrust_client::{Code, DType, Record, RpcClient, Tensor, TensorError, TensorView};

#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable, Record)]
#[repr(C)]
struct Tick {
    at: i64,
    price: f64,
    size: u32,
    side: u8,
    #[record(padding)]
    gap: [u8; 3],
}

/// What the handler makes of a tick, with fields of every kind.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable, Record)]
#[repr(C)]
struct Fill {
    turnover: f64,
    levels: [[f32; 2]; 3],
    symbol: [u8; 8],
    #[record(rename = "type")]
    kind: u16,
    weight: f16,
    delta: i8,
    flag: u8,
    rest: [i16; 1],
}

/// A tick whose price has less digits.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
#[repr(C)]
struct Short {
    at: i64,
    price: f32,
    size: u32,
    side: u32,
    #[record(padding)]
    gap: [u8; 4],
}

/// A tick that has no side.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
#[repr(C)]
struct Sideless {
    at: i64,
    price: f64,
    size: u64,
}

fn tick(number: u32) -> Tick {
    Tick {
        at: i64::from(number) - 5,
        price: 100.0 + f64::from(number) / 4.0,
        size: number,
        side: (number % 2) as u8,
        gap: [0; 3],
    }
}

/// The field that differs, and how.
fn differs<T>(outcome: Result<T, TensorError>) -> (String, String) {
    match outcome.map(drop).unwrap_err() {
        TensorError::Field { field, reason } => (field, reason),
        other => panic!("{other}"),
    }
}

#[tokio::main]
async fn main() {
    let name = std::env::args().nth(1).unwrap();
    let client = RpcClient::connect(&name).await.unwrap();
    let ticks: Vec<Tick> = (0..1000).map(tick).collect();

    let mut placed = client.allocate::<Tick>(&[1000]).await.unwrap();
    assert!(placed.is_shared());
    placed.as_mut_slice().copy_from_slice(&ticks);
    let fills: TensorView = client.call("fill", &(&placed,)).await.unwrap();
    assert!(placed.is_sent() && fills.is_shared());
    assert_eq!((fills.shape(), fills.dtype(), fills.len()), (&[1000][..], DType::Record, 1000));
    for (fill, tick) in fills.as_slice::<Fill>().unwrap().iter().zip(&ticks) {
        let side = f32::from(tick.side);
        let expected = Fill {
            turnover: tick.price * f64::from(tick.size),
            levels: [[side, 1.0], [side, 2.0], [side, 3.0]],
            symbol: *b"ACME\0\0\0\0",
            kind: 7,
            weight: f16::from_f32(0.5),
            delta: -1,
            flag: 1,
            rest: [-2],
        };
        assert_eq!(*fill, expected);
    }
    println!("placed");

    for shape in [vec![], vec![0], vec![1000], vec![10, 100], vec![2, 0, 3]] {
        let count = shape.iter().product();
        let sent = Tensor::new(&shape, ticks[..count].to_vec()).unwrap();
        let view: TensorView = client.call("echo", &(&sent,)).await.unwrap();
        assert_eq!((view.shape(), view.as_slice::<Tick>().unwrap()), (sent.shape(), sent.as_slice()));
        assert_eq!(view.bytes(), bytemuck::cast_slice::<Tick, u8>(sent.as_slice()));
        let again: Tensor<Tick> = client.call("echo", &(&view,)).await.unwrap();
        assert!(again == sent);
    }
    println!("echoed");

    // Packed, in another order, big-endian, and the first dimension fastest.
    for (form, elsewhere) in
        [("packed", Some("size")), ("reversed", Some("at")), ("big", None), ("column major", None)]
    {
        let sent = Tensor::new(&[10, 100], ticks.clone()).unwrap();
        let view: TensorView = client.call("formed", &(&sent, form)).await.unwrap();
        match elsewhere {
            Some(field) => {
                let (found, reason) = differs(view.as_slice::<Tick>());
                assert!(found == field || reason.contains("to_vec()"), "{form}: `{found}` {reason}");
            }
            None => assert_eq!(view.as_slice::<Tick>(), Err(TensorError::Order)),
        }
        assert!(view.to_vec::<Tick>().unwrap() == ticks, "{form}");
        assert!(client.call::<_, Tensor<Tick>>("formed", &(&sent, form)).await.unwrap() == sent, "{form}");
    }
    println!("arranged");

    let view: TensorView = client.call("echo", &(Tensor::from(&ticks[..3]),)).await.unwrap();
    assert_eq!(differs(view.as_slice::<Short>()), ("price".into(), "is float64, not float32".into()));
    assert_eq!(differs(view.to_vec::<Sideless>()), ("size".into(), "is uint32, not uint64".into()));
    assert_eq!(differs(view.to_vec::<Fill>()), ("turnover".into(), "is missing".into()));
    let wider: TensorView = client.call("wider", &(Tensor::from(&ticks[..3]),)).await.unwrap();
    assert_eq!(
        differs(wider.to_vec::<Tick>()),
        ("venue".into(), "is not expected: it came with [uint8; 4]".into())
    );
    let number = TensorError::DType { found: DType::Record, expected: DType::F64 };
    assert_eq!(view.as_slice::<f64>(), Err(number));
    let wrong = client.call::<_, Tensor<Fill>>("echo", &(Tensor::from(&ticks[..3]),)).await.unwrap_err();
    assert!(wrong.message().contains("the field `turnover` of the records is missing"), "{wrong}");
    for (refused, said) in [
        (
            client.call::<_, TensorView>("fill", &(Tensor::from(vec![Short::zeroed()]),)).await,
            "the field 'price' is float32, not float64",
        ),
        (
            client.call::<_, TensorView>("fill", &(Tensor::from(vec![Fill::zeroed()]),)).await,
            "the field 'at' is missing",
        ),
        (client.call::<_, TensorView>("fill", &(Tensor::from(vec![1.0]),)).await, "not of float64"),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains(said), "{error}");
    }
    println!("refused");
    client.close().await;
}
