//! What the server said: found in a body, and blanked.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The most that a message keeps, in characters.
const LONGEST: usize = 500;
/// As much of a text is searched, in characters: more than is kept, since blanking shortens it.
const SEARCHED: usize = 4 << 10;
/// A shorter text could be any word.
const WORTH_HIDING: usize = 4;
/// At the end of a text that breaks off, as much of a hidden one is no coincidence.
const BEGINNING: usize = 2;
/// How many digits a phone number has, with its country code or without.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// The longest country code, which a national form leaves out.
const COUNTRY_CODE: usize = 3;
/// The most characters between two digits of one number, as in `1) - 4`.
const GAP: usize = 4;

/// What no text may show.
///
/// A text is found whatever its case and white space, with invisible characters in between, as a
/// JSON string has it, and percent-encoded; a phone number with any separators, with its country
/// code or without. Not found are other encodings (Base64) and parts (the last four digits).
#[derive(Default)]
pub(crate) struct Redactor {
    texts: Vec<(Vec<char>, Place)>,
    /// The digits of phone numbers.
    numbers: Vec<Vec<char>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Anywhere,
    /// Where no word goes on at either end.
    Word,
}

impl Redactor {
    /// Hides a key or a password wherever it stands; one of fewer than 4 characters, which is in
    /// many words, only as a word.
    pub fn secret(&mut self, text: &str) {
        let short = text.chars().count() < WORTH_HIDING;
        self.add(text, if short { Place::Word } else { Place::Anywhere });
    }

    /// Hides a text of 4 characters or more as a word, and a phone number by its digits.
    pub fn text(&mut self, text: &str) {
        let digits: Vec<_> = text.chars().filter(char::is_ascii_digit).collect();
        if DIGITS.contains(&digits.len()) && !text.contains(char::is_alphabetic) {
            let without = (0..=COUNTRY_CODE).filter_map(|code| digits.get(code..));
            let forms = without.filter(|rest| DIGITS.contains(&rest.len()));
            self.numbers.extend(forms.map(ToOwned::to_owned));
        } else if text.chars().count() >= WORTH_HIDING {
            self.add(text, Place::Word);
        }
    }

    fn add(&mut self, text: &str, place: Place) {
        // A server may quote the request, and that again, or its URL.
        let quoted = quoted(text);
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        for spelling in [text, &quoted, &self::quoted(&quoted), &encoded] {
            let spelling: Vec<_> = normalize(spelling).0.into_iter().map(fold_case).collect();
            let hidden = (spelling, place);
            if !self.texts.contains(&hidden) {
                self.texts.push(hidden);
            }
        }
    }

    /// How much of the text, which is fold_case, is something hidden from this place on.
    fn at(&self, text: &[char], from: usize, broken_off: bool) -> usize {
        let texts = self.texts.iter().map(|(hidden, place)| {
            let known = text[from..].iter().zip(hidden);
            let length = known
                .take_while(|(c, hidden)| fold_case(**c) == **hidden)
                .count();
            let to = from + length;
            let start = broken_off && to == text.len() && length >= BEGINNING;
            let whole = length == hidden.len() && (*place == Place::Anywhere || is_edge(text, to));
            let fits = (start || whole) && (*place == Place::Anywhere || is_edge(text, from));
            if fits { length } else { 0 }
        });
        let numbers = self.numbers.iter();
        let numbers = numbers.map(|digits| number(&text[from..], digits, broken_off));
        texts.chain(numbers).max().unwrap_or(0)
    }
}

/// How much of the text is a number of these digits; nothing if it begins with something else.
fn number(text: &[char], digits: &[char], broken_off: bool) -> usize {
    let (mut found, mut gap) = (0, 0);
    for (at, c) in text.iter().enumerate() {
        if *c == digits[found] {
            (found, gap) = (found + 1, 0);
            if found == digits.len() {
                return at + 1;
            }
        } else if c.is_alphanumeric() || found == 0 || gap == GAP {
            return 0;
        } else {
            gap += 1;
        }
    }
    if broken_off && found >= BEGINNING {
        text.len()
    } else {
        0
    }
}

/// Whether no word goes on from the character before this place to the one after it.
fn is_edge(text: &[char], at: usize) -> bool {
    let of_word = |c: &char| c.is_alphanumeric() || *c == '_';
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    !(before.is_some_and(of_word) && text.get(at).is_some_and(of_word))
}

/// What the server says, if the body has it in one of the usual places: in `message`, `msg`,
/// `error`, `errors`, `detail` or `title` of a JSON object, alone or in a list, or as a plain text.
///
/// It is on one line, without control and invisible characters, blanked, and at most 500
/// characters long. A body that is not `whole` may end amid a hidden text, which is blanked too.
pub(crate) fn message(body: &[u8], whole: bool, hidden: &Redactor) -> Option<String> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // It breaks off amid a character.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let line = if let Ok(value) = serde_json::from_str(text) {
        redact_text(&extract_text(&value)?, true, hidden)
    } else if text.starts_with(['<', '{', '[']) {
        return None; // a page of HTML or broken JSON
    } else {
        redact_text(text, whole, hidden)
    };
    let line: String = line.chars().take(LONGEST).collect();
    (!line.is_empty()).then_some(line)
}

/// The text on one line, without control and invisible characters, and blanked.
pub(crate) fn redact(text: &str, hidden: &Redactor) -> String {
    redact_text(text, true, hidden)
}

fn extract_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!normalize(text).0.is_empty()).then(|| text.clone()),
        Value::Array(items) => {
            let all: Vec<_> = items.iter().filter_map(extract_text).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(map) => ["message", "msg", "error", "errors", "detail", "title"]
            .iter()
            .find_map(|name| extract_text(map.get(*name)?)),
        _ => None,
    }
}

fn redact_text(text: &str, whole: bool, hidden: &Redactor) -> String {
    let (text, cut) = normalize(text);
    let same: Vec<_> = text.iter().copied().map(fold_case).collect();
    let mut line = String::with_capacity(text.len());
    let (mut blank, mut until) = (false, 0);
    for (at, c) in text.iter().enumerate() {
        let length = hidden.at(&same, at, cut || !whole);
        // The bracket of `(415) 555-2671` belongs to it.
        let bracket = *c == '(' && {
            let length = hidden.at(&same, at + 1, cut || !whole);
            text[at..=at + length].contains(&')')
        };
        until = until.max(at + length).max(at + usize::from(bracket));
        if at >= until {
            line.push(*c);
        } else if !blank {
            line.push_str("[redacted]");
        }
        blank = at < until;
    }
    line
}

/// The start of a text that is searched: on one line, without control and invisible characters;
/// and whether that is not all of it.
fn normalize(text: &str) -> (Vec<char>, bool) {
    let mut cleaned = Vec::new();
    for c in text.chars() {
        if cleaned.len() >= SEARCHED {
            return (cleaned, true);
        }
        if c.is_whitespace() {
            if cleaned.last().is_some_and(|last| *last != ' ') {
                cleaned.push(' ');
            }
        } else if !is_invisible(c) {
            cleaned.push(c);
        }
    }
    if cleaned.last() == Some(&' ') {
        cleaned.pop();
    }
    (cleaned, false)
}

/// Control characters, and those that Unicode means to be ignored or to turn the direction.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A character as it is compared: cases are the same.
fn fold_case(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// The text as it stands between the quotation marks of a JSON string.
fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const KEY: &str = "sk-live-9fQ2xZ";
    const PASSWORD: &str = "Tr0nk \"P@ss\"  w0rd";
    const USERNAME: &str = "trunk-user-77";
    const NUMBER: &str = "+14155552671";

    fn hidden(secrets: &[&str], texts: &[&str]) -> Redactor {
        let mut hidden = Redactor::default();
        for secret in secrets {
            hidden.secret(secret);
        }
        for text in texts {
            hidden.text(text);
        }
        hidden
    }

    fn usual() -> Redactor {
        hidden(&[KEY, PASSWORD], &[USERNAME, NUMBER])
    }

    /// Checks what is shown of each text.
    #[track_caller]
    fn check(hidden: &Redactor, cases: &[(&str, &str)]) {
        for (text, shown) in cases {
            assert_eq!(redact(text, hidden), *shown, "of {text:?}");
        }
    }

    #[test]
    fn message_is_found_in_usual_places() {
        let fastapi = r#"{"detail": [{"type": "missing", "loc": ["body", "name"],
            "msg": "Field required", "input": {"message": "sent"}}, {"msg": "Too short"}]}"#;
        let cases: &[(&str, Option<&str>)] = &[
            (
                r#"{"errors": [{"msg": "no such agent"}, {"code": 7}, {"message": "bad name"}]}"#,
                Some("no such agent; bad name"),
            ),
            (r#"{"detail": "no such agent"}"#, Some("no such agent")),
            (fastapi, Some("Field required; Too short")),
            (
                r#"{"title": "Not yours", "status": 403, "detail": "no such agent"}"#,
                Some("no such agent"),
            ),
            (
                r#"{"title": "Not yours", "status": 403}"#,
                Some("Not yours"),
            ),
            (
                r#"{"message": " \u200b", "error": "Bad Request"}"#,
                Some("Bad Request"),
            ),
            ("no\u{2028}such\u{a0}agent\u{85}", Some("no such agent")),
            (
                "\u{feff}{\"message\": \"no such agent\"}",
                Some("no such agent"),
            ),
            (" \u{feff} no such agent", Some("no such agent")),
            (
                "\u{202e}no\u{200b} s\u{ad}uch\0 ag\u{2066}ent\u{fe0f}",
                Some("no such agent"),
            ),
            ("\u{feff}<html>502 Bad Gateway</html>", None),
            (" \r\n\u{feff}\u{200b} <html>502 Bad Gateway</html>", None),
            ("\u{feff}{\"message\"", None),
            (r#"{"code": 7, "message": 7}"#, None),
            (" \u{feff}\r\n", None),
        ];
        for (body, said) in cases {
            for whole in [true, false] {
                let message = message(body.as_bytes(), whole, &usual());
                assert_eq!(message.as_deref(), *said, "of {body}");
            }
        }
    }

    #[test]
    fn echoed_text_is_redacted() {
        check(
            &usual(),
            &[
                ("SK-LIVE-9FQ2XZ, sk-live-9fq2xz", "[redacted], [redacted]"),
                ("x_sk-live-9fQ2xZ_x", "x_[redacted]_x"),
                ("sk-\u{0}live\u{200b}-9f\u{202e}Q2xZ", "[redacted]"),
                ("tr0nk \"p@ss\"\n\tw0rd", "[redacted]"),
                (
                    r#"{"password":"Tr0nk \"P@ss\"  w0rd"}"#,
                    r#"{"password":"[redacted]"}"#,
                ),
                (
                    r#"{\"password\":\"Tr0nk \\\"P@ss\\\"  w0rd\"}"#,
                    r#"{\"password\":\"[redacted]\"}"#,
                ),
                ("Trunk-User-77's", "[redacted]'s"),
                (
                    "trunk-user-779, xtrunk-user-77, _trunk-user-77",
                    "trunk-user-779, xtrunk-user-77, _trunk-user-77",
                ),
                (
                    "the api key may not edit this trunk",
                    "the api key may not edit this trunk",
                ),
            ],
        );
    }

    #[test]
    fn phone_number_is_redacted_by_digits() {
        check(
            &usual(),
            &[
                ("+14155552671 or 14155552671", "+[redacted] or [redacted]"),
                ("+1 415-555-2671.", "+[redacted]."),
                ("+1 (415) 555.2671", "+[redacted]"),
                ("0014155552671", "00[redacted]"),
                ("call (415) 555-2671", "call [redacted]"),
                ("(415-555-2671)", "([redacted])"),
                ("tel:+14155552671;id=7", "tel:+[redacted];id=7"),
                ("at 12:30 415-555-2671", "at 12:30 [redacted]"),
                (
                    "+14155552672, 5552671, 2671, 1415",
                    "+14155552672, 5552671, 2671, 1415",
                ),
                ("415-555.-/.2671", "[redacted]"),
                ("415-555.-/.-2671", "415-555.-/.-2671"),
                ("at most 14155552 of 671", "at most 14155552 of 671"),
            ],
        );
    }

    #[test]
    fn text_with_few_digits_is_redacted_as_written() {
        check(
            &hidden(&[], &["12.34", "id12345678"]),
            &[
                ("at 12.34 or 1234", "at [redacted] or 1234"),
                ("id12345678, 12345678", "[redacted], 12345678"),
            ],
        );
    }

    #[test]
    fn short_text_is_redacted_as_word_only() {
        let hidden = hidden(&["a", "q9", ""], &["the", "trunk"]);
        check(
            &hidden,
            &[
                ("bad agent at the b", "bad agent at the b"),
                (
                    "is it 'a'? is it Q9? not q9a",
                    "is it '[redacted]'? is it [redacted]? not q9a",
                ),
                ("the trunk's trunkName", "the [redacted]'s trunkName"),
            ],
        );
    }

    #[test]
    fn overlapping_texts_are_redacted_once() {
        let wide = format!("my-{KEY}-pass");
        check(
            &hidden(&[KEY, &wide, "hidden"], &[]),
            &[
                (&wide, "[redacted]"),
                (&format!("my-{KEY}-past"), "my-[redacted]-past"),
                ("a hidden key", "a [redacted] key"),
            ],
        );
        check(
            &hidden(&["abcd", "cdef", "fabc", "bbbb"], &[]),
            &[("xabcdefabcdx bbbbbbbbb", "x[redacted]x [redacted]")],
        );
    }

    #[test]
    fn truncated_message_redacts_partial_secret() {
        let cases = [
            ("key sk-live-9fQ", "key [redacted]"),
            ("password Tr0nk \\\"P@s", "password [redacted]"),
            ("user trunk", "user [redacted]"),
            ("user xtrunk", "user xtrunk"),
            ("number +1 415-5", "number +[redacted]"),
            ("number (415) 5", "number [redacted]"),
            ("no such agent", "no such agent"),
        ];
        for (text, shown) in cases {
            let message = |whole| message(text.as_bytes(), whole, &usual());
            assert_eq!(message(false).as_deref(), Some(shown), "of {text}");
            assert_eq!(message(true).as_deref(), Some(text));
        }
        assert_eq!(message(b"no such ag\xc3", true, &usual()), None);
        let cut = message(b"no such ag\xc3", false, &usual());
        assert_eq!(cut.as_deref(), Some("no such ag"));
        // What is searched ends within the key.
        let long = "x".repeat(SEARCHED - 100);
        let text = format!("{long}{}{KEY}", "y".repeat(90));
        let said = message(text.as_bytes(), true, &hidden(&[&long, KEY], &[]));
        assert_eq!(
            said,
            Some(format!("[redacted]{}[redacted]", "y".repeat(90)))
        );
    }

    proptest! {
        #[test]
        fn secret_is_redacted_however_echoed(
            secret in "[a-zA-Z0-9éÄ\\\\%+\"/&{}.:-]{4,12}",
            before in "[ a-z\"+0-9]{0,6}",
            after in "[ a-z\\\\%\"+0-9]{0,6}",
            way in 0..4,
        ) {
            let written = match way {
                0 => secret.clone(),
                1 => secret.to_uppercase(),
                2 => quoted(&secret),
                _ => secret.chars().flat_map(|c| [c, '\u{200d}']).collect(),
            };
            let body = Value::from(format!("{before}{written}{after}")).to_string();
            let shown = message(body.as_bytes(), true, &hidden(&[&secret], &[])).unwrap();
            prop_assert!(shown.contains("[redacted]"), "{}", shown);
            let rest = shown.replace("[redacted]", "\0").to_lowercase();
            prop_assert!(!rest.contains(&secret.to_lowercase()), "{}", shown);
        }

        #[test]
        fn text_without_secrets_is_shown_normalized(
            text in any::<String>(),
            secrets in vec(any::<String>(), 0..3),
            whole: bool,
        ) {
            let secrets: Vec<_> = secrets.iter().map(|it| &**it).collect();
            let _ = message(text.as_bytes(), whole, &hidden(&secrets, &secrets));
            let plain: String = normalize(&text).0.into_iter().collect();
            prop_assert_eq!(redact(&text, &Redactor::default()), plain);
        }
    }
}
