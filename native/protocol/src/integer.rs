//! Integers beyond 64 bits, for which MessagePack has no form of its own.

/// The MessagePack extension type of an integer beyond 64 bits.
pub const INTEGER_EXTENSION: i8 = 2;

/// Bytes of such an integer: big-endian two's complement that holds both `i128` and `u128`.
pub const INTEGER_LEN: usize = 17;

/// An integer of up to 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integer {
    /// Of a signed type.
    Signed(i128),
    /// Of an unsigned type; what was decoded and is not below zero.
    Unsigned(u128),
}

impl Integer {
    /// Reads the extension's data.
    ///
    /// # Errors
    /// The reason, if it is no such integer.
    pub fn decode(data: &[u8]) -> Result<Self, String> {
        let Ok([sign, digits @ ..]) = <[u8; INTEGER_LEN]>::try_from(data) else {
            return Err(format!("an integer of {} bytes, {INTEGER_LEN} are allowed", data.len()));
        };
        match (sign, u128::from_be_bytes(digits)) {
            (0, value) => Ok(Self::Unsigned(value)),
            (0xff, value) if value.cast_signed() < 0 => Ok(Self::Signed(value.cast_signed())),
            _ => Err("an integer beyond 128 bits".to_owned()),
        }
    }

    /// The extension's data.
    ///
    /// # Examples
    /// ```
    /// use pycrust_protocol::integer::Integer;
    ///
    /// let large = Integer::Unsigned(u128::MAX);
    /// assert_eq!(Integer::decode(&large.encode()), Ok(large));
    /// ```
    pub fn encode(self) -> [u8; INTEGER_LEN] {
        let (sign, digits) = match self {
            Self::Signed(value) => (if value < 0 { 0xff } else { 0 }, value.to_be_bytes()),
            Self::Unsigned(value) => (0, value.to_be_bytes()),
        };
        let mut data = [sign; INTEGER_LEN];
        data[1..].copy_from_slice(&digits);
        data
    }
}
