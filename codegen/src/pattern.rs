//! Translates patterns from ECMAScript's regular expressions, which documents use, to those of
//! `regex-lite`, which the client and the fake server run.
//!
//! | in the document | for the client |
//! |---|---|
//! | `\d \w \b \t \n \r \f \v`, groups, `\|`, `^ $`, `* + ? {2,3}`, lazy or not | the same |
//! | `\s \S .` | a class with what ECMAScript has in it |
//! | `\0 \cA \xHH \uHHHH`, an escaped sign, `[ & ~ ]` in a class, `{ } ]` on their own | the character, escaped |
//! | look-around, back references, `\p`, other escaped letters, `[]`, `[^]` | refused |

use std::{iter::Peekable, str::Chars};

/// Maximum length of a pattern in characters.
const LONGEST: usize = 1_000;
/// Characters that ECMAScript's `\s` matches, as part of a class.
const SPACE: &str =
    r"\t\n\x0B\x0C\r \xA0\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

/// Translates a pattern, or returns the reason why it has no translation.
pub fn translate(pattern: &str) -> Result<String, String> {
    if pattern.chars().count() > LONGEST {
        return Err(format!("it has more than {LONGEST} characters"));
    }
    let mut translation = Translation {
        left: pattern.chars().peekable(),
        written: String::new(),
    };
    translation.whole()?;
    match regex_lite::Regex::new(&translation.written) {
        Ok(_) => Ok(translation.written),
        Err(error) => Err(error.to_string()),
    }
}

struct Translation<'p> {
    left: Peekable<Chars<'p>>,
    written: String,
}

/// Meaning of an escape.
enum Escape {
    Char(char),
    /// A class, by the text between its brackets, and whether it is negated.
    Class(&'static str, bool),
    /// A word boundary.
    Boundary(char),
}

impl Translation<'_> {
    fn whole(&mut self) -> Result<(), String> {
        // True if a quantifier may follow.
        let mut repeatable = false;
        while let Some(c) = self.left.next() {
            let repeats = match c {
                '*' | '+' | '?' => Some(c.to_string()),
                '{' => self.braces(),
                _ => None,
            };
            if let Some(repeats) = repeats {
                if !repeatable {
                    return Err(format!("`{repeats}` repeats nothing"));
                }
                self.written += &repeats;
                if self.left.next_if_eq(&'?').is_some() {
                    self.written.push('?');
                }
                repeatable = false;
                continue;
            }
            repeatable = !matches!(c, '(' | '|' | '^' | '$');
            match c {
                '(' => self.group()?,
                '[' => self.class()?,
                '.' => self.written += r"[^\n\r\u{2028}\u{2029}]",
                '\\' => match self.escape(false)? {
                    Escape::Char(c) => self.literal(c),
                    Escape::Class(class, negated) => {
                        let caret = if negated { "^" } else { "" };
                        self.written.extend(["[", caret, class, "]"]);
                    }
                    Escape::Boundary(c) => {
                        self.written.extend(['(', '?', ':', '\\', c, ')']);
                        repeatable = false;
                    }
                },
                '|' | '^' | '$' | ')' => self.written.push(c),
                c => self.literal(c),
            }
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.written += &regex_lite::escape(c.encode_utf8(&mut [0; 4]));
    }

    /// Reads a quantifier in braces, if there is one.
    fn braces(&mut self) -> Option<String> {
        let rest: String = self.left.clone().take_while(|c| *c != '}').collect();
        let (least, most) = rest.split_once(',').unwrap_or((&rest, "0"));
        let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let closed = self.left.clone().nth(rest.chars().count()) == Some('}');
        if !closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            return None;
        }
        self.left.nth(rest.chars().count());
        Some(format!("{{{rest}}}"))
    }

    fn group(&mut self) -> Result<(), String> {
        self.written.push('(');
        if self.left.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        match self.left.next() {
            Some(':') => self.written += "?:",
            Some('<') if !matches!(self.left.peek(), Some('=' | '!')) => {
                self.written += "?<";
                while let Some(c) = self
                    .left
                    .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    self.written.push(c);
                }
                if self.left.next_if_eq(&'>').is_none() {
                    return Err("the name of a group is not plain".into());
                }
                self.written.push('>');
            }
            Some('=' | '!' | '<') => return Err("look-around is not supported".into()),
            _ => return Err("`(?` begins neither `(?:` nor `(?<name>`".into()),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.written.push('[');
        if self.left.next_if_eq(&'^').is_some() {
            self.written.push('^');
        }
        if self.left.peek() == Some(&']') {
            return Err("a class is empty".into());
        }
        loop {
            let first = match self.left.next() {
                Some(']') => break,
                Some(c) => self.in_class(c)?,
                None => return Err("a class is not closed".into()),
            };
            let mut ahead = self.left.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
            match (first, is_range) {
                (Escape::Char(first), true) => {
                    self.left.next();
                    let last = self.left.next().unwrap_or_default();
                    let Escape::Char(last) = self.in_class(last)? else {
                        return Err("a range ends with a class".into());
                    };
                    self.character(first);
                    self.written.push('-');
                    self.character(last);
                }
                (Escape::Char(c), false) => self.character(c),
                (Escape::Class(class, false), _) => self.written += class,
                (Escape::Class(..) | Escape::Boundary(_), _) => {
                    return Err("`\\S` or `\\B` stands in a class".into());
                }
            }
        }
        self.written.push(']');
        Ok(())
    }

    fn in_class(&mut self, c: char) -> Result<Escape, String> {
        if c == '\\' {
            return self.escape(true);
        }
        Ok(Escape::Char(c))
    }

    /// Writes a character of a class, escaped by its code point so that it is always literal.
    fn character(&mut self, c: char) {
        if c.is_ascii_alphanumeric() {
            self.written.push(c);
        } else {
            self.written.extend(c.escape_unicode());
        }
    }

    fn escape(&mut self, in_class: bool) -> Result<Escape, String> {
        let c = self.left.next().ok_or("it ends with `\\`")?;
        Ok(match c {
            'd' => Escape::Class("0-9", false),
            'D' if !in_class => Escape::Class("0-9", true),
            'w' => Escape::Class("0-9A-Za-z_", false),
            'W' if !in_class => Escape::Class("0-9A-Za-z_", true),
            's' => Escape::Class(SPACE, false),
            'S' => Escape::Class(SPACE, true),
            'D' => Escape::Class(r"\x00-/:-\u{10FFFF}", false),
            'W' => Escape::Class(r"\x00-/:-@\x5B-\x5E\x60\x7B-\u{10FFFF}", false),
            'b' if in_class => Escape::Char('\x08'),
            'b' | 'B' => Escape::Boundary(c),
            't' => Escape::Char('\t'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            'f' => Escape::Char('\x0C'),
            'v' => Escape::Char('\x0B'),
            '0' if !matches!(self.left.peek(), Some('0'..='9')) => Escape::Char('\0'),
            'x' => Escape::Char(self.hex(2)?),
            'u' => Escape::Char(self.hex(4)?),
            'c' => {
                let letter = self
                    .left
                    .next()
                    .filter(char::is_ascii_alphabetic)
                    .ok_or("`\\c` is not followed by a letter")?;
                Escape::Char(char::from(letter as u8 % 32))
            }
            '0'..='9' | 'k' => return Err("back references are not supported".into()),
            c if c.is_ascii_alphabetic() => return Err(format!("`\\{c}` is not supported")),
            c => Escape::Char(c),
        })
    }

    fn hex(&mut self, digits: usize) -> Result<char, String> {
        let text: String = self.left.by_ref().take(digits).collect();
        let known = text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
        let number = u32::from_str_radix(&text, 16).ok().filter(|_| known);
        let c = number.and_then(char::from_u32);
        c.ok_or_else(|| format!("`{text}` is not the number of a character"))
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    /// A pattern, a text that it matches in ECMAScript, and one that it does not.
    #[test]
    fn pattern_means_what_it_means_to_ecmascript() {
        for (pattern, matched, other) in [
            (r"^\d{2}$", "12", "١٢"),
            (r"^\w+$", "a_1", "ä"),
            (r"^a\sb$", "a\u{a0}b", "a_b"),
            (r"^a\Sb$", "a_b", "a\u{3000}b"),
            (r"^.$", "\u{85}", "\u{2028}"),
            (r"^[\w.-]+$", "a.-", "a b"),
            (r"^[\w-.]+$", "a-.", "a b"),
            (r"^[a-c-]+$", "ab-", "d"),
            (r"^[[]$", "[", "]"),
            (r"^[a&&b]+$", "&", "c"),
            (r"^[+--]+$", ",", "."),
            (r"^[a~~b]$", "~", "c"),
            (r"^\<\>\/\_\@\-$", "<>/_@-", "a"),
            (r"^a{,2}$", "a{,2}", "aa"),
            (r"^{}]$", "{}]", ""),
            (r"^\x41\u00e4\cJ\0$", "Aä\n\0", "A"),
            (r"^[\b\x41]$", "\u{8}", "b"),
            (r"^[^\d\W]$", "a", "1"),
            (r"^(?<year>\d{4})-(?:0|1)??$", "2026-", "2026"),
            (r"\bcat\b", "a cat", "concat"),
            (r"^(a+)+$", "aa", "ab"),
        ] {
            let translated = translate(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            let regex = regex_lite::Regex::new(&translated).unwrap();
            assert!(
                regex.is_match(matched),
                "{pattern} of {matched:?}: {translated}"
            );
            assert!(
                !regex.is_match(other),
                "{pattern} of {other:?}: {translated}"
            );
        }
    }

    #[test]
    fn pattern_with_another_meaning_is_refused() {
        for pattern in [
            r"\Aa\z",
            r"\a",
            r"(?i)a",
            r"(?P<a>b)",
            r"a**",
            r"a++",
            r"*a",
            r"^*",
            r"(|*)",
            r"a{2}{3}",
            r"\b*",
            r"\p{L}",
            r"\u{41}",
            r"\x4",
            r"(a)\1",
            r"(?=a)",
            r"(?<!a)",
            r"[]",
            r"[^]a]",
            r"[b-a]",
            r"[a",
            r"(a",
            r"a)",
            r"\",
            r"[\S]",
            r"\ud83d",
            r"\k<a>",
        ] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
        assert!(translate(&"a".repeat(1_001)).is_err());
    }
}
