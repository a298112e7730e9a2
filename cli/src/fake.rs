//! `fake`: the documented API on this machine, to rehearse a job.

use std::{thread, time::Duration};

use serde_json::{Map, Value};
use sigmamind::{PhoneNumber, mock::FakeSigmaMind};

use crate::{
    args::FakeArgs,
    export::{Export, counterpart},
    failure::{Exit, Failure, Result},
    schema::{self, Columns},
    text, ui,
};

/// Interval at which received updates are polled.
const INTERVAL: Duration = Duration::from_millis(200);

pub fn fake(args: &FakeArgs, verbose: bool, columns: &Columns) -> Result<Exit> {
    let fake = match args.port {
        None => FakeSigmaMind::start(),
        Some(port) => FakeSigmaMind::start_on(port)
            .map_err(|error| Failure::usage(format!("cannot listen on port {port}: {error}")))?,
    };
    let (mut count, mut logged) = (0, 0);
    if let Some(path) = &args.file {
        let names = schema::reported();
        let wanted = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        for (number, known) in Export::read(path, columns, &wanted)?.into_numbers() {
            fake.insert(&number, phone(&names, &known));
            count += 1;
        }
    }
    for (times, status) in &args.fail {
        fake.fail_next(*times, *status);
    }
    if let Some(rate) = args.rate_limit {
        fake.rate_limit(rate);
    }
    if let Some(delay) = args.delay {
        fake.delay(delay);
    }
    ui::print_or_fail(&format!(
        "export SIGMAMIND_BASE_URL={}\nexport SIGMAMIND_API_KEY={}",
        fake.url(),
        fake.key()
    ))?;
    ui::info(&format!(
        "Fake server with {}; press Ctrl-C to stop it.",
        text::count(count, "number"),
    ));
    loop {
        if verbose {
            log(&fake, &mut logged);
        }
        thread::sleep(INTERVAL);
    }
}

/// Says what has arrived since the last time.
fn log(fake: &FakeSigmaMind, logged: &mut usize) {
    let received = fake.received();
    for received in &received[*logged..] {
        let sets = serde_json::to_value(&received.update).unwrap_or_default();
        let names: Vec<_> = sets
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        ui::info(&format!(
            "{} {} {}",
            received.number,
            received.status.as_u16(),
            names.join(" ")
        ));
    }
    *logged = received.len();
}

/// A number with what the file says of it, as far as the server reports such a thing.
fn phone(names: &[String], known: &Map<String, Value>) -> PhoneNumber {
    let mut properties = Map::new();
    for name in names {
        let value = counterpart(known, name).filter(|value| value.as_str() != Some(""));
        if let Some(value) = value {
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
