//! Files that the operator's machine gives a container.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A file that a container sees and cannot change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFile {
    /// Its contents.
    pub contents: FileContents,
    /// The user that owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Its permissions.
    pub mode: FileMode,
}

impl ContainerFile {
    /// The most bytes that a file may have.
    pub const MAXIMUM_SIZE: usize = 1 << 20;
    /// The most bytes that the files of all applications of a node may have together: a node tells
    /// of all of them in one message.
    pub const MAXIMUM_OF_NODE: usize = 4 << 20;

    /// A file that belongs to root and that everybody in the container may read.
    pub const fn new(contents: FileContents) -> Self {
        Self {
            contents,
            uid: 0,
            gid: 0,
            mode: FileMode::DEFAULT,
        }
    }
}

/// The permissions of a file: three octal digits, as of `chmod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct FileMode(u32);

impl FileMode {
    /// Everybody may read.
    ///
    /// **Source**: Compose Specification, `configs`, `mode`.
    pub const DEFAULT: Self = Self(0o444);

    /// Takes permissions; there is nothing in them but reading, writing and executing.
    pub const fn new(bits: u32) -> Option<Self> {
        if bits <= 0o777 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Returns the bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for FileMode {
    type Error = &'static str;

    fn try_from(bits: u32) -> Result<Self, Self::Error> {
        Self::new(bits).ok_or("the permissions of a file are beyond 0777")
    }
}

impl From<FileMode> for u32 {
    fn from(mode: FileMode) -> Self {
        mode.0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

/// The bytes of a file, which may be a key or a password.
///
/// There is no `Display`, and [`fmt::Debug`] leaves the bytes out. Serialization writes them: text
/// as text, and anything else in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContents(Vec<u8>);

impl FileContents {
    /// Returns the bytes, for whoever writes the file.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Returns how many bytes there are.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Makes what is shown to people in the place of the bytes.
    pub fn withheld() -> Self {
        Self(b"(withheld)".to_vec())
    }

    /// Returns the bytes as text that JSON does not make much longer.
    fn as_text(&self) -> Option<&str> {
        let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        let text = std::str::from_utf8(&self.0).ok()?;
        text.chars().all(is_plain).then_some(text)
    }
}

impl From<Vec<u8>> for FileContents {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for FileContents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FileContents")
    }
}

/// The contents as JSON has them.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes { base64: String },
}

impl Serialize for FileContents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self.as_text() {
            Some(text) => Written::Text(text.into()),
            None => Written::Bytes {
                base64: STANDARD.encode(&self.0),
            },
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileContents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            Written::Bytes { base64 } => match STANDARD.decode(base64) {
                Ok(bytes) => Ok(Self(bytes)),
                // The error would quote a part of the contents.
                Err(_) => Err(D::Error::custom("invalid base64 in the contents of a file")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_of_any_kind_survive_the_wire() {
        for (bytes, written) in [
            (&b"listen 80;\n"[..], r#""listen 80;\n""#),
            (b"", r#""""#),
            (b"\xff\x00", r#"{"base64":"/wA="}"#),
            (b"a\0", r#"{"base64":"YQA="}"#),
        ] {
            let contents = FileContents::from(bytes.to_vec());
            assert_eq!(serde_json::to_string(&contents).unwrap(), written);
            let read: FileContents = serde_json::from_str(written).unwrap();
            assert_eq!(read.reveal(), bytes);
        }
        serde_json::from_str::<FileContents>(r#"{"base64":"?"}"#).unwrap_err();
    }

    #[test]
    fn permissions_are_read_write_and_execute_alone() {
        assert_eq!(FileMode::new(0o440).unwrap().to_string(), "0440");
        assert_eq!(FileMode::new(0o4755), None);
        serde_json::from_str::<FileMode>("4095").unwrap_err();
    }
}
