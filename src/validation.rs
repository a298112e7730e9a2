//! Checks a request against what the document says of its operation.

use std::{borrow::Cow, cell::RefCell, cmp::Ordering, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::{
    error::{Error, Violation},
    operation::{Limit, Number, Operation, Parameter, Shape},
};

const INVALID_PATH: &str = "a path parameter is empty or is not one path segment";

impl Operation {
    /// Refuses a request that the document does not allow, or that would go astray.
    ///
    /// `path` is what comes after the base URL's own; `body` is JSON.
    pub(crate) fn check(&self, path: &str, body: Option<&[u8]>) -> Result<(), Violation> {
        // An escaped slash becomes a separator at many a server. The generator leaves `.`, `..` and
        // `\` alone, and the URL has taken them for steps.
        let is_sound =
            |value: &str| !(value.is_empty() || value.contains('%') && value.contains("%2F"));
        let mut values = self.segments(path);
        let mut parameters = self.parameters.iter();
        let sound = parameters.all(|_| values.next().is_some_and(is_sound));
        if !sound || values.rest != self.after {
            return Err(INVALID_PATH.into());
        }
        if self
            .parameters
            .iter()
            .any(|parameter| parameter.shape.limited)
        {
            for (Parameter { name, shape, .. }, value) in
                self.parameters.iter().zip(self.path_values(path))
            {
                shape.check_text(&value, &Location::Name(name, &Location::Root))?;
            }
        }
        match (self.body, body) {
            (Some(shape), Some(body)) if shape.limited => shape.check_body(body),
            _ => Ok(()),
        }
    }
}

/// Checks a value that would be the body of a request.
#[allow(dead_code, reason = "a document may have no bodies")]
pub(crate) fn validate(shape: &'static Shape, value: &impl Serialize) -> Result<(), Error> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Error::invalid_request(format!("the body is not JSON: {error}")))?;
    shape.check_object(&body).map_err(Error::invalid_request)
}

impl Shape {
    /// Checks a body or a query.
    pub fn check_object(&'static self, json: &[u8]) -> Result<(), Violation> {
        if self.limited {
            self.check_body(json)
        } else {
            Ok(())
        }
    }

    /// Checks the value of a header.
    pub fn check_header(&self, name: &str, value: &str) -> Result<(), Violation> {
        self.check_text(value, &Location::Name(name, &Location::Root))
    }

    fn check_body(&'static self, body: &[u8]) -> Result<(), Violation> {
        let below = |shapes: &[(&str, &Self)]| shapes.iter().any(|(_, shape)| shape.limited);
        if let [Limit::MinProperties(1)] = self.limits
            && !below(self.properties)
            && self.additional.is_none_or(|shape| !shape.limited)
            && body != b"{}"
        {
            return Ok(()); // the commonest case, at no cost
        }
        let refusal = RefCell::default();
        let validator = Validator {
            shape: self,
            location: &Location::Root,
            refusal: &refusal,
        };
        let validated = validator.deserialize(&mut serde_json::Deserializer::from_slice(body));
        match (validated, refusal.into_inner()) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(refusal)) => Err(refusal),
            (Err(error), None) => Err(format!("the body cannot be validated: {error}").into()),
        }
    }

    /// Checks a text, or a number that is written as one.
    fn check_text(&self, text: &str, location: &Location<'_>) -> Result<(), Violation> {
        self.limits.iter().try_for_each(|limit| {
            let violation = match limit {
                Limit::MinLength(_) | Limit::MaxLength(_) => {
                    let length = Size::Characters(text.chars().count() as u64);
                    return limit.check_size(length, location);
                }
                Limit::Pattern(pattern) if !pattern.is_match(text) => {
                    format!("does not match the pattern {}", pattern.text)
                }
                Limit::OneOf(values) if !values.contains(&text) => {
                    format!("must be one of {}", values.join(", "))
                }
                _ => return limit.check_number(text, location),
            };
            Err(location.violation(violation))
        })
    }
}

impl Limit {
    fn is_of_numbers(&self) -> bool {
        use Limit::{ExclusiveMaximum, ExclusiveMinimum, Maximum, Minimum, OneOfNumbers};
        matches!(
            self,
            OneOfNumbers(_) | Minimum(_) | ExclusiveMinimum(_) | Maximum(_) | ExclusiveMaximum(_)
        )
    }

    /// Checks a number by its text; the value is not repeated, since it may not be for everyone.
    fn check_number(&self, text: &str, location: &Location<'_>) -> Result<(), Violation> {
        let Some(number) = Number::parse(text) else {
            return Ok(()); // the type guards it
        };
        let order = |limit: &Number| number.order(*limit);
        let (holds, rule) = match self {
            Self::Minimum(limit) => (order(limit).is_ge(), format!("must be at least {limit}")),
            Self::ExclusiveMinimum(limit) => (
                order(limit).is_gt(),
                format!("must be greater than {limit}"),
            ),
            Self::Maximum(limit) => (order(limit).is_le(), format!("must be at most {limit}")),
            Self::ExclusiveMaximum(limit) => {
                (order(limit).is_lt(), format!("must be less than {limit}"))
            }
            Self::OneOfNumbers(values) => {
                let list: Vec<_> = values.iter().map(ToString::to_string).collect();
                let rule = format!("must be one of {}", list.join(", "));
                (values.iter().any(|value| order(value).is_eq()), rule)
            }
            _ => return Ok(()),
        };
        if holds {
            Ok(())
        } else {
            Err(location.violation(rule))
        }
    }

    /// Checks the size of a value of the kind that the limit is for; other kinds are not limited.
    fn check_size(&self, size: Size, location: &Location<'_>) -> Result<(), Violation> {
        let violation = match (self, size) {
            (Self::MinLength(min), Size::Characters(count)) if count < *min => {
                let plural = if count == 1 { "" } else { "s" };
                format!("is too short: {count} character{plural}, minimum {min}")
            }
            (Self::MaxLength(max), Size::Characters(count)) if count > *max => {
                let plural = if count == 1 { "" } else { "s" };
                format!("is too long: {count} character{plural}, maximum {max}")
            }
            (Self::MinItems(min), Size::Items(count)) if count < *min => {
                format!("has too few items: {count}, minimum {min}")
            }
            (Self::MaxItems(max), Size::Items(count)) if count > *max => {
                format!("has too many items: {count}, maximum {max}")
            }
            (Self::MinProperties(min), Size::Properties(count)) if count < *min => {
                format!("has too few properties: {count}, minimum {min}")
            }
            (Self::MaxProperties(max), Size::Properties(count)) if count > *max => {
                format!("has too many properties: {count}, maximum {max}")
            }
            _ => return Ok(()),
        };
        Err(location.violation(violation))
    }
}

/// The size of a text, a list or an object.
#[derive(Clone, Copy)]
enum Size {
    Characters(u64),
    Items(u64),
    Properties(u64),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let integer = text.parse().ok().map(Self::Integer);
        integer.or_else(|| text.parse().ok().map(Self::Float))
    }

    /// Compares this number with another; exactly if both are integers.
    fn order(self, other: Self) -> Ordering {
        #[allow(
            clippy::cast_precision_loss,
            reason = "the other one is a float already"
        )]
        let float = |number| match number {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        };
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (a, b) => float(a).total_cmp(&float(b)),
        }
    }
}

/// Where a value is: property names from the body down, `*` for every item of a list or a map.
enum Location<'a> {
    Root,
    Name(&'a str, &'a Location<'a>),
}

impl Location<'_> {
    fn path(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Name(name, Self::Root) => f.write_str(name),
            Self::Name(name, parent) => {
                parent.path(f)?;
                write!(f, ".{name}")
            }
        }
    }
}

impl Location<'_> {
    /// Names the rule that the value at this place breaks.
    fn violation(&self, rule: impl fmt::Display) -> Violation {
        let property = match self {
            Self::Root => None,
            Self::Name(..) => Some(self.to_string().replace('`', "")),
        };
        Violation {
            reason: format!("{self} {rule}"),
            property,
        }
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Root = self {
            return f.write_str("the body");
        }
        f.write_str("`")?;
        self.path(f)?;
        f.write_str("`")
    }
}

/// Checks a value while it is read, without keeping it.
struct Validator<'a> {
    shape: &'static Shape,
    location: &'a Location<'a>,
    refusal: &'a RefCell<Option<Violation>>,
}

impl Validator<'_> {
    /// Ends the validation: serde's errors would add a place in the JSON.
    fn end<E: serde::de::Error>(&self, checked: Result<(), Violation>) -> Result<(), E> {
        checked.map_err(|refusal| {
            self.refusal.replace(Some(refusal));
            E::custom("refused")
        })
    }

    fn check_size<E: serde::de::Error>(&self, size: Size) -> Result<(), E> {
        let mut limits = self.shape.limits.iter();
        self.end(limits.try_for_each(|limit| limit.check_size(size, self.location)))
    }
}

impl<'de> DeserializeSeed<'de> for Validator<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.shape.limited {
            IgnoredAny::deserialize(deserializer).map(drop)
        } else if self.shape.limits.iter().any(Limit::is_of_numbers) {
            // As a value, since it may have more digits than Rust's own numbers.
            match Value::deserialize(deserializer)? {
                Value::Number(number) => {
                    self.end(self.shape.check_text(&number.to_string(), self.location))
                }
                _ => Ok(()),
            }
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Validator<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.end(self.shape.check_text(text, self.location))
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let shape = self.shape.items.unwrap_or(&Shape::UNKNOWN);
        let location = &Location::Name("*", self.location);
        let refusal = self.refusal;
        let item = || Validator {
            shape,
            location,
            refusal,
        };
        let unique = |limit: &Limit| matches!(limit, Limit::UniqueItems);
        let mut count = 0;
        if self.shape.limits.iter().any(unique) {
            let mut seen = BTreeSet::new();
            while let Some(value) = items.next_element::<Value>()? {
                item().deserialize(&value).map_err(A::Error::custom)?;
                if !seen.insert(value.to_string()) {
                    return self.end(Err(self.location.violation("has duplicate items")));
                }
                count += 1;
            }
        } else {
            while items.next_element_seed(item())?.is_some() {
                count += 1;
            }
        }
        self.check_size(Size::Items(count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut properties: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(name) = properties.next_key::<Cow<'_, str>>()? {
            let declared = self
                .shape
                .properties
                .iter()
                .any(|(known, _)| *known == name);
            let place = if declared { &*name } else { "*" };
            properties.next_value_seed(Validator {
                shape: self.shape.property(&name),
                location: &Location::Name(place, self.location),
                refusal: self.refusal,
            })?;
            count += 1;
        }
        self.check_size(Size::Properties(count))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    fn check(path: &str, body: Option<&[u8]>) -> Result<(), String> {
        OPERATION
            .check(path, body)
            .map_err(|violation| violation.reason)
    }
    use crate::operation::{Pattern, UNDOCUMENTED};

    static WORD: Shape = Shape {
        limits: &[
            Limit::MinLength(2),
            Limit::MaxLength(3),
            Limit::Pattern({
                static PATTERN: Pattern = Pattern::new("^[a-zö]*$", "^[a-zö]*$");
                &PATTERN
            }),
        ],
        limited: true,
        ..Shape::UNKNOWN
    };
    static SHAPE: Shape = Shape {
        limits: &[Limit::MinProperties(1), Limit::MaxProperties(3)],
        properties: &[
            ("word", &WORD),
            (
                "secret",
                &Shape {
                    secret: true,
                    ..Shape::UNKNOWN
                },
            ),
            (
                "shown",
                &Shape {
                    shown: true,
                    ..Shape::UNKNOWN
                },
            ),
            (
                "number",
                &Shape {
                    limits: &[
                        Limit::Minimum(Number::Float(-1.5)),
                        Limit::ExclusiveMaximum(Number::Integer(10)),
                    ],
                    limited: true,
                    ..Shape::UNKNOWN
                },
            ),
            (
                "listed",
                &Shape {
                    limits: &[
                        Limit::OneOfNumbers(&[Number::Integer(1), Number::Float(2.5)]),
                        Limit::ExclusiveMinimum(Number::Integer(1)),
                        Limit::Maximum(Number::Integer(2)),
                    ],
                    limited: true,
                    ..Shape::UNKNOWN
                },
            ),
            (
                "items",
                &Shape {
                    limits: &[Limit::MinItems(1), Limit::MaxItems(2), Limit::UniqueItems],
                    items: Some(&WORD),
                    limited: true,
                    ..Shape::UNKNOWN
                },
            ),
            (
                "list",
                &Shape {
                    limits: &[Limit::MaxItems(2)],
                    limited: true,
                    ..Shape::UNKNOWN
                },
            ),
            ("inner", &SHAPE),
        ],
        additional: Some(&Shape {
            limits: &[Limit::OneOf(&["a", "b"])],
            limited: true,
            ..Shape::UNKNOWN
        }),
        limited: true,
        ..Shape::UNKNOWN
    };
    static OPERATION: Operation = Operation {
        path: "/v1/words/{word}/{number}/",
        parameters: &[
            Parameter {
                name: "word",
                before: "/v1/words/",
                shape: &WORD,
            },
            Parameter {
                name: "number",
                before: "/",
                shape: SHAPE.properties[3].1,
            },
        ],
        after: "/",
        body: Some(&SHAPE),
        ..UNDOCUMENTED
    };
    const PATH: &str = "/v1/words/ab/1/";

    /// The same limits in JSON Schema; ours say nothing of types, which the generated types guard.
    fn schema() -> Value {
        json!({
            "minProperties": 1,
            "maxProperties": 3,
            "properties": {
                "word": { "minLength": 2, "maxLength": 3, "pattern": "^[a-zö]*$" },
                "secret": {},
                "shown": {},
                "number": { "minimum": -1.5, "exclusiveMaximum": 10 },
                "listed": {
                    "anyOf": [{ "not": { "type": "number" } }, { "enum": [1, 2.5] }],
                    "exclusiveMinimum": 1,
                    "maximum": 2,
                },
                "items": {
                    "minItems": 1,
                    "maxItems": 2,
                    "uniqueItems": true,
                    "items": { "$ref": "#/properties/word" },
                },
                "list": { "maxItems": 2 },
                "inner": { "$ref": "#" },
            },
            "additionalProperties": { "anyOf": [{ "not": { "type": "string" } }, { "enum": ["a", "b"] }] },
        })
    }

    #[test]
    fn broken_limit_is_named() {
        for (body, refusal) in [
            (json!({}), "the body has too few properties: 0, minimum 1"),
            (
                json!({ "a": "a", "b": "b", "c": "a", "d": "a" }),
                "the body has too many properties: 4, maximum 3",
            ),
            (
                json!({ "word": "ö" }),
                "`word` is too short: 1 character, minimum 2",
            ),
            (
                json!({ "word": "öööö" }),
                "`word` is too long: 4 characters, maximum 3",
            ),
            (
                json!({ "word": "AB" }),
                "`word` does not match the pattern ^[a-zö]*$",
            ),
            (json!({ "x": "c" }), "`*` must be one of a, b"),
            (json!({ "number": -1.75 }), "`number` must be at least -1.5"),
            (json!({ "number": 10 }), "`number` must be less than 10"),
            (
                json!({ "number": -1e300 }),
                "`number` must be at least -1.5",
            ),
            (
                json!({ "number": u64::MAX }),
                "`number` must be less than 10",
            ),
            (json!({ "listed": 2 }), "`listed` must be one of 1, 2.5"),
            (json!({ "listed": 1.0 }), "`listed` must be greater than 1"),
            (json!({ "listed": 2.5 }), "`listed` must be at most 2"),
            (
                json!({ "items": [] }),
                "`items` has too few items: 0, minimum 1",
            ),
            (
                json!({ "items": ["ab", "ac", "ad"] }),
                "`items` has too many items: 3, maximum 2",
            ),
            (
                json!({ "items": ["ab", "ab"] }),
                "`items` has duplicate items",
            ),
            (
                json!({ "items": ["a"] }),
                "`items.*` is too short: 1 character, minimum 2",
            ),
            (
                json!({ "list": [1, 2, 3] }),
                "`list` has too many items: 3, maximum 2",
            ),
            (
                json!({ "inner": { "inner": { "word": "a" } } }),
                "`inner.inner.word` is too short: 1 character, minimum 2",
            ),
            (
                json!({ "inner": {} }),
                "`inner` has too few properties: 0, minimum 1",
            ),
        ] {
            let body = body.to_string();
            let checked = check(PATH, Some(body.as_bytes()));
            assert_eq!(checked, Err(refusal.to_owned()), "{body}");
        }
        let deep = format!("{}{}", "{\"inner\":".repeat(200), "}".repeat(200));
        let checked = check(PATH, Some(deep.as_bytes()));
        let refusal =
            "the body cannot be validated: recursion limit exceeded at line 1 column 1144";
        assert_eq!(checked, Err(refusal.to_owned()));
    }

    #[test]
    fn nested_limit_is_checked_when_body_must_not_be_empty() {
        static ONE: &[Limit] = &[Limit::MinProperties(1)];
        static BELOW: [Shape; 2] = [
            Shape {
                limits: ONE,
                properties: &[("word", &WORD)],
                limited: true,
                ..Shape::UNKNOWN
            },
            Shape {
                limits: ONE,
                additional: Some(&WORD),
                limited: true,
                ..Shape::UNKNOWN
            },
        ];
        for (shape, place) in BELOW.iter().zip(["word", "*"]) {
            let refusal = format!("`{place}` is too short: 1 character, minimum 2");
            assert_eq!(
                shape
                    .check_body(br#"{"word":"a"}"#)
                    .map_err(|violation| violation.reason),
                Err(refusal)
            );
        }
    }

    #[test]
    fn integers_beyond_the_precision_of_floats_are_compared_exactly() {
        let [a, b] = [(1 << 53) + 1, 1 << 53].map(Number::Integer);
        assert_eq!(a.order(b), Ordering::Greater);
        assert_eq!(Number::Float(0.5).order(Number::Integer(1)), Ordering::Less);
    }

    #[test]
    fn path_outside_template_is_refused() {
        let check = |path| check(path, None);
        assert_eq!(check(PATH), Ok(()));
        assert_eq!(check("/v1/words/%C3%B6%C3%B6/1.5/"), Ok(()));
        for astray in [
            "",
            "/",
            "/v1/words/ab/1",
            "/v1/words//1/",
            "/v1/words/ab//",
            "/v1/words/ab/1/2/",
            "/v1/words/a%2Fb/1/",
            "/v1/words/1/",
            "/v2/words/ab/1/",
            "/v1/words/ab/1//",
        ] {
            assert_eq!(check(astray), Err(INVALID_PATH.to_owned()), "{astray}");
        }
        let refusal = "`word` is too short: 1 character, minimum 2";
        assert_eq!(check("/v1/words/%C3%B6/1/"), Err(refusal.to_owned()));
        let refusal = "`number` must be less than 10";
        assert_eq!(check("/v1/words/ab/10/"), Err(refusal.to_owned()));
    }

    fn body() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            "[a-cö]{0,4}".prop_map(Value::from),
            (-8..44_i32).prop_map(|quarters| json!(f64::from(quarters) / 4.0)),
            (-3..12_i64).prop_map(Value::from),
            Just(json!(0.1)),
            Just(json!(u64::MAX)),
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
        ];
        let name = prop_oneof![
            "word", "secret", "number", "listed", "items", "list", "inner", "[a-c]"
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec((name.clone(), inner), 0..5).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn validation_agrees_with_json_schema(body in body()) {
            static VALIDATOR: LazyLock<jsonschema::Validator> =
                LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());
            let checked = check(PATH, Some(body.to_string().as_bytes()));
            prop_assert_eq!(checked.is_ok(), VALIDATOR.is_valid(&body), "{}: {:?}", body, checked);
        }
    }
}
