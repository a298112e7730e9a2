//! Refuses request schemas with an unmarked secret, or with a limit that the client cannot check.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Operation, Reader, chain};
use crate::{
    failure::{Result, SECRET, ensure},
    limits,
    model::{inner, referred},
    schema::{Types, properties, target},
};

impl Reader<'_> {
    pub fn check_sent(&self, operation: &Operation) -> Result<()> {
        let types = &self.schemas.types;
        for schema in operation.sent().chain(&operation.answer) {
            chain::check(types, schema, &operation.at)?;
        }
        let mut left = BTreeSet::new();
        for schema in operation.sent() {
            check(schema, &operation.at)?;
            left.extend(referred(schema));
        }
        let mut seen = BTreeSet::new();
        while let Some(name) = left.pop_first() {
            if !seen.insert(name) {
                continue;
            }
            let ty = &types[name];
            left.extend(referred(ty));
            check(ty, name)?;
            for (property, schema) in properties(ty) {
                let at = format!("{name}.{property}");
                let plain = is_plain(types, schema) && sounds_secret(property);
                ensure(!plain, &at, SECRET, property)?;
                check(schema, &at)?;
            }
        }
        Ok(())
    }
}

/// Checks the limits of a schema, and of the schemas in its lists and maps.
fn check(schema: &Value, at: &str) -> Result<()> {
    limits::check(schema, at)?;
    inner(schema).try_for_each(|inner| check(inner, at))
}

/// Returns whether it is a string, or lists or maps of strings, without a guard.
fn is_plain(types: &Types, schema: &Value) -> bool {
    let (mut value, mut loggable) = (schema, false);
    loop {
        loggable |= value["x-loggable"] == true || target(types, value)["x-loggable"] == true;
        match inner(value).find(|_| value["properties"].is_null()) {
            Some(inner) => value = inner,
            None => break,
        }
    }
    let guarded = value["format"] == "password" || value["format"] == "e164";
    value["type"] == "string" && !guarded && !loggable
}

/// Returns whether a property of this name is likely to be a secret, which a pagination token is
/// not.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let pages = ["page", "next", "continu", "cursor", "sync"];
    let of_pages = pages.iter().any(|word| name.contains(word));
    let words = ["password", "secret", "credential"];
    words.iter().any(|word| name.contains(word)) || name.contains("token") && !of_pages
}
