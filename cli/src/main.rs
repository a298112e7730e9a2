//! Change many of SigmaMind's phone numbers, and know what became of each.

mod apply;
mod args;
mod cells;
mod change;
mod export;
mod failure;
#[cfg(feature = "fake")]
mod fake;
mod files;
mod form;
mod input;
mod interrupt;
mod journal;
mod key;
mod outcome;
mod plan;
mod problem;
mod progress;
mod report;
mod resume;
mod rollback;
mod runner;
mod schema;
mod set;
mod slow;
mod ui;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Command};
use clap_complete::Shell;

use failure::{Exit, Failure, Result};
use schema::Columns;

fn main() -> ExitCode {
    let columns = Columns::of_the_document(args::taken());
    let mut command = args::command(&columns);
    let matches = command.get_matches_mut();
    match run(&mut command, &matches, &columns) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            ui::error(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn run(command: &mut Command, matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(Exit::Usage);
    };
    args::refuse_secrets(matches, columns)?;
    match name {
        "set" => set::set(matches, columns),
        "apply" => apply::apply(matches, columns),
        "resume" => resume::resume(matches, columns),
        "rollback" => rollback::rollback(matches, columns),
        "template" => print(&template(columns)),
        "schema" => print(&schema::printed()),
        #[cfg(feature = "fake")]
        "fake" => fake::fake(matches),
        #[cfg(not(feature = "fake"))]
        "fake" => Err(Failure::usage(
            "this program was built without the fake server; build it with --features fake",
        )),
        "completions" => completions(command, matches),
        _ => man(command, matches),
    }
}

/// An empty file for `apply`, which says what its columns are.
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
        "# {}: The number to change, in E.164 form (needed)\n{about}# An empty cell leaves a \
         property as it is, and \\N sets it to null.\n{}\n",
        schema::number_name(),
        names.join(","),
    )
}

fn completions(command: &mut Command, matches: &ArgMatches) -> Result<Exit> {
    let shell = *matches.get_one::<Shell>("shell").expect("it is required");
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "sigmamind", &mut text);
    print(&String::from_utf8_lossy(&text))
}

fn man(command: &mut Command, matches: &ArgMatches) -> Result<Exit> {
    let cannot = |error: io::Error| Failure::usage(format!("cannot write the manual: {error}"));
    command.build();
    if let Some(folder) = matches.get_one::<PathBuf>("folder") {
        clap_mangen::generate_to(command.clone(), folder).map_err(cannot)?;
        return Ok(Exit::Done);
    }
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone());
    page.render(&mut text).map_err(cannot)?;
    print(&String::from_utf8_lossy(&text))
}

fn print(text: &str) -> Result<Exit> {
    let printed = ui::print(text);
    printed.map_err(|error| Failure::usage(format!("cannot print: {error}")))?;
    Ok(Exit::Done)
}
