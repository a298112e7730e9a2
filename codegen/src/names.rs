//! Names of the document as names of Rust.

use heck::{ToPascalCase, ToSnakeCase};

/// Methods that the generated client has itself.
const OF_CLIENT: &str =
    "new new_with_client api_version baseurl client inner pre exec post clone fmt";
/// Methods of all types, which a setter would take the place of.
const OF_TYPES: &str = "new default clone eq ne fmt into try_into to_owned serialize";

/// What a field or an argument is called; the generator comes to the same name.
pub fn value(name: &str) -> Option<String> {
    ident(name, &clean(name).to_snake_case(), "x")
}

/// What the method of an operation is called.
pub fn method(id: &str) -> Option<String> {
    let name = ident(id, &clean(id).to_snake_case(), "")?;
    Some(name).filter(|name| !OF_CLIENT.split(' ').any(|taken| taken == name))
}

pub fn setter(field: &str) -> String {
    let taken = OF_TYPES.split(' ').any(|taken| taken == field);
    [field, if taken { "_" } else { "" }].concat()
}

/// What a type is called; twice, since the generator does it again: `a-b-c` → `ABC` → `Abc`.
pub fn type_name(name: &str) -> Option<String> {
    ident(name, &clean(name).to_pascal_case().to_pascal_case(), "")
}

/// What the variant for a value of an enum is called.
pub fn variant(value: &str) -> Option<String> {
    let name = match value.chars().next() {
        None => "empty".to_owned(),
        Some('+') => format!("plus{value}"),
        Some('-') => format!("minus{value}"),
        Some(_) => value.to_owned(),
    };
    ident(value, &clean(&name).to_pascal_case(), "X")
}

fn clean(name: &str) -> String {
    let name = name.replace('\'', "");
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// `digit` is put before a name that begins with one, if there can be such a name.
fn ident(name: &str, ident: &str, digit: &str) -> Option<String> {
    let begins_with_digit = ident.starts_with(|c: char| c.is_ascii_digit());
    let ident = [if begins_with_digit { digit } else { "" }, ident].concat();
    let known = name.is_ascii() && ident.starts_with(|c: char| c.is_ascii_alphabetic());
    let end = if typify::accept_as_ident(&ident) {
        ""
    } else {
        "_"
    };
    Some(ident + end).filter(|_| known)
}
