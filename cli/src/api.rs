//! `api`: any request, with the same key, rate limiter and errors. It is the way to an export.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use serde_json::Value;
use sigmamind::http::Method;
use tokio::runtime::Builder;

use crate::{
    args::ApiArgs,
    connection::{Connection, Settings},
    failure::{Exit, Failure, Result},
    files,
    set::exit,
    text::printable,
    ui,
};

pub fn api(args: &ApiArgs) -> Result<Exit> {
    let connection = Connection::new(&args.connection)?;
    let data = args.data.as_deref().map(data).transpose()?;
    let (method, path) = match &*args.target {
        [method, path] => (method.to_uppercase(), path),
        [path, ..] => (if data.is_some() { "POST" } else { "GET" }.to_owned(), path),
        [] => return Err(Failure::usage("there is no path")),
    };
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| Failure::usage("this is not an HTTP method; write [METHOD] PATH"))?;
    if !path.starts_with('/') {
        return Err(Failure::usage("the path must begin with a slash: /v1/…"));
    }
    let settings = Settings {
        timeout: args.timeout,
        ..Settings::default()
    };
    let (client, _) = connection.client(&settings)?;
    let call = client.request(method, path, data);
    call.validate()
        .map_err(|error| Failure::usage(crate::validate::reason(&error)))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    match runtime.block_on(call.send()) {
        Ok(response) => {
            print(response.body(), &response)?;
            Ok(Exit::Done)
        }
        Err(error) => {
            if !error.body().is_empty() {
                let value = serde_json::from_slice(error.body()).unwrap_or_default();
                print(error.body(), &value)?;
            }
            // The body says it, and this names the status and what to do.
            let exit = if error.status().is_some() {
                Exit::SomeFailed
            } else {
                exit(&error)
            };
            Err(Failure::new(exit, printable(&error.to_string())).reported())
        }
    }
}

/// Prints a body: laid out and cleaned on a terminal, as received to a file or a pipe.
fn print(body: &[u8], value: &Value) -> Result<()> {
    if io::stdout().is_terminal() {
        let text = match value {
            Value::Null => String::from_utf8_lossy(body).into_owned(),
            value => format!("{value:#}"),
        };
        return ui::print_or_fail(&text).map(drop);
    }
    let mut out = io::stdout().lock();
    match out.write_all(body).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::SomeFailed,
            format!("cannot print the result: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Reads what `--data` names.
fn data(data: &str) -> Result<Value> {
    let text = match data.strip_prefix('@') {
        None => data.to_owned(),
        Some("-") => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            text
        }
        Some(path) => String::from_utf8(files::read(Path::new(path))?)
            .map_err(|_| Failure::usage("--data: the file is not UTF-8"))?,
    };
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::usage(format!("--data is not JSON (line {line}, column {column})"))
    })
}
