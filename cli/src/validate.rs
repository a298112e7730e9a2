//! Validation of a change by the library, without a server and without certificates.

use serde_json::Value;
use sigmamind::{Client, E164, PhoneNumberUpdate};

use crate::{
    change::Change,
    failure::{Failure, Result},
};

/// Validates changes. It never sends anything.
pub struct Validator {
    client: Client,
}

/// Why a change is refused. The text repeats no value.
#[derive(Debug)]
pub struct Refused {
    pub text: String,
    property: Option<String>,
}

impl Refused {
    /// Returns whether the reason is about this property.
    pub fn is_about(&self, property: &str) -> bool {
        let top = |path: &str| path.split('.').next() == Some(property);
        self.property.as_deref().is_some_and(top)
    }
}

impl Validator {
    pub fn new() -> Result<Self> {
        // Plain http to this machine needs no certificates.
        let builder = Client::builder()
            .api_key("unused")
            .base_url("http://127.0.0.1");
        let client = builder
            .build()
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self { client })
    }

    /// A client that is good for anything but sending.
    pub fn into_client(self) -> Client {
        self.client
    }

    pub fn check(&self, number: &E164, change: &Change) -> std::result::Result<(), Refused> {
        let update = update(change).map_err(|text| Refused {
            text,
            property: None,
        })?;
        let call = self.client.update_phone_number(number, &update);
        call.validate().map_err(|error| Refused {
            text: reason(&error),
            property: error.property().map(str::to_owned),
        })
    }
}

/// Returns the library's value of a change. An error repeats no value.
pub fn update(change: &Change) -> std::result::Result<PhoneNumberUpdate, String> {
    serde_json::from_value(Value::Object(change.clone())).map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix("missing field ") {
            Some(name) => format!("a value is needed for {name}"),
            None => "a value has the wrong type".into(),
        }
    })
}

/// Returns the library's reason without the label that it gives all reasons of this kind.
pub fn reason(error: &sigmamind::Error) -> String {
    error
        .reason()
        .map_or_else(|| error.to_string(), str::to_owned)
}
