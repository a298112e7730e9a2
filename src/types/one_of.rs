//! Values that may be of one JSON type or another.

/// An enum of scalars of different JSON types. Its `Debug` shows the value only if `$shown`.
#[allow(unused_macros, reason = "generated code, if the document has one")]
macro_rules! one_of {
    ($(#[doc = $doc:literal])* $name:ident, $shown:literal, { $($variant:ident($type:ty)),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, ::serde::Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("A JSON value of the kind ", stringify!($variant), ".")] $variant(
                #[serde(serialize_with = "crate::types::finite")] $type,
            ),)*
        }

        // By hand: the copy that serde's untagged enums make loses numbers if the program turns on
        // serde_json's `arbitrary_precision`.
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let value = <::serde_json::Value as ::serde::Deserialize>::deserialize(deserializer)?;
                $(
                    if let ::std::result::Result::Ok(value) = <$type as ::serde::Deserialize>::deserialize(&value) {
                        return ::std::result::Result::Ok(Self::$variant(value));
                    }
                )*
                let kinds = concat!("none of the kinds", $(" ", stringify!($variant)),*);
                ::std::result::Result::Err(::serde::de::Error::custom(kinds))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(
                        Self::$variant(value) if $shown => f.debug_tuple(stringify!($variant)).field(value).finish(),
                        Self::$variant(_) => f.debug_tuple(stringify!($variant)).field(&$crate::types::Hidden).finish(),
                    )*
                }
            }
        }

        $(
            impl ::std::convert::From<$type> for $name {
                fn from(value: $type) -> Self {
                    Self::$variant(value)
                }
            }

            $crate::types::one_of!(@text $name $variant);
        )*
    };
    (@text $name:ident String) => {
        impl ::std::convert::From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::String(text.to_owned())
            }
        }
    };
    (@text $name:ident $variant:ident) => {};
}

#[allow(unused_imports, reason = "generated code, if the document has one")]
pub(crate) use one_of;
