//! Output for the operator: messages on standard error, results on standard output.
//!
//! Standard error may be a full disk or closed. A message that cannot be written is dropped,
//! because it must not end a job; a result that cannot be printed is an error.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use dialoguer::{Confirm, console::Term};

use crate::{
    failure::{Exit, Failure, Result},
    text::{clean_lines, printable},
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

static QUIET: AtomicBool = AtomicBool::new(false);

/// Lets only warnings, errors and questions through.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

pub fn error(text: &str) {
    to_stderr(&format!("{ERROR}error:{ERROR:#} "), text);
}

pub fn warn(text: &str) {
    to_stderr(&format!("{WARNING}warning:{WARNING:#} "), text);
}

pub fn info(text: &str) {
    if !is_quiet() {
        to_stderr("", text);
    }
}

fn to_stderr(label: &str, text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{label}{}", clean_lines(text));
}

/// Prints a result. A reader that has closed standard output does not want it.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let text = if out.is_terminal() {
        clean_lines(text)
    } else {
        text.into()
    };
    let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(end))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a result that is the whole purpose of a command.
pub fn print_or_fail(text: &str) -> Result<Exit> {
    print(text).map_err(|error| {
        Failure::new(
            Exit::SomeFailed,
            format!("cannot print the result: {error}"),
        )
    })?;
    Ok(Exit::Done)
}

/// Returns whether standard input and standard error are terminals.
fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question; without a terminal that is an error.
pub fn ask(question: &str) -> Result<bool> {
    if !is_attended() {
        return Err(Failure::usage(
            "stdin is not a terminal; use --yes to skip the confirmation",
        ));
    }
    let terminal = Term::stderr();
    let answer = Confirm::new()
        .with_prompt(question)
        .default(false)
        // A key hit by accident does not count as an answer.
        .wait_for_newline(true)
        .interact_on(&terminal);
    answer.map_err(|dialoguer::Error::IO(error)| {
        let _ = terminal.show_cursor();
        if error.kind() == io::ErrorKind::Interrupted {
            return Failure::new(
                Exit::Interrupted,
                "interrupted at the question; nothing was sent",
            );
        }
        Failure::usage(format!("the question could not be asked: {error}"))
    })
}

/// Lays out a table for people.
pub fn table<R>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.iter().copied());
    }
    if let Some(width) = width() {
        table.set_width(width);
    }
    for row in rows {
        table.add_row(row.into_iter().map(|cell| printable(&cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn width() -> Option<u16> {
    let term = Term::stdout();
    term.is_term().then(|| term.size().1)
}
