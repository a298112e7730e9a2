//! Text of others made safe to show: no control or bidi character, no secret by accident.

use std::{borrow::Cow, path::Path};

/// Returns whether this character could control a terminal or mislead a reader.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether this character is invisible, other than white space and the joiners that some
/// scripts and emoji need.
pub fn is_invisible(c: char) -> bool {
    is_unsafe(c)
        || matches!(
            c,
            '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// Returns the text on one line, without unsafe characters.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe) {
        text.replace(is_unsafe, " ").into()
    } else {
        text.into()
    }
}

/// Returns the text without unsafe characters other than line breaks.
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| c != '\n' && is_unsafe(c);
    if text.contains(hostile) {
        text.replace("\r\n", "\n").replace(hostile, " ").into()
    } else {
        text.into()
    }
}

/// Returns JSON text in which unsafe characters are escaped, so that any program reads the same
/// value and a terminal obeys nothing.
pub fn escape_json(json: String) -> String {
    let hostile = |c: char| !c.is_ascii() && is_unsafe(c);
    if !json.contains(hostile) {
        return json;
    }
    json.chars()
        .map(|c| {
            if hostile(c) {
                format!("\\u{:04x}", u32::from(c))
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// Returns the first invisible character by its Unicode name: `U+202A`.
pub fn invisible(text: &str) -> Option<String> {
    let found = text.chars().find(|c| is_invisible(*c))?;
    Some(format!("U+{:04X}", u32::from(found)))
}

/// Returns whether a word may be repeated in a message: a name, and nothing that could be a secret.
pub fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    (1..=64).contains(&word.chars().count()) && word.chars().all(plain)
}

/// Cuts a long text, with a mark.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

/// Returns a path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-+=:,@%".contains(byte);
    match path.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        Some(text) if cfg!(windows) => format!("\"{text}\""),
        Some(text) if !text.contains(is_unsafe) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let escaped = bytes.iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                byte => format!("\\x{byte:02x}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

/// `1 number`, `2 numbers`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_path_survives_a_shell() {
        assert_eq!(quoted(Path::new("a/b.csv")), "a/b.csv");
        assert_eq!(quoted(Path::new("my file.csv")), "'my file.csv'");
        assert_eq!(quoted(Path::new("it's.csv")), r"'it'\''s.csv'");
        assert_eq!(quoted(Path::new("a\u{1b}b")), r"$'a\x1bb'");
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "a": "\u{202a}x\u{9b}y\u{1b}é" });
        let text = escape_json(value.to_string());
        assert!(!text.contains(is_unsafe), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("äbcd", 3), "äbc…");
    }
}
