//! Refuses numbers that JSON cannot express.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::Error};

use super::Nullable;

/// A value that may have numbers in it.
pub(crate) trait IsFinite {
    /// Returns whether no number in it is NaN or infinite.
    fn is_finite(&self) -> bool;
}

macro_rules! is_finite {
    ($($type:ty, |$value:ident| $is_finite:expr;)*) => {
        $(impl IsFinite for $type {
            fn is_finite(&self) -> bool {
                let $value = self;
                $is_finite
            }
        })*
    };
}

is_finite! {
    f64, |number| f64::is_finite(*number);
    f32, |number| f32::is_finite(*number);
    i64, |_number| true;
    bool, |_flag| true;
    String, |_text| true;
}

impl<T: IsFinite> IsFinite for Option<T> {
    fn is_finite(&self) -> bool {
        self.as_ref().is_none_or(T::is_finite)
    }
}

impl<T: IsFinite> IsFinite for Nullable<T> {
    fn is_finite(&self) -> bool {
        match self {
            Self::Value(value) => value.is_finite(),
            Self::Null => true,
        }
    }
}

impl<T: IsFinite> IsFinite for Vec<T> {
    fn is_finite(&self) -> bool {
        self.iter().all(T::is_finite)
    }
}

impl<T: IsFinite> IsFinite for BTreeMap<String, T> {
    fn is_finite(&self) -> bool {
        self.values().all(T::is_finite)
    }
}

/// Serializes a value unless it has a number that `serde_json` would write as null.
#[allow(
    dead_code,
    reason = "generated code calls it if the document has a number"
)]
pub(crate) fn finite<T: IsFinite + Serialize, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        return value.serialize(serializer);
    }
    Err(S::Error::custom(
        "a number is NaN or infinite, which JSON cannot express; give a finite number",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Default, Serialize)]
    struct Numbers {
        #[serde(serialize_with = "finite")]
        number: Option<f64>,
        #[serde(serialize_with = "finite")]
        nullable: Option<Nullable<f32>>,
        #[serde(serialize_with = "finite")]
        list: Vec<Vec<Option<f64>>>,
        #[serde(flatten, serialize_with = "finite")]
        map: BTreeMap<String, f64>,
        either: Option<Either>,
    }

    crate::types::one_of! { Either, false, { Integer(i64), Number(f64), String(String) } }

    #[test]
    fn number_that_json_lacks_is_not_serialized() {
        let valid = Numbers {
            number: Some(0.5),
            nullable: Some(Nullable::Null),
            list: vec![vec![Some(1.5), None]],
            map: [("x".to_owned(), 2.5)].into(),
            either: Some(Either::Number(3.5)),
        };
        assert_eq!(
            serde_json::to_value(&valid).unwrap(),
            json!({ "number": 0.5, "nullable": null, "list": [[1.5, null]], "x": 2.5, "either": 3.5 })
        );
        for invalid in [
            Numbers {
                number: Some(f64::NAN),
                ..Numbers::default()
            },
            Numbers {
                nullable: Some(Nullable::Value(f32::INFINITY)),
                ..Numbers::default()
            },
            Numbers {
                list: vec![vec![Some(f64::NEG_INFINITY)]],
                ..Numbers::default()
            },
            Numbers {
                map: [("x".to_owned(), f64::NAN)].into(),
                ..Numbers::default()
            },
            Numbers {
                either: Some(Either::Number(f64::NAN)),
                ..Numbers::default()
            },
        ] {
            let error = serde_json::to_value(&invalid).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a number is NaN or infinite, which JSON cannot express; give a finite number"
            );
        }
    }
}
