//! `set`: one number.

use serde_json::{Map, Value};
use tokio::runtime::Builder;

use crate::{
    args::{Format, Properties, SetArgs},
    change,
    connection::{Connection, Settings},
    failure::{Exit, Failure, Result},
    outcome::{self, Secrets},
    results::reported as shown,
    schema::{self, Columns},
    text::{escape_json, printable},
    ui,
    validate::{Validator, update},
};

pub fn set(args: &SetArgs, properties: &Properties, columns: &Columns) -> Result<Exit> {
    let connection = Connection::new(&args.connection)?;
    let change = change::of_options(properties, columns)?;
    let checked = Validator::new()?.check(&args.number, &change);
    checked.map_err(|refused| Failure::usage(refused.text))?;
    let update = update(&change).map_err(Failure::usage)?;
    let settings = Settings {
        timeout: args.timeout,
        ..Settings::default()
    };
    let (client, _) = connection.client(&settings)?;

    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    let call = || client.update_phone_number(&args.number, &update);
    let answer = runtime.block_on(call().send());
    let secrets = Secrets::of(&call());
    let response = answer.map_err(|error| {
        let id = error
            .request_id()
            .map(|id| format!(" [request {}]", secrets.redact(id)))
            .unwrap_or_default();
        Failure::new(
            exit(&error),
            format!("{}{id}", printable(&error.to_string())),
        )
    })?;
    let reported = outcome::reported(&secrets, &response);
    for name in outcome::differs(columns, &change, &reported) {
        ui::warn(&format!(
            "the server reports a different `{name}` than was sent"
        ));
    }
    ui::print_or_fail(&match args.output.format {
        Format::Table => ui::table(
            &["property", "reported"],
            in_order(&reported).map(|(name, value)| [name, crate::export::cell(value)]),
        ),
        Format::Json => escape_json(format!("{:#}", Value::Object(reported))),
        Format::Jsonl => escape_json(Value::Object(reported).to_string()),
        Format::Csv => csv(&reported)?,
    })
}

/// The exit code of a failed call.
pub fn exit(error: &sigmamind::Error) -> Exit {
    if error.is_auth() {
        Exit::Key
    } else {
        Exit::SomeFailed
    }
}

fn csv(reported: &Map<String, Value>) -> Result<String> {
    let write_error = |error: csv::Error| Failure::new(Exit::SomeFailed, error.to_string());
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(in_order(reported).map(|(name, _)| name))
        .map_err(write_error)?;
    out.write_record(in_order(reported).map(|(_, value)| shown(value)))
        .map_err(write_error)?;
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
