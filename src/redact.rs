//! Finds the server's message in a body, and hides in it what was sent.

mod escapes;
mod index;

use std::{collections::BTreeSet, fmt};

use reqwest::header::HeaderValue;
use serde_json::Value;

use self::{
    escapes::{Unit, decode, decode_truncated, is_invisible},
    index::{Index, Place, is_edge, is_letter, is_visible, normal_form},
};
use crate::{operation::Operation, request::Request};

/// The longest message, in characters.
const MAX_MESSAGE: usize = 500;
/// Longer texts are cut off before they are searched, in characters. More than a message has, since
/// redacting shortens it.
const MAX_SEARCHED: usize = 4 << 10;
/// A text with fewer characters could be part of any word.
const MIN_LENGTH: usize = 4;
/// Number of digits of a phone number, with or without its country code (E.164 has at most 15).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// The longest country code, in digits; a national number lacks it.
const MAX_COUNTRY_CODE: usize = 3;

const REDACTED: &str = "[redacted]";

/// Hides secrets and other sent texts in what a server says.
///
/// Both are compared by one normal form: their letters and digits, case folded, with percent and
/// JSON escapes decoded however often they were applied. So separators, quoting and upper case make
/// no difference. A text with fewer than 4 letters or digits is compared by all its visible
/// characters. Other encodings (Base64) and parts (the last four digits) are not found.
#[doc(hidden)]
#[derive(Default)]
pub struct Redactor {
    letters: BTreeSet<Pattern>,
    visible: BTreeSet<Pattern>,
}

/// A text in its normal form.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    normal: String,
    place: Place,
}

impl Redactor {
    /// Hides everything of a request that may not be shown: the keys, the values of the path, and
    /// the strings of the body that the document does not mark as harmless.
    pub(crate) fn for_request(
        keys: &[HeaderValue],
        operation: &Operation,
        request: &Request,
    ) -> Self {
        let mut redactor = Self::for_keys(keys);
        for value in operation.path_values(&request.path) {
            redactor.text(&value);
        }
        if !operation.is_documented() {
            // Of a path that the document lacks, everything that may be an id.
            let parts = request.path.split(['/', '?', '&', '=']);
            for part in parts.filter(|part| part.contains(|c: char| c.is_ascii_digit())) {
                redactor.text(part);
            }
        }
        let of_body = operation.hidden(request.body.as_deref().unwrap_or_default());
        for (text, is_secret) in of_body.iter().chain(&request.hidden) {
            if *is_secret {
                redactor.secret(text);
            } else {
                redactor.text(text);
            }
        }
        redactor
    }

    /// Hides the keys and the secret strings of the body, and nothing else that was sent.
    pub(crate) fn for_secrets(
        keys: &[HeaderValue],
        operation: &Operation,
        request: Option<&Request>,
    ) -> Self {
        let mut redactor = Self::for_keys(keys);
        let body = request.and_then(|request| request.body.as_deref());
        let of_body = operation.hidden(body.unwrap_or_default());
        let others = request.map(|request| &*request.hidden);
        for (text, is_secret) in of_body.iter().chain(others.unwrap_or_default()) {
            if *is_secret {
                redactor.secret(text);
            }
        }
        redactor
    }

    fn for_keys(keys: &[HeaderValue]) -> Self {
        let mut redactor = Self::default();
        for key in keys {
            redactor.secret(key.to_str().unwrap_or_default());
        }
        redactor
    }

    /// Hides a key or a password wherever it occurs; one of fewer than 4 characters, which many
    /// words contain, only as a word.
    pub(crate) fn secret(&mut self, text: &str) {
        let letters = normal_form(text, is_letter);
        let visible = normal_form(text, is_visible);
        if letters.chars().count() >= MIN_LENGTH {
            insert(&mut self.letters, letters, Place::Anywhere);
        }
        // As a whole too: the server may repeat the punctuation at its ends.
        let is_short = visible.chars().count() < MIN_LENGTH;
        let place = if is_short {
            Place::Word
        } else {
            Place::Anywhere
        };
        insert(&mut self.visible, visible, place);
    }

    /// Hides a text of 4 characters or more as a word, and a phone number by its digits.
    pub(crate) fn text(&mut self, text: &str) {
        let letters = normal_form(text, is_letter);
        let is_number = letters.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && PHONE_DIGITS.contains(&letters.len()) {
            for national in (0..=MAX_COUNTRY_CODE).filter_map(|code| letters.get(code..)) {
                if PHONE_DIGITS.contains(&national.len()) {
                    insert(&mut self.letters, national.to_owned(), Place::Anywhere);
                }
            }
        } else if letters.chars().count() >= MIN_LENGTH {
            insert(&mut self.letters, letters, Place::Word);
        } else if text.chars().count() >= MIN_LENGTH {
            insert(
                &mut self.visible,
                normal_form(text, is_visible),
                Place::Word,
            );
        }
    }

    /// Returns the text on one line, without control and invisible characters, redacted, and cut off
    /// after 4,096 characters.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.redact_text(text, false)
    }

    /// Returns what the server says, if the body has it in one of the usual places: in `message`,
    /// `msg`, `error`, `errors`, `detail` or `title` of a JSON object, alone or in a list, or as a
    /// plain text.
    ///
    /// It is on one line, without control and invisible characters, redacted, and at most 500
    /// characters long. A body that is not `complete` may end within a secret, which is hidden too.
    pub(crate) fn message(&self, body: &[u8], complete: bool) -> Option<String> {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            // It is truncated within a character.
            Err(error) if !complete && error.error_len().is_none() => {
                std::str::from_utf8(&body[..error.valid_up_to()]).ok()?
            }
            Err(_) => return None,
        };
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
        let line = if let Ok(value) = serde_json::from_str(text) {
            self.redact(&extract_text(&value)?)
        } else if text.starts_with(['<', '{', '[']) {
            return None; // a page of HTML or broken JSON
        } else {
            self.redact_text(text, !complete)
        };
        let line: String = line.chars().take(MAX_MESSAGE).collect();
        (!line.is_empty()).then_some(line)
    }

    /// Redacts a text; at the end of a truncated one, the beginning of a secret is hidden too.
    fn redact_text(&self, text: &str, truncated: bool) -> String {
        let (line, cut) = normalize(text);
        let hidden_until = self.find(&line, truncated || cut);
        let mut redacted = String::with_capacity(line.len());
        let (mut is_hidden, mut until) = (false, 0);
        for (at, c) in line.char_indices() {
            until = until.max(hidden_until[at]);
            if at >= until {
                redacted.push(c);
            } else if !is_hidden {
                redacted.push_str(REDACTED);
            }
            is_hidden = at < until;
        }
        redacted
    }

    /// Returns for each byte of the line how far a text that begins there is to be hidden.
    fn find(&self, line: &str, truncated: bool) -> Vec<usize> {
        let units = if truncated {
            decode_truncated(line)
        } else {
            decode(line)
        };
        let mut hidden_until = vec![0; line.len()];
        let mut hide = |first: &Unit, end: usize| {
            hidden_until[first.start] = end.max(hidden_until[first.start]);
        };
        let forms = [
            (&self.letters, is_letter as fn(char) -> bool),
            (&self.visible, is_visible),
        ];
        for (patterns, keep) in forms {
            if patterns.is_empty() {
                continue;
            }
            let index = Index::new(&units, keep);
            for Pattern { normal, place } in patterns {
                for start in index.find(normal, *place) {
                    let last = index.origins[start + normal.len() - 1];
                    if *place == Place::Anywhere || is_edge(&units, last + 1) {
                        hide(&units[index.origins[*start]], units[last].end);
                    }
                }
                if truncated && let Some(start) = index.find_partial(normal, *place) {
                    hide(&units[index.origins[start]], line.len());
                }
            }
        }
        hidden_until
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

fn insert(patterns: &mut BTreeSet<Pattern>, normal: String, place: Place) {
    if !normal.is_empty() {
        patterns.insert(Pattern { normal, place });
    }
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

/// Returns the start of a text that is searched, on one line, without control and invisible
/// characters; and whether that is not all of it.
fn normalize(text: &str) -> (String, bool) {
    let mut line = String::new();
    let mut count = 0;
    for c in text
        .chars()
        .filter(|c| c.is_whitespace() || !is_invisible(*c))
    {
        if count == MAX_SEARCHED {
            return (line, true);
        }
        let c = if c.is_whitespace() { ' ' } else { c };
        if c != ' ' || !(line.is_empty() || line.ends_with(' ')) {
            line.push(c);
            count += 1;
        }
    }
    line.truncate(line.trim_end().len());
    (line, false)
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const KEY: &str = "sk-live-9fQ2xZ";
    const PASSWORD: &str = "Tr0nk \"P@ss\"  w0rd";
    const USERNAME: &str = "trunk-user-77";
    const NUMBER: &str = "+14155552671";

    fn redactor(secrets: &[&str], texts: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.secret(secret);
        }
        for text in texts {
            redactor.text(text);
        }
        redactor
    }

    fn usual() -> Redactor {
        redactor(&[KEY, PASSWORD], &[USERNAME, NUMBER])
    }

    /// Writes a text as JSON has it between quotation marks.
    fn quote(text: &str) -> String {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    }

    fn percent_encode(text: &str) -> String {
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
    }

    /// Checks what is shown of each text.
    #[track_caller]
    fn check(redactor: &Redactor, cases: &[(&str, &str)]) {
        for (text, shown) in cases {
            assert_eq!(redactor.redact(text), *shown, "of {text:?}");
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
                let message = usual().message(body.as_bytes(), whole);
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
    fn escaped_text_is_redacted() {
        let secrets = [KEY, PASSWORD, "pä\nss€wörd", "!?%\"", r"c:\new\table"];
        let redactor = redactor(&secrets, &[USERNAME, NUMBER]);
        for text in secrets.into_iter().chain([USERNAME]) {
            let once = [quote(text), percent_encode(text)];
            let twice = once.iter().flat_map(|it| [quote(it), percent_encode(it)]);
            for written in once.iter().cloned().chain(twice) {
                let shown = redactor.redact(&format!("of {written} and"));
                assert_eq!(shown, "of [redacted] and", "of {written}");
            }
        }
        check(
            &redactor,
            &[
                (r"P\u00c4ss\u20acw\u00f6rd", "[redacted]"),
                (r"p\\u00e4\\nss\\u20acw\\u00f6rd.", "[redacted]."),
                (
                    "trunk%2Duser%2D77&x=%2B14155552671",
                    "[redacted]&x=%2B[redacted]",
                ),
                ("_trunk%2Duser%2D77", "_trunk%2Duser%2D77"),
            ],
        );
    }

    #[test]
    fn punctuation_is_redacted_with_secret() {
        check(
            &redactor(&["!p@ssw0rd!", "P@ss", "€€€€"], &[]),
            &[
                ("is '!p@ssw0rd!' it", "is '[redacted]' it"),
                ("is pssw0rd it", "is [redacted] it"),
                ("xp@ssx €€€€€", "x[redacted]x [redacted]"),
                ("pass, pss", "pass, pss"),
            ],
        );
    }

    #[test]
    fn many_texts_are_redacted() {
        let texts: Vec<_> = (0..10_000)
            .map(|number| format!("agent-{number:05}"))
            .collect();
        let texts: Vec<_> = texts.iter().map(|text| &**text).collect();
        let redactor = redactor(&[KEY], &texts);
        let echo = format!("{} and agent-10000", texts[..100].join(" "));
        let shown = redactor.redact(&echo);
        assert_eq!(
            shown,
            format!("{}and agent-10000", "[redacted] ".repeat(100))
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
                // One form for all: what is no letter and no digit belongs to no text.
                ("call (415) 555-2671", "call ([redacted]"),
                ("(415-555-2671)", "([redacted])"),
                ("tel:+14155552671;id=7", "tel:+[redacted];id=7"),
                ("at 12:30 415-555-2671", "at 12:30 [redacted]"),
                (
                    "+14155552672, 5552671, 2671, 1415",
                    "+14155552672, 5552671, 2671, 1415",
                ),
                ("415-555.-/.2671", "[redacted]"),
                ("415-555.-/.-2671", "[redacted]"),
                ("415, 555, 2671", "[redacted]"),
                ("at most 14155552 of 671", "at most 14155552 of 671"),
            ],
        );
    }

    #[test]
    fn text_with_few_digits_is_redacted_as_word() {
        check(
            &redactor(&[], &["12.34", "id12345678"]),
            &[
                (
                    "at 12.34 or 1234 or 12345",
                    "at [redacted] or [redacted] or 12345",
                ),
                ("id12345678, 12345678", "[redacted], 12345678"),
            ],
        );
    }

    #[test]
    fn short_text_is_redacted_as_word_only() {
        let redactor = redactor(&["a", "q9", ""], &["the", "trunk"]);
        check(
            &redactor,
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
            &redactor(&[KEY, &wide, "hidden"], &[]),
            &[
                (&wide, "[redacted]"),
                (&format!("my-{KEY}-past"), "my-[redacted]-past"),
                ("a hidden key", "a [redacted] key"),
            ],
        );
        check(
            &redactor(&["abcd", "cdef", "fabc", "bbbb"], &[]),
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
            ("number (415) 5", "number ([redacted]"),
            ("number %2B1%204155", "number %2B[redacted]"),
            ("no such agent", "no such agent"),
        ];
        for (text, shown) in cases {
            let message = |whole| usual().message(text.as_bytes(), whole);
            assert_eq!(message(false).as_deref(), Some(shown), "of {text}");
            assert_eq!(message(true).as_deref(), Some(text));
        }
        assert_eq!(usual().message(b"no such ag\xc3", true), None);
        let cut = usual().message(b"no such ag\xc3", false);
        assert_eq!(cut.as_deref(), Some("no such ag"));
        // What is searched ends within the key.
        let long = "x".repeat(MAX_SEARCHED - 100);
        let text = format!("{long}{}{KEY}", "y".repeat(90));
        let said = redactor(&[&long, KEY], &[]).message(text.as_bytes(), true);
        assert_eq!(
            said,
            Some(format!("[redacted]{}[redacted]", "y".repeat(90)))
        );
    }

    proptest! {
        #[test]
        fn secret_is_redacted_however_echoed(
            secret in "[a-zA-Z0-9éÄ𝒳\\\\%+\"/&{}.:u\n-]{4,12}",
            before in "[ a-z\"+0-9]{0,6}",
            after in "[ a-z\\\\%\"+0-9]{0,6}",
            uppercase: bool,
            quoting in vec(any::<bool>(), 0..3),
            invisible: bool,
        ) {
            prop_assume!(!normal_form(&secret, is_visible).is_empty());
            let spelling = if uppercase { secret.to_uppercase() } else { secret.clone() };
            let mut written = quoting.iter().fold(spelling, |text, is_json| {
                if *is_json { quote(&text) } else { percent_encode(&text) }
            });
            if invisible {
                written = written.chars().flat_map(|c| [c, '\u{200d}']).collect();
            }
            let redactor = redactor(&[&secret], &[]);
            let shown = redactor.redact(&format!("{before} {written} {after}"));
            prop_assert!(shown.contains(REDACTED), "{} of {:?}", shown, written);
            let rest = shown.replace(REDACTED, "\0").to_lowercase();
            prop_assert!(!rest.contains(&secret.to_lowercase()), "{}", shown);
        }

        #[test]
        fn text_without_secrets_is_shown_normalized(
            text in any::<String>(),
            secrets in vec(any::<String>(), 0..3),
            whole: bool,
        ) {
            let secrets: Vec<_> = secrets.iter().map(|it| &**it).collect();
            let _ = redactor(&secrets, &secrets).message(text.as_bytes(), whole);
            let plain = normalize(&text).0;
            prop_assert_eq!(Redactor::default().redact(&text), plain);
        }
    }
}
