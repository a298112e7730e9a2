//! Compares texts by their normal form: some of their characters, case folded.

use super::escapes::{Unit, decode};

/// As many characters of a secret at the end of a truncated text are no coincidence.
const MIN_PARTIAL: usize = 2;

/// Where a pattern is to be found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Anywhere,
    /// Where no word continues before or after it.
    Word,
}

pub fn is_letter(c: char) -> bool {
    c.is_alphanumeric()
}

/// Returns whether a character is compared where punctuation counts; quoting adds backslashes.
pub fn is_visible(c: char) -> bool {
    !c.is_whitespace() && c != '\\'
}

/// Returns whether no word continues from the character before this place to the one after it.
pub fn is_edge(units: &[Unit], at: usize) -> bool {
    let is_word = |unit: &Unit| unit.c.is_alphanumeric() || unit.c == '_';
    let before = at.checked_sub(1).and_then(|at| units.get(at));
    !(before.is_some_and(is_word) && units.get(at).is_some_and(is_word))
}

/// Returns a character in all its cases as one spelling: `ß` and `SS` are `ss`.
fn fold_case(c: char) -> impl Iterator<Item = char> {
    c.to_uppercase().flat_map(char::to_lowercase)
}

pub fn normal_form(text: &str, keep: fn(char) -> bool) -> String {
    let units = decode(text).into_iter();
    units
        .map(|unit| unit.c)
        .filter(|c| keep(*c))
        .flat_map(fold_case)
        .collect()
}

/// A suffix array: the ends of a text in their order, so that any text is found by bisection.
pub struct Index {
    normal: String,
    /// For each byte of the normal form, the number of its unit.
    pub origins: Vec<usize>,
    suffixes: Vec<usize>,
    /// The suffixes before which no word continues.
    word_suffixes: Vec<usize>,
}

impl Index {
    pub fn new(units: &[Unit], keep: fn(char) -> bool) -> Self {
        let mut normal = String::new();
        let mut origins = Vec::new();
        let kept = units.iter().enumerate().filter(|(_, unit)| keep(unit.c));
        for (number, unit) in kept {
            normal.extend(fold_case(unit.c));
            origins.resize(normal.len(), number);
        }
        let mut suffixes: Vec<_> = normal.char_indices().map(|(at, _)| at).collect();
        suffixes.sort_unstable_by_key(|at| &normal[*at..]);
        let mut word_suffixes = suffixes.clone();
        word_suffixes.retain(|at| is_edge(units, origins[*at]));
        Self {
            normal,
            origins,
            suffixes,
            word_suffixes,
        }
    }

    fn suffixes(&self, place: Place) -> &[usize] {
        match place {
            Place::Anywhere => &self.suffixes,
            Place::Word => &self.word_suffixes,
        }
    }

    /// Returns where a pattern occurs; a word may continue after it.
    pub fn find(&self, pattern: &str, place: Place) -> &[usize] {
        let suffixes = self.suffixes(place);
        let start = suffixes.partition_point(|at| &self.normal[*at..] < pattern);
        let rest = &suffixes[start..];
        let count = rest.partition_point(|at| self.normal[*at..].starts_with(pattern));
        &rest[..count]
    }

    /// Returns where the longest end of the text starts that is a beginning of the pattern.
    pub fn find_partial(&self, mut pattern: &str, place: Place) -> Option<usize> {
        let suffixes = self.suffixes(place);
        loop {
            // Whatever is a beginning of the pattern, is one of the last suffix before it as well.
            let after = suffixes.partition_point(|at| &self.normal[*at..] <= pattern);
            let start = suffixes[after.checked_sub(1)?];
            let suffix = &self.normal[start..];
            let common: usize = (suffix.chars().zip(pattern.chars()))
                .take_while(|(a, b)| a == b)
                .map(|(c, _)| c.len_utf8())
                .sum();
            let partial = &pattern[..common];
            if partial.chars().count() < MIN_PARTIAL {
                return None;
            }
            if partial == suffix {
                return Some(start);
            }
            pattern = partial;
        }
    }
}
