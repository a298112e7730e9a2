//! Output for the shell, and for other programs.

use std::fs;

use schemars::schema_for;
use serde_json::Value;
use sigmamind::PhoneNumberUpdate;

use crate::env::TestEnv;

#[test]
fn schema_is_the_librarys() {
    let done = TestEnv::new(0).run("schema");
    let printed: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(printed, *schema_for!(PhoneNumberUpdate).as_value());
}

#[test]
fn completions_know_the_properties() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = TestEnv::new(0).run(&format!("completions {shell}"));
        assert_eq!(done.code, Some(0), "{}", done.err);
        assert!(done.out.contains("friendly-name"), "{shell}");
    }
}

#[test]
fn manual_has_a_page_per_command() {
    let env = TestEnv::new(0);
    let one = env.run("man");
    assert!(one.out.contains(".TH sigmamind 1"), "{}", one.out);
    fs::create_dir(env.path("man")).unwrap();
    assert_eq!(env.run("man man").code, Some(0));
    for page in [
        "sigmamind.1",
        "sigmamind-set.1",
        "sigmamind-apply.1",
        "sigmamind-resume.1",
    ] {
        assert!(env.path("man").join(page).exists(), "{page}");
    }
    assert!(env.read("man/sigmamind-set.1").contains("friendly"));
    for section in [".SH FILES", ".SH ENVIRONMENT", ".SH EXAMPLES"] {
        assert!(env.read("man/sigmamind-apply.1").contains(section) && one.out.contains(section));
    }
    let nowhere = env.run("man man/sigmamind.1/x");
    assert!(
        nowhere.err.contains("cannot write man/sigmamind.1/x"),
        "{}",
        nowhere.err
    );
}
