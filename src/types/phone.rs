//! Phone numbers: in E.164 form, and as the server reports them.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::MapAccessDeserializer},
};
use serde_json::Number;

/// A phone number in E.164 form: `+`, then 7 to 15 digits, the first of them not 0.
///
/// [ITU-T E.164](https://www.itu.int/rec/T-REC-E.164) allows at most 15 digits, country code
/// included, and no country code starts with 0; a number of fewer than 7 digits is taken for a
/// mistake. The form alone is checked, not whether the number is assigned. Nothing is trimmed or
/// guessed: `" +1 415…"` and `"0014…"` are refused.
///
/// ```
/// use sigmamind::E164;
///
/// let number: E164 = "+14155552671".parse()?;
/// assert_eq!(number.as_str(), "+14155552671");
/// assert_eq!(
///     "4155552671".parse::<E164>().unwrap_err().to_string(),
///     "not an E.164 phone number: it does not start with `+`",
/// );
/// # Ok::<(), sigmamind::ParseE164Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct E164(Box<str>);

impl E164 {
    /// Returns the number with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Error of parsing an [`E164`] number. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseE164Error {
    /// The text is empty.
    Empty,
    /// The first character is not `+`.
    NoPlus,
    /// Something other than the digits 0 to 9 follows the `+`.
    NotADigit,
    /// The first digit is 0.
    LeadingZero,
    /// There are fewer than 7 digits.
    TooShort,
    /// There are more than 15 digits.
    TooLong,
}

impl fmt::Display for ParseE164Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an E.164 phone number: ")?;
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::NoPlus => "it does not start with `+`",
            Self::NotADigit => "only digits may follow the `+`",
            Self::LeadingZero => "its first digit is 0",
            Self::TooShort => "it has fewer than 7 digits",
            Self::TooLong => "it has more than 15 digits",
        })
    }
}

impl std::error::Error for ParseE164Error {}

fn check_e164(text: &str) -> Result<(), ParseE164Error> {
    if text.is_empty() {
        return Err(ParseE164Error::Empty);
    }
    let digits = text
        .strip_prefix('+')
        .ok_or(ParseE164Error::NoPlus)?
        .as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseE164Error::NotADigit);
    }
    match (digits.len(), digits.first()) {
        (_, Some(b'0')) => Err(ParseE164Error::LeadingZero),
        (0..7, _) => Err(ParseE164Error::TooShort),
        (7..=15, _) => Ok(()),
        _ => Err(ParseE164Error::TooLong),
    }
}

impl FromStr for E164 {
    type Err = ParseE164Error;

    fn from_str(text: &str) -> Result<Self, ParseE164Error> {
        check_e164(text).map(|()| Self(text.into()))
    }
}

impl TryFrom<&str> for E164 {
    type Error = ParseE164Error;

    fn try_from(text: &str) -> Result<Self, ParseE164Error> {
        text.parse()
    }
}

impl TryFrom<String> for E164 {
    type Error = ParseE164Error;

    fn try_from(text: String) -> Result<Self, ParseE164Error> {
        check_e164(&text).map(|()| Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for E164 {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A phone number as the server reported it, in whatever form it came.
///
/// `SigmaMind`'s API reference documents E.164 and shows both `"+14155552671"` and `14155552671`; a JSON integer and
/// a text that is not E.164 are kept, and are written back as they came.
///
/// ```
/// use sigmamind::{E164, ReportedNumber};
///
/// let number: ReportedNumber = serde_json::from_str("14155552671").unwrap();
/// assert_eq!(number.to_string(), "14155552671");
/// assert_eq!(number.to_e164(), Some("+14155552671".parse().unwrap()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum ReportedNumber {
    /// A JSON string.
    Text(String),
    /// A JSON integer, which cannot carry the `+`.
    Integer(u64),
}

impl ReportedNumber {
    /// Returns the number if it has the E.164 form; the `+` that an integer lacks is added.
    #[must_use]
    pub fn to_e164(&self) -> Option<E164> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Integer(digits) => format!("+{digits}").parse().ok(),
        }
    }
}

// By hand: serde's derive for untagged enums buffers a copy of the value first.
impl<'de> Deserialize<'de> for ReportedNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ReportedNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a phone number")
            }

            fn visit_str<E>(self, text: &str) -> Result<ReportedNumber, E> {
                Ok(ReportedNumber::from(text))
            }

            fn visit_string<E>(self, text: String) -> Result<ReportedNumber, E> {
                Ok(ReportedNumber::Text(text))
            }

            fn visit_u64<E>(self, digits: u64) -> Result<ReportedNumber, E> {
                Ok(ReportedNumber::Integer(digits))
            }

            // serde_json gives a number so if the program turns on `arbitrary_precision`.
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ReportedNumber, A::Error> {
                let number = Number::deserialize(MapAccessDeserializer::new(map))?;
                let integer = number.as_u64().map(ReportedNumber::Integer);
                integer
                    .ok_or_else(|| de::Error::invalid_type(de::Unexpected::Other("number"), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl fmt::Display for ReportedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Integer(digits) => fmt::Display::fmt(digits, f),
        }
    }
}

impl fmt::Debug for ReportedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => fmt::Debug::fmt(text, f),
            Self::Integer(digits) => fmt::Debug::fmt(digits, f),
        }
    }
}

impl From<&str> for ReportedNumber {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for ReportedNumber {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<E164> for ReportedNumber {
    fn from(number: E164) -> Self {
        Self::Text(number.0.into())
    }
}

impl From<&E164> for ReportedNumber {
    fn from(number: &E164) -> Self {
        Self::from(number.as_str())
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for E164 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "E164".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$" })
    }
}
