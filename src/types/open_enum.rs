//! Enums that keep a value that the document does not list.

/// An enum of listed strings, and `$other` for any other, as it came. Its `Debug` shows that one
/// only if `$shown`.
#[allow(unused_macros, reason = "generated code, if the document has one")]
macro_rules! open_enum {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $other:ident, $shown:literal, { $($variant:ident = $text:literal),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// A value that the document does not list, as it came.
            $other(::std::string::String),
        }

        impl $name {
            /// Returns the value as it is in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $text,)* Self::$other(text) => text }
            }

            fn listed(text: &str) -> ::std::option::Option<Self> {
                match text { $($text => ::std::option::Option::Some(Self::$variant),)* _ => ::std::option::Option::None }
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                <::std::string::String as ::serde::Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$variant => f.write_str(stringify!($variant)),)*
                    Self::$other(text) if $shown => f.debug_tuple(stringify!($other)).field(text).finish(),
                    Self::$other(_) => f.debug_tuple(stringify!($other)).field(&$crate::types::Hidden).finish(),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::convert::From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::listed(text).unwrap_or_else(|| Self::$other(text.to_owned()))
            }
        }

        impl ::std::convert::From<::std::string::String> for $name {
            fn from(text: ::std::string::String) -> Self {
                Self::listed(&text).unwrap_or(Self::$other(text))
            }
        }
    };
}

#[allow(unused_imports, reason = "generated code, if the document has one")]
pub(crate) use open_enum;
