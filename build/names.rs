//! Names of the document as names of Rust.

use heck::{ToPascalCase, ToSnakeCase};

/// What the generated client has by these names already.
const TAKEN_METHODS: [&str; 12] = [
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
    "default",
];
/// Methods that a setter of the same name would take the place of.
const TAKEN_SETTERS: [&str; 14] = [
    "new",
    "default",
    "clone",
    "clone_from",
    "clone_into",
    "eq",
    "ne",
    "fmt",
    "from",
    "into",
    "try_into",
    "to_owned",
    "serialize",
    "json_schema",
];

/// The name of the method of an operation, and of the argument of a parameter.
pub fn method(name: &str) -> String {
    let name = clean(name).to_snake_case();
    if is_keyword(&name) {
        format!("{name}_")
    } else {
        name
    }
}

pub fn is_usable_method(id: &str) -> bool {
    let name = method(id);
    id.is_ascii()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !TAKEN_METHODS.contains(&&*name)
}

/// The name of the type of a schema, if there can be one.
pub fn schema(name: &str) -> Option<String> {
    let name = Some(clean(name).to_pascal_case()).filter(|_| name.is_ascii())?;
    let name = if is_keyword(&name) {
        format!("{name}_")
    } else {
        name
    };
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some(name)
}

/// The name of the variant for a value of an enum, if there can be one.
pub fn variant(value: &str) -> Option<String> {
    let signed = |sign: char, word: &str| {
        value
            .strip_prefix(sign)
            .map(|rest| format!("{word}-{rest}"))
    };
    let value = match value {
        "" => "empty".to_owned(),
        _ => signed('+', "plus")
            .or_else(|| signed('-', "minus"))
            .unwrap_or_else(|| value.to_owned()),
    };
    let name = schema(&value);
    name.or_else(|| {
        schema(&format!("X{value}")).filter(|_| value.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// The name of the setter of a field.
pub fn setter(field: &str) -> String {
    if TAKEN_SETTERS.contains(&field) {
        format!("{field}_")
    } else {
        field.to_owned()
    }
}

fn clean(name: &str) -> String {
    name.replace('\'', "")
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn is_keyword(name: &str) -> bool {
    !typify::accept_as_ident(name)
}
