//! Update many `SigmaMind` phone numbers, and know the outcome of each.

mod api;
mod apply;
mod args;
mod change;
mod connection;
mod export;
mod failure;
#[cfg(feature = "fake")]
mod fake;
mod files;
mod history;
mod input;
mod interrupt;
mod journal;
mod logging;
mod man;
mod outcome;
mod plan;
mod problem;
mod progress;
mod reader;
mod report;
mod results;
mod resume;
mod rollback;
mod runner;
mod schema;
mod set;
mod stops;
mod text;
mod ui;
mod validate;

use std::{env, ffi::OsString, process::ExitCode};

use clap::Command;
use serde_json::json;

use args::{CompletionsArgs, Invocation};
use failure::{Exit, Failure, Result};
use schema::Columns;
use text::escape_json;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let columns = Columns::of_the_document(args::taken());
    let mut command = args::command(&columns);
    let exit = match command.try_get_matches_from_mut(&arguments) {
        Ok(matches) => args::read(&matches, &columns).and_then(|(global, invocation)| {
            logging::start(&global)?;
            run(&mut command, invocation, global.verbose, &columns)
        }),
        Err(error) if args::is_help(&error) || !args::wants_json(&arguments) => {
            let _ = error.print();
            return Exit::from_clap(&error).into();
        }
        Err(error) => Err(Failure::usage(error.to_string())),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(&failure, &arguments);
            failure.exit.into()
        }
    }
}

/// Prints why the program ends; as JSON too, if requested.
fn report(failure: &Failure, arguments: &[OsString]) {
    let text = failure.to_string();
    ui::error(text.strip_prefix("error: ").unwrap_or(&text));
    if failure.reported || !args::wants_json(arguments) {
        return;
    }
    let error = json!({ "error": {
        "code": failure.exit.code(), "message": text, "mistakes": failure.mistakes,
    } });
    let _ = ui::print(&escape_json(error.to_string()));
}

fn run(
    command: &mut Command,
    invocation: Invocation,
    #[cfg_attr(not(feature = "fake"), expect(unused_variables))] verbose: bool,
    columns: &Columns,
) -> Result<Exit> {
    match invocation {
        Invocation::Set(args, properties) => set::set(&args, &properties, columns),
        Invocation::Apply(args, properties) => apply::apply(&args, &properties, columns),
        Invocation::Resume(args, properties) => resume::resume(&args, &properties, columns),
        Invocation::Rollback(args) => rollback::rollback(&args, columns),
        Invocation::Api(args) => api::api(&args),
        Invocation::Template => ui::print_or_fail(&template(columns)),
        Invocation::Schema => ui::print_or_fail(&schema::printed()),
        #[cfg(feature = "fake")]
        Invocation::Fake(args) => fake::fake(&args, verbose, columns),
        #[cfg(not(feature = "fake"))]
        Invocation::Fake(_) => Err(Failure::usage(
            "this program was built without the fake server; build it with --features fake",
        )),
        Invocation::Completions(args) => completions(command, &args),
        Invocation::Man(args) => man::man(command, args.dir.as_deref()),
    }
}

/// An empty file for `apply`, which describes its columns.
fn template(columns: &Columns) -> String {
    let about = columns.iter().map(|column| {
        format!(
            "# {}: {} ({})\n",
            column.name,
            column.description,
            column.form()
        )
    });
    let about: String = about.collect();
    let names = columns.iter().map(|column| column.name.as_str());
    let names: Vec<_> = [schema::number_name()].into_iter().chain(names).collect();
    format!(
        "# {}: The number to update, in E.164 form (required)\n{about}# An empty cell leaves a \
         property as it is, \\N sets it to null, and \\E to the empty text.\n{}\n",
        schema::number_name(),
        names.join(","),
    )
}

fn completions(command: &mut Command, args: &CompletionsArgs) -> Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, command, "sigmamind", &mut text);
    ui::print_or_fail(&String::from_utf8_lossy(&text))
}
