//! Summary of the numbers that can be set back, and the reasons for those that cannot.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use sigmamind::E164;

use crate::{
    args::RollbackArgs,
    change::REDACTED,
    schema::{Column, Kind, number_name},
    ui::table,
};

/// Extent to which a number can be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    All,
    Part,
    Nothing,
}

impl Extent {
    fn label(self) -> &'static str {
        match self {
            Self::All => "set back",
            Self::Part => "set back in part",
            Self::Nothing => "not set back",
        }
    }
}

/// A property of a number that cannot be set back.
pub struct Missing {
    pub number: E164,
    pub property: String,
    pub reason: &'static str,
}

/// Returns the cell that sets a property to what it was, or why that is not possible.
pub fn setting(column: &Column, was: &Value) -> std::result::Result<String, &'static str> {
    let takes_text = matches!(column.kind, Kind::Text | Kind::Any);
    match was {
        Value::Null if column.nullable => Ok(r"\N".into()),
        Value::Null if takes_text => Ok(r"\E".into()),
        Value::Null => Err("it was null and null cannot be set"),
        Value::String(text) if text == REDACTED => {
            Err("it was left out because it may be a secret")
        }
        Value::String(text) if text.is_empty() && takes_text => Ok(r"\E".into()),
        Value::String(text) if text.is_empty() => Err("it was empty and that cannot be set"),
        // A file of results has an apostrophe before what a spreadsheet would run.
        Value::String(text) => Ok(match text.strip_prefix('\'') {
            Some(bare) if bare.starts_with(['=', '+', '-', '@']) => bare.to_owned(),
            _ => text.clone(),
        }),
        // A number that was reported as an integer has lost its `+`.
        Value::Number(number) if column.kind == Kind::Text => Ok(format!("+{number}")),
        value => Ok(value.to_string()),
    }
}

/// Numbers that can be set back, and those that cannot.
#[derive(Default)]
pub struct Summary {
    pub rows: usize,
    /// Count of the numbers, and an example.
    pub extents: BTreeMap<Extent, (usize, E164)>,
    pub missing: Vec<Missing>,
}

impl Summary {
    pub fn missing_csv(&self) -> String {
        let lines = self.missing.iter().map(|missing| {
            let Missing {
                number,
                property,
                reason,
            } = missing;
            format!("{number},{property},{reason}\n")
        });
        format!(
            "{},property,reason\n{}",
            number_name(),
            lines.collect::<String>()
        )
    }

    pub fn json(&self, args: &RollbackArgs, missing_file: &Path) -> Value {
        let missing = self.missing.iter().map(|missing| {
            json!({
                number_name(): missing.number, "property": missing.property, "reason": missing.reason,
            })
        });
        let mut json = json!({
            "output": (self.rows > 0).then(|| args.output.display().to_string()),
            "missing_file": (!self.missing.is_empty()).then(|| missing_file.display().to_string()),
            "missing": missing.collect::<Vec<_>>(),
        });
        for extent in [Extent::All, Extent::Part, Extent::Nothing] {
            let count = self.extents.get(&extent).map_or(0, |(count, _)| *count);
            json[extent.label().replace(' ', "_")] = count.into();
        }
        json
    }

    pub fn tables(&self) -> String {
        let rows = self.extents.iter().map(|(extent, (count, example))| {
            [
                extent.label().to_owned(),
                count.to_string(),
                example.to_string(),
            ]
        });
        let mut text = table(&["outcome", "count", "example"], rows);
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for missing in &self.missing {
            *reasons
                .entry((&missing.property, missing.reason))
                .or_default() += 1;
        }
        if !reasons.is_empty() {
            let rows = reasons.iter().map(|((property, reason), count)| {
                [
                    (*property).to_owned(),
                    count.to_string(),
                    (*reason).to_owned(),
                ]
            });
            text += "\n\n";
            text += &table(&["not set back", "count", "reason"], rows);
        }
        text
    }
}
