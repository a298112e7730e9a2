//! Rust names for the names of the document.

use std::collections::BTreeSet;

use heck::{ToPascalCase, ToSnakeCase};
use serde_json::Value;

use crate::schema::properties;

/// Maximum length of a name in bytes; longer ones make unreadable code and large files.
pub const LONGEST: usize = 200;
/// The generator's name for the map of undeclared properties.
pub const EXTRA: &str = "extra";
/// Methods of all types, which a setter would shadow.
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
/// Methods of the generator's own client, and methods of all types.
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

    /// Takes a name, or the first free one of `name_2`, `name_3` and so on, where `_` is the
    /// separator.
    pub fn take(&mut self, name: &str, separator: &str) -> String {
        let free = numbered(name, separator)
            .find(|name| !self.0.contains(name))
            .unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

/// Returns `Name`, `Name2`, `Name3` and so on.
pub fn numbered(name: &str, separator: &str) -> impl Iterator<Item = String> {
    let base = format!("{}{separator}", name.trim_end_matches('_'));
    let others = (2..).map(move |number| format!("{base}{number}"));
    std::iter::once(name.to_owned()).chain(others)
}

/// Returns the names of an object's fields, in the order of the document.
pub fn fields(object: &Value) -> Vec<String> {
    let open = object["additionalProperties"].is_object();
    let mut scope = Scope::with(open.then(|| EXTRA.to_owned()));
    let fields = properties(object).map(|(name, _)| scope.take(&value(name, "property"), "_"));
    fields.collect()
}

/// Returns the name of a field or an argument, or `fallback` if `name` has no letter or digit.
pub fn value(name: &str, fallback: &str) -> String {
    let snake = clean(name).to_snake_case();
    ident(&snake, "x", fallback)
}

/// Returns the name of an operation's method that differs from `taken`, or `None` if the
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

/// Returns the name of a type. The generator converts it once more, so it must not change then:
/// `a-b-c` → `ABC` → `Abc`.
pub fn type_name(name: &str) -> String {
    let ascii = name.replace(|c: char| !c.is_ascii(), "-");
    let pascal = clean(&ascii).to_pascal_case();
    let digit = pascal.starts_with(|c: char| c.is_ascii_digit());
    let pascal = [if digit { "X" } else { "" }, &*pascal].concat();
    ident(&pascal.to_pascal_case(), "X", "Schema")
}

/// Returns the name of the variant for a value of an enum.
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

/// Makes an identifier; `digit` is the prefix of a name that begins with a digit.
fn ident(name: &str, digit: &str, fallback: &str) -> String {
    let begins_with_digit = name.starts_with(|c: char| c.is_numeric());
    let named = [if begins_with_digit { digit } else { "" }, name].concat();
    let named = if name.is_empty() {
        fallback.to_owned()
    } else {
        named
    };
    if typify::accept_as_ident(&named) {
        // Rust does not allow all letters in an identifier.
        let known = named.is_ascii() || syn::parse_str::<syn::Ident>(&named).is_ok();
        return if known { named } else { fallback.to_owned() };
    }
    named + "_"
}
