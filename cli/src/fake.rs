//! `fake`: the documented API on this machine, to rehearse a job.

use std::{fs, path::PathBuf, thread, time::Duration};

use clap::ArgMatches;
use serde_json::{Map, Value};
use sigmamind::{PhoneNumber, mock::FakeSigmaMind};

use crate::{
    export,
    failure::{Exit, Failure, Result},
    schema, ui,
};

pub fn fake(matches: &ArgMatches) -> Result<Exit> {
    let fake = FakeSigmaMind::start();
    let mut count = 0;
    if let Some(path) = matches.get_one::<PathBuf>("file") {
        let bytes = fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        let names = schema::reported();
        for (number, known) in export::numbers(path, &bytes)? {
            fake.insert(&number, phone(&names, &known));
            count += 1;
        }
    }
    for (times, status) in matches
        .get_many::<(usize, u16)>("fail")
        .into_iter()
        .flatten()
    {
        fake.fail_next(*times, *status);
    }
    if let Some(rate) = matches.get_one("rate-limit") {
        fake.rate_limit(*rate);
    }
    if let Some(delay) = matches.get_one::<Duration>("delay") {
        fake.delay(*delay);
    }
    let printed = ui::print(&format!(
        "export SIGMAMIND_BASE_URL={}\nexport SIGMAMIND_API_KEY={}",
        fake.url(),
        fake.key()
    ));
    printed.map_err(|error| Failure::usage(format!("cannot print: {error}")))?;
    ui::info(&format!(
        "This is the server of a rehearsal, with {}; it ends with Ctrl-C.",
        ui::count(count, "number"),
    ));
    loop {
        thread::park();
    }
}

/// A number with what the file says of it, as far as the server reports such a thing.
fn phone(names: &[String], known: &Map<String, Value>) -> PhoneNumber {
    let mut properties = Map::new();
    for name in names {
        if let Some(value) = crate::outcome::counterpart(known, name) {
            properties.insert(name.clone(), value.clone());
        }
    }
    // A text may stand for true, or for a number.
    serde_json::from_value(Value::Object(properties.clone())).unwrap_or_else(|_| {
        let parsed = properties.into_iter().map(|(name, value)| {
            let text = value.as_str().unwrap_or_default();
            let json = serde_json::from_str(text).ok();
            (name, json.unwrap_or(value))
        });
        serde_json::from_value(parsed.collect::<Map<_, _>>().into()).unwrap_or_default()
    })
}
