//! Runs the fake server for a program in any language, until its standard input ends.
//!
//! It prints the URL on its first line and the key on its second, and knows the documented
//! number as the page shows it.

use std::{error::Error, io};

use sigmamind::mock::FakeSigmaMind;

fn main() -> Result<(), Box<dyn Error>> {
    let fake = FakeSigmaMind::start();
    let phone = serde_json::from_str(include_str!("../tests/fixtures/response.json"))?;
    fake.insert(&"+14155552671".parse()?, phone);
    println!("{}\n{}", fake.url(), fake.key());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
