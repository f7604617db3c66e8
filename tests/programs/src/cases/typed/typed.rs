//! Calls the handlers of `typed`. Made by `pycrust types`: changes are lost when it is made again.
//!
//! Beside `pycrust-client` and `serde` (with `derive`) it needs:
//!
//! ```toml
//! bytemuck = { version = "1", features = ["derive"] }
//! chrono = { version = "0.4", features = ["serde"] }
//! rust_decimal = { version = "1", features = ["serde"] }
//! serde_bytes = "0.11"
//! uuid = { version = "1", features = ["serde"] }
//! ```
#![allow(dead_code, reason = "a program need not call everything")]
#![allow(
    clippy::doc_markdown,
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    clippy::option_option,
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    clippy::unnecessary_wraps,
    reason = "names, types and documentation are Python's"
)]
#![allow(rustdoc::all, reason = "documentation written for Python")]

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use pycrust_client::{
    Builder, Error, Raw, Record, RpcClient, Stream, Streaming, Tensor, TensorView, Timestamp,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use uuid::Uuid;

/// Calls the handlers of `typed`.
#[derive(Debug, Clone)]
pub struct TypedClient {
    client: RpcClient,
}

impl TypedClient {
    /// The endpoint's name.
    pub const ENDPOINT: &'static str = "typed";

    /// Connects to the worker that serves `typed`.
    ///
    /// # Errors
    /// Those of [`RpcClient::connect`].
    pub async fn connect() -> Result<Self, Error> {
        Self::builder().connect().await.map(Self::from)
    }

    /// A client that differs from the usual one; `.connect().await?.into()` makes it one of these.
    pub fn builder() -> Builder {
        RpcClient::builder(Self::ENDPOINT)
    }

    /// What makes the calls: for options of a call, with the constants in [`methods`], and for other methods.
    #[must_use]
    pub fn client(&self) -> &RpcClient {
        &self.client
    }

    /// Asks the worker whether its handlers are those that this was made for.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`, with what differs.
    pub async fn check(&self) -> Result<(), Error> {
        self.client.check(methods::ALL).await
    }

    /// Calls `all_of`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn all_of(&self, values: Vec<Everything>) -> Result<Vec<Everything>, Error> {
        let args = AllOfArgs { values };
        self.client.invoke(&methods::ALL_OF, &args).await
    }

    /// The area of a circle, in square metres.
    pub fn area(&self, radius: f64) -> AreaCall<'_> {
        AreaCall { client: &self.client, args: AreaArgs { kind: None, radius } }
    }

    /// Calls `brighter`.
    pub fn brighter(&self, image: Tensor<u8>) -> BrighterCall<'_> {
        BrighterCall { client: &self.client, args: BrighterArgs { image, by: None } }
    }

    /// Calls `by_position`.
    pub fn by_position(&self, a: i64) -> ByPositionCall<'_> {
        ByPositionCall { client: &self.client, args: ByPositionArgs(a, None) }
    }

    /// Calls `doubled`.
    pub fn doubled(&self, items: impl Stream<Item = i64> + Send + 'static) -> Streaming<i64> {
        self.client.request_of(&methods::DOUBLED).exchange(items)
    }

    /// Gives back what it takes.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn everything(&self, value: Everything) -> Result<Everything, Error> {
        let args = EverythingArgs { value };
        self.client.invoke(&methods::EVERYTHING, &args).await
    }

    /// Calls `farthest`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn farthest(&self, items: impl Stream<Item = Point> + Send + 'static) -> Result<Point, Error> {
        let request = self.client.request_of(&methods::FARTHEST);
        let reply = request.upload(items).await?;
        Ok(reply.into_value())
    }

    /// Calls `figure`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn figure(&self, kind: FigureKind) -> Result<EverythingFigure, Error> {
        let args = FigureArgs { kind };
        self.client.invoke(&methods::FIGURE, &args).await
    }

    /// Half of each trade.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn fills(&self, trades: Tensor<FillsTradesRecord>) -> Result<Tensor<FillsTradesRecord>, Error> {
        let args = FillsArgs { trades };
        self.client.invoke(&methods::FILLS, &args).await
    }

    /// Calls `keywords`.
    pub fn keywords(&self, first: i64) -> KeywordsCall<'_> {
        KeywordsCall { client: &self.client, args: KeywordsArgs { first, rest: HashMap::new() } }
    }

    /// Calls `maybe`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn maybe(&self, value: Option<i64>) -> Result<Option<i64>, Error> {
        let args = MaybeArgs { value };
        self.client.invoke(&methods::MAYBE, &args).await
    }

    /// Calls `names`.
    pub fn names(&self, count: i64) -> Streaming<String> {
        let args = NamesArgs { count };
        self.client.open(&methods::NAMES, &args)
    }

    /// Does nothing.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn nothing(&self) -> Result<(), Error> {
        self.client.invoke(&methods::NOTHING, &()).await
    }

    /// Places an order.
    pub fn place(&self, symbol: impl Into<String>, side: Side, price: Decimal) -> PlaceCall<'_> {
        PlaceCall {
            client: &self.client,
            args: PlaceArgs { symbol: symbol.into(), side, price, size: None, note: None },
        }
    }

    /// Points on a line.
    pub fn points(&self, count: i64) -> PointsCall<'_> {
        PointsCall { client: &self.client, args: PointsArgs { count, step: None } }
    }

    /// Calls `sizes`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn sizes(&self, array: impl Into<Raw>) -> Result<Vec<i64>, Error> {
        let args = SizesArgs { array: array.into() };
        self.client.invoke(&methods::SIZES, &args).await
    }

    /// Calls `total`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn total(&self, items: &[i64]) -> Result<i64, Error> {
        self.client.invoke(&methods::TOTAL, items).await
    }

    /// Calls `tree`.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn tree(&self, depth: i64) -> Result<Node, Error> {
        let args = TreeArgs { depth };
        self.client.invoke(&methods::TREE, &args).await
    }

    /// Its name and parameters are Rust's words.
    ///
    /// # Errors
    /// Those of [`RpcClient::call`].
    pub async fn type_(&self, self_: i64, match_: i64) -> Result<i64, Error> {
        let args = TypeArgs { self_, match_ };
        self.client.invoke(&methods::TYPE, &args).await
    }

    /// Calls `untyped`.
    pub fn untyped(&self, value: impl Into<Raw>) -> UntypedCall<'_> {
        UntypedCall { client: &self.client, args: UntypedArgs { value: value.into(), scale: None } }
    }
}

impl From<RpcClient> for TypedClient {
    fn from(client: RpcClient) -> Self {
        Self { client }
    }
}

/// A call of `area`, made when it is awaited; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is awaited"]
pub struct AreaCall<'a> {
    client: &'a RpcClient,
    args: AreaArgs,
}

impl AreaCall<'_> {
    /// By default `"circle"`.
    pub fn kind(mut self, kind: AreaKind) -> Self {
        self.args.kind = Some(kind);
        self
    }
}

impl<'a> IntoFuture for AreaCall<'a> {
    type Output = Result<f64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.invoke(&methods::AREA, &self.args).await })
    }
}

/// A call of `brighter`, made when it is awaited; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is awaited"]
pub struct BrighterCall<'a> {
    client: &'a RpcClient,
    args: BrighterArgs,
}

impl BrighterCall<'_> {
    /// By default `1`.
    pub fn by(mut self, by: i64) -> Self {
        self.args.by = Some(by);
        self
    }
}

impl<'a> IntoFuture for BrighterCall<'a> {
    type Output = Result<TensorView, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.invoke(&methods::BRIGHTER, &self.args).await })
    }
}

/// A call of `by_position`, made when it is awaited; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is awaited"]
pub struct ByPositionCall<'a> {
    client: &'a RpcClient,
    args: ByPositionArgs,
}

impl ByPositionCall<'_> {
    /// `b`
    pub fn b(mut self, b: impl Into<String>) -> Self {
        self.args.1 = Some(b.into());
        self
    }
}

impl<'a> IntoFuture for ByPositionCall<'a> {
    type Output = Result<String, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.invoke(&methods::BY_POSITION, &self.args).await })
    }
}

/// A call of `keywords`, made when it is awaited; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is awaited"]
pub struct KeywordsCall<'a> {
    client: &'a RpcClient,
    args: KeywordsArgs,
}

impl KeywordsCall<'_> {
    /// Everything else, by its name.
    pub fn rest(mut self, rest: HashMap<String, f64>) -> Self {
        self.args.rest = rest;
        self
    }
}

impl<'a> IntoFuture for KeywordsCall<'a> {
    type Output = Result<HashMap<String, f64>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.invoke(&methods::KEYWORDS, &self.args).await })
    }
}

/// A call of `place`, made when it is awaited; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is awaited"]
pub struct PlaceCall<'a> {
    client: &'a RpcClient,
    args: PlaceArgs,
}

impl PlaceCall<'_> {
    /// By default `1`.
    pub fn size(mut self, size: i64) -> Self {
        self.args.size = Some(size);
        self
    }

    /// By default `null`.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.args.note = Some(note.into());
        self
    }
}

impl<'a> IntoFuture for PlaceCall<'a> {
    type Output = Result<String, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.invoke(&methods::PLACE, &self.args).await })
    }
}

/// A call of `points`, opened by `stream`; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is opened"]
pub struct PointsCall<'a> {
    client: &'a RpcClient,
    args: PointsArgs,
}

impl PointsCall<'_> {
    /// By default `1.0`.
    pub fn step(mut self, step: f64) -> Self {
        self.args.step = Some(step);
        self
    }

    /// The items of the answer.
    pub fn stream(self) -> Streaming<Point> {
        self.client.open(&methods::POINTS, &self.args)
    }
}

/// A call of `untyped`, made when it is awaited; what is not given is what the handler has for it.
#[derive(Debug)]
#[must_use = "a call does nothing before it is awaited"]
pub struct UntypedCall<'a> {
    client: &'a RpcClient,
    args: UntypedArgs,
}

impl UntypedCall<'_> {
    /// By default `2`.
    pub fn scale(mut self, scale: impl Into<Raw>) -> Self {
        self.args.scale = Some(scale.into());
        self
    }
}

impl<'a> IntoFuture for UntypedCall<'a> {
    type Output = Result<Raw, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.invoke(&methods::UNTYPED, &self.args).await })
    }
}

/// The arguments of `all_of`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllOfArgs {
    /// `values`
    pub values: Vec<Everything>,
}

/// Round.
///
/// >>> Circle(radius=1)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AreaArgs {
    /// By default `"circle"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AreaKind>,
    /// In metres.
    ///
    /// More than 0.
    pub radius: f64,
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AreaKind {
    /// `"circle"`
    #[serde(rename = "circle")]
    Circle,
}

/// The arguments of `brighter`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrighterArgs {
    /// `image`
    pub image: Tensor<u8>,
    /// By default `1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
}

/// The arguments of `by_position`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ByPositionArgs(
    /// `a`
    pub i64,
    /// `b`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub Option<String>,
);

/// Round.
///
/// >>> Circle(radius=1)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Circle {
    /// Always `CircleKind::Circle`.
    pub kind: CircleKind,
    /// In metres.
    ///
    /// More than 0.
    pub radius: f64,
}

impl Circle {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(radius: f64) -> Self {
        Self { kind: CircleKind::Circle, radius }
    }
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CircleKind {
    /// `"circle"`
    #[serde(rename = "circle")]
    Circle,
}

/// Everything has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// By default `3`.
    #[serde(default = "Defaults::default_count")]
    pub count: i64,
    /// By default `0.25`.
    #[serde(default = "Defaults::default_ratio")]
    pub ratio: f64,
    /// By default `1_000_000`.
    #[serde(default = "Defaults::default_large")]
    pub large: i64,
    /// By default `"none \"quoted\" of {it}"`.
    #[serde(default = "Defaults::default_name")]
    pub name: String,
    /// By default `Side::Buy`.
    #[serde(default = "Defaults::default_side")]
    pub side: Side,
    /// By default `Level::High`.
    #[serde(default = "Defaults::default_level")]
    pub level: Level,
    /// By default `vec![true, false]`.
    #[serde(default = "Defaults::default_flags")]
    pub flags: Vec<bool>,
    /// By default `vec!["a", "b"]`.
    #[serde(default = "Defaults::default_names")]
    pub names: Vec<String>,
    /// `tags`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<HashSet<String>>,
    /// `at`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<NaiveDate>,
    /// By default `DefaultsMode::Slow`.
    #[serde(default = "Defaults::default_mode")]
    pub mode: DefaultsMode,
    /// By default `Some(1.5)`.
    #[serde(default = "Defaults::default_near")]
    pub near: Option<f64>,
    /// By default `HashMap::new()`.
    #[serde(default)]
    pub table: HashMap<String, i64>,
}

impl Defaults {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            count: Self::default_count(),
            ratio: Self::default_ratio(),
            large: Self::default_large(),
            name: Self::default_name(),
            side: Self::default_side(),
            level: Self::default_level(),
            flags: Self::default_flags(),
            names: Self::default_names(),
            tags: None,
            at: None,
            mode: Self::default_mode(),
            near: Self::default_near(),
            table: HashMap::new(),
        }
    }

    fn default_count() -> i64 {
        3
    }

    fn default_ratio() -> f64 {
        0.25
    }

    fn default_large() -> i64 {
        1_000_000
    }

    fn default_name() -> String {
        "none \"quoted\" of {it}".to_owned()
    }

    fn default_side() -> Side {
        Side::Buy
    }

    fn default_level() -> Level {
        Level::High
    }

    fn default_flags() -> Vec<bool> {
        vec![true, false]
    }

    fn default_names() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    fn default_mode() -> DefaultsMode {
        DefaultsMode::Slow
    }

    fn default_near() -> Option<f64> {
        Some(1.5)
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self::new()
    }
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DefaultsMode {
    /// `"fast"`
    #[serde(rename = "fast")]
    Fast,
    /// `"slow"`
    #[serde(rename = "slow")]
    Slow,
}

/// One field of each kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Everything {
    /// `flag`
    pub flag: bool,
    /// `number`
    pub number: i64,
    /// At least 0.
    pub count: u64,
    /// At least 0, at most 10.
    pub small: u64,
    /// `real`
    pub real: f64,
    /// 0 characters at least, 1000 characters at most.
    pub text: String,
    /// `raw`
    pub raw: ByteBuf,
    /// `at`
    pub at: Timestamp,
    /// `aware`
    pub aware: Timestamp,
    /// `naive`
    pub naive: NaiveDateTime,
    /// `exact`
    pub exact: Timestamp,
    /// `day`
    pub day: NaiveDate,
    /// `clock`
    pub clock: NaiveTime,
    /// `wait`
    pub wait: Duration,
    /// `id`
    pub id: Uuid,
    /// `price`
    pub price: Decimal,
    /// `v4`
    pub v4: Ipv4Addr,
    /// `v6`
    pub v6: Ipv6Addr,
    /// `address`
    pub address: IpAddr,
    /// `path`
    pub path: PathBuf,
    /// `anything`
    pub anything: Raw,
    /// `numbers`
    pub numbers: Vec<i64>,
    /// `unique`
    pub unique: HashSet<i64>,
    /// `words`
    pub words: HashSet<String>,
    /// `pair`
    pub pair: (i64, String),
    /// `many`
    pub many: Vec<f64>,
    /// `by_name`
    pub by_name: HashMap<String, f64>,
    /// `by_number`
    pub by_number: HashMap<i64, String>,
    /// `by_id`
    pub by_id: HashMap<Uuid, Point>,
    /// `by_side`
    pub by_side: HashMap<Side, i64>,
    /// `side`
    pub side: Side,
    /// `level`
    pub level: Level,
    /// `choice`
    pub choice: EverythingChoice,
    /// `mixed`
    pub mixed: EverythingMixed,
    /// `maybe`
    pub maybe: Option<i64>,
    /// `nested`
    pub nested: Vec<Vec<Option<Point>>>,
    /// `figure`
    pub figure: EverythingFigure,
    /// `figures`
    pub figures: Vec<EverythingFigure>,
    /// `circle`
    pub circle: Circle,
    /// `late`
    pub late: EverythingLate,
    /// `external`
    pub external: EverythingExternal,
    /// `adjacent`
    pub adjacent: EverythingAdjacent,
    /// `untagged`
    pub untagged: EverythingUntagged,
    /// `any_number`
    pub any_number: f64,
    /// `node`
    pub node: Node,
    /// `tree`
    pub tree: Tree,
    /// `point`
    pub point: Point,
    /// `options`
    pub options: Options,
    /// `named`
    pub named: Pair,
    /// `page`
    pub page: PagePoint,
    /// `ids`
    pub ids: Ids,
    /// `open`
    pub open: Open,
    /// `renamed`
    pub renamed: Renamed,
    /// `defaults`
    pub defaults: Defaults,
}

/// One of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub enum EverythingAdjacent {
    /// `"Marked"`
    Marked(f64),
    /// `"Unmarked"`
    Unmarked,
}

/// The arguments of `everything`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EverythingArgs {
    /// `value`
    pub value: Everything,
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EverythingChoice {
    /// `"1m"`
    #[serde(rename = "1m")]
    N1m,
    /// `"5m"`
    #[serde(rename = "5m")]
    N5m,
    /// `"type"`
    #[serde(rename = "type")]
    Type,
}

/// One of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum EverythingExternal {
    /// `"Market"`
    Market,
    /// `"Limit"`
    Limit(f64),
    /// `"Stop"`
    Stop(StopFields),
}

impl From<StopFields> for EverythingExternal {
    fn from(value: StopFields) -> Self {
        Self::Stop(value)
    }
}

/// One of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum EverythingFigure {
    /// `"circle"`
    #[serde(rename = "circle")]
    Circle(EverythingFigureCircle),
    /// `"square"`
    #[serde(rename = "square")]
    Square(Square),
    /// `"nothing"`
    #[serde(rename = "nothing")]
    Nothing,
}

impl From<EverythingFigureCircle> for EverythingFigure {
    fn from(value: EverythingFigureCircle) -> Self {
        Self::Circle(value)
    }
}

impl From<Square> for EverythingFigure {
    fn from(value: Square) -> Self {
        Self::Square(value)
    }
}

/// Round.
///
/// >>> Circle(radius=1)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EverythingFigureCircle {
    /// In metres.
    ///
    /// More than 0.
    pub radius: f64,
}

/// One of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EverythingLate {
    /// `Later`
    Later(Later),
    /// `Late`
    Late(Late),
}

impl From<Later> for EverythingLate {
    fn from(value: Later) -> Self {
        Self::Later(value)
    }
}

impl From<Late> for EverythingLate {
    fn from(value: Late) -> Self {
        Self::Late(value)
    }
}

/// One of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EverythingMixed {
    /// `EverythingMixedChoice`
    Choice(EverythingMixedChoice),
    /// `EverythingMixedChoice2`
    Choice2(EverythingMixedChoice2),
}

impl From<EverythingMixedChoice> for EverythingMixed {
    fn from(value: EverythingMixedChoice) -> Self {
        Self::Choice(value)
    }
}

impl From<EverythingMixedChoice2> for EverythingMixed {
    fn from(value: EverythingMixedChoice2) -> Self {
        Self::Choice2(value)
    }
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EverythingMixedChoice {
    /// `"auto"`
    #[serde(rename = "auto")]
    Auto,
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub enum EverythingMixedChoice2 {
    /// `1`
    Value1,
    /// `2`
    Value2,
}

impl From<EverythingMixedChoice2> for i64 {
    fn from(value: EverythingMixedChoice2) -> Self {
        match value {
            EverythingMixedChoice2::Value1 => 1,
            EverythingMixedChoice2::Value2 => 2,
        }
    }
}

impl TryFrom<i64> for EverythingMixedChoice2 {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        match value {
            1 => Ok(Self::Value1),
            2 => Ok(Self::Value2),
            _ => Err(format!("{value} is none of 1, 2")),
        }
    }
}

/// One of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EverythingUntagged {
    /// `i64`
    Integer(i64),
    /// `String`
    Text(String),
    /// `Point`
    Point(Point),
}

impl From<Point> for EverythingUntagged {
    fn from(value: Point) -> Self {
        Self::Point(value)
    }
}

/// The arguments of `figure`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FigureArgs {
    /// `kind`
    pub kind: FigureKind,
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FigureKind {
    /// `"circle"`
    #[serde(rename = "circle")]
    Circle,
    /// `"square"`
    #[serde(rename = "square")]
    Square,
}

/// The arguments of `fills`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FillsArgs {
    /// `trades`
    pub trades: Tensor<FillsTradesRecord>,
}

/// One element of an array.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable, Record)]
#[repr(C)]
pub struct FillsTradesRecord {
    /// `at`
    pub at: i64,
    /// `price`
    pub price: f64,
    /// `size`
    pub size: u32,
    /// `side`
    pub side: u8,
    /// Fills a gap; means nothing.
    #[record(padding)]
    pub gap: [u8; 3],
}

/// `Ids` of Python's.
pub type Ids = Vec<i64>;

/// The arguments of `keywords`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeywordsArgs {
    /// `first`
    pub first: i64,
    /// Everything else, by its name.
    #[serde(flatten)]
    pub rest: HashMap<String, f64>,
}

/// Told apart by what is not its first field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Late {
    /// `name`
    pub name: String,
    /// Always `LateType::Late`.
    #[serde(rename = "type")]
    pub type_: LateType,
}

impl Late {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), type_: LateType::Late }
    }
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LateType {
    /// `"late"`
    #[serde(rename = "late")]
    Late,
}

/// `Later` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Later {
    /// `name`
    pub name: String,
    /// `more`
    pub more: i64,
    /// Always `LaterType::Later`.
    #[serde(rename = "type")]
    pub type_: LaterType,
}

impl Later {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(name: impl Into<String>, more: i64) -> Self {
        Self { name: name.into(), more, type_: LaterType::Later }
    }
}

/// One of these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LaterType {
    /// `"later"`
    #[serde(rename = "later")]
    Later,
}

/// `Leaf` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leaf {
    /// By default `None`.
    #[serde(default)]
    pub leaf: Option<Box<Tree>>,
    /// `size`
    pub size: i64,
}

impl Leaf {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(size: i64) -> Self {
        Self { leaf: None, size }
    }
}

/// `Level` of Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub enum Level {
    /// `-1`
    Low,
    /// `2000000`
    High,
}

impl From<Level> for i64 {
    fn from(value: Level) -> Self {
        match value {
            Level::Low => -1,
            Level::High => 2_000_000,
        }
    }
}

impl TryFrom<i64> for Level {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        match value {
            -1 => Ok(Self::Low),
            2_000_000 => Ok(Self::High),
            _ => Err(format!("{value} is none of -1, 2000000")),
        }
    }
}

/// The arguments of `maybe`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaybeArgs {
    /// `value`
    pub value: Option<i64>,
}

/// The arguments of `names`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamesArgs {
    /// `count`
    pub count: i64,
}

/// `Node` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// `value`
    pub value: i64,
    /// By default `Vec::new()`.
    #[serde(default)]
    pub children: Vec<Node>,
    /// By default `None`.
    #[serde(default)]
    pub parent: Option<Box<Node>>,
}

impl Node {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(value: i64) -> Self {
        Self { value, children: Vec::new(), parent: None }
    }
}

/// `Open` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// `known`
    pub known: i64,
    /// Everything else, by its name.
    #[serde(flatten)]
    pub rest: HashMap<String, Raw>,
}

impl Open {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(known: i64) -> Self {
        Self { known, rest: HashMap::new() }
    }
}

/// `Options` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// `a`
    pub a: i64,
    /// `b`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
}

impl Options {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(a: i64) -> Self {
        Self { a, b: None }
    }
}

/// `PagePoint` of Python's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PagePoint {
    /// `items`
    pub items: Vec<Point>,
    /// By default `None`.
    #[serde(default)]
    pub next: Option<String>,
}

impl PagePoint {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(items: Vec<Point>) -> Self {
        Self { items, next: None }
    }
}

/// `Pair` of Python's.
pub type Pair = (i64, String);

/// The arguments of `place`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaceArgs {
    /// `symbol`
    pub symbol: String,
    /// `side`
    pub side: Side,
    /// `price`
    pub price: Decimal,
    /// By default `1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// By default `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `Point` of Python's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// `x`
    pub x: f64,
    /// By default `0.0`.
    #[serde(default)]
    pub y: f64,
}

impl Point {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(x: f64) -> Self {
        Self { x, y: 0.0 }
    }
}

/// The arguments of `points`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsArgs {
    /// `count`
    pub count: i64,
    /// By default `1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
}

/// `Renamed` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Renamed {
    /// `type`
    #[serde(rename = "type")]
    pub type_: String,
    /// `camelCase`
    #[serde(rename = "camelCase")]
    pub camel_case: i64,
    /// By default `false`.
    #[serde(rename = "is-dashed", default)]
    pub is_dashed: bool,
}

impl Renamed {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new(type_: impl Into<String>, camel_case: i64) -> Self {
        Self { type_: type_.into(), camel_case, is_dashed: false }
    }
}

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// `"buy"`
    #[serde(rename = "buy")]
    Buy,
    /// `"sell short"`
    #[serde(rename = "sell short")]
    SellShort,
}

/// The arguments of `sizes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SizesArgs {
    /// `array`
    pub array: Raw,
}

/// `Square` of Python's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Square {
    /// By default `1.5`.
    #[serde(default = "Square::default_side")]
    pub side: f64,
}

impl Square {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new() -> Self {
        Self { side: Self::default_side() }
    }

    fn default_side() -> f64 {
        1.5
    }
}

impl Default for Square {
    fn default() -> Self {
        Self::new()
    }
}

/// `StopFields` of Python's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopFields {
    /// `trigger`
    pub trigger: f64,
    /// `after`
    pub after: Duration,
}

/// `Tree` of Python's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tree {
    /// By default `None`.
    #[serde(default)]
    pub left: Option<Box<Leaf>>,
    /// By default `None`.
    #[serde(default)]
    pub right: Option<Box<Leaf>>,
}

impl Tree {
    /// With the usual values of what is not given here.
    #[must_use]
    pub fn new() -> Self {
        Self { left: None, right: None }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

/// The arguments of `tree`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreeArgs {
    /// `depth`
    pub depth: i64,
}

/// The arguments of `type`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeArgs {
    /// `self_`
    pub self_: i64,
    /// `match`
    #[serde(rename = "match")]
    pub match_: i64,
}

/// The arguments of `untyped`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UntypedArgs {
    /// `value`
    pub value: Raw,
    /// By default `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Raw>,
}

/// The methods with the schemas that this module was made for: a handler that has changed so that calls would be misread
/// refuses them.
pub mod methods {
    use pycrust_client::{Method, Pinned};

    use super::{
        AllOfArgs, AreaArgs, BrighterArgs, ByPositionArgs, Everything, EverythingArgs, EverythingFigure,
        FigureArgs, FillsArgs, FillsTradesRecord, HashMap, KeywordsArgs, MaybeArgs, NamesArgs, Node,
        PlaceArgs, Point, PointsArgs, Raw, SizesArgs, Tensor, TensorView, TreeArgs, TypeArgs, UntypedArgs,
    };

    /// `all_of`
    pub const ALL_OF: Method<AllOfArgs, Vec<Everything>> = Method::new("all_of")
        .schema(0x807c_702c_7d65_b815)
        .described(r##"{"kind":"call","request":{"$defs":{"Circle":{"additionalProperties":false,"properties":{"kind":{"const":"circle","default":"circle","type":"string"},"radius":{"exclusiveMinimum":0,"type":"number"}},"required":["radius"],"type":"object"},"Defaults":{"additionalProperties":false,"properties":{"count":{"default":3,"type":"integer"},"ratio":{"default":0.25,"type":"number"},"large":{"default":1000000,"type":"integer"},"name":{"default":"none \"quoted\" of {it}","type":"string"},"side":{"$ref":"#/$defs/Side","default":"buy"},"level":{"$ref":"#/$defs/Level","default":2000000},"flags":{"default":[true,false],"items":{"type":"boolean"},"type":"array"},"names":{"default":["a","b"],"items":{"type":"string"},"type":"array"},"tags":{"items":{"type":"string"},"type":"array","uniqueItems":true},"at":{"default":"2026-03-01","format":"date","type":"string"},"mode":{"default":"slow","enum":["fast","slow"],"type":"string"},"near":{"anyOf":[{"type":"number"},{"type":"null"}],"default":1.5},"table":{"additionalProperties":{"type":"integer"},"default":{},"type":"object"}},"type":"object"},"Everything":{"additionalProperties":false,"properties":{"flag":{"type":"boolean"},"number":{"type":"integer"},"count":{"minimum":0,"type":"integer"},"small":{"maximum":10,"minimum":0,"type":"integer"},"real":{"type":"number"},"text":{"maxLength":1000,"minLength":0,"type":"string"},"raw":{"format":"binary","type":"string"},"at":{"format":"date-time","type":"string"},"aware":{"format":"date-time","type":"string","x-timezone":"aware"},"naive":{"format":"date-time","type":"string","x-timezone":"naive"},"exact":{"format":"date-time","type":"string","x-nanoseconds":true},"day":{"format":"date","type":"string"},"clock":{"format":"time","type":"string"},"wait":{"format":"duration","type":"string"},"id":{"format":"uuid","type":"string"},"price":{"anyOf":[{"type":"number"},{"type":"string"}],"format":"decimal"},"v4":{"format":"ipv4","type":"string"},"v6":{"format":"ipv6","type":"string"},"address":{"anyOf":[{"format":"ipv4","type":"string"},{"format":"ipv6","type":"string"}]},"path":{"format":"path","type":"string"},"anything":{},"numbers":{"items":{"type":"integer"},"type":"array"},"unique":{"items":{"type":"integer"},"type":"array","uniqueItems":true},"words":{"items":{"type":"string"},"type":"array","uniqueItems":true},"pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"many":{"items":{"type":"number"},"type":"array"},"by_name":{"additionalProperties":{"type":"number"},"type":"object"},"by_number":{"additionalProperties":{"type":"string"},"type":"object","x-keys":{"type":"integer"}},"by_id":{"additionalProperties":{"$ref":"#/$defs/Point"},"propertyNames":{"format":"uuid"},"type":"object","x-keys":{"format":"uuid","type":"string"}},"by_side":{"additionalProperties":{"type":"integer"},"propertyNames":{"$ref":"#/$defs/Side"},"type":"object","x-keys":{"$ref":"#/$defs/Side"}},"side":{"$ref":"#/$defs/Side"},"level":{"$ref":"#/$defs/Level"},"choice":{"enum":["1m","5m","type"],"type":"string"},"mixed":{"enum":["auto",1,2]},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},"nested":{"items":{"items":{"anyOf":[{"$ref":"#/$defs/Point"},{"type":"null"}]},"type":"array"},"type":"array"},"figure":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"figures":{"items":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"type":"array"},"circle":{"$ref":"#/$defs/Circle"},"late":{"discriminator":{"mapping":{"late":"#/$defs/Late","later":"#/$defs/Later"},"propertyName":"type"},"oneOf":[{"$ref":"#/$defs/Late"},{"$ref":"#/$defs/Later"}]},"external":{"anyOf":[{"const":"Market","type":"string"},{"$ref":"#/$defs/Limit"},{"$ref":"#/$defs/Stop"}]},"adjacent":{"discriminator":{"mapping":{"Marked":"#/$defs/Marked","Unmarked":"#/$defs/Unmarked"},"propertyName":"t"},"oneOf":[{"$ref":"#/$defs/Marked"},{"$ref":"#/$defs/Unmarked"}]},"untagged":{"anyOf":[{"type":"integer"},{"type":"string"},{"$ref":"#/$defs/Point"}]},"any_number":{"anyOf":[{"type":"integer"},{"type":"number"}]},"node":{"$ref":"#/$defs/Node"},"tree":{"$ref":"#/$defs/Tree"},"point":{"$ref":"#/$defs/Point"},"options":{"$ref":"#/$defs/Options"},"named":{"$ref":"#/$defs/Pair"},"page":{"$ref":"#/$defs/Page_Point_"},"ids":{"$ref":"#/$defs/Ids"},"open":{"$ref":"#/$defs/Open"},"renamed":{"$ref":"#/$defs/Renamed"},"defaults":{"$ref":"#/$defs/Defaults"}},"required":["flag","number","count","small","real","text","raw","at","aware","naive","exact","day","clock","wait","id","price","v4","v6","address","path","anything","numbers","unique","words","pair","many","by_name","by_number","by_id","by_side","side","level","choice","mixed","maybe","nested","figure","figures","circle","late","external","adjacent","untagged","any_number","node","tree","point","options","named","page","ids","open","renamed","defaults"],"type":"object"},"Ids":{"items":{"type":"integer"},"type":"array"},"Late":{"additionalProperties":false,"properties":{"name":{"type":"string"},"type":{"const":"late","type":"string"}},"required":["name","type"],"type":"object"},"Later":{"additionalProperties":false,"properties":{"name":{"type":"string"},"more":{"type":"integer"},"type":{"const":"later","type":"string"}},"required":["name","more","type"],"type":"object"},"Leaf":{"additionalProperties":false,"properties":{"leaf":{"anyOf":[{"$ref":"#/$defs/Tree"},{"type":"null"}],"default":null},"size":{"type":"integer"}},"required":["size"],"type":"object"},"Level":{"enum":[-1,2000000],"type":"integer"},"Limit":{"additionalProperties":false,"properties":{"Limit":{"type":"number"}},"required":["Limit"],"type":"object"},"Marked":{"additionalProperties":false,"properties":{"t":{"const":"Marked","type":"string"},"c":{"type":"number"}},"required":["t","c"],"type":"object"},"Node":{"additionalProperties":false,"properties":{"value":{"type":"integer"},"children":{"default":[],"items":{"$ref":"#/$defs/Node"},"type":"array"},"parent":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}],"default":null}},"required":["value"],"type":"object"},"Nothing":{"additionalProperties":false,"properties":{"kind":{"const":"nothing","type":"string"}},"required":["kind"],"type":"object"},"Open":{"additionalProperties":true,"properties":{"known":{"type":"integer"}},"required":["known"],"type":"object"},"Options":{"additionalProperties":false,"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"type":"object"},"Page_Point_":{"additionalProperties":false,"properties":{"items":{"items":{"$ref":"#/$defs/Point"},"type":"array"},"next":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}},"required":["items"],"type":"object"},"Pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"Point":{"additionalProperties":false,"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"},"Renamed":{"additionalProperties":false,"properties":{"type":{"type":"string"},"camelCase":{"type":"integer"},"is-dashed":{"default":false,"type":"boolean"}},"required":["type","camelCase"],"type":"object"},"Side":{"enum":["buy","sell short"],"type":"string"},"Square":{"additionalProperties":false,"properties":{"kind":{"const":"square","type":"string"},"side":{"default":1.5,"type":"number"}},"required":["kind"],"type":"object"},"Stop":{"additionalProperties":false,"properties":{"Stop":{"$ref":"#/$defs/StopFields"}},"required":["Stop"],"type":"object"},"StopFields":{"additionalProperties":false,"properties":{"trigger":{"type":"number"},"after":{"format":"duration","type":"string"}},"required":["trigger","after"],"type":"object"},"Tree":{"additionalProperties":false,"properties":{"left":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null},"right":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null}},"type":"object"},"Unmarked":{"additionalProperties":false,"properties":{"t":{"const":"Unmarked","type":"string"}},"required":["t"],"type":"object"}},"additionalProperties":false,"properties":{"values":{"items":{"$ref":"#/$defs/Everything"},"type":"array"}},"required":["values"],"type":"object"},"response":{"$defs":{"Circle":{"properties":{"kind":{"const":"circle","default":"circle","type":"string"},"radius":{"exclusiveMinimum":0,"type":"number"}},"required":["radius"],"type":"object"},"Defaults":{"properties":{"count":{"default":3,"type":"integer"},"ratio":{"default":0.25,"type":"number"},"large":{"default":1000000,"type":"integer"},"name":{"default":"none \"quoted\" of {it}","type":"string"},"side":{"$ref":"#/$defs/Side","default":"buy"},"level":{"$ref":"#/$defs/Level","default":2000000},"flags":{"default":[true,false],"items":{"type":"boolean"},"type":"array"},"names":{"default":["a","b"],"items":{"type":"string"},"type":"array"},"tags":{"items":{"type":"string"},"type":"array","uniqueItems":true},"at":{"default":"2026-03-01","format":"date","type":"string"},"mode":{"default":"slow","enum":["fast","slow"],"type":"string"},"near":{"anyOf":[{"type":"number"},{"type":"null"}],"default":1.5},"table":{"additionalProperties":{"type":"integer"},"default":{},"type":"object"}},"type":"object"},"Everything":{"properties":{"flag":{"type":"boolean"},"number":{"type":"integer"},"count":{"minimum":0,"type":"integer"},"small":{"maximum":10,"minimum":0,"type":"integer"},"real":{"type":"number"},"text":{"maxLength":1000,"minLength":0,"type":"string"},"raw":{"format":"binary","type":"string"},"at":{"format":"date-time","type":"string"},"aware":{"format":"date-time","type":"string","x-timezone":"aware"},"naive":{"format":"date-time","type":"string","x-timezone":"naive"},"exact":{"format":"date-time","type":"string","x-nanoseconds":true},"day":{"format":"date","type":"string"},"clock":{"format":"time","type":"string"},"wait":{"format":"duration","type":"string"},"id":{"format":"uuid","type":"string"},"price":{"format":"decimal","type":"string"},"v4":{"format":"ipv4","type":"string"},"v6":{"format":"ipv6","type":"string"},"address":{"anyOf":[{"format":"ipv4","type":"string"},{"format":"ipv6","type":"string"}]},"path":{"format":"path","type":"string"},"anything":{},"numbers":{"items":{"type":"integer"},"type":"array"},"unique":{"items":{"type":"integer"},"type":"array","uniqueItems":true},"words":{"items":{"type":"string"},"type":"array","uniqueItems":true},"pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"many":{"items":{"type":"number"},"type":"array"},"by_name":{"additionalProperties":{"type":"number"},"type":"object"},"by_number":{"additionalProperties":{"type":"string"},"type":"object","x-keys":{"type":"integer"}},"by_id":{"additionalProperties":{"$ref":"#/$defs/Point"},"propertyNames":{"format":"uuid"},"type":"object","x-keys":{"format":"uuid","type":"string"}},"by_side":{"additionalProperties":{"type":"integer"},"propertyNames":{"$ref":"#/$defs/Side"},"type":"object","x-keys":{"$ref":"#/$defs/Side"}},"side":{"$ref":"#/$defs/Side"},"level":{"$ref":"#/$defs/Level"},"choice":{"enum":["1m","5m","type"],"type":"string"},"mixed":{"enum":["auto",1,2]},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},"nested":{"items":{"items":{"anyOf":[{"$ref":"#/$defs/Point"},{"type":"null"}]},"type":"array"},"type":"array"},"figure":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"figures":{"items":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"type":"array"},"circle":{"$ref":"#/$defs/Circle"},"late":{"discriminator":{"mapping":{"late":"#/$defs/Late","later":"#/$defs/Later"},"propertyName":"type"},"oneOf":[{"$ref":"#/$defs/Late"},{"$ref":"#/$defs/Later"}]},"external":{"anyOf":[{"const":"Market","type":"string"},{"$ref":"#/$defs/Limit"},{"$ref":"#/$defs/Stop"}]},"adjacent":{"discriminator":{"mapping":{"Marked":"#/$defs/Marked","Unmarked":"#/$defs/Unmarked"},"propertyName":"t"},"oneOf":[{"$ref":"#/$defs/Marked"},{"$ref":"#/$defs/Unmarked"}]},"untagged":{"anyOf":[{"type":"integer"},{"type":"string"},{"$ref":"#/$defs/Point"}]},"any_number":{"anyOf":[{"type":"integer"},{"type":"number"}]},"node":{"$ref":"#/$defs/Node"},"tree":{"$ref":"#/$defs/Tree"},"point":{"$ref":"#/$defs/Point"},"options":{"$ref":"#/$defs/Options"},"named":{"$ref":"#/$defs/Pair"},"page":{"$ref":"#/$defs/Page_Point_"},"ids":{"$ref":"#/$defs/Ids"},"open":{"$ref":"#/$defs/Open"},"renamed":{"$ref":"#/$defs/Renamed"},"defaults":{"$ref":"#/$defs/Defaults"}},"required":["flag","number","count","small","real","text","raw","at","aware","naive","exact","day","clock","wait","id","price","v4","v6","address","path","anything","numbers","unique","words","pair","many","by_name","by_number","by_id","by_side","side","level","choice","mixed","maybe","nested","figure","figures","circle","late","external","adjacent","untagged","any_number","node","tree","point","options","named","page","ids","open","renamed","defaults"],"type":"object"},"Ids":{"items":{"type":"integer"},"type":"array"},"Late":{"properties":{"name":{"type":"string"},"type":{"const":"late","type":"string"}},"required":["name","type"],"type":"object"},"Later":{"properties":{"name":{"type":"string"},"more":{"type":"integer"},"type":{"const":"later","type":"string"}},"required":["name","more","type"],"type":"object"},"Leaf":{"properties":{"leaf":{"anyOf":[{"$ref":"#/$defs/Tree"},{"type":"null"}],"default":null},"size":{"type":"integer"}},"required":["size"],"type":"object"},"Level":{"enum":[-1,2000000],"type":"integer"},"Limit":{"properties":{"Limit":{"type":"number"}},"required":["Limit"],"type":"object"},"Marked":{"properties":{"t":{"const":"Marked","type":"string"},"c":{"type":"number"}},"required":["t","c"],"type":"object"},"Node":{"properties":{"value":{"type":"integer"},"children":{"default":[],"items":{"$ref":"#/$defs/Node"},"type":"array"},"parent":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}],"default":null}},"required":["value"],"type":"object"},"Nothing":{"properties":{"kind":{"const":"nothing","type":"string"}},"required":["kind"],"type":"object"},"Open":{"additionalProperties":true,"properties":{"known":{"type":"integer"}},"required":["known"],"type":"object"},"Options":{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"type":"object"},"Page_Point_":{"properties":{"items":{"items":{"$ref":"#/$defs/Point"},"type":"array"},"next":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}},"required":["items"],"type":"object"},"Pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"Point":{"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"},"Renamed":{"properties":{"type":{"type":"string"},"camelCase":{"type":"integer"},"is-dashed":{"default":false,"type":"boolean"}},"required":["type","camelCase"],"type":"object"},"Side":{"enum":["buy","sell short"],"type":"string"},"Square":{"properties":{"kind":{"const":"square","type":"string"},"side":{"default":1.5,"type":"number"}},"required":["kind"],"type":"object"},"Stop":{"properties":{"Stop":{"$ref":"#/$defs/StopFields"}},"required":["Stop"],"type":"object"},"StopFields":{"properties":{"trigger":{"type":"number"},"after":{"format":"duration","type":"string"}},"required":["trigger","after"],"type":"object"},"Tree":{"properties":{"left":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null},"right":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null}},"type":"object"},"Unmarked":{"properties":{"t":{"const":"Unmarked","type":"string"}},"required":["t"],"type":"object"}},"items":{"$ref":"#/$defs/Everything"},"type":"array"}}"##);

    /// `area`
    pub const AREA: Method<AreaArgs, f64> = Method::new("area")
        .schema(0xd403_8e50_f04f_39ad)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"kind":{"const":"circle","default":"circle","type":"string"},"radius":{"exclusiveMinimum":0,"type":"number"}},"required":["radius"],"type":"object"},"response":{"type":"number"}}"#);

    /// `brighter`
    pub const BRIGHTER: Method<BrighterArgs, TensorView> = Method::new("brighter")
        .schema(0xb225_f3ad_7613_a449)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"image":{"dtype":"uint8","shape":["...",3],"type":"array","x-array":"numpy"},"by":{"default":1,"type":"integer"}},"required":["image"],"type":"object"},"response":{"dtype":"uint8","type":"array","x-array":"numpy"}}"#);

    /// `by_position`
    pub const BY_POSITION: Method<ByPositionArgs, String> = Method::new("by_position")
        .schema(0x57cc_3817_45af_a987)
        .described(r#"{"kind":"call","request":{"maxItems":2,"minItems":1,"prefixItems":[{"type":"integer"},{"default":"b","type":"string"}],"type":"array"},"response":{"type":"string"}}"#);

    /// `doubled`
    pub const DOUBLED: Method<i64, i64> = Method::new("doubled")
        .schema(0x7614_b668_74d2_c5e4)
        .described(r#"{"kind":"exchange","request":{"items":{"type":"integer"},"type":"array"},"response":{"type":"integer"}}"#);

    /// `everything`
    pub const EVERYTHING: Method<EverythingArgs, Everything> = Method::new("everything")
        .schema(0xd509_6f5b_d01c_a194)
        .described(r##"{"kind":"call","request":{"$defs":{"Circle":{"additionalProperties":false,"properties":{"kind":{"const":"circle","default":"circle","type":"string"},"radius":{"exclusiveMinimum":0,"type":"number"}},"required":["radius"],"type":"object"},"Defaults":{"additionalProperties":false,"properties":{"count":{"default":3,"type":"integer"},"ratio":{"default":0.25,"type":"number"},"large":{"default":1000000,"type":"integer"},"name":{"default":"none \"quoted\" of {it}","type":"string"},"side":{"$ref":"#/$defs/Side","default":"buy"},"level":{"$ref":"#/$defs/Level","default":2000000},"flags":{"default":[true,false],"items":{"type":"boolean"},"type":"array"},"names":{"default":["a","b"],"items":{"type":"string"},"type":"array"},"tags":{"items":{"type":"string"},"type":"array","uniqueItems":true},"at":{"default":"2026-03-01","format":"date","type":"string"},"mode":{"default":"slow","enum":["fast","slow"],"type":"string"},"near":{"anyOf":[{"type":"number"},{"type":"null"}],"default":1.5},"table":{"additionalProperties":{"type":"integer"},"default":{},"type":"object"}},"type":"object"},"Everything":{"additionalProperties":false,"properties":{"flag":{"type":"boolean"},"number":{"type":"integer"},"count":{"minimum":0,"type":"integer"},"small":{"maximum":10,"minimum":0,"type":"integer"},"real":{"type":"number"},"text":{"maxLength":1000,"minLength":0,"type":"string"},"raw":{"format":"binary","type":"string"},"at":{"format":"date-time","type":"string"},"aware":{"format":"date-time","type":"string","x-timezone":"aware"},"naive":{"format":"date-time","type":"string","x-timezone":"naive"},"exact":{"format":"date-time","type":"string","x-nanoseconds":true},"day":{"format":"date","type":"string"},"clock":{"format":"time","type":"string"},"wait":{"format":"duration","type":"string"},"id":{"format":"uuid","type":"string"},"price":{"anyOf":[{"type":"number"},{"type":"string"}],"format":"decimal"},"v4":{"format":"ipv4","type":"string"},"v6":{"format":"ipv6","type":"string"},"address":{"anyOf":[{"format":"ipv4","type":"string"},{"format":"ipv6","type":"string"}]},"path":{"format":"path","type":"string"},"anything":{},"numbers":{"items":{"type":"integer"},"type":"array"},"unique":{"items":{"type":"integer"},"type":"array","uniqueItems":true},"words":{"items":{"type":"string"},"type":"array","uniqueItems":true},"pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"many":{"items":{"type":"number"},"type":"array"},"by_name":{"additionalProperties":{"type":"number"},"type":"object"},"by_number":{"additionalProperties":{"type":"string"},"type":"object","x-keys":{"type":"integer"}},"by_id":{"additionalProperties":{"$ref":"#/$defs/Point"},"propertyNames":{"format":"uuid"},"type":"object","x-keys":{"format":"uuid","type":"string"}},"by_side":{"additionalProperties":{"type":"integer"},"propertyNames":{"$ref":"#/$defs/Side"},"type":"object","x-keys":{"$ref":"#/$defs/Side"}},"side":{"$ref":"#/$defs/Side"},"level":{"$ref":"#/$defs/Level"},"choice":{"enum":["1m","5m","type"],"type":"string"},"mixed":{"enum":["auto",1,2]},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},"nested":{"items":{"items":{"anyOf":[{"$ref":"#/$defs/Point"},{"type":"null"}]},"type":"array"},"type":"array"},"figure":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"figures":{"items":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"type":"array"},"circle":{"$ref":"#/$defs/Circle"},"late":{"discriminator":{"mapping":{"late":"#/$defs/Late","later":"#/$defs/Later"},"propertyName":"type"},"oneOf":[{"$ref":"#/$defs/Late"},{"$ref":"#/$defs/Later"}]},"external":{"anyOf":[{"const":"Market","type":"string"},{"$ref":"#/$defs/Limit"},{"$ref":"#/$defs/Stop"}]},"adjacent":{"discriminator":{"mapping":{"Marked":"#/$defs/Marked","Unmarked":"#/$defs/Unmarked"},"propertyName":"t"},"oneOf":[{"$ref":"#/$defs/Marked"},{"$ref":"#/$defs/Unmarked"}]},"untagged":{"anyOf":[{"type":"integer"},{"type":"string"},{"$ref":"#/$defs/Point"}]},"any_number":{"anyOf":[{"type":"integer"},{"type":"number"}]},"node":{"$ref":"#/$defs/Node"},"tree":{"$ref":"#/$defs/Tree"},"point":{"$ref":"#/$defs/Point"},"options":{"$ref":"#/$defs/Options"},"named":{"$ref":"#/$defs/Pair"},"page":{"$ref":"#/$defs/Page_Point_"},"ids":{"$ref":"#/$defs/Ids"},"open":{"$ref":"#/$defs/Open"},"renamed":{"$ref":"#/$defs/Renamed"},"defaults":{"$ref":"#/$defs/Defaults"}},"required":["flag","number","count","small","real","text","raw","at","aware","naive","exact","day","clock","wait","id","price","v4","v6","address","path","anything","numbers","unique","words","pair","many","by_name","by_number","by_id","by_side","side","level","choice","mixed","maybe","nested","figure","figures","circle","late","external","adjacent","untagged","any_number","node","tree","point","options","named","page","ids","open","renamed","defaults"],"type":"object"},"Ids":{"items":{"type":"integer"},"type":"array"},"Late":{"additionalProperties":false,"properties":{"name":{"type":"string"},"type":{"const":"late","type":"string"}},"required":["name","type"],"type":"object"},"Later":{"additionalProperties":false,"properties":{"name":{"type":"string"},"more":{"type":"integer"},"type":{"const":"later","type":"string"}},"required":["name","more","type"],"type":"object"},"Leaf":{"additionalProperties":false,"properties":{"leaf":{"anyOf":[{"$ref":"#/$defs/Tree"},{"type":"null"}],"default":null},"size":{"type":"integer"}},"required":["size"],"type":"object"},"Level":{"enum":[-1,2000000],"type":"integer"},"Limit":{"additionalProperties":false,"properties":{"Limit":{"type":"number"}},"required":["Limit"],"type":"object"},"Marked":{"additionalProperties":false,"properties":{"t":{"const":"Marked","type":"string"},"c":{"type":"number"}},"required":["t","c"],"type":"object"},"Node":{"additionalProperties":false,"properties":{"value":{"type":"integer"},"children":{"default":[],"items":{"$ref":"#/$defs/Node"},"type":"array"},"parent":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}],"default":null}},"required":["value"],"type":"object"},"Nothing":{"additionalProperties":false,"properties":{"kind":{"const":"nothing","type":"string"}},"required":["kind"],"type":"object"},"Open":{"additionalProperties":true,"properties":{"known":{"type":"integer"}},"required":["known"],"type":"object"},"Options":{"additionalProperties":false,"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"type":"object"},"Page_Point_":{"additionalProperties":false,"properties":{"items":{"items":{"$ref":"#/$defs/Point"},"type":"array"},"next":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}},"required":["items"],"type":"object"},"Pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"Point":{"additionalProperties":false,"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"},"Renamed":{"additionalProperties":false,"properties":{"type":{"type":"string"},"camelCase":{"type":"integer"},"is-dashed":{"default":false,"type":"boolean"}},"required":["type","camelCase"],"type":"object"},"Side":{"enum":["buy","sell short"],"type":"string"},"Square":{"additionalProperties":false,"properties":{"kind":{"const":"square","type":"string"},"side":{"default":1.5,"type":"number"}},"required":["kind"],"type":"object"},"Stop":{"additionalProperties":false,"properties":{"Stop":{"$ref":"#/$defs/StopFields"}},"required":["Stop"],"type":"object"},"StopFields":{"additionalProperties":false,"properties":{"trigger":{"type":"number"},"after":{"format":"duration","type":"string"}},"required":["trigger","after"],"type":"object"},"Tree":{"additionalProperties":false,"properties":{"left":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null},"right":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null}},"type":"object"},"Unmarked":{"additionalProperties":false,"properties":{"t":{"const":"Unmarked","type":"string"}},"required":["t"],"type":"object"}},"additionalProperties":false,"properties":{"value":{"$ref":"#/$defs/Everything"}},"required":["value"],"type":"object"},"response":{"$defs":{"Circle":{"properties":{"kind":{"const":"circle","default":"circle","type":"string"},"radius":{"exclusiveMinimum":0,"type":"number"}},"required":["radius"],"type":"object"},"Defaults":{"properties":{"count":{"default":3,"type":"integer"},"ratio":{"default":0.25,"type":"number"},"large":{"default":1000000,"type":"integer"},"name":{"default":"none \"quoted\" of {it}","type":"string"},"side":{"$ref":"#/$defs/Side","default":"buy"},"level":{"$ref":"#/$defs/Level","default":2000000},"flags":{"default":[true,false],"items":{"type":"boolean"},"type":"array"},"names":{"default":["a","b"],"items":{"type":"string"},"type":"array"},"tags":{"items":{"type":"string"},"type":"array","uniqueItems":true},"at":{"default":"2026-03-01","format":"date","type":"string"},"mode":{"default":"slow","enum":["fast","slow"],"type":"string"},"near":{"anyOf":[{"type":"number"},{"type":"null"}],"default":1.5},"table":{"additionalProperties":{"type":"integer"},"default":{},"type":"object"}},"type":"object"},"Ids":{"items":{"type":"integer"},"type":"array"},"Late":{"properties":{"name":{"type":"string"},"type":{"const":"late","type":"string"}},"required":["name","type"],"type":"object"},"Later":{"properties":{"name":{"type":"string"},"more":{"type":"integer"},"type":{"const":"later","type":"string"}},"required":["name","more","type"],"type":"object"},"Leaf":{"properties":{"leaf":{"anyOf":[{"$ref":"#/$defs/Tree"},{"type":"null"}],"default":null},"size":{"type":"integer"}},"required":["size"],"type":"object"},"Level":{"enum":[-1,2000000],"type":"integer"},"Limit":{"properties":{"Limit":{"type":"number"}},"required":["Limit"],"type":"object"},"Marked":{"properties":{"t":{"const":"Marked","type":"string"},"c":{"type":"number"}},"required":["t","c"],"type":"object"},"Node":{"properties":{"value":{"type":"integer"},"children":{"default":[],"items":{"$ref":"#/$defs/Node"},"type":"array"},"parent":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}],"default":null}},"required":["value"],"type":"object"},"Nothing":{"properties":{"kind":{"const":"nothing","type":"string"}},"required":["kind"],"type":"object"},"Open":{"additionalProperties":true,"properties":{"known":{"type":"integer"}},"required":["known"],"type":"object"},"Options":{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"type":"object"},"Page_Point_":{"properties":{"items":{"items":{"$ref":"#/$defs/Point"},"type":"array"},"next":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}},"required":["items"],"type":"object"},"Pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"Point":{"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"},"Renamed":{"properties":{"type":{"type":"string"},"camelCase":{"type":"integer"},"is-dashed":{"default":false,"type":"boolean"}},"required":["type","camelCase"],"type":"object"},"Side":{"enum":["buy","sell short"],"type":"string"},"Square":{"properties":{"kind":{"const":"square","type":"string"},"side":{"default":1.5,"type":"number"}},"required":["kind"],"type":"object"},"Stop":{"properties":{"Stop":{"$ref":"#/$defs/StopFields"}},"required":["Stop"],"type":"object"},"StopFields":{"properties":{"trigger":{"type":"number"},"after":{"format":"duration","type":"string"}},"required":["trigger","after"],"type":"object"},"Tree":{"properties":{"left":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null},"right":{"anyOf":[{"$ref":"#/$defs/Leaf"},{"type":"null"}],"default":null}},"type":"object"},"Unmarked":{"properties":{"t":{"const":"Unmarked","type":"string"}},"required":["t"],"type":"object"}},"properties":{"flag":{"type":"boolean"},"number":{"type":"integer"},"count":{"minimum":0,"type":"integer"},"small":{"maximum":10,"minimum":0,"type":"integer"},"real":{"type":"number"},"text":{"maxLength":1000,"minLength":0,"type":"string"},"raw":{"format":"binary","type":"string"},"at":{"format":"date-time","type":"string"},"aware":{"format":"date-time","type":"string","x-timezone":"aware"},"naive":{"format":"date-time","type":"string","x-timezone":"naive"},"exact":{"format":"date-time","type":"string","x-nanoseconds":true},"day":{"format":"date","type":"string"},"clock":{"format":"time","type":"string"},"wait":{"format":"duration","type":"string"},"id":{"format":"uuid","type":"string"},"price":{"format":"decimal","type":"string"},"v4":{"format":"ipv4","type":"string"},"v6":{"format":"ipv6","type":"string"},"address":{"anyOf":[{"format":"ipv4","type":"string"},{"format":"ipv6","type":"string"}]},"path":{"format":"path","type":"string"},"anything":{},"numbers":{"items":{"type":"integer"},"type":"array"},"unique":{"items":{"type":"integer"},"type":"array","uniqueItems":true},"words":{"items":{"type":"string"},"type":"array","uniqueItems":true},"pair":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"integer"},{"type":"string"}],"type":"array"},"many":{"items":{"type":"number"},"type":"array"},"by_name":{"additionalProperties":{"type":"number"},"type":"object"},"by_number":{"additionalProperties":{"type":"string"},"type":"object","x-keys":{"type":"integer"}},"by_id":{"additionalProperties":{"$ref":"#/$defs/Point"},"propertyNames":{"format":"uuid"},"type":"object","x-keys":{"format":"uuid","type":"string"}},"by_side":{"additionalProperties":{"type":"integer"},"propertyNames":{"$ref":"#/$defs/Side"},"type":"object","x-keys":{"$ref":"#/$defs/Side"}},"side":{"$ref":"#/$defs/Side"},"level":{"$ref":"#/$defs/Level"},"choice":{"enum":["1m","5m","type"],"type":"string"},"mixed":{"enum":["auto",1,2]},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},"nested":{"items":{"items":{"anyOf":[{"$ref":"#/$defs/Point"},{"type":"null"}]},"type":"array"},"type":"array"},"figure":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"figures":{"items":{"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]},"type":"array"},"circle":{"$ref":"#/$defs/Circle"},"late":{"discriminator":{"mapping":{"late":"#/$defs/Late","later":"#/$defs/Later"},"propertyName":"type"},"oneOf":[{"$ref":"#/$defs/Late"},{"$ref":"#/$defs/Later"}]},"external":{"anyOf":[{"const":"Market","type":"string"},{"$ref":"#/$defs/Limit"},{"$ref":"#/$defs/Stop"}]},"adjacent":{"discriminator":{"mapping":{"Marked":"#/$defs/Marked","Unmarked":"#/$defs/Unmarked"},"propertyName":"t"},"oneOf":[{"$ref":"#/$defs/Marked"},{"$ref":"#/$defs/Unmarked"}]},"untagged":{"anyOf":[{"type":"integer"},{"type":"string"},{"$ref":"#/$defs/Point"}]},"any_number":{"anyOf":[{"type":"integer"},{"type":"number"}]},"node":{"$ref":"#/$defs/Node"},"tree":{"$ref":"#/$defs/Tree"},"point":{"$ref":"#/$defs/Point"},"options":{"$ref":"#/$defs/Options"},"named":{"$ref":"#/$defs/Pair"},"page":{"$ref":"#/$defs/Page_Point_"},"ids":{"$ref":"#/$defs/Ids"},"open":{"$ref":"#/$defs/Open"},"renamed":{"$ref":"#/$defs/Renamed"},"defaults":{"$ref":"#/$defs/Defaults"}},"required":["flag","number","count","small","real","text","raw","at","aware","naive","exact","day","clock","wait","id","price","v4","v6","address","path","anything","numbers","unique","words","pair","many","by_name","by_number","by_id","by_side","side","level","choice","mixed","maybe","nested","figure","figures","circle","late","external","adjacent","untagged","any_number","node","tree","point","options","named","page","ids","open","renamed","defaults"],"type":"object"}}"##);

    /// `farthest`
    pub const FARTHEST: Method<Point, Point> = Method::new("farthest")
        .schema(0x4f56_d138_49d6_7bda)
        .described(r##"{"kind":"upload","request":{"$defs":{"Point":{"additionalProperties":false,"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"}},"items":{"$ref":"#/$defs/Point"},"type":"array"},"response":{"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"}}"##);

    /// `figure`
    pub const FIGURE: Method<FigureArgs, EverythingFigure> = Method::new("figure")
        .schema(0xa44b_8b6c_f1ea_750c)
        .described(r##"{"kind":"call","request":{"additionalProperties":false,"properties":{"kind":{"enum":["circle","square"],"type":"string"}},"required":["kind"],"type":"object"},"response":{"$defs":{"Circle":{"properties":{"kind":{"const":"circle","default":"circle","type":"string"},"radius":{"exclusiveMinimum":0,"type":"number"}},"required":["radius"],"type":"object"},"Nothing":{"properties":{"kind":{"const":"nothing","type":"string"}},"required":["kind"],"type":"object"},"Square":{"properties":{"kind":{"const":"square","type":"string"},"side":{"default":1.5,"type":"number"}},"required":["kind"],"type":"object"}},"discriminator":{"mapping":{"circle":"#/$defs/Circle","nothing":"#/$defs/Nothing","square":"#/$defs/Square"},"propertyName":"kind"},"oneOf":[{"$ref":"#/$defs/Circle"},{"$ref":"#/$defs/Square"},{"$ref":"#/$defs/Nothing"}]}}"##);

    /// `fills`
    pub const FILLS: Method<FillsArgs, Tensor<FillsTradesRecord>> = Method::new("fills")
        .schema(0xb4c8_5f3b_f7c6_825a)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"trades":{"dtype":[["at","int64",0],["price","float64",8],["size","uint32",16],["side","uint8",20]],"itemsize":24,"shape":[null],"type":"array","x-array":"numpy"}},"required":["trades"],"type":"object"},"response":{"dtype":[["at","int64",0],["price","float64",8],["size","uint32",16],["side","uint8",20]],"itemsize":24,"type":"array","x-array":"numpy"}}"#);

    /// `keywords`
    pub const KEYWORDS: Method<KeywordsArgs, HashMap<String, f64>> = Method::new("keywords")
        .schema(0x2443_faa9_6b1c_0d2d)
        .described(r#"{"kind":"call","request":{"additionalProperties":{"type":"number"},"properties":{"first":{"type":"integer"}},"required":["first"],"type":"object"},"response":{"additionalProperties":{"type":"number"},"type":"object"}}"#);

    /// `maybe`
    pub const MAYBE: Method<MaybeArgs, Option<i64>> = Method::new("maybe")
        .schema(0x330f_ea57_7cdc_f983)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"value":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["value"],"type":"object"},"response":{"anyOf":[{"type":"integer"},{"type":"null"}]}}"#);

    /// `names`
    pub const NAMES: Method<NamesArgs, String> = Method::new("names")
        .schema(0x73cf_40fa_7bfa_6bec)
        .described(r#"{"kind":"stream","request":{"additionalProperties":false,"properties":{"count":{"type":"integer"}},"required":["count"],"type":"object"},"response":{"type":"string"}}"#);

    /// `nothing`
    pub const NOTHING: Method<(), ()> = Method::new("nothing")
        .schema(0x28d7_d6d0_bd48_129c)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{},"type":"object"},"response":{"type":"null"}}"#);

    /// `place`
    pub const PLACE: Method<PlaceArgs, String> = Method::new("place")
        .schema(0x149e_057a_c764_b441)
        .described(r##"{"kind":"call","request":{"$defs":{"Side":{"enum":["buy","sell short"],"type":"string"}},"additionalProperties":false,"properties":{"symbol":{"type":"string"},"side":{"$ref":"#/$defs/Side"},"price":{"anyOf":[{"type":"number"},{"type":"string"}],"format":"decimal"},"size":{"default":1,"type":"integer"},"note":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}},"required":["symbol","side","price"],"type":"object"},"response":{"type":"string"}}"##);

    /// `points`
    pub const POINTS: Method<PointsArgs, Point> = Method::new("points")
        .schema(0x6d5a_5311_b725_27b6)
        .described(r#"{"kind":"stream","request":{"additionalProperties":false,"properties":{"count":{"type":"integer"},"step":{"default":1.0,"type":"number"}},"required":["count"],"type":"object"},"response":{"properties":{"x":{"type":"number"},"y":{"default":0.0,"type":"number"}},"required":["x"],"type":"object"}}"#);

    /// `sizes`
    pub const SIZES: Method<SizesArgs, Vec<i64>> = Method::new("sizes")
        .schema(0x6fcb_be92_cb3b_1aa6)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"array":{"type":"array","x-array":"numpy"}},"required":["array"],"type":"object"},"response":{"items":{"type":"integer"},"type":"array"}}"#);

    /// `total`
    pub const TOTAL: Method<[i64], i64> = Method::new("total")
        .schema(0x706d_6d48_a832_f7ae)
        .described(r#"{"kind":"call","request":{"items":{"type":"integer"},"type":"array"},"response":{"type":"integer"}}"#);

    /// `tree`
    pub const TREE: Method<TreeArgs, Node> = Method::new("tree")
        .schema(0x556d_d289_2c04_e6e5)
        .described(r##"{"kind":"call","request":{"additionalProperties":false,"properties":{"depth":{"type":"integer"}},"required":["depth"],"type":"object"},"response":{"$defs":{"Node":{"properties":{"value":{"type":"integer"},"children":{"default":[],"items":{"$ref":"#/$defs/Node"},"type":"array"},"parent":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}],"default":null}},"required":["value"],"type":"object"}},"$ref":"#/$defs/Node"}}"##);

    /// `type`
    pub const TYPE: Method<TypeArgs, i64> = Method::new("type")
        .schema(0xf6a4_1809_b496_ae02)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"self_":{"type":"integer"},"match":{"type":"integer"}},"required":["self_","match"],"type":"object"},"response":{"type":"integer"}}"#);

    /// `untyped`
    pub const UNTYPED: Method<UntypedArgs, Raw> = Method::new("untyped")
        .schema(0x1f3c_c05a_5eb3_f419)
        .described(r#"{"kind":"call","request":{"additionalProperties":false,"properties":{"value":{},"scale":{"default":2}},"required":["value"],"type":"object"},"response":{}}"#);

    /// All of them.
    pub const ALL: &[&dyn Pinned] = &[
        &ALL_OF,
        &AREA,
        &BRIGHTER,
        &BY_POSITION,
        &DOUBLED,
        &EVERYTHING,
        &FARTHEST,
        &FIGURE,
        &FILLS,
        &KEYWORDS,
        &MAYBE,
        &NAMES,
        &NOTHING,
        &PLACE,
        &POINTS,
        &SIZES,
        &TOTAL,
        &TREE,
        &TYPE,
        &UNTYPED,
    ];
}
