//! The command line: fixed options, and one for each property of the document.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use clap::{
    Arg, ArgAction, ArgMatches, Command, ValueHint, builder::PossibleValuesParser, value_parser,
};
use clap_complete::Shell;
use sigmamind::E164;

use crate::{
    failure::{Failure, Result},
    schema::{Column, Columns, number_name},
};

const EXIT_CODES: &str = "\
Exit codes:
  0    everything was applied
  1    some of it failed
  2    the command line or a file is not right; nothing was sent
  3    stopped early; `sigmamind resume` goes on
  4    the API key is missing, or the server refuses it
  130  interrupted";

/// The whole command line.
pub fn command(columns: &Columns) -> Command {
    Command::new("sigmamind")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Change many of SigmaMind's phone numbers, and know what became of each")
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(set(columns))
        .subcommand(apply(columns))
        .subcommand(resume(columns))
        .subcommand(rollback())
        .subcommand(Command::new("template").about("Print an empty CSV, with a comment per column"))
        .subcommand(
            Command::new("schema").about("Print the JSON Schema of what can be set on a number"),
        )
        .subcommand(fake())
        .subcommand(
            Command::new("completions")
                .about("Print what a shell needs to complete this program's command line")
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(value_parser!(Shell)),
                ),
        )
        .subcommand(
            Command::new("man")
                .about("Print the manual page, or write those of all commands into a folder")
                .arg(path("folder", "FOLDER").value_hint(ValueHint::DirPath)),
        )
}

/// The words that options of the program's own have, which no property's may have.
pub fn taken() -> HashSet<String> {
    let program = command(&Columns::none());
    let commands = program.get_subcommands();
    let options = commands.flat_map(Command::get_arguments);
    let words = options.filter_map(Arg::get_long).map(str::to_owned);
    words.chain(["help".into(), "version".into()]).collect()
}

fn set(columns: &Columns) -> Command {
    let command = Command::new("set")
        .about("Change one number, and print what the server reports")
        .arg(
            Arg::new("number")
                .value_name("NUMBER")
                .required(true)
                .value_parser(|text: &str| text.parse::<E164>())
                .help("The number, in E.164 form: +14155552671"),
        )
        .next_help_heading("What to set");
    let command = columns
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
        .arg(null(columns));
    connection(command)
}

fn apply(columns: &Columns) -> Command {
    let number = number_name();
    let command = Command::new("apply")
        .about("Change every number of a file, after all of it was checked")
        .long_about(format!(
            "Change every number of a file, after all of it was checked and you agreed.\n\n\
             The file is CSV whose header names `{number}` and properties, or JSON lines with \
             those names, or has one number a line (and `--to` says what to set). An empty cell \
             leaves a property as it is, and \\N sets it to null. `sigmamind template` prints an \
             empty file.\n\n\
             What becomes of each number is in FILE.journal.jsonl while it runs, and in \
             FILE.results.csv and FILE.failed.csv at the end."
        ))
        .arg(
            path("file", "FILE")
                .required(true)
                .help("CSV, JSON lines, or one number a line; - reads standard input"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("PROPERTY=VALUE")
                .action(ArgAction::Append)
                .help("Set this on every number of the file"),
        )
        .arg(null(columns))
        .args(
            columns
                .iter()
                .filter(|column| column.secret)
                .flat_map(secret),
        )
        .arg(
            path("journal", "FILE")
                .long("journal")
                .help("Where to keep the journal [default: FILE.journal.jsonl]"),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("End after the plan; needs no key"),
        );
    connection(sending(command))
}

fn resume(columns: &Columns) -> Command {
    let command = Command::new("resume")
        .about("Go on with a job: send what its journal does not have as applied")
        .arg(
            path("journal", "JOURNAL")
                .required(true)
                .help("The journal of the job: FILE.journal.jsonl"),
        )
        .args(
            columns
                .iter()
                .filter(|column| column.secret)
                .flat_map(secret),
        );
    connection(sending(command))
}

fn rollback() -> Command {
    Command::new("rollback")
        .about("Write a file that sets back what a job has applied")
        .long_about(
            "Write a file that sets back what a job has applied, for `sigmamind apply`.\n\n\
             No documented operation reads a number, so what was there before must come from \
             elsewhere: an export (CSV or JSON lines), or the journal of an earlier job.",
        )
        .arg(
            path("journal", "JOURNAL")
                .required(true)
                .help("The journal of the job to set back"),
        )
        .arg(
            path("before", "FILE")
                .long("before")
                .required(true)
                .help("An export from before the job, or an earlier journal"),
        )
        .arg(
            path("back", "BACK.csv")
                .short('o')
                .long("output-file")
                .required(true)
                .help("The file to write"),
        )
        .arg(output())
}

fn fake() -> Command {
    Command::new("fake")
        .about("Run a server that plays the documented API on this machine, to rehearse a job")
        .long_about(
            "Run a server that plays the documented API on this machine, to rehearse a job.\n\n\
             It prints the two variables that point this program at it, and runs until Ctrl-C.",
        )
        .arg(path("file", "FILE").help("Its numbers: any file that `apply` takes"))
        .arg(
            Arg::new("rate-limit")
                .long("rate-limit")
                .value_name("PER_SECOND")
                .value_parser(rate)
                .help("Refuse (429) what comes faster"),
        )
        .arg(
            Arg::new("fail")
                .long("fail")
                .value_name("TIMES:STATUS")
                .action(ArgAction::Append)
                .value_parser(times)
                .help("Answer the next requests so: 3:503"),
        )
        .arg(
            Arg::new("delay")
                .long("delay")
                .value_name("DURATION")
                .value_parser(duration)
                .help("Answer this much later: 50ms"),
        )
}

/// How many are sent, how fast, and when to stop.
fn sending(command: Command) -> Command {
    command
        .next_help_heading("Sending")
        .arg(
            Arg::new("yes")
                .long("yes")
                .short('y')
                .action(ArgAction::SetTrue)
                .help("Do not ask; needed where there is no terminal"),
        )
        .arg(
            Arg::new("canary")
                .long("canary")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..))
                .help("Send the first N, show the result, and ask again"),
        )
        .arg(
            Arg::new("at-once")
                .long("at-once")
                .value_name("N")
                .default_value("8")
                .value_parser(value_parser!(u16).range(1..))
                .help("How many requests are under way at the same time"),
        )
        .arg(
            Arg::new("rate")
                .long("rate")
                .value_name("PER_SECOND")
                .value_parser(rate)
                .help("How many requests a second may leave [default: what the server allows]"),
        )
        .arg(
            Arg::new("max-failures")
                .long("max-failures")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..))
                .help("Stop when so many have failed [default: go on to the end]"),
        )
}

/// To whom, with which key, and how the result is printed.
fn connection(command: Command) -> Command {
    command
        .next_help_heading("Connection")
        .arg(
            path("api-key-file", "FILE")
                .long("api-key-file")
                .env("SIGMAMIND_API_KEY_FILE")
                .hide_env_values(true)
                .conflicts_with("api-key-command")
                .help("The file with the API key [default: the key is in SIGMAMIND_API_KEY]"),
        )
        .arg(
            Arg::new("api-key-command")
                .long("api-key-command")
                .value_name("COMMAND")
                .help("A shell command that prints the API key"),
        )
        .arg(hidden("api-key"))
        .arg(
            Arg::new("base-url")
                .long("base-url")
                .value_name("URL")
                .env("SIGMAMIND_BASE_URL")
                .hide_env_values(true)
                .help("Where the API is [default: the document's server]"),
        )
        .arg(
            Arg::new("deadline")
                .long("deadline")
                .value_name("DURATION")
                .value_parser(duration)
                .help("How long a number may take, with all waits: 30s [default: 90s]"),
        )
        .arg(output())
}

fn output() -> Arg {
    Arg::new("output")
        .long("output")
        .value_name("FORM")
        .default_value("table")
        .value_parser(PossibleValuesParser::new(["table", "json", "csv"]))
        .help("How the result is printed on standard output")
}

fn null(columns: &Columns) -> Arg {
    let nullable: Vec<_> = columns.iter().filter(|column| column.nullable).collect();
    let names = nullable.iter().map(|column| column.name.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    Arg::new("null")
        .long("null")
        .value_name("PROPERTY")
        .action(ArgAction::Append)
        .hide(nullable.is_empty())
        .help(format!(
            "Set this to null, which the document allows for {names}"
        ))
}

/// A secret comes from a file or the environment; as an argument it is refused in so many words.
fn secret(column: &Column) -> [Arg; 2] {
    let file = path(id(column), "FILE").long(column.file_flag());
    let file = file.help(format!(
        "{} The file it is in, - for standard input; or set {}",
        about(column),
        column.variable()
    ));
    [file, hidden(&column.flag)]
}

/// An option that is there to be refused.
fn hidden(flag: &str) -> Arg {
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

fn path(id: impl Into<clap::Id>, name: &'static str) -> Arg {
    Arg::new(id)
        .value_name(name)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("nothing can be done in no time".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("it is not a duration; write 500ms, 30s or 2m".into()),
    }
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "it is not a number above zero".into())
}

fn times(text: &str) -> std::result::Result<(usize, u16), String> {
    text.split_once(':')
        .and_then(|(times, status)| Some((times.parse().ok()?, status.parse().ok()?)))
        .filter(|(_, status)| (400..600).contains(status))
        .ok_or_else(|| "write how often and a status of 400 to 599: 3:503".into())
}

/// The id of a property's option, which no option of the program's own has.
pub fn id(column: &Column) -> String {
    format!("property:{}", column.name)
}

/// Refuses secrets that were given as arguments, where every user of the machine can read them.
pub fn refuse_secrets(matches: &ArgMatches, columns: &Columns) -> Result<()> {
    for given in matches.ids() {
        let Some(flag) = given.as_str().strip_prefix("refused:") else {
            continue;
        };
        let Some(column) = columns.iter().find(|column| column.flag == flag) else {
            return Err(Failure::usage(
                "the API key is never an argument, where others can read it; set SIGMAMIND_API_KEY, \
                 or use --api-key-file or --api-key-command",
            ));
        };
        return Err(never_an_argument(column));
    }
    Ok(())
}

pub fn never_an_argument(column: &Column) -> Failure {
    Failure::usage(format!(
        "`{}` is a secret and never an argument, where others can read it; use --{} or set {}",
        column.name,
        column.file_flag(),
        column.variable(),
    ))
}
