//! `man`: the manual pages.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use clap::Command;

use crate::{
    failure::{Exit, Failure, Result},
    text::quoted,
    ui,
};

/// Sections of every page in addition to the options.
const SECTIONS: &str = r"
.SH FILES
.TP
FILE.journal.jsonl
What was begun and what became of it, as it happens. `sigmamind resume` reads it.
.TP
FILE.results.csv
Every number with its outcome, and what the server reports.
.TP
FILE.failed.csv
The rows that are not applied, for `sigmamind apply`.
.SH ENVIRONMENT
An option takes precedence over a variable, and an empty variable counts as unset.
.TP
SIGMAMIND_API_KEY
The API key.
.TP
SIGMAMIND_API_KEY_FILE
The file with the API key.
.TP
SIGMAMIND_BASE_URL
The URL of the API.
.TP
RUST_LOG
What \-v and \-\-log\-file log: sigmamind=debug.
.TP
NO_COLOR
No colors.
.SH EXAMPLES
.nf
sigmamind template > numbers.csv
sigmamind apply numbers.csv \-\-dry\-run
sigmamind apply numbers.csv \-\-canary 5
sigmamind resume numbers.csv.journal.jsonl
sigmamind rollback numbers.csv.journal.jsonl \-\-before export.csv \-o back.csv
.fi
";

/// Prints the page of the program, or writes the pages of all commands into a folder.
pub fn man(command: &mut Command, dir: Option<&Path>) -> Result<Exit> {
    command.build();
    let Some(dir) = dir else {
        let mut text = Vec::new();
        let page = clap_mangen::Man::new(command.clone());
        page.render(&mut text)
            .map_err(|error| Failure::usage(format!("cannot write the page: {error}")))?;
        return ui::print_or_fail(&format!("{}{SECTIONS}", String::from_utf8_lossy(&text)));
    };
    write_all(command, dir)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", quoted(dir))))?;
    Ok(Exit::Done)
}

fn write_all(command: &Command, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command.clone(), dir)?;
    let names = command
        .get_subcommands()
        .map(|sub| format!("sigmamind-{}.1", sub.get_name()));
    for name in names.chain(["sigmamind.1".to_owned()]) {
        let path = dir.join(name);
        // `help` has no page of its own.
        if path.exists() {
            let mut page = OpenOptions::new().append(true).open(path)?;
            page.write_all(SECTIONS.as_bytes())?;
        }
    }
    Ok(())
}
