//! Netlink attributes: type, length, value.
//!
//! **Source**: `netlink(7)`, `linux/netlink.h` (`struct nlattr`).

/// Size of an attribute's header, in bytes.
const HEADER: usize = 4;
/// Bits of the type that are not flags (`NLA_TYPE_MASK`).
const TYPE_MASK: u16 = 0x3fff;
/// Says that the value consists of attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;

/// One attribute of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// Its type, without flags.
    pub(crate) kind: u16,
    /// Its value, without padding.
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Reads a number in network byte order, as `nf_tables` writes them.
    pub(crate) fn number(&self) -> Option<u32> {
        let (bytes, _rest) = self.value.split_first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    }

    /// Reads a large number in network byte order.
    pub(crate) fn large_number(&self) -> Option<u64> {
        let (bytes, _rest) = self.value.split_first_chunk::<8>()?;
        Some(u64::from_be_bytes(*bytes))
    }

    /// Reads NUL-terminated text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let until_nul = self.value.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(until_nul).ok()
    }

    /// Reads the attributes that the value consists of.
    pub(crate) fn nested(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        attributes(self.value)
    }
}

/// Splits a message's payload into its attributes; ends early at one that does not fit.
pub(crate) fn attributes(payload: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (header, _) = rest.split_first_chunk::<HEADER>()?;
        let [a, b, c, d] = *header;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(HEADER..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(Attribute {
            kind: u16::from_ne_bytes([c, d]) & TYPE_MASK,
            value,
        })
    })
}

/// Finds the first attribute of a type.
pub(crate) fn find(payload: &[u8], kind: u16) -> Option<Attribute<'_>> {
    attributes(payload).find(|attribute| attribute.kind == kind)
}

/// Appends an attribute.
pub(crate) fn push(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
    buffer.extend(length.to_ne_bytes());
    buffer.extend(kind.to_ne_bytes());
    buffer.extend(value);
    buffer.resize(aligned(buffer.len()), 0);
}

/// Appends an attribute that consists of attributes.
pub(crate) fn push_nested(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    push(buffer, kind | NESTED, value);
}

/// Rounds up to netlink's alignment.
pub(crate) const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read() {
        let mut inner = Vec::new();
        push(&mut inner, 2, b"routes\0");
        let mut buffer = Vec::new();
        push(&mut buffer, 1, &7_u32.to_be_bytes());
        push_nested(&mut buffer, 3, &inner);
        let read: Vec<_> = attributes(&buffer).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].number(), Some(7));
        let nested: Vec<_> = read[1].nested().collect();
        assert_eq!(nested[0].text(), Some("routes"));
    }

    #[test]
    fn a_length_beyond_the_end_ends_the_list() {
        assert_eq!(attributes(&[200, 0, 1, 0, 9, 9]).count(), 0);
        assert_eq!(attributes(&[1, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[4]).count(), 0);
    }
}
