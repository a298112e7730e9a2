//! Names of the document as names of Rust.

use std::collections::BTreeSet;

use heck::{ToPascalCase, ToSnakeCase};
use serde_json::Value;

use crate::schema::properties;

/// The most bytes of a name; longer ones make code that nobody can read, and files too large.
pub const LONGEST: usize = 200;
/// What the generator calls the map of the properties that are not described.
pub const EXTRA: &str = "extra";
/// Methods of all types, which a setter would take the place of.
const OF_TYPES: [&str; 11] = [
    "new",
    "validate",
    "default",
    "clone",
    "eq",
    "ne",
    "fmt",
    "into",
    "try_into",
    "to_owned",
    "serialize",
];
/// Methods that the generator's client has itself, and methods of all types.
const OF_CLIENTS: [&str; 14] = [
    "new",
    "new_with_client",
    "api_version",
    "baseurl",
    "client",
    "inner",
    "pre",
    "exec",
    "post",
    "clone",
    "fmt",
    "into",
    "to_owned",
    "borrow",
];

/// Names that are taken in one scope of Rust.
#[derive(Default)]
pub struct Scope(BTreeSet<String>);

impl Scope {
    pub fn with(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Takes a name, or the first of `name_2`, `name_3` and so on that is free, where `_` is the
    /// separator.
    pub fn take(&mut self, name: &str, separator: &str) -> String {
        let free = numbered(name, separator).find(|name| !self.0.contains(name));
        let free = free.unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

/// `Name`, `Name2`, `Name3` and so on.
pub fn numbered(name: &str, separator: &str) -> impl Iterator<Item = String> {
    let base = format!("{}{separator}", name.trim_end_matches('_'));
    let others = (2..).map(move |number| format!("{base}{number}"));
    std::iter::once(name.to_owned()).chain(others)
}

/// What the fields of an object are called, in the order of the document.
pub fn fields(object: &Value) -> Vec<String> {
    let open = object["additionalProperties"].is_object();
    let mut scope = Scope::with(open.then(|| EXTRA.to_owned()));
    let fields = properties(object).map(|(name, _)| scope.take(&value(name, "property"), "_"));
    fields.collect()
}

/// What a field or an argument is called; `fallback` if the name has no letter or digit.
pub fn value(name: &str, fallback: &str) -> String {
    let snake = clean(name).to_snake_case();
    ident(&snake, "x", fallback)
}

/// What the method of an operation is called, beside methods with these names; nothing if the
/// operationId has no letter.
pub fn method(id: &str, taken: &[&str]) -> Option<String> {
    let ascii = id.replace(|c: char| !c.is_ascii(), "-");
    let name = ident(&clean(&ascii).to_snake_case(), "x", "");
    let is_taken = taken.iter().chain(&OF_CLIENTS).any(|taken| *taken == name);
    let end = if is_taken { "_operation" } else { "" };
    Some(name + end).filter(|name| name.contains(|c: char| c.is_ascii_alphabetic()))
}

pub fn setter(field: &str) -> String {
    let end = if OF_TYPES.contains(&field) { "_" } else { "" };
    [field, end].concat()
}

/// What a type is called. The generator does the same again, to the same end: `a-b-c` → `ABC` →
/// `Abc`.
pub fn type_name(name: &str) -> String {
    let ascii = name.replace(|c: char| !c.is_ascii(), "-");
    let pascal = clean(&ascii).to_pascal_case();
    let digit = pascal.starts_with(|c: char| c.is_ascii_digit());
    let pascal = [if digit { "X" } else { "" }, &*pascal].concat();
    ident(&pascal.to_pascal_case(), "X", "Schema")
}

/// What the variant for a value of an enum is called.
pub fn variant(value: &str) -> String {
    let name = match value.chars().next() {
        None => "empty".to_owned(),
        Some('+') => format!("plus{value}"),
        Some('-') => format!("minus{value}"),
        Some(_) => value.to_owned(),
    };
    ident(&clean(&name).to_pascal_case(), "X", "Value")
}

fn clean(name: &str) -> String {
    let name = name.replace('\'', "");
    name.replace(|c: char| !c.is_alphanumeric(), "-")
}

/// `digit` is put before a name that begins with one.
fn ident(name: &str, digit: &str, fallback: &str) -> String {
    let begins_with_digit = name.starts_with(|c: char| c.is_numeric());
    let named = [if begins_with_digit { digit } else { "" }, name].concat();
    let named = if name.is_empty() {
        fallback.to_owned()
    } else {
        named
    };
    if typify::accept_as_ident(&named) {
        // Letters that Rust does not take in a name.
        let known = named.is_ascii() || syn::parse_str::<syn::Ident>(&named).is_ok();
        return if known { named } else { fallback.to_owned() };
    }
    named + "_"
}
