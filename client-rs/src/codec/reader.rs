//! MessagePack to values.

use pycrust_protocol::integer::{INTEGER_EXTENSION, Integer};
use pycrust_protocol::limits::MAX_DEPTH;
use pycrust_protocol::tensor::TENSOR_EXTENSION;
use serde::de::value::{BorrowedBytesDeserializer, I8Deserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Visitor};

use super::error::{Error, Step};
use super::forms::{self, Form};
use super::token::{Token, token};
use super::writer::key;
use super::{EXTENSION, MOMENT, RAW};

/// A position in MessagePack that came.
pub(super) struct Reader<'de> {
    bytes: &'de [u8],
    at: usize,
    depth: usize,
}

/// What a type asks for, where the same bytes can be given in several ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    /// Whatever there is.
    Any,
    Text,
    Bytes,
    Sequence,
    Scalar,
}

impl<'de> Reader<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    pub(super) fn end(&self) -> Result<(), Error> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(Error::new(format_args!("malformed MessagePack: {left} bytes follow the value"))),
        }
    }

    #[inline]
    fn token(&mut self) -> Result<Token<'de>, Error> {
        token(self.bytes, &mut self.at)
    }

    #[inline]
    fn next<V: Visitor<'de>>(&mut self, visitor: V, want: Want) -> Result<V::Value, Error> {
        // The commonest ones by themselves: a token takes as long as reading them.
        match self.bytes.get(self.at..) {
            Some([number @ ..=0x7f, ..]) => {
                self.at += 1;
                return visitor.visit_u64((*number).into());
            }
            Some([0xcb, float @ ..]) => {
                if let Some(float) = float.first_chunk() {
                    self.at += 9;
                    return visitor.visit_f64(f64::from_be_bytes(*float));
                }
            }
            _ => {}
        }
        let token = self.token()?;
        self.give(token, visitor, want)
    }

    #[inline]
    fn give<V: Visitor<'de>>(
        &mut self,
        token: Token<'de>,
        visitor: V,
        want: Want,
    ) -> Result<V::Value, Error> {
        match token {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::F32(value) => visitor.visit_f32(value),
            Token::F64(value) => visitor.visit_f64(value),
            Token::Str(text) => visitor.visit_borrowed_str(text),
            Token::Array(len) => self.sequence(len, visitor, &[]),
            Token::Map(len) => self.map(len, visitor),
            Token::Bin(bytes) => give_bytes(bytes, visitor, want),
            Token::Ext(kind, data) => give_extension(kind, data, visitor, want),
        }
    }

    /// Goes into a container of so many elements; an empty one has nothing that would lie inside it.
    fn deeper(&mut self, len: usize) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH && len > 0 {
            return Err(Error::new(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }

    /// Refuses a container that announces more than there are bytes for.
    fn paid_for(&self, len: usize, bytes_each: usize) -> Result<(), Error> {
        let left = self.bytes.len() - self.at;
        if len > left / bytes_each {
            return Err(Error::new(format_args!(
                "malformed MessagePack: {len} elements are announced, {left} bytes are left"
            )));
        }
        Ok(())
    }

    /// An array; `fields` are those of the struct that is read from it, if one is.
    fn sequence<V: Visitor<'de>>(
        &mut self,
        len: usize,
        visitor: V,
        fields: &[&str],
    ) -> Result<V::Value, Error> {
        self.deeper(len)?;
        self.paid_for(len, 1)?;
        let mut items = Items { reader: self, len, next: 0 };
        let read = visitor.visit_seq(&mut items);
        let taken = items.next;
        let value = read.map_err(|error| error.reworded(|reason| wrong_length(reason, len, fields)))?;
        if taken < len {
            let named = names(fields);
            return Err(Error::new(format_args!("{} where {taken} are expected{named}", came(len))));
        }
        self.depth -= 1;
        Ok(value)
    }

    fn map<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deeper(len)?;
        self.paid_for(len, 2)?;
        let mut entries = Entries { reader: self, left: len, key: 0 };
        let value = visitor.visit_map(&mut entries)?;
        let left = entries.left;
        if left > 0 {
            return Err(Error::new(format_args!("a map of {len} entries, of which {left} are too many")));
        }
        self.depth -= 1;
        Ok(value)
    }

    /// Passes over a value.
    fn skip(&mut self) -> Result<(), Error> {
        let mut left = 1_usize;
        while left > 0 {
            left -= 1;
            match self.token()? {
                Token::Array(len) => {
                    self.paid_for(len, 1)?;
                    left += len;
                }
                Token::Map(len) => {
                    self.paid_for(len, 2)?;
                    left += 2 * len;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn integer<V: Visitor<'de>>(&mut self, visitor: V, signed: bool) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Ext(INTEGER_EXTENSION, data) => give_integer(data, visitor, signed),
            // As `rmp_serde` writes integers of 128 bits.
            Token::Bin(raw) if raw.len() == 16 => {
                let digits = raw.iter().fold(0, |value: u128, byte| value << 8 | u128::from(*byte));
                if signed { visitor.visit_i128(digits.cast_signed()) } else { visitor.visit_u128(digits) }
            }
            token => self.give(token, visitor, Want::Scalar),
        }
    }
}

/// Serde's words for an array of the wrong length, with the names.
#[cold]
fn wrong_length(reason: &str, len: usize, fields: &[&str]) -> Option<String> {
    let named = names(fields);
    (reason.starts_with("invalid length") && !named.is_empty())
        .then(|| format!("{} where {} are expected{named}", came(len), fields.len()))
}

fn came(len: usize) -> String {
    if len == 1 { "1 value came".into() } else { format!("{len} values came") }
}

fn names(fields: &[&str]) -> String {
    if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) }
}

/// Whether a type keeps MessagePack as it is, where others want plainer forms.
fn keeps_messagepack<T>() -> bool {
    std::any::type_name::<T>().starts_with("rmpv::")
}

fn give_bytes<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V, want: Want) -> Result<V::Value, Error> {
    let plainer = want == Want::Any && !keeps_messagepack::<V::Value>();
    if want == Want::Sequence || plainer {
        // `Vec<u8>`, and what knows no bytes: JSON's values and what serde keeps of an untagged enum.
        return visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()));
    }
    visitor.visit_borrowed_bytes(bytes)
}

fn give_extension<'de, V: Visitor<'de>>(
    kind: i8,
    data: &'de [u8],
    visitor: V,
    want: Want,
) -> Result<V::Value, Error> {
    let any = want == Want::Any;
    match kind {
        MOMENT if want == Want::Text || any && !keeps_messagepack::<V::Value>() => {
            visitor.visit_string(forms::moment_text(data)?)
        }
        INTEGER_EXTENSION if any && !keeps_messagepack::<V::Value>() => give_integer(data, visitor, false),
        _ if any => {
            let given = visitor.visit_newtype_struct(Extension { kind, data });
            let token = Token::Ext(kind, data);
            given.map_err(|error| {
                error.reworded(|reason| {
                    let rest = reason.strip_prefix("invalid type: newtype struct")?;
                    Some(format!("invalid type: {}{rest}", token.unexpected()))
                })
            })
        }
        _ => Err(Error::invalid_type(Token::Ext(kind, data).unexpected(), &visitor)),
    }
}

fn give_integer<'de, V: Visitor<'de>>(data: &[u8], visitor: V, signed: bool) -> Result<V::Value, Error> {
    match Integer::decode(data).map_err(Error::new)? {
        Integer::Signed(value) => visitor.visit_i128(value),
        Integer::Unsigned(value) => match i128::try_from(value) {
            Ok(value) if signed => visitor.visit_i128(value),
            _ => visitor.visit_u128(value),
        },
    }
}

/// Numbers in the place of a struct or a tuple.
fn give_numbers<'de, V: Visitor<'de>>(numbers: Vec<i64>, visitor: V) -> Result<V::Value, Error> {
    visitor.visit_seq(SeqDeserializer::new(numbers.into_iter()))
}

macro_rules! scalars {
    ($($method:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.next(visitor, Want::Scalar)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_unit
        deserialize_map
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let token = self.token()?;
        if matches!(token, Token::Str(_) | Token::Ext(..))
            && let Some(len) = forms::tuple_of(std::any::type_name::<V::Value>())
            && let Some(parts) = forms::parts(len, token)?
        {
            return give_numbers(parts, visitor);
        }
        self.give(token, visitor, Want::Any)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integer(visitor, true)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integer(visitor, false)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Text)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Text)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Text)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Bytes)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.bytes.get(self.at) == Some(&0xc0) {
            self.at += 1;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Array(0) => visitor.visit_unit(),
            token => self.give(token, visitor, Want::Scalar),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == RAW {
            let start = self.at;
            self.skip()?;
            return visitor.visit_borrowed_bytes(&self.bytes[start..self.at]);
        }
        if name != EXTENSION {
            return visitor.visit_newtype_struct(self);
        }
        match self.token()? {
            Token::Ext(kind, data) => visitor.visit_newtype_struct(Extension { kind, data }),
            token => Err(Error::invalid_type(token.unexpected(), &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.next(visitor, Want::Sequence)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            token @ (Token::Str(_) | Token::Ext(..)) => match forms::parts(len, token)? {
                Some(parts) => give_numbers(parts, visitor),
                None => self.give(token, visitor, Want::Sequence),
            },
            token => self.give(token, visitor, Want::Sequence),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Array(len) => self.sequence(len, visitor, fields),
            token @ (Token::Str(_) | Token::Ext(..)) => {
                match forms::form(name, fields).map_or(Ok(None), |form: Form| forms::numbers(form, token))? {
                    Some(numbers) => give_numbers(numbers.to_vec(), visitor),
                    None => self.give(token, visitor, Want::Sequence),
                }
            }
            token => self.give(token, visitor, Want::Sequence),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Str(variant) => visitor.visit_enum(StrDeserializer::new(variant)),
            Token::Map(1) => {
                self.deeper(1)?;
                let at = self.at;
                let read = visitor.visit_enum(&mut *self);
                self.depth -= 1;
                read.map_err(|error| error.within(key(self.bytes, at)))
            }
            Token::Map(len) => {
                Err(Error::new(format_args!("a map of {len} entries, a variant of an enum is a map of one")))
            }
            token => Err(Error::invalid_type(token.unexpected(), &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }
}

/// The items of an array.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    len: usize,
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let index = self.next;
        if index == self.len {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(&mut *self.reader).map(Some).map_err(|error| error.within(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.next)
    }
}

/// The entries of a map.
struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
    /// Where the last key begins.
    key: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.key = self.reader.at;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let read = seed.deserialize(&mut *self.reader);
        read.map_err(|error| error.within(key(self.reader.bytes, self.key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant whose content follows its name.
impl<'de> de::EnumAccess<'de> for &mut Reader<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let variant = seed.deserialize(&mut *self)?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Reader<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.token()? {
            Token::Nil | Token::Array(0) | Token::Map(0) => Ok(()),
            token => Err(Error::invalid_type(token.unexpected(), &"nothing, for a variant without content")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// An extension as a pair of its type and its bytes.
struct Extension<'de> {
    kind: i8,
    data: &'de [u8],
}

impl<'de> Deserializer<'de> for Extension<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Pair { kind: Some(self.kind), data: Some(self.data) })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Pair<'de> {
    kind: Option<i8>,
    data: Option<&'de [u8]>,
}

impl<'de> de::SeqAccess<'de> for Pair<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if let Some(kind) = self.kind.take() {
            let kind: I8Deserializer<Error> = kind.into_deserializer();
            return seed.deserialize(kind).map(Some);
        }
        let Some(data) = self.data.take() else { return Ok(None) };
        seed.deserialize(BorrowedBytesDeserializer::new(data)).map(Some)
    }
}

const _: () = assert!(TENSOR_EXTENSION != INTEGER_EXTENSION && TENSOR_EXTENSION != MOMENT);
