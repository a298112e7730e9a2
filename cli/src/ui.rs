//! What the operator sees: messages on standard error, results on standard output.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use dialoguer::{Confirm, console::Term};

use crate::{
    failure::{Exit, Failure, Result},
    schema::printable,
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

pub fn error(text: &str) {
    anstream::eprintln!("{ERROR}error:{ERROR:#} {text}");
}

pub fn warn(text: &str) {
    anstream::eprintln!("{WARNING}warning:{WARNING:#} {text}");
}

pub fn info(text: &str) {
    anstream::eprintln!("{text}");
}

/// Prints a result. Who has closed standard output does not want it.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(if text.ends_with('\n') { b"" } else { b"\n" }))
        .and_then(|()| out.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Whether there is somebody to ask.
pub fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; without a terminal there is nobody to, and nothing more is sent.
pub fn ask(question: &str) -> Result<bool> {
    if !is_attended() {
        return Err(Failure::usage(
            "there is no terminal to ask on; say --yes to go on without a question",
        ));
    }
    let terminal = Term::stderr();
    let answer = Confirm::new()
        .with_prompt(question)
        .default(false)
        // A key that is hit by accident is no answer.
        .wait_for_newline(true)
        .interact_on(&terminal);
    answer.map_err(|dialoguer::Error::IO(error)| {
        let _ = terminal.show_cursor();
        if error.kind() == io::ErrorKind::Interrupted {
            return Failure::new(Exit::Interrupted, "interrupted at the question");
        }
        Failure::usage(format!("the question could not be asked: {error}"))
    })
}

/// A table for people, without what a terminal would obey.
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
        table.add_row(row.into_iter().map(|cell| printable(&cell)));
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

/// `1 number`, `2 numbers`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}
