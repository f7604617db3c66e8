//! Records that go out as one struct and come back as another.

use crate::support::Place;
use bytemuck::{Pod, Zeroable};
use pycrust_client::{DType, Element, Record, RpcClient, Tensor, TensorError, TensorView};

#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable, Record)]
#[repr(C)]
struct Tick {
    at: i64,
    levels: [[f32; 2]; 2],
    size: u16,
    side: u8,
    #[record(padding)]
    gap: [u8; 5],
}

/// The same fields elsewhere, with other gaps.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable, Record)]
#[repr(C)]
struct Moved {
    side: u8,
    #[record(padding)]
    first: u8,
    size: u16,
    #[record(rename = "levels")]
    prices: [[f32; 2]; 2],
    #[record(padding)]
    second: u32,
    at: i64,
}

/// Without gaps, and not aligned.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
#[repr(C, packed)]
struct Packed {
    side: u8,
    at: i64,
    levels: [[f32; 2]; 2],
    size: u16,
}

/// A side too many.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
#[repr(C)]
struct Wider {
    at: i64,
    levels: [[f32; 2]; 2],
    size: u16,
    side: u8,
    other_side: u8,
    #[record(padding)]
    gap: [u8; 4],
}

/// Other dimensions of as many numbers.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Record)]
#[repr(C)]
struct Flat {
    at: i64,
    levels: [f32; 4],
    size: u16,
    side: u8,
    #[record(padding)]
    gap: [u8; 5],
}

fn tick(number: u16) -> Tick {
    let price = f32::from(number) / 4.0;
    Tick {
        at: -i64::from(number),
        levels: [[price, 1.0], [2.0, -price]],
        size: number,
        side: (number % 2) as u8,
        gap: [0; 5],
    }
}

async fn echoed<T: Element>(client: &RpcClient, records: Vec<T>) -> TensorView {
    let (view,): (TensorView,) = client.call("echo", &(Tensor::from(records),)).await.unwrap();
    view
}

fn field<T>(outcome: Result<T, TensorError>) -> String {
    let error = outcome.map(drop).unwrap_err();
    assert!(matches!(error, TensorError::Field { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn records_are_themselves_where_they_are() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let ticks: Vec<_> = (0..1000).map(tick).collect();
    let view = echoed(&client, ticks.clone()).await;
    assert!(view.is_shared() && view.is_standard());
    assert_eq!((view.dtype(), view.len(), view.shape()), (DType::Record, 1000, &[1000][..]));
    assert_eq!(view.as_slice::<Tick>().unwrap(), ticks);
    assert_eq!(view.bytes(), bytemuck::cast_slice::<_, u8>(&ticks));
    let layout = view.layout().unwrap();
    let fields: Vec<_> = layout
        .fields()
        .iter()
        .map(|field| (field.name.as_str(), field.dtype, field.offset, field.shape.clone()))
        .collect();
    assert_eq!(layout.item_size(), 32);
    assert_eq!(
        fields,
        [
            ("at", DType::I64, 0, vec![]),
            ("levels", DType::F32, 8, vec![2, 2]),
            ("size", DType::U16, 24, vec![]),
            ("side", DType::U8, 26, vec![]),
        ]
    );
    let empty = echoed(&client, Vec::<Tick>::new()).await;
    assert!(empty.is_empty() && empty.as_slice::<Tick>().unwrap().is_empty());
}

#[tokio::test]
async fn fields_that_lie_elsewhere_are_put_in_their_places() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let ticks: Vec<_> = (0..100).map(tick).collect();
    let moved: Vec<_> = ticks
        .iter()
        .map(|tick| Moved {
            side: tick.side,
            first: 0xaa,
            size: tick.size,
            prices: tick.levels,
            second: u32::MAX,
            at: tick.at,
        })
        .collect();
    let view = echoed(&client, moved).await;
    assert_eq!(
        field(view.as_slice::<Tick>()),
        "the field `at` of the records begins at byte 24, not 0: to_vec() puts the fields in their places"
    );
    assert_eq!(view.to_vec::<Tick>().unwrap(), ticks);
    // What fills a gap is zero in a copy.
    assert!(view.to_vec::<Moved>().unwrap().iter().all(|moved| (moved.first, moved.second) == (0, 0)));
    assert!(view.as_slice::<Moved>().unwrap().iter().all(|moved| moved.first == 0xaa));

    let packed = view.to_vec::<Packed>().unwrap();
    assert_eq!(echoed(&client, packed).await.to_vec::<Tick>().unwrap(), ticks);
    let shorter = echoed(&client, vec![Packed::zeroed()]).await;
    assert!(field(shorter.as_slice::<Tick>()).contains("`at` of the records begins at byte 1, not 0"));
}

#[tokio::test]
async fn the_first_field_that_differs_is_named() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let view = echoed(&client, vec![tick(1)]).await;
    for said in [field(view.as_slice::<Wider>()), field(view.to_vec::<Wider>())] {
        assert_eq!(said, "the field `other_side` of the records is missing");
    }
    assert_eq!(
        field(view.to_vec::<Flat>()),
        "the field `levels` of the records is [[float32; 2]; 2], not [float32; 4]"
    );
    let wider = echoed(&client, vec![Wider::zeroed()]).await;
    assert_eq!(
        field(wider.to_vec::<Tick>()),
        "the field `other_side` of the records is not expected: it came with uint8"
    );
    let expected = TensorError::DType { found: DType::Record, expected: DType::U8 };
    assert_eq!(view.as_slice::<u8>(), Err(expected.clone()));
    assert_eq!(expected.to_string(), "an array of record, not of uint8");
    let numbers = echoed(&client, vec![1_u8]).await;
    assert!(numbers.layout().is_none());
    assert_eq!(
        numbers.to_vec::<Tick>(),
        Err(TensorError::DType { found: DType::U8, expected: DType::Record })
    );
    let wrong = client.call::<_, (Tensor<Flat>,)>("echo", &(Tensor::from(vec![tick(1)]),)).await.unwrap_err();
    assert!(wrong.message().contains("the field `levels` of the records"), "{wrong}");
}

#[test]
fn bytes_are_swapped_number_by_number() {
    let swapped = tick(0x102).swapped();
    assert_eq!((swapped.size, swapped.at), (0x201, tick(0x102).at.swap_bytes()));
    assert_eq!(swapped.levels[0][0].to_bits(), tick(0x102).levels[0][0].to_bits().swap_bytes());
    assert_eq!(swapped.swapped(), tick(0x102));
}
