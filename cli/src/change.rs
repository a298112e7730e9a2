//! The values to set on a number.

use std::env;

use serde_json::{Map, Value};

use crate::{
    args::{self, Properties, SecretSource},
    failure::{Failure, Result},
    files,
    schema::{Column, Columns},
    text::{printable, shortened},
};

/// Properties with their values, by their names in JSON.
pub type Change = Map<String, Value>;

/// Text shown in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Maximum length of a value that is shown, in characters.
const SHOWN: usize = 60;

/// Returns the change of `set`: an option for each property.
pub fn of_options(properties: &Properties, columns: &Columns) -> Result<Change> {
    let mut change = secrets(properties, columns)?;
    for (index, text) in &properties.texts {
        let column = columns.get(*index);
        let value = column.value(text).map_err(Failure::usage)?;
        change.insert(column.name.clone(), value);
    }
    nulls(properties, columns, &mut change)?;
    if change.is_empty() {
        let variables = columns.iter().filter(|column| column.secret);
        let unused = variables
            .filter(|column| env::var_os(column.variable()).is_some())
            .map(|column| {
                let (flag, variable) = (column.variable_flag(), column.variable());
                format!("; {variable} is used only with --{flag} {variable}")
            });
        return Err(Failure::usage(format!(
            "nothing to set; see `sigmamind set --help` for the properties{}",
            unused.collect::<String>()
        )));
    }
    Ok(change)
}

/// Returns what `apply` sets on every number, secrets apart.
pub fn of_all(settings: &[String], properties: &Properties, columns: &Columns) -> Result<Change> {
    let mut change = Change::new();
    for setting in settings {
        let (name, text) = setting
            .split_once('=')
            .ok_or_else(|| Failure::usage("--set needs PROPERTY=VALUE"))?;
        let column = find(columns, name)?;
        if column.secret {
            return Err(args::never_an_argument(column));
        }
        let value = column.value(text).map_err(Failure::usage)?;
        insert(&mut change, column, value)?;
    }
    nulls(properties, columns, &mut change)?;
    Ok(change)
}

/// Returns the secrets that the options name. A variable alone adds nothing.
pub fn secrets(properties: &Properties, columns: &Columns) -> Result<Change> {
    let mut change = Change::new();
    for (index, source) in &properties.secrets {
        let column = columns.get(*index);
        let text = match source {
            SecretSource::File(file) => files::secret(file, &format!("`{}`", column.name))?,
            SecretSource::Variable(name) => match env::var(name) {
                Ok(text) if !text.is_empty() => text,
                Ok(_) => return Err(Failure::usage(format!("the variable {name} is empty"))),
                Err(env::VarError::NotPresent) => {
                    return Err(Failure::usage(format!("the variable {name} is not set")));
                }
                Err(_) => {
                    return Err(Failure::usage(format!(
                        "the variable {name} is not Unicode"
                    )));
                }
            },
        };
        let value = column.value(&text).map_err(Failure::usage)?;
        change.insert(column.name.clone(), value);
    }
    Ok(change)
}

fn nulls(properties: &Properties, columns: &Columns, change: &mut Change) -> Result<()> {
    for name in &properties.nulls {
        let column = find(columns, name)?;
        let value = column.null().map_err(Failure::usage)?;
        insert(change, column, value)?;
    }
    Ok(())
}

/// Returns the property of a name, in either spelling.
pub fn find<'c>(columns: &'c Columns, name: &str) -> Result<&'c Column> {
    let unknown = || {
        Failure::usage(format!(
            "there is no property {}; the properties are {}",
            columns.unknown(name),
            columns.names()
        ))
    };
    columns
        .find(name)
        .map(|index| columns.get(index))
        .ok_or_else(unknown)
}

fn insert(change: &mut Change, column: &Column, value: Value) -> Result<()> {
    match change.insert(column.name.clone(), value) {
        None => Ok(()),
        Some(_) => Err(given_twice(&column.name)),
    }
}

fn given_twice(name: &str) -> Failure {
    Failure::usage(format!("`{name}` is given twice"))
}

/// Joins two changes that set different properties.
pub fn together(to: &Change, secrets: &Change) -> Result<Change> {
    let mut common = to.clone();
    for (name, value) in secrets {
        if common.insert(name.clone(), value.clone()).is_some() {
            return Err(given_twice(name));
        }
    }
    Ok(common)
}

/// Returns a value without its secret.
pub fn redacted(columns: &Columns, name: &str, value: &Value) -> Value {
    let secret = |index| columns.get(index).secret;
    match value {
        Value::Null => Value::Null,
        _ if columns.find(name).is_none_or(secret) => REDACTED.into(),
        value => value.clone(),
    }
}

/// Returns a value for people: redacted, on one line, and not too long.
pub fn shown(columns: &Columns, name: &str, value: &Value) -> String {
    match redacted(columns, name, value) {
        Value::String(text) if text == REDACTED => text,
        value => shortened(&printable(&value.to_string()), SHOWN).into_owned(),
    }
}
