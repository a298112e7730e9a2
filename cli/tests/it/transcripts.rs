//! The transcripts of the documentation, tried.

use sigmamind::{PhoneNumber, mock::FakeSigmaMind};
use trycmd::TestCases;

/// They run at the same time, so each has its own.
const NUMBERS: [&str; 4] = [
    "+14155552671",
    "+14155552672",
    "+14155552673",
    "+14155552674",
];

#[test]
fn transcripts_match_the_program() {
    let fake = FakeSigmaMind::start();
    for number in NUMBERS {
        fake.insert(
            &number.parse().unwrap(),
            PhoneNumber::default().active(true),
        );
    }
    let cases = TestCases::new();
    cases
        .env("SIGMAMIND_BASE_URL", fake.url())
        .env("SIGMAMIND_API_KEY", fake.key())
        .insert_var("[URL]", fake.url().to_owned())
        .unwrap();
    cases.case("tests/transcripts/*.md");
}

/// Those of the README are among them.
#[test]
fn readme_transcripts_are_tested() {
    let tried: String = std::fs::read_dir("tests/transcripts")
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let readme = std::fs::read_to_string("README.md").unwrap();
    let parts: Vec<_> = readme.split("```console\n").skip(1).collect();
    assert!(!parts.is_empty());
    for part in parts {
        let transcript = part.split("```").next().unwrap();
        assert!(
            tried.contains(transcript),
            "this is not tried:\n{transcript}"
        );
    }
}
