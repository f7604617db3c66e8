//! What the client's own reader makes of an answer, beside what `rmp_serde` makes of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use pycrust_client::RpcClient;
use pycrust_protocol::payload;
use pycrust_transport::{Acceptor, Connection, Limits};
use rmpv::Value;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tokio::runtime::Runtime;

use super::client::{connected, runtime};
use super::engine::{self, HANG, Worker};
use super::place::{ENDPOINT, Place};
use crate::oracle;

/// A worker that answers with the input, and its client.
struct Rig {
    runtime: Runtime,
    given: Arc<Mutex<Vec<u8>>>,
    engine: Arc<Worker<Connection>>,
    acceptor: Acceptor,
    client: RpcClient,
    _place: Place,
}

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::new());
}

impl Rig {
    fn new() -> Self {
        let place = Place::new();
        let (runtime, given) = (runtime(), Arc::default());
        let engine = engine::worker(ENDPOINT, &given);
        let limits = Limits { max_in_flight: 16 };
        let acceptor = Acceptor::start(place.claim(), limits, engine.clone()).expect("a control thread");
        let client = connected(&runtime, &place);
        Self { runtime, given, engine, acceptor, client, _place: place }
    }

    /// The answer as a value of this type.
    fn read<T: DeserializeOwned + Send + 'static>(&self) -> Option<T> {
        match self.runtime.block_on(self.client.call::<_, T>("give", &())) {
            Ok(value) => Some(value),
            Err(error) => {
                assert!(self.client.is_connected(), "{error}");
                None
            }
        }
    }

    /// What comes back of a value.
    fn echo<T: Serialize + DeserializeOwned + Send + Sync + 'static>(&self, value: &T) -> T {
        self.runtime.block_on(self.client.call::<_, T>("echo", value)).expect("what is written is read")
    }

    /// Both readers read the same, if both read it.
    fn agrees<T: DeserializeOwned + Debug + PartialEq + Send + 'static>(&self, data: &[u8]) {
        let ours = self.read::<T>();
        let theirs = rmp_serde::from_slice::<T>(data).ok();
        if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
            assert_eq!(ours, theirs, "{data:x?}");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.runtime.block_on(self.client.clone().close());
        self.engine.stop(HANG);
        self.acceptor.stop();
    }
}

/// A struct as callers have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    a: i64,
    #[serde(default)]
    b: Option<String>,
    #[serde(default)]
    c: Vec<u16>,
}

/// An enum as callers have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    One(u8),
    Two { x: f32, y: i8 },
}

/// An answer is read or refused as what the caller asks for, as another reader reads it, and goes out as it came in.
pub fn codec(data: &[u8]) {
    RIG.with_borrow(|rig| {
        data.clone_into(&mut rig.given.lock().unwrap_or_else(PoisonError::into_inner));
        let sound = payload::check(data).is_ok();
        if let Some(value) = rig.read::<Value>() {
            let theirs = oracle::whole(data).expect("the client reads what is no value");
            assert!(oracle::same(&value, &theirs), "{value:?} and {theirs:?}");
            if sound && !has_extension(&value) {
                assert!(oracle::same(&rig.echo(&value), &value), "{value:?}");
            }
        } else if sound {
            let value = oracle::whole(data);
            assert!(value.as_ref().is_none_or(has_extension), "the client refuses {value:?}");
        }
        match data.first().copied().unwrap_or_default() % 4 {
            0 => {
                rig.agrees::<i64>(data);
                rig.agrees::<u8>(data);
                rig.agrees::<String>(data);
                rig.agrees::<Option<bool>>(data);
            }
            1 => {
                rig.agrees::<Vec<i32>>(data);
                rig.agrees::<(u8, String)>(data);
                rig.agrees::<BTreeMap<String, Option<u64>>>(data);
            }
            2 => {
                rig.agrees::<Order>(data);
                rig.agrees::<Vec<Order>>(data);
                rig.agrees::<char>(data);
            }
            _ => {
                rig.agrees::<Shape>(data);
                rig.agrees::<Vec<Shape>>(data);
                rig.agrees::<ByteBuf>(data);
            }
        }
        if let Some(order) = rig.read::<Order>() {
            assert_eq!(rig.echo(&order), order);
        }
    });
}

/// Whether there is an extension in it: the client reads some of those as something plainer.
fn has_extension(value: &Value) -> bool {
    match value {
        Value::Ext(..) => true,
        Value::Array(items) => items.iter().any(has_extension),
        Value::Map(entries) => entries.iter().any(|(key, value)| has_extension(key) || has_extension(value)),
        _ => false,
    }
}
