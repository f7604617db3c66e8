//! The client that is generated from `tests/interop/typed_worker.py`, used: every kind of type goes to Python and comes back
//! the same, as a map and as an array, and every kind of handler is called.
//!
//! `typed --endpoint typed --values 200 --seed 1`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test program: what fails ends it")]

mod random;
mod typed;

use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use pycrust_client::{Code, Encoding, Error, Raw, RpcClient, Tensor};
use rust_decimal::Decimal;

use crate::random::{Random, Source};
use crate::typed::{
    Circle, EverythingFigure, FigureKind, FillsTradesRecord, Node, Point, Side, Square, TypedClient, methods,
};

/// Calls every handler of the worker with every kind of type.
#[derive(Parser)]
struct Options {
    /// The endpoint's name.
    #[arg(long)]
    endpoint: String,
    /// Values that are sent and compared, in either encoding.
    #[arg(long, default_value_t = 200)]
    values: u32,
    /// Which values.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    for encoding in [Encoding::Map, Encoding::Array] {
        let client = RpcClient::builder(&options.endpoint).encoding(encoding).connect().await?;
        let client = TypedClient::from(client);
        client.check().await?;
        let mut source = Source::new(options.seed);
        for number in 0..options.values {
            let value = typed::Everything::random(&mut source);
            let back = client.everything(value.clone()).await?;
            assert_eq!(back, value, "value {number} of seed {}", options.seed);
            if number % 20 == 0 {
                let values = vec![value.clone(), typed::Everything::random(&mut source)];
                assert_eq!(client.all_of(values.clone()).await?, values);
            }
        }
        calls(&client).await?;
        println!("{encoding:?}: {} values came back", options.values);
    }
    Ok(())
}

fn trade(at: i64, size: u32) -> FillsTradesRecord {
    FillsTradesRecord { at, price: 99.5, size, side: 1, gap: [0; 3] }
}

/// A call of each kind.
async fn calls(client: &TypedClient) -> Result<(), Error> {
    assert!((client.area(2.0).await? - 12.0).abs() < f64::EPSILON);
    let wrong = client.area(-1.0).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong}");
    let price = Decimal::new(1050, 2);
    assert_eq!(client.place("BUND", Side::Buy, price).await?, "buy 1 BUND at 10.50");
    let placed = client.place("BUND", Side::SellShort, price).size(3).note("now").await?;
    assert_eq!(placed, "sell short 3 BUND at 10.50 (now)");
    assert_eq!(client.by_position(1).await?, "1b");
    assert_eq!(client.by_position(1).b("x").await?, "1x");
    assert_eq!(client.total(&[1, 2, 3]).await?, 6);
    let others = [("second".to_owned(), 2.0)].into();
    assert_eq!(client.keywords(1).rest(others).await?.len(), 2);
    let pair: (String, i64) = client.untyped("a").await?.read()?;
    assert_eq!(pair, ("a".into(), 2));
    let pair: (Vec<i64>, Option<i64>) =
        client.untyped(Raw::of(&[1, 2])?).scale(Raw::default()).await?.read()?;
    assert_eq!(pair, (vec![1, 2], None));
    client.nothing().await?;
    assert_eq!((client.maybe(None).await?, client.maybe(Some(3)).await?), (None, Some(3)));
    let tree = client.tree(2).await?;
    assert_eq!((tree.value, tree.children), (2, vec![Node { children: vec![Node::new(0)], ..Node::new(1) }]));
    let figure = client.figure(FigureKind::Circle).await?;
    assert!(matches!(figure, EverythingFigure::Circle(circle) if (circle.radius - 2.0).abs() < f64::EPSILON));
    assert_eq!(client.figure(FigureKind::Square).await?, EverythingFigure::from(Square::new()));
    let _: Circle = Circle::new(1.0);
    let points: Vec<Point> = client.points(3).step(0.5).stream().try_collect().await?;
    assert_eq!(points, [Point::new(0.0), Point::new(0.5), Point::new(1.0)]);
    let names: Vec<String> = client.names(2).try_collect().await?;
    assert_eq!(names, ["n0", "n1"]);
    let farthest = client.farthest(stream::iter([1.0, 3.0, 2.0]).map(Point::new)).await?;
    assert_eq!(farthest, Point::new(3.0));
    let doubled: Vec<i64> = client.doubled(stream::iter([1, 2])).try_collect().await?;
    assert_eq!(doubled, [2, 4]);
    let image = Tensor::new(&[1, 3], vec![1_u8, 2, 3]).unwrap();
    let brighter = client.brighter(image.clone()).by(2).await?;
    assert_eq!(brighter.as_slice::<u8>().unwrap(), [3, 4, 5]);
    assert_eq!(client.sizes(Raw::of(&image)?).await?, [1, 3]);
    let trades: Vec<_> = (0..1000_u32).map(|at| trade(at.into(), 2 * at)).collect();
    let fills = client.fills(Tensor::from(trades)).await?;
    assert_eq!((fills.shape(), fills.as_slice()[999]), (&[1000][..], trade(999, 999)));
    assert_eq!(client.type_(1, 2).await?, 3);
    let reply = client.client().request_of(&methods::TYPE).send::<_, i64>(&(1, 2)).await?;
    assert_eq!((reply.version(), *reply.value()), (1, 3));
    Ok(())
}
