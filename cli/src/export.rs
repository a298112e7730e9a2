//! Numbers and what is known of them, from a file that others have made: CSV with a header, JSON
//! lines, or one number a line. Columns that are not known are left alone.

use std::{collections::HashMap, path::Path};

use csv::ReaderBuilder;
use serde_json::{Map, Value};
use sigmamind::E164;

use crate::{
    failure::{Failure, Result},
    schema::{is_number, number_name},
};

/// The numbers of an export, each with all that is said of it.
pub fn numbers(path: &Path, bytes: &[u8]) -> Result<HashMap<E164, Map<String, Value>>> {
    let name = path.display();
    let fail = |line: u64, text: &str| Failure::usage(format!("{name}:{line}:1: {text}"));
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{name} is not UTF-8; save it as \"CSV UTF-8\"")))?;
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.unwrap_or_default();
    let mut all = HashMap::new();
    if first.starts_with('{') {
        for (line, number) in text
            .lines()
            .zip(1..)
            .filter(|(line, _)| !line.trim().is_empty())
        {
            let object: Map<String, Value> = serde_json::from_str(line)
                .map_err(|_| fail(number, "this is not a JSON object"))?;
            let (known, rest) = object
                .into_iter()
                .partition::<Map<_, _>, _>(|(name, _)| is_number(name));
            let text = known
                .values()
                .next()
                .map(crate::report::cell)
                .unwrap_or_default();
            let key = e164(&text).ok_or_else(|| fail(number, "there is no E.164 number"))?;
            all.insert(key, rest);
        }
        return Ok(all);
    }
    let bare = first.starts_with('+');
    let mut reader = ReaderBuilder::new()
        .has_headers(!bare)
        .comment(Some(b'#'))
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = if bare {
        csv::StringRecord::new()
    } else {
        reader
            .headers()
            .map_err(|error| fail(1, &error.to_string()))?
            .clone()
    };
    let place = if bare {
        Some(0)
    } else {
        header.iter().position(|name| is_number(name.trim()))
    };
    let place = place.ok_or_else(|| fail(1, &format!("there is no column `{}`", number_name())))?;
    for record in reader.records() {
        let record = record.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = record.get(place).and_then(e164);
        let number = number.ok_or_else(|| fail(line, "there is no E.164 number"))?;
        let cells = header.iter().zip(&record).enumerate();
        let cells = cells.filter(|(index, (_, cell))| *index != place && !cell.is_empty());
        let cells = cells.map(|(_, (name, cell))| {
            let value = if cell == r"\N" {
                Value::Null
            } else {
                cell.into()
            };
            // A file of results says so of what is reported.
            let name = name.trim();
            (
                name.strip_prefix("reported.").unwrap_or(name).to_owned(),
                value,
            )
        });
        all.insert(number, cells.collect());
    }
    Ok(all)
}

/// A number, also one that has lost its `+`.
fn e164(text: &str) -> Option<E164> {
    let text = text.trim();
    text.parse().or_else(|_| format!("+{text}").parse()).ok()
}
