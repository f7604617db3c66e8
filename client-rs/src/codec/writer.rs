//! Values to MessagePack.

use pycrust_protocol::integer::{INTEGER_EXTENSION, INTEGER_LEN, Integer};
use pycrust_protocol::limits::MAX_DEPTH;
use serde::ser::{self, Error as _, Serialize};

use super::error::{Error, Step};
use super::forms::{self, Form};
use super::token::{Token, token};
use super::{EXTENSION, RAW, verbatim};

/// First markers of containers: for up to 15 elements, for two bytes of length, for four.
type Markers = [u8; 3];
const ARRAY: Markers = [0x90, 0xdc, 0xdd];
const MAP: Markers = [0x80, 0xde, 0xdf];

/// A field's name, and where it begins.
pub(super) type Field = (&'static str, usize);

/// A serializer into bytes.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where structs are arrays: the fields so far of those that are being written, the outermost first. One that leaves a
    /// field out becomes a map.
    fields: Option<&'a mut Vec<Field>>,
    depth: usize,
}

impl<'a> Writer<'a> {
    /// One that writes structs as maps, or as arrays if it has room for the fields.
    pub(super) fn new(out: &'a mut Vec<u8>, fields: Option<&'a mut Vec<Field>>) -> Self {
        Self { out, fields, depth: 0 }
    }

    #[inline]
    fn open<'w>(&'w mut self, announced: Option<usize>, markers: Markers) -> Result<Open<'w, 'a>, Error> {
        self.depth += 1;
        // An empty one has nothing that would lie inside it.
        if self.depth > MAX_DEPTH && announced != Some(0) {
            return Err(Error::new(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        let start = self.out.len();
        let announced = announced.unwrap_or(0);
        let (head, len) = head(announced, markers)?;
        self.out.extend_from_slice(&head[..len]);
        Ok(Open { writer: self, markers, start, body: start + len, announced, count: 0, key: 0 })
    }

    /// Keeps the name of a field that begins here.
    fn note(&mut self, name: &'static str) {
        if let Some(fields) = &mut self.fields {
            fields.push((name, self.out.len()));
        }
    }

    /// A variant with its content: a map of one entry.
    fn variant(&mut self, variant: &str) -> Result<(), Error> {
        self.out.push(0x81);
        self.str(variant)
    }

    #[inline]
    fn str(&mut self, text: &str) -> Result<(), Error> {
        if text.len() < 32 {
            self.out.push(0xa0 | text.len() as u8);
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        rmp::encode::write_str_len(self.out, length(text.len())?).map_err(Error::custom)?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// A marker and what belongs to it, in one step.
    #[inline]
    fn marked<const N: usize>(&mut self, marker: u8, bytes: [u8; N]) {
        let mut all = [0; 9];
        all[0] = marker;
        all[1..=N].copy_from_slice(&bytes);
        self.out.extend_from_slice(&all[..=N]);
    }

    /// Turns the array of a type and bytes that was written since `start` into an extension.
    fn extension(&mut self, start: usize) -> Result<(), Error> {
        let mut at = start;
        let written = &self.out[..];
        let (kind, data) =
            match (token(written, &mut at)?, token(written, &mut at)?, token(written, &mut at)?) {
                (Token::Array(2), Token::Unsigned(kind), Token::Bin(data)) => {
                    (i8::try_from(kind), data.to_vec())
                }
                (Token::Array(2), Token::Signed(kind), Token::Bin(data)) => {
                    (i8::try_from(kind), data.to_vec())
                }
                _ => return Err(Error::new("an extension is a pair of its type and its bytes")),
            };
        let kind = kind.map_err(Error::custom)?;
        self.out.truncate(start);
        rmp::encode::write_ext_meta(self.out, length(data.len())?, kind).map_err(Error::custom)?;
        self.out.extend_from_slice(&data);
        Ok(())
    }

    /// Takes the head off the bytes that were written since `start`: they are a value themselves.
    fn unwrap(&mut self, start: usize) -> Result<(), Error> {
        let mut at = start;
        let Token::Bin(value) = token(self.out, &mut at)? else {
            return Err(Error::new("what is written as it is are bytes"));
        };
        let head = at - value.len();
        self.out.drain(start..head);
        Ok(())
    }

    fn big(&mut self, integer: Integer) -> Result<(), Error> {
        rmp::encode::write_ext_meta(self.out, INTEGER_LEN as u32, INTEGER_EXTENSION)
            .map_err(Error::custom)?;
        self.out.extend_from_slice(&integer.encode());
        Ok(())
    }
}

/// The head of a container, and its length.
#[inline]
fn head(len: usize, [short, middle, long]: Markers) -> Result<([u8; 5], usize), Error> {
    let raw = length(len)?.to_be_bytes();
    Ok(match len {
        0..16 => ([short | len as u8, 0, 0, 0, 0], 1),
        16..0x1_0000 => ([middle, raw[2], raw[3], 0, 0], 3),
        _ => ([long, raw[0], raw[1], raw[2], raw[3]], 5),
    })
}

fn length(len: usize) -> Result<u32, Error> {
    u32::try_from(len).map_err(|_| Error::new(format_args!("{len} elements, 2^32 - 1 are the most")))
}

/// A container that is being written.
pub(super) struct Open<'w, 'a> {
    writer: &'w mut Writer<'a>,
    markers: Markers,
    /// Where its head begins, and what follows it.
    start: usize,
    body: usize,
    announced: usize,
    count: usize,
    /// Where the last key begins.
    key: usize,
}

impl Open<'_, '_> {
    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let index = self.count;
        self.count += 1;
        value.serialize(&mut *self.writer).map_err(|error| error.within(Step::Index(index)))
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.count += 1;
        value.serialize(&mut *self.writer).map_err(|error| error.within(Step::Field(name.into())))
    }

    /// Ends it. What announced no length, or a wrong one, gets its head now.
    #[inline]
    fn close(self) -> Result<(), Error> {
        self.writer.depth -= 1;
        if self.count != self.announced {
            let (head, len) = head(self.count, self.markers)?;
            self.writer.out.splice(self.start..self.body, head[..len].iter().copied());
        }
        Ok(())
    }
}

/// A struct that is being written.
pub(super) struct Fields<'w, 'a> {
    open: Open<'w, 'a>,
    /// Where its fields begin in [`Writer::fields`]; none if it is a map.
    first: Option<usize>,
    /// The fields that would make it a moment or a duration, as far as they are.
    form: Option<(Form, [&'static str; 2])>,
}

impl<'w, 'a> Fields<'w, 'a> {
    #[inline]
    fn new(
        writer: &'w mut Writer<'a>,
        len: usize,
        form: Option<(Form, [&'static str; 2])>,
    ) -> Result<Self, Error> {
        let first = writer.fields.as_ref().map(|fields| fields.len());
        let markers = if first.is_none() { MAP } else { ARRAY };
        Ok(Self { open: writer.open(Some(len), markers)?, first, form })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        if self.first.is_none() {
            self.open.writer.str(name)?;
        } else {
            self.open.writer.note(name);
        }
        self.open.field(name, value)
    }

    /// A field is left out: in an array, it would shift those behind it.
    #[cold]
    fn skip(&mut self) -> Result<(), Error> {
        self.form = None;
        self.name()
    }

    /// Makes it a map, if it isn't.
    #[cold]
    fn name(&mut self) -> Result<(), Error> {
        let Open { writer, markers, start, body, announced, .. } = &mut self.open;
        let (Some(first), Some(fields)) = (self.first.take(), &mut writer.fields) else { return Ok(()) };
        let (from, values, fields) = (*body, writer.out.split_off(*body), fields.split_off(first));
        let (head, len) = head(*announced, MAP)?;
        writer.out.truncate(*start);
        writer.out.extend_from_slice(&head[..len]);
        (*markers, *body) = (MAP, *start + len);
        let ends = fields.iter().skip(1).map(|(_, at)| at - from).chain([values.len()]);
        for ((name, at), end) in fields.iter().zip(ends) {
            writer.str(name)?;
            writer.out.extend_from_slice(&values[at - from..end]);
        }
        Ok(())
    }

    #[inline]
    fn finish(mut self) -> Result<(), Error> {
        if self.first.is_some() {
            self.complete()?;
        }
        self.open.close()
    }

    /// Ends what was to be an array.
    fn complete(&mut self) -> Result<(), Error> {
        if self.open.count != self.open.announced {
            // One that was announced never came.
            self.name()?;
        }
        if let (Some(first), Some(fields)) = (self.first, &mut self.open.writer.fields) {
            fields.truncate(first);
        }
        Ok(())
    }

    /// Writes a struct of seconds and nanoseconds as what it stands for.
    fn reform(self, form: Form) -> Result<(), Error> {
        let named = self.first.is_none();
        let Open { writer, start, mut body, .. } = self.open;
        writer.depth -= 1;
        if let (Some(first), Some(fields)) = (self.first, &mut writer.fields) {
            fields.truncate(first);
        }
        let mut number = || -> Result<i128, Error> {
            if named {
                token(writer.out, &mut body)?;
            }
            match token(writer.out, &mut body)? {
                Token::Unsigned(number) => Ok(number.into()),
                Token::Signed(number) => Ok(number.into()),
                _ => Err(Error::new("seconds and nanoseconds are integers")),
            }
        };
        let (seconds, nanos) = (number()?, number()?);
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
        let nanos = nanos.ok_or_else(|| Error::new("there are less than a second of nanoseconds"))?;
        writer.out.truncate(start);
        forms::put(writer.out, form, seconds, nanos)
    }
}

impl<'w, 'a> ser::Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'w, 'a>;
    type SerializeTuple = Open<'w, 'a>;
    type SerializeTupleStruct = Open<'w, 'a>;
    type SerializeTupleVariant = Open<'w, 'a>;
    type SerializeMap = Open<'w, 'a>;
    type SerializeStruct = Fields<'w, 'a>;
    type SerializeStructVariant = Fields<'w, 'a>;

    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.push(if value { 0xc3 } else { 0xc2 });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        rmp::encode::write_sint(self.out, value).map(drop).map_err(Error::custom)
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => self.big(Integer::Signed(value)),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        rmp::encode::write_uint(self.out, value).map(drop).map_err(Error::custom)
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => self.big(Integer::Unsigned(value)),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.marked(0xca, value.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.marked(0xcb, value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.str(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        rmp::encode::write_bin_len(self.out, length(value.len())?).map_err(Error::custom)?;
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.push(0xc0);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let start = self.out.len();
        if name == RAW {
            verbatim(|| value.serialize(&mut *self))?;
            return self.unwrap(start);
        }
        value.serialize(&mut *self)?;
        if name == EXTENSION { self.extension(start) } else { Ok(()) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?;
        self.depth += 1;
        value.serialize(&mut *self).map_err(|error| error.within(Step::Field(variant.into())))?;
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Open<'w, 'a>, Error> {
        self.open(len, ARRAY)
    }

    fn serialize_tuple(self, len: usize) -> Result<Open<'w, 'a>, Error> {
        self.open(Some(len), ARRAY)
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Open<'w, 'a>, Error> {
        self.open(Some(len), ARRAY)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Open<'w, 'a>, Error> {
        self.variant(variant)?;
        self.open(Some(len), ARRAY)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Open<'w, 'a>, Error> {
        self.open(len, MAP)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'w, 'a>, Error> {
        let form = forms::named(name, len).and_then(|fields| Some((forms::form(name, &fields)?, fields)));
        Fields::new(self, len, form)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'w, 'a>, Error> {
        self.variant(variant)?;
        Fields::new(self, len, None)
    }
}

impl ser::SerializeSeq for Open<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl ser::SerializeTuple for Open<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Open<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl ser::SerializeTupleVariant for Open<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl ser::SerializeMap for Open<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.count += 1;
        self.key = self.writer.out.len();
        key.serialize(&mut *self.writer)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let written = value.serialize(&mut *self.writer);
        written.map_err(|error| error.within(key(self.writer.out, self.key)))
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl ser::SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        if self.form.is_some_and(|(_, fields)| fields.get(self.open.count) != Some(&name)) {
            self.form = None;
        }
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        match self.form {
            Some((form, _)) => self.reform(form),
            None => self.finish(),
        }
    }

    fn skip_field(&mut self, _name: &'static str) -> Result<(), Error> {
        self.skip()
    }
}

impl ser::SerializeStructVariant for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }

    fn skip_field(&mut self, _name: &'static str) -> Result<(), Error> {
        self.skip()
    }
}

/// The key at a position, as a step of a path.
#[cold]
pub(super) fn key(bytes: &[u8], mut at: usize) -> Step {
    match token(bytes, &mut at) {
        Ok(Token::Str(text)) => Step::Field(text.into()),
        Ok(Token::Unsigned(number)) => Step::Field(number.to_string()),
        Ok(Token::Signed(number)) => Step::Field(number.to_string()),
        Ok(other) => Step::Field(other.unexpected().to_string()),
        Err(_) => Step::Field("?".into()),
    }
}
