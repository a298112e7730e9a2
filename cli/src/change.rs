//! What is to be set on a number.

use std::env;

use clap::ArgMatches;
use serde_json::{Map, Value};
use sigmamind::PhoneNumberUpdate;

use crate::{
    args,
    failure::{Failure, Result},
    files,
    schema::{Column, Columns, printable},
};

/// Properties with their values, by their names in JSON.
pub type Change = Map<String, Value>;

/// What stands for a secret where it is not shown.
pub const REDACTED: &str = "[redacted]";

/// The change of `set`: an option for each property.
pub fn of_options(matches: &ArgMatches, columns: &Columns) -> Result<Change> {
    let mut change = secrets(matches, columns)?;
    for column in columns.iter().filter(|column| !column.secret) {
        if let Some(text) = matches.get_one::<String>(&args::id(column)) {
            let value = column.value(text).map_err(Failure::usage)?;
            change.insert(column.name.clone(), value);
        }
    }
    nulls(matches, columns, &mut change)?;
    if change.is_empty() {
        return Err(Failure::usage(
            "there is nothing to set; see `sigmamind set --help` for the properties",
        ));
    }
    Ok(change)
}

/// What `apply` sets on every number, secrets apart.
pub fn of_all(matches: &ArgMatches, columns: &Columns) -> Result<Change> {
    let mut change = Change::new();
    for setting in matches.get_many::<String>("to").into_iter().flatten() {
        let (name, text) = setting
            .split_once('=')
            .ok_or_else(|| Failure::usage("--to is not PROPERTY=VALUE"))?;
        let column = find(columns, name)?;
        if column.secret {
            return Err(args::never_an_argument(column));
        }
        let value = column.value(text).map_err(Failure::usage)?;
        insert(&mut change, column, value)?;
    }
    nulls(matches, columns, &mut change)?;
    Ok(change)
}

/// The secrets that come from files and the environment.
pub fn secrets(matches: &ArgMatches, columns: &Columns) -> Result<Change> {
    let mut change = Change::new();
    for column in columns.iter().filter(|column| column.secret) {
        let what = format!("`{}`", column.name);
        let text = match matches.get_one::<std::path::PathBuf>(&args::id(column)) {
            Some(file) => files::secret(file, &what)?,
            None => match env::var(column.variable()) {
                Ok(text) if !text.is_empty() => text,
                _ => continue,
            },
        };
        let value = column.value(&text).map_err(Failure::usage)?;
        change.insert(column.name.clone(), value);
    }
    Ok(change)
}

fn nulls(matches: &ArgMatches, columns: &Columns, change: &mut Change) -> Result<()> {
    for name in matches.get_many::<String>("null").into_iter().flatten() {
        let column = find(columns, name)?;
        let value = column.null().map_err(Failure::usage)?;
        insert(change, column, value)?;
    }
    Ok(())
}

/// The property of a name, in either spelling.
pub fn find<'c>(columns: &'c Columns, name: &str) -> Result<&'c Column> {
    let index = columns.find(name);
    let index = index.ok_or_else(|| Failure::usage(columns.unknown(name)))?;
    Ok(columns.get(index))
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

/// Two changes in one, of which none sets what the other does.
pub fn together(to: &Change, secrets: &Change) -> Result<Change> {
    let mut common = to.clone();
    for (name, value) in secrets {
        if common.insert(name.clone(), value.clone()).is_some() {
            return Err(given_twice(name));
        }
    }
    Ok(common)
}

/// The library's value of a change; if there is none, the reason, which repeats no value.
pub fn update(change: &Change) -> std::result::Result<PhoneNumberUpdate, String> {
    serde_json::from_value(Value::Object(change.clone())).map_err(|error| {
        let text = error.to_string();
        if text.starts_with("missing field") {
            format!(
                "a {}",
                text.replacen("missing field", "value is needed for", 1)
            )
        } else {
            "a value is not what the document describes".into()
        }
    })
}

/// A value for people; a secret is not shown.
pub fn shown(columns: &Columns, name: &str, value: &Value) -> String {
    let secret = |index| columns.get(index).secret;
    match value {
        Value::Null => "null".into(),
        _ if columns.find(name).is_none_or(secret) => REDACTED.into(),
        value => printable(&value.to_string()),
    }
}
