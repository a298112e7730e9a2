//! What the document says of an operation (stand-in).
#![allow(dead_code, missing_docs)]
use std::borrow::Cow;

#[derive(Debug)]
pub struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) parameters: &'static [(&'static str, &'static Shape)],
    pub(crate) body: Option<&'static Shape>,
    pub(crate) answer: Option<Answer>,
}
#[derive(Debug)]
pub(crate) struct Answer {
    pub properties: &'static [&'static str],
    pub is_object: bool,
    pub repeats: &'static [(&'static str, usize)],
    pub optional: bool,
}
#[derive(Debug)]
pub(crate) struct Shape {
    pub secret: bool,
}
/// What the document does not have: anything goes, and nothing is shown.
pub(crate) static UNDOCUMENTED: Operation = Operation {
    id: "request",
    method: "",
    path: "",
    parameters: &[],
    body: Some(&Shape { secret: true }),
    answer: Some(Answer {
        properties: &[],
        is_object: false,
        repeats: &[],
        optional: true,
    }),
};
impl Operation {
    pub fn id(&self) -> &'static str {
        self.id
    }
    pub fn method(&self) -> &'static str {
        self.method
    }
    pub fn path(&self) -> &'static str {
        self.path
    }
    pub(crate) fn check(&self, path: &str, body: Option<&[u8]>) -> Result<(), String> {
        if path.split('/').count() != self.path.split('/').count() {
            return Err("a path parameter is empty or is not one path segment".into());
        }
        if body == Some(b"{}") {
            return Err("the body has 0 properties and needs at least 1".into());
        }
        Ok(())
    }
    pub(crate) fn path_values<'p>(&self, path: &'p str) -> impl Iterator<Item = Cow<'p, str>> {
        self.path
            .split('/')
            .zip(path.split('/'))
            .filter(|(t, _)| t.starts_with('{'))
            .map(|(_, v)| Cow::Borrowed(v))
    }
    pub(crate) fn hidden(&self, body: &[u8]) -> Vec<(String, bool)> {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        body["trunkPassword"]
            .as_str()
            .map(|t| (t.to_owned(), true))
            .into_iter()
            .collect()
    }
}
