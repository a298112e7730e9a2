//! What the document says of an operation, and the check of a request against it.

use reqwest::{Method, Request};
use serde_json::{Map, Value};

/// One operation of the document; build.rs writes a constant for each.
#[derive(Debug)]
pub(crate) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub limits: &'static [Limit],
    /// Where in the request body the secrets are.
    pub secrets: &'static [&'static [&'static str]],
}

/// What the document asks of one string in the request body.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Property names from the body down; `*` stands for every item of an array or a map.
    pub at: &'static [&'static str],
    /// In characters, as JSON Schema counts.
    pub min_length: u64,
    /// In characters.
    pub max_length: u64,
    /// An `ECMAScript` regular expression.
    pub pattern: Option<&'static str>,
    /// The listed values; none means any.
    pub one_of: &'static [&'static str],
}

impl Operation {
    /// Refuses a request that the document does not allow, or that would go astray.
    pub fn check(&self, request: &Request, base_segments: usize) -> Result<(), String> {
        // The generator leaves `.`, `..` and the empty string in a path value alone; an escaped
        // slash becomes a separator at many a server.
        let path = request.url().path();
        let path = path
            .strip_suffix('/')
            .filter(|_| self.path.ends_with('/'))
            .unwrap_or(path);
        let expected = base_segments + segment_count(self.path);
        if segment_count(path) != expected
            || path.ends_with('/')
            || ["//", "%2F"].iter().any(|part| path.contains(part))
        {
            return Err("a path parameter is empty or is not one path segment".into());
        }
        let body = request.body().and_then(reqwest::Body::as_bytes);
        if request.method() == Method::PATCH && body == Some(b"{}") {
            return Err("the update is empty; set at least one property".into());
        }
        if self.limits.is_empty() {
            return Ok(());
        }
        let body = body.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let body = body.unwrap_or_default();
        self.limits.iter().try_for_each(|limit| {
            strings_at(&body, limit.at).try_for_each(|text| limit.check(text))
        })
    }
}

impl Limit {
    fn check(&self, text: &str) -> Result<(), String> {
        let at = self.at.join(".");
        let length = text.chars().count() as u64;
        if length < self.min_length {
            let least = self.min_length;
            return Err(format!(
                "`{at}` has {length} characters and needs at least {least}"
            ));
        }
        if length > self.max_length {
            let most = self.max_length;
            return Err(format!(
                "`{at}` has {length} characters and may have at most {most}"
            ));
        }
        if let Some(pattern) = self.pattern
            && !regress::Regex::new(pattern).is_ok_and(|regex| regex.find(text).is_some())
        {
            return Err(format!("`{at}` does not match the pattern {pattern}"));
        }
        if !self.one_of.is_empty() && !self.one_of.contains(&text) {
            return Err(format!("`{at}` is not one of {}", self.one_of.join(", ")));
        }
        Ok(())
    }
}

/// How many segments a path has; a trailing slash adds none.
pub(crate) fn segment_count(path: &str) -> usize {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// The strings in `value` that the property names in `at` lead to.
pub(crate) fn strings_at<'v>(
    value: &'v Value,
    at: &[&str],
) -> Box<dyn Iterator<Item = &'v str> + 'v> {
    match at.split_first() {
        None => Box::new(value.as_str().into_iter()),
        Some((&"*", rest)) => {
            let items = value.as_array().into_iter().flatten();
            let entries = value.as_object().into_iter().flat_map(Map::values);
            let found: Vec<_> = items
                .chain(entries)
                .flat_map(|item| strings_at(item, rest))
                .collect();
            Box::new(found.into_iter())
        }
        Some((name, rest)) => strings_at(&value[name], rest),
    }
}
