//! Values of properties that can be null.

use serde::{Deserialize, Deserializer, Serialize};

use super::Secret;

/// Value of a property that the document marks `nullable`: null or a value.
///
/// The third state is an omitted property: a setter that is not called, a field that is `None`.
/// `&str` and `String` convert.
///
/// ```
/// use sigmamind::Nullable;
///
/// let value: Nullable<String> = "awTw7UKhOsLGiDbt".into();
/// assert_eq!(serde_json::to_string(&value).unwrap(), r#""awTw7UKhOsLGiDbt""#);
/// assert_eq!(serde_json::to_string(&Nullable::<String>::Null).unwrap(), "null");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Nullable<T> {
    /// A value.
    Value(T),
    /// JSON `null`.
    Null,
}

// By hand: serde's derive for untagged enums buffers a copy of the value first.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

impl<T> From<T> for Nullable<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T> From<T> for Nullable<Box<T>> {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}

impl From<&str> for Nullable<String> {
    fn from(text: &str) -> Self {
        Self::Value(text.to_owned())
    }
}

impl From<&str> for Nullable<Secret> {
    fn from(text: &str) -> Self {
        Self::Value(text.into())
    }
}

impl From<String> for Nullable<Secret> {
    fn from(text: String) -> Self {
        Self::Value(text.into())
    }
}

/// Reads a property that is present, null included; serde's own `Option` takes null for absence.
#[allow(
    dead_code,
    reason = "generated code calls it if the document has a nullable property"
)]
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_no_absence() {
        assert_eq!(present(json!(null)).unwrap(), Some(Nullable::<u8>::Null));
        assert_eq!(present(json!(7)).unwrap(), Some(Nullable::Value(7)));
    }
}
