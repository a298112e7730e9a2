//! `set`: one number.

use clap::ArgMatches;
use serde_json::{Map, Value};
use sigmamind::E164;
use tokio::runtime::Builder;

use crate::{
    change,
    failure::{Exit, Failure, Result},
    key::{Connection, reason},
    outcome,
    report::cell,
    schema::{self, Columns},
    ui,
};

pub fn set(matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let number = matches.get_one::<E164>("number").expect("it is required");
    let change = change::of_options(matches, columns)?;
    let update = change::update(&change).map_err(Failure::usage)?;
    let connection = Connection::of(matches);
    let checked = connection
        .checking()?
        .update_phone_number(number, &update)
        .validate();
    checked.map_err(|error| Failure::usage(reason(&error)))?;
    let client = connection.client()?;

    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(format!("cannot begin: {error}")))?;
    let response = runtime.block_on(client.update_phone_number(number, &update).send());
    let response = response.map_err(|error| {
        let exit = if error.is_auth() {
            Exit::Key
        } else {
            Exit::SomeFailed
        };
        let id = error.request_id().map(schema::printable);
        let id = id.map(|id| format!(" [request {id}]")).unwrap_or_default();
        Failure::new(
            exit,
            format!("{}{id}", schema::printable(&error.to_string())),
        )
    })?;
    let reported = outcome::reported(columns, &change, &response);
    for name in outcome::differs(columns, &change, &reported) {
        ui::warn(&format!(
            "the server reports `{name}` otherwise than it was sent"
        ));
    }
    let text = match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => format!("{:#}", Value::Object(reported)),
        Some("csv") => csv(&reported)?,
        _ => ui::table(
            &["property", "reported"],
            in_order(&reported).map(|(name, value)| [name, cell(value)]),
        ),
    };
    ui::print(&text).map_err(|error| Failure::new(Exit::Done, format!("cannot print: {error}")))?;
    Ok(Exit::Done)
}

fn csv(reported: &Map<String, Value>) -> Result<String> {
    let cannot = |error: csv::Error| Failure::usage(error.to_string());
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(in_order(reported).map(|(name, _)| name))
        .map_err(cannot)?;
    out.write_record(in_order(reported).map(|(_, value)| cell(value)))
        .map_err(cannot)?;
    let text = out.into_inner().unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn in_order(reported: &Map<String, Value>) -> impl Iterator<Item = (String, &Value)> {
    let names = schema::reported().into_iter();
    names.filter_map(|name| {
        let value = reported.get(&name)?;
        Some((name, value))
    })
}
