//! Texts with a grammar of their own.

/// Makes a type of text that exists only as its reader wrote it.
///
/// The reader returns the one way in which the text is written, or what is wrong with it.
macro_rules! checked_text {
    ($(#[$attribute:meta])* $name:ident, $kind:literal, $read:path) => {
        $(#[$attribute])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $read(text).map(Self).map_err(|problem| $crate::InvalidName {
                    kind: $kind,
                    name: text.to_owned(),
                    problem,
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(&self.0)
            }
        }
    };
}

pub(super) use checked_text;
