//! Converts texts of the document to Rust documentation.

/// Removes code blocks, which would run as tests, and invisible characters from a text.
pub fn tidy(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let line = |line: &str| {
        let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        line.retain(|c| !c.is_control() && !turns(c));
        line.replace("```", "'''").replace("~~~", "'''")
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n").trim().to_owned()
}

/// Converts a tidy text to documentation, and escapes tags and links that rustdoc warns about.
pub fn rustdoc(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!(" {}", escape(line)))
        .collect();
    lines.join("\n")
}

/// `<tag> [name] https://a.b` → `\<tag> \[name] <https://a.b>`, but not in code spans, and not in
/// `[text](https://a.b)`.
pub fn escape(line: &str) -> String {
    let (mut written, mut left) = (String::new(), line);
    while let Some(at) = left.find(['`', '<', '[', 'h']) {
        let (before, rest) = left.split_at(at);
        written += before;
        let (taken, text) = match rest.as_bytes()[0] {
            b'`' => code(rest),
            b'<' => (1, "\\<".to_owned()),
            b'[' => link(rest).unwrap_or((1, "\\[".to_owned())),
            _ => url(rest).unwrap_or((1, "h".to_owned())),
        };
        written += &text;
        left = &rest[taken..];
    }
    written + left
}

/// Returns the length of a code span, and the span; an unclosed backtick is escaped.
fn code(text: &str) -> (usize, String) {
    match text[1..].find('`') {
        Some(end) => (end + 2, text[..end + 2].to_owned()),
        None => (1, "\\`".to_owned()),
    }
}

fn link(text: &str) -> Option<(usize, String)> {
    let (label, rest) = text[1..].split_once("](")?;
    let (target, _) = rest.split_once(')')?;
    let is_link = !label.contains(['[', '<', '`']) && target.starts_with("http") && is_url(target);
    let length = label.len() + target.len() + 4;
    is_link.then(|| (length, text[..length].to_owned()))
}

fn url(text: &str) -> Option<(usize, String)> {
    let end = text.find(|c: char| c.is_whitespace() || "<>`()[]\"'".contains(c));
    let url = text[..end.unwrap_or(text.len())].trim_end_matches(['.', ',', ';', ':', '!', '?']);
    is_url(url).then(|| (url.len(), format!("<{url}>")))
}

fn is_url(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_graphic() && !"<>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn rustdoc_has_nothing_to_warn_of() {
        for (text, tidied) in [
            ("the <name> of [it]", "the \\<name> of \\[it]"),
            ("see https://a.b/c.", "see <https://a.b/c>."),
            (
                "see [a b](https://a.b) (http://c)",
                "see [a b](https://a.b) (<http://c>)",
            ),
            (
                "`<name> [x] https://a.b` and ` alone",
                "`<name> [x] https://a.b` and \\` alone",
            ),
            (
                "how high, http:// and [a](b)",
                "how high, http:// and \\[a](b)",
            ),
        ] {
            assert_eq!(super::escape(text), tidied);
        }
    }

    #[test]
    fn code_blocks_and_invisible_characters_are_removed() {
        assert_eq!(super::tidy("```\nx  y\u{202e}\n```"), "'''\nx y\n'''");
    }
}
