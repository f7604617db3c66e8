//! One argument, by position.

use serde::ser::{Serialize, SerializeTuple, Serializer};

/// The one argument of a call, by position: `&Arg(&order)` is what `&(&order,)` is, and says what is meant.
///
/// `def place(order)` gets all of `order`, where a struct alone would be bound by the names of its fields. A
/// [`Method`](crate::Method) whose handler takes one struct is a `Method<Arg<&Order>, R>`.
///
/// # Examples
/// ```no_run
/// use pycrust_client::{Arg, Error, RpcClient};
///
/// #[derive(serde::Serialize)]
/// struct Order { symbol: String, lots: u32 }
///
/// # async fn place(client: RpcClient) -> Result<(), Error> {
/// let order = Order { symbol: "BUND".into(), lots: 3 };
/// let number: u64 = client.call("place", &Arg(&order)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Arg<T>(pub T);

impl<T: Serialize> Serialize for Arg<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut one = serializer.serialize_tuple(1)?;
        one.serialize_element(&self.0)?;
        one.end()
    }
}
