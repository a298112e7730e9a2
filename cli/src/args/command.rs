//! The commands, built of the fixed options and one option for each property.

use std::{collections::HashSet, path::PathBuf};

use clap::{Arg, ArgAction, Args, Command, ValueHint, value_parser};

use super::{
    ApiArgs, ApplyArgs, CompletionsArgs, FakeArgs, Global, ManArgs, ResumeArgs, RollbackArgs,
    SetArgs,
};
use crate::schema::{Column, Columns, number_name};

const EXIT_CODES: &str = "\
Exit codes:
  0    everything was applied
  1    some of it failed
  2    the command line or a file is wrong; nothing was sent
  3    stopped early; `sigmamind resume` continues
  4    the API key is missing, or the server refuses it
  130  interrupted";

const ENVIRONMENT: &str = "\
Environment:
  SIGMAMIND_API_KEY       the API key
  SIGMAMIND_API_KEY_FILE  the file with the API key
  SIGMAMIND_BASE_URL      the URL of the API
  RUST_LOG                what -v and --log-file log: sigmamind=debug
  NO_COLOR                no colors
An option takes precedence over a variable, and an empty variable counts as unset.";

/// Returns the whole command line.
pub fn command(columns: &Columns) -> Command {
    let null = |command: Command| command.arg(null(columns));
    let secrets = |command: Command| {
        let secrets = columns.iter().filter(|column| column.secret);
        command.args(secrets.flat_map(secret))
    };
    let apply = ApplyArgs::augment_args(
        Command::new("apply")
            .about("Update every number in a file (validated first)")
            .long_about(about_apply()),
    );
    let resume = Command::new("resume").about("Resume an interrupted job");
    Global::augment_args(Command::new("sigmamind"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Update many SigmaMind phone numbers, and know the outcome of each")
        .after_help(EXIT_CODES)
        .after_long_help(format!("{EXIT_CODES}\n\n{ENVIRONMENT}"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_api_key(set(columns)))
        .subcommand(with_api_key(secrets(null(apply))))
        .subcommand(with_api_key(secrets(ResumeArgs::augment_args(resume))))
        .subcommand(RollbackArgs::augment_args(
            Command::new("rollback")
                .about("Write a file that sets back what a job has changed")
                .long_about(
                    "Write a file that sets back what a job has changed, for `sigmamind apply`.\n\n\
                     The documented API cannot read a number, so its old values must come from \
                     elsewhere: an export (CSV or JSON), or the journal of an earlier job.",
                ),
        ))
        .subcommand(with_api_key(ApiArgs::augment_args(
            Command::new("api").about("Send any request with the same key, and print the response"),
        )))
        .subcommand(Command::new("template").about("Print an empty CSV with a comment per column"))
        .subcommand(Command::new("schema").about("Print the JSON Schema of an update"))
        .subcommand(FakeArgs::augment_args(
            Command::new("fake")
                .about("Run a fake server on this machine to rehearse a job")
                .long_about(
                    "Run a fake server on this machine to rehearse a job.\n\nIt prints the two \
                     variables that point this program at it, and runs until Ctrl-C.",
                ),
        ))
        .subcommand(CompletionsArgs::augment_args(
            Command::new("completions").about("Print the completion script of a shell"),
        ))
        .subcommand(ManArgs::augment_args(Command::new("man").about(
            "Print the manual page, or write the pages of all commands into DIR",
        )))
}

fn about_apply() -> String {
    format!(
        "Update every number in a file, after all of it was validated and you agreed.\n\n\
         The file is CSV whose header names `{}` and properties, JSON with those names, or has one \
         number per line (and `--set` gives the values). An empty cell leaves a property as it is, \
         \\N sets it to null and \\E to the empty text. `sigmamind template` prints an empty \
         file.\n\n\
         The outcome of each number is in FILE.journal.jsonl while the job runs, and in \
         FILE.results.csv and FILE.failed.csv at the end.",
        number_name()
    )
}

fn set(columns: &Columns) -> Command {
    let command = Command::new("set").about("Update one number and print what the server reports");
    let command = SetArgs::augment_args(command).next_help_heading("Properties");
    columns
        .iter()
        .fold(command, |command, column| {
            if column.secret {
                return command.args(secret(column));
            }
            command.arg(
                Arg::new(id(column))
                    .long(column.flag.clone())
                    .value_name("VALUE")
                    .allow_hyphen_values(true)
                    .help(about(column)),
            )
        })
        .arg(null(columns))
}

fn null(columns: &Columns) -> Arg {
    let nullable: Vec<_> = columns.iter().filter(|column| column.nullable).collect();
    let names: Vec<_> = nullable.iter().map(|column| column.name.as_str()).collect();
    Arg::new("null")
        .long("null")
        .value_name("PROPERTY")
        .action(ArgAction::Append)
        .hide(nullable.is_empty())
        .help(format!(
            "Set this to null; allowed for {}",
            names.join(", ")
        ))
}

/// A secret comes from a file or a variable; as an argument it is refused with the reason.
fn secret(column: &Column) -> [Arg; 3] {
    let file = Arg::new(format!("{}:file", id(column)))
        .long(column.file_flag())
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help(format!(
            "{} From a file; - is standard input",
            about(column)
        ));
    let variable = Arg::new(format!("{}:env", id(column)))
        .long(column.variable_flag())
        .value_name("VARIABLE")
        .conflicts_with(format!("{}:file", id(column)))
        .help(format!(
            "The same from an environment variable, such as {}",
            column.variable()
        ));
    [file, variable, refused(&column.flag)]
}

fn with_api_key(command: Command) -> Command {
    command.arg(refused("api-key"))
}

/// An option that exists to be refused.
fn refused(flag: &str) -> Arg {
    Arg::new(format!("refused:{flag}"))
        .long(flag.to_owned())
        .hide(true)
        .num_args(0..=1)
        .action(ArgAction::Append)
        .allow_hyphen_values(true)
}

fn about(column: &Column) -> String {
    format!("{} ({})", column.description, column.form())
        .trim_start()
        .to_owned()
}

/// The id of a property's option, which no fixed option has.
pub fn id(column: &Column) -> String {
    format!("property:{}", column.name)
}

/// Returns the words that fixed options have, which no property's option may have.
pub fn taken() -> HashSet<String> {
    let program = command(&Columns::none());
    let commands = program.get_subcommands().chain([&program]);
    let options = commands.flat_map(Command::get_arguments);
    let words = options.filter_map(Arg::get_long).map(str::to_owned);
    words.chain(["help".into(), "version".into()]).collect()
}
