//! Bounds how deeply types contain each other: rustc gives up at 128 levels (`recursion_limit`, which
//! a dependency cannot raise for a program) when it checks whether a call's future is `Send`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    failure::{LONG_CHAIN, Result, ensure},
    schema::{Types, properties},
};

/// Maximum number of levels of a request or a response; the rest is for the futures around it.
const LONGEST: usize = 80;
/// The levels of a `Vec` or a map, as measured with rustc 1.88 to 1.97.
const COLLECTION: usize = 3;

/// Refuses a schema whose types are too many levels deep for rustc.
pub fn check<'t>(types: &'t Types, schema: &'t Value, at: &str) -> Result<()> {
    let levels = levels(types, schema, &mut BTreeMap::new());
    ensure(levels <= LONGEST, at, LONG_CHAIN, &levels.to_string())
}

/// Returns the levels of a schema; a type that contains itself counts once.
fn levels<'t>(types: &'t Types, schema: &'t Value, known: &mut BTreeMap<&'t str, usize>) -> usize {
    let mut deepest = 0;
    if let Some(name) = schema["$ref"].as_str() {
        if let Some(levels) = known.get(name) {
            return *levels;
        }
        known.insert(name, 0);
        let levels = levels(types, &types[name], known);
        known.insert(name, levels);
        return levels;
    }
    for (_, property) in properties(schema) {
        // Each is in an `Option`, and may be in a `Nullable`.
        let nullable = usize::from(property["nullable"] == true);
        deepest = deepest.max(2 + nullable + levels(types, property, known));
    }
    for inner in [&schema["items"], &schema["additionalProperties"]] {
        if inner.is_object() {
            deepest = deepest.max(COLLECTION + levels(types, inner, known));
        }
    }
    deepest
}
