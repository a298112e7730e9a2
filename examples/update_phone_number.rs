//! Updates a phone number.
//!
//! Without a key it starts the fake server that comes with the crate, on this machine, and sends
//! it the documented request:
//!
//! ```console
//! cargo run --example update_phone_number
//! ```
//!
//! With a key it changes a number of yours, for real. `name=text` sets a property, `name:=json`
//! one that is not a text; the trunk's password does not go on the command line, where other
//! users of the machine can read it:
//!
//! ```console
//! export SIGMAMIND_API_KEY=…
//! export SIGMAMIND_TRUNK_PASSWORD=…   # only to change it
//! cargo run --example update_phone_number -- +14155552671 friendlyName="Support Line"
//! ```

use std::{env, error::Error, process::ExitCode};

use serde_json::{Map, Value};
use sigmamind::{Client, E164, PhoneNumber, PhoneNumberUpdate, mock::FakeSigmaMind};

const PASSWORD: &str = "trunkPassword";
const PASSWORD_VARIABLE: &str = "SIGMAMIND_TRUNK_PASSWORD";

const USAGE: &str = "\
usage: update_phone_number NUMBER PROPERTY=TEXT… (or PROPERTY:=JSON)
   as: update_phone_number +14155552671 friendlyName=\"Support Line\"
The trunk's password is taken from SIGMAMIND_TRUNK_PASSWORD.
Without SIGMAMIND_API_KEY and arguments, the embedded server is used.";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let has_key = env::var_os("SIGMAMIND_API_KEY").is_some();
    if !has_key && arguments.is_empty() {
        return report(embedded().await, 1);
    }
    if !has_key {
        eprintln!("error: SIGMAMIND_API_KEY is not set, and a number was given\n{USAGE}");
        return ExitCode::from(2);
    }
    match parse(&arguments) {
        Ok((number, update)) => report(live(&number, &update).await, 1),
        Err(error) => {
            let code = report(Err(error), 2);
            eprintln!("{USAGE}");
            code
        }
    }
}

async fn embedded() -> Result<()> {
    println!("SIGMAMIND_API_KEY is not set: this is the embedded server, not SigmaMind.\n");
    let number: E164 = "+14155552671".parse()?;
    let fake = FakeSigmaMind::start();
    let phone: PhoneNumber = serde_json::from_str(include_str!("../tests/fixtures/response.json"))?;
    fake.insert(&number, phone.clone());
    println!("The number before: {}\n", json(&phone)?);

    let update: PhoneNumberUpdate =
        serde_json::from_str(include_str!("../tests/fixtures/request.json"))?;
    send(&fake.client(), &number, &update).await?;

    let phone = fake.get(&number).ok_or("the number is gone")?;
    println!("\nThe number after: {}", json(&phone)?);
    println!(
        "\nThe embedded server at {} answered; no account was touched.",
        fake.url()
    );
    Ok(())
}

async fn live(number: &E164, update: &PhoneNumberUpdate) -> Result<()> {
    send(&Client::from_env()?, number, update).await
}

async fn send(client: &Client, number: &E164, update: &PhoneNumberUpdate) -> Result<()> {
    println!("Sent to {number}: {update:#?}\n");
    let answer = client.update_phone_number(number, update).await?;
    println!(
        "Answered {} after {} attempt(s): {}",
        answer.status(),
        answer.attempts(),
        json(&answer)?
    );
    Ok(())
}

/// The number with all that is known of it; its `Debug` would hide what does not belong in logs.
fn json(phone: &PhoneNumber) -> Result<String> {
    Ok(serde_json::to_string_pretty(phone)?)
}

/// Reads `NUMBER PROPERTY=TEXT…`.
fn parse(arguments: &[String]) -> Result<(E164, PhoneNumberUpdate)> {
    let (number, settings) = arguments.split_first().ok_or("the number is missing")?;
    let number = number.parse().map_err(|e| format!("`{number}` is {e}"))?;
    let mut properties = Map::new();
    for setting in settings {
        let (name, text) = setting
            .split_once('=')
            .ok_or_else(|| format!("`{setting}` is not PROPERTY=TEXT"))?;
        if name.trim_end_matches(':') == PASSWORD {
            return Err(format!("`{PASSWORD}` is taken from {PASSWORD_VARIABLE} alone").into());
        }
        match name.strip_suffix(':') {
            None => properties.insert(name.to_owned(), text.into()),
            Some(name) => {
                let value = serde_json::from_str(text).map_err(|e| format!("`{name}`: {e}"))?;
                properties.insert(name.to_owned(), value)
            }
        };
    }
    if let Ok(password) = env::var(PASSWORD_VARIABLE) {
        properties.insert(PASSWORD.to_owned(), password.into());
    }
    Ok((number, update(&properties)?))
}

/// The update with these properties, if the document has all of them.
fn update(properties: &Map<String, Value>) -> Result<PhoneNumberUpdate> {
    let update: PhoneNumberUpdate = serde_json::from_value(properties.clone().into())?;
    // A property that the update does not have is skipped in reading, and so does not come back.
    let known = serde_json::to_value(&update)?;
    match properties
        .keys()
        .find(|name| known.get(name.as_str()).is_none())
    {
        Some(name) => Err(format!("an update has no property `{name}`").into()),
        None => Ok(update),
    }
}

fn report(outcome: Result<()>, code: u8) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::from(code)
}
