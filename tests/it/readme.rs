//! The README's test, as it stands there.

use sigmamind::{PhoneNumber, PhoneNumberUpdate, mock::FakeSigmaMind};

#[tokio::test]
async fn update_leaves_other_properties_alone() -> Result<(), Box<dyn std::error::Error>> {
    let number = "+14155552671".parse()?;
    let fake = FakeSigmaMind::start();
    fake.insert(&number, PhoneNumber::default().active(true));

    let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    let phone = fake.client().update_phone_number(&number, &update).await?;

    assert_eq!(phone.active, Some(true));
    assert_eq!(fake.received()[0].update, update);
    Ok(())
}

#[test]
fn readme_shows_this_test() {
    let source = include_str!("readme.rs");
    let (_, rest) = source.split_once("\n\n").expect("a head");
    let (shown, _) = rest.split_once("\n#[test]\n").expect("two tests");
    assert!(include_str!("../../README.md").contains(shown.trim_end()));
}
