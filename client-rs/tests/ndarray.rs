//! Tensors to and from `ndarray`'s arrays, over the real transport.
#![cfg(feature = "ndarray")]
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use ndarray::{Array, Array2, Array3, ArrayD, Axis, IxDyn, ShapeBuilder, s};
use pycrust_client::{RpcClient, Tensor, TensorError, TensorView};
use support::Place;

/// A small one travels in the message's own sample, a large one is a view of shared memory.
const SHAPES: [[usize; 3]; 3] = [[2, 3, 4], [0, 3, 2], [50, 40, 30]];

fn numbered(shape: [usize; 3]) -> Array3<f64> {
    Array::from_iter((0..shape.iter().product()).map(|at: usize| at as f64))
        .into_shape_with_order(shape)
        .unwrap()
}

async fn there_and_back(client: &RpcClient, sent: &Array3<f64>) {
    let tensor = Tensor::from(sent.clone());
    assert_eq!(tensor.as_ndarray().unwrap(), sent.view().into_dyn());
    let view: TensorView = client.call("echo", &tensor).await.unwrap();
    assert_eq!(view.as_ndarray::<f64>().unwrap(), sent.view().into_dyn());
    let owned: Tensor<f64> = client.call("echo", &view).await.unwrap();
    assert_eq!(owned.as_ndarray().unwrap(), sent.view().into_dyn());
}

#[tokio::test]
async fn arrays_of_any_layout_cross() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    for shape in SHAPES {
        let rows = numbered(shape);
        there_and_back(&client, &rows).await;
        there_and_back(&client, &rows.clone().reversed_axes()).await;
        let mut columns = Array3::zeros(shape.f());
        columns.assign(&rows);
        there_and_back(&client, &columns).await;
        // Parts of an array own all of its elements, before and behind their own.
        let mut part = rows.clone();
        part.slice_collapse(s![shape[0] / 2.., 1..2, ..]);
        there_and_back(&client, &part).await;
        let mut backwards = rows;
        backwards.invert_axis(Axis(1));
        there_and_back(&client, &backwards).await;
    }
    client.close().await;
}

#[tokio::test]
async fn a_view_says_what_it_is_not() {
    let place = Place::new();
    let _worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let view: TensorView = client.call("echo", &Tensor::from(Array2::<u16>::ones((3, 5)))).await.unwrap();
    assert!(matches!(view.as_ndarray::<i16>(), Err(TensorError::DType { .. })));
    assert_eq!(view.as_ndarray::<u16>().unwrap(), ArrayD::<u16>::ones(IxDyn(&[3, 5])));
    client.close().await;
}
