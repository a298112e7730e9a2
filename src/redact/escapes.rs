//! Decodes the percent and JSON escapes of a text, however often they were applied.

use std::char::REPLACEMENT_CHARACTER;

/// Returns whether a character is a control, or is ignored or turns the direction by Unicode.
pub fn is_invisible(c: char) -> bool {
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

/// A decoded character, and the bytes of the text that it stands for.
pub struct Unit {
    pub c: char,
    pub start: usize,
    pub end: usize,
}

/// Decodes the percent and JSON escapes of a text.
pub fn decode(text: &str) -> Vec<Unit> {
    let mut units = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some((c, length)) = decode_json(&text[start..]) {
        let end = start + length;
        if c.is_whitespace() || !is_invisible(c) {
            units.push(Unit { c, start, end });
        }
        start = end;
    }
    units
}

/// Decodes a text without what its end may be a part of: an escape, or a character of several.
pub fn decode_truncated(text: &str) -> Vec<Unit> {
    let mut units = decode(trim_partial_escape(text));
    let is_partial = |unit: &mut Unit| unit.c == REPLACEMENT_CHARACTER;
    while units.pop_if(is_partial).is_some() {}
    units
}

/// Decodes the first character of a text, of which JSON may have been quoted as JSON again; returns
/// it with the length of its spelling in bytes.
fn decode_json(text: &str) -> Option<(char, usize)> {
    let (mut c, mut length) = decode_percent(text)?;
    if c != '\\' {
        return Some((c, length));
    }
    while let Some(('\\', more)) = decode_percent(&text[length..]) {
        length += more;
    }
    let escaped = &text[length..];
    // In upper case as well, since the whole text may be.
    if escaped.starts_with(|c: char| "bfnrt".contains(c.to_ascii_lowercase())) {
        (c, length) = (' ', length + 1);
    } else if let Some((decoded, more)) = decode_utf16(escaped) {
        (c, length) = (decoded, length + more);
    }
    Some((c, length))
}

/// Decodes `u00e9`, or `ud83d\ude00` for a character beyond 16 bits.
fn decode_utf16(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| hex(text.strip_prefix(['u', 'U'])?, 4);
    let high = unit(text)?;
    let rest = text[5..].trim_start_matches('\\');
    let units = [Some(high), unit(rest)].into_iter().flatten();
    match char::decode_utf16(units).next()? {
        Ok(c) if c.len_utf16() == 2 => Some((c, text.len() - rest.len() + 5)),
        decoded => Some((decoded.unwrap_or(REPLACEMENT_CHARACTER), 5)),
    }
}

/// Decodes the first character of a text that may be percent-encoded.
fn decode_percent(text: &str) -> Option<(char, usize)> {
    let Some((_, first_length)) = percent_byte(text) else {
        return text.chars().next().map(|c| (c, c.len_utf8()));
    };
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some((byte, more)) = percent_byte(&text[length..])
        && bytes.len() < 4
    {
        bytes.push(byte);
        length += more;
        if let Ok(decoded) = std::str::from_utf8(&bytes) {
            return decoded.chars().next().map(|c| (c, length));
        }
    }
    Some((REPLACEMENT_CHARACTER, first_length))
}

/// Reads `%2B`, or `%252B` where it was encoded again.
fn percent_byte(text: &str) -> Option<(u8, usize)> {
    let mut digits = text.strip_prefix('%')?;
    while let Some(rest) = digits.strip_prefix("25")
        && hex(rest, 2).is_some()
    {
        digits = rest;
    }
    let byte = hex(digits, 2)?.try_into().ok()?;
    Some((byte, text.len() - digits.len() + 2))
}

/// Reads the number that a text begins with, of so many hexadecimal digits.
fn hex(text: &str, count: usize) -> Option<u16> {
    let digits = text.get(..count)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

/// Cuts off an escape that is not complete at the end of a truncated text.
fn trim_partial_escape(text: &str) -> &str {
    let at = text.rfind(['%', '\\']).unwrap_or(text.len());
    let (before, escape) = text.split_at(at);
    let (digits, complete) = match escape.strip_prefix('%') {
        Some(digits) => (digits.trim_start_matches("25"), 2),
        None => (escape.strip_prefix("\\u").unwrap_or("not an escape"), 4),
    };
    let is_partial = digits.len() < complete && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_partial { before } else { text }
}
