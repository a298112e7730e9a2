//! Updates a phone number at a fake server on this machine, without an account or a key:
//!
//! ```console
//! cargo run --example update_phone_number
//! ```
//!
//! For numbers of yours there is the program in `cli/`.

use std::error::Error;

use sigmamind::{E164, PhoneNumber, PhoneNumberUpdate, mock::FakeSigmaMind};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let number: E164 = "+14155552671".parse()?;
    let fake = FakeSigmaMind::start();
    fake.insert(
        &number,
        PhoneNumber::default()
            .friendly_name("Old Line")
            .active(true),
    );

    // For a real account: `let client = sigmamind::Client::from_env()?;`
    let client = fake.client();
    let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    let phone = client.update_phone_number(&number, &update).await?;

    println!("The server answered {} with {:#?}", phone.status(), *phone);
    println!(
        "No account was touched: this was the fake at {}.",
        fake.url()
    );
    Ok(())
}
