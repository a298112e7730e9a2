//! The command line. Fixed options are the fields of these structs; there is one more option for
//! each property of the API, which are read by column. No other module knows how an option is
//! spelled.

mod command;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    ArgMatches, Args, FromArgMatches, ValueEnum, ValueHint, error::ErrorKind, value_parser,
};
use clap_complete::Shell;
use sigmamind::E164;

use command::id;
pub use command::{command, taken};

use crate::{
    failure::{Failure, Result},
    schema::{Column, Columns},
    text::quoted,
};

/// How a result is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Jsonl,
    Csv,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Print only warnings, errors and the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log requests to standard error; `RUST_LOG` says what
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Log requests to this file
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Output {
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub format: Format,
}

/// How many requests are sent, how fast, and when to stop.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub struct Sending {
    /// Skip the confirmation; needed where stdin is not a terminal
    #[arg(short, long)]
    pub yes: bool,
    /// Send the first N, show the result, and ask again
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub canary: Option<u32>,
    /// How many requests are in flight at the same time
    #[arg(short = 'j', long, value_name = "N", default_value = "8", value_parser = value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// How many requests to send per second at most [default: what the server allows]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// How long a number may take, retries and waits included: 30s [default: 90s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// How often a number is sent again after a failure that may pass, such as a lost connection
    #[arg(long, value_name = "N", default_value = "5")]
    pub retries: u32,
    /// Stop if the server asks for a longer pause than this
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub max_wait: Duration,
    /// Stop after N failed numbers [default: continue to the end]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub max_failures: Option<u32>,
    /// Stop when N numbers in a row are forbidden (403)
    #[arg(long, value_name = "N", default_value = "10", value_parser = value_parser!(u32).range(1..))]
    pub max_forbidden: u32,
    /// Stop when nothing has succeeded for this long and the server cannot be reached
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub max_outage: Duration,
    /// How many different numbers must fail to reach the server before that counts
    #[arg(long, value_name = "N", default_value = "5", value_parser = value_parser!(u32).range(1..))]
    pub min_unreachable: u32,
}

const KEY_FILE: &str = "The file with the API key [env: SIGMAMIND_API_KEY_FILE] [default: the key is in SIGMAMIND_API_KEY]";
const BASE_URL: &str =
    "The URL of the API [env: SIGMAMIND_BASE_URL] [default: the documented server]";

/// Which server, and with which key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    #[arg(long, help = KEY_FILE, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "api_key_command")]
    pub api_key_file: Option<PathBuf>,
    /// A shell command that prints the API key
    #[arg(long, value_name = "COMMAND")]
    pub api_key_command: Option<String>,
    #[arg(long, help = BASE_URL, value_name = "URL")]
    pub base_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct SetArgs {
    /// The number in E.164 form: +14155552671
    #[arg(allow_hyphen_values = true, value_parser = |text: &str| text.parse::<E164>())]
    pub number: E164,
    #[command(flatten)]
    pub connection: Connection,
    /// How long the call may take, retries and waits included: 30s [default: 90s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub output: Output,
}

/// How the columns of a file are read.
#[derive(Debug, Args)]
pub struct Selection {
    /// Ignore the columns that are no property
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Read only these columns besides the number's: a,b
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// CSV, JSON, JSON lines, or one number per line; - reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Set this on every number of the file; \N is null and \E is the empty text
    #[arg(long, value_name = "PROPERTY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// An export of what the numbers are now: shows and sends only what differs, and keeps what
    /// `rollback` needs
    #[arg(long, value_name = "EXPORT", value_hint = ValueHint::FilePath)]
    pub before: Option<PathBuf>,
    /// Where to keep the journal [default: FILE.journal.jsonl]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub journal: Option<PathBuf>,
    /// Replace output files that already exist
    #[arg(long)]
    pub force: bool,
    /// End after the plan; needs no key
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub sending: Sending,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The journal of the job: FILE.journal.jsonl
    #[arg(value_name = "JOURNAL", value_hint = ValueHint::FilePath)]
    pub journal: PathBuf,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub sending: Sending,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The journal of the job to set back
    #[arg(value_name = "JOURNAL", value_hint = ValueHint::FilePath)]
    pub journal: PathBuf,
    /// An export from before the job, or an earlier journal [default: what `apply --before` kept]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub before: Option<PathBuf>,
    /// The file to write; FILE.missing.csv lists what cannot be set back
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace output files that already exist, and accept a FILE with the new values
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub format: Output,
}

#[derive(Debug, Args)]
pub struct FakeArgs {
    /// The numbers that it knows: any file that `apply` takes
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Listen on this port [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Refuse requests (429) above this rate
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate_limit: Option<f64>,
    /// Answer the next requests with this status: 3:503
    #[arg(long, value_name = "TIMES:STATUS", value_parser = times)]
    pub fail: Vec<(usize, u16)>,
    /// Delay each response, e.g. 50ms
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub delay: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct ApiArgs {
    /// [METHOD] PATH: /v1/agents, or DELETE /v1/agents/7 [default: GET, or POST with --data]
    #[arg(value_name = "METHOD_AND_PATH", num_args = 1..=2, required = true)]
    pub target: Vec<String>,
    /// The JSON to send: the text itself, @FILE, or @- for standard input
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
    /// How long the call may take, retries and waits included: 30s [default: 90s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write the pages of all commands into
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// A command with its options.
pub enum Invocation {
    Set(SetArgs, Properties),
    Apply(Box<ApplyArgs>, Properties),
    Resume(ResumeArgs, Properties),
    Rollback(RollbackArgs),
    Api(ApiArgs),
    Template,
    Schema,
    #[cfg_attr(not(feature = "fake"), allow(dead_code, reason = "only refused"))]
    Fake(FakeArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// The options that are named after properties. The numbers are the columns'.
#[derive(Debug, Default)]
pub struct Properties {
    pub texts: Vec<(usize, String)>,
    pub secrets: Vec<(usize, SecretSource)>,
    pub nulls: Vec<String>,
}

/// Where the value of a secret property comes from.
#[derive(Debug)]
pub enum SecretSource {
    File(PathBuf),
    Variable(String),
}

impl Connection {
    /// The same options for another command, with a space before each.
    pub fn hint(&self) -> String {
        let file = self.api_key_file.as_deref();
        let command = self.api_key_command.as_deref().map(Path::new);
        let url = self.base_url.as_deref().map(Path::new);
        let options = [
            ("api-key-file", file),
            ("api-key-command", command),
            ("base-url", url),
        ];
        let given = options
            .iter()
            .filter_map(|(flag, value)| Some((flag, (*value)?)));
        let options: Vec<_> = given
            .map(|(flag, value)| format!(" --{flag} {}", quoted(value)))
            .collect();
        options.concat()
    }
}

impl Properties {
    /// The options of the secrets for another command, with a space before each.
    pub fn hint(&self, columns: &Columns) -> String {
        let secrets = self.secrets.iter().map(|(index, source)| {
            let column = columns.get(*index);
            match source {
                SecretSource::File(file) => format!(" --{} {}", column.file_flag(), quoted(file)),
                SecretSource::Variable(name) => {
                    format!(" --{} {}", column.variable_flag(), quoted(Path::new(name)))
                }
            }
        });
        secrets.collect()
    }
}

/// Reads the command line.
pub fn read(matches: &ArgMatches, columns: &Columns) -> Result<(Global, Invocation)> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Failure::usage("there is no command"));
    };
    refuse_secrets(matches, columns)?;
    let properties = || properties(matches, columns);
    let invocation = match name {
        "set" => Invocation::Set(typed(matches)?, properties()),
        "apply" => Invocation::Apply(Box::new(typed(matches)?), properties()),
        "resume" => Invocation::Resume(typed(matches)?, properties()),
        "rollback" => Invocation::Rollback(typed(matches)?),
        "api" => Invocation::Api(typed(matches)?),
        "template" => Invocation::Template,
        "schema" => Invocation::Schema,
        "fake" => Invocation::Fake(typed(matches)?),
        "completions" => Invocation::Completions(typed(matches)?),
        _ => Invocation::Man(typed(matches)?),
    };
    Ok((typed(matches)?, invocation))
}

fn typed<T: FromArgMatches>(matches: &ArgMatches) -> Result<T> {
    T::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))
}

fn properties(matches: &ArgMatches, columns: &Columns) -> Properties {
    fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Option<T> {
        matches.try_get_one(id).ok().flatten().cloned()
    }
    let mut found = Properties::default();
    for (index, column) in columns.iter().enumerate() {
        let id = id(column);
        if let Some(text) = one(matches, &id) {
            found.texts.push((index, text));
        }
        if let Some(file) = one(matches, &format!("{id}:file")) {
            found.secrets.push((index, SecretSource::File(file)));
        }
        if let Some(variable) = one(matches, &format!("{id}:env")) {
            found
                .secrets
                .push((index, SecretSource::Variable(variable)));
        }
    }
    let nulls = matches.try_get_many::<String>("null").ok().flatten();
    found.nulls = nulls.into_iter().flatten().cloned().collect();
    found
}

/// Refuses secrets that were given as arguments, where every user of the machine can read them.
fn refuse_secrets(matches: &ArgMatches, columns: &Columns) -> Result<()> {
    for given in matches.ids() {
        let Some(flag) = given.as_str().strip_prefix("refused:") else {
            continue;
        };
        return Err(match columns.iter().find(|column| column.flag == flag) {
            Some(column) => never_an_argument(column),
            None => Failure::usage(
                "the API key must not be an argument, because other users could read it; set \
                 SIGMAMIND_API_KEY, or use --api-key-file or --api-key-command",
            ),
        });
    }
    Ok(())
}

pub fn never_an_argument(column: &Column) -> Failure {
    Failure::usage(format!(
        "`{}` is a secret and must not be an argument, because other users could read it; use --{} \
         FILE or --{} VARIABLE",
        column.name,
        column.file_flag(),
        column.variable_flag(),
    ))
}

/// Returns whether the result is for a program, as far as possibly wrong arguments show it.
pub fn wants_json(arguments: &[OsString]) -> bool {
    let json = |text: &OsString| text == "json" || text == "jsonl";
    arguments
        .windows(2)
        .any(|pair| pair[0] == "--format" && json(&pair[1]))
        || arguments
            .iter()
            .any(|one| one == "--format=json" || one == "--format=jsonl")
}

/// Returns whether an error is the output of `--help` or `--version`.
pub fn is_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a duration must be greater than zero".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("not a duration; write 500ms, 30s or 2m".into()),
    }
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "a rate must be a number greater than zero".into())
}

fn times(text: &str) -> std::result::Result<(usize, u16), String> {
    text.split_once(':')
        .and_then(|(times, status)| Some((times.parse().ok()?, status.parse().ok()?)))
        .filter(|(_, status)| (400..600).contains(status))
        .ok_or_else(|| "write a count and a status of 400 to 599: 3:503".into())
}
