//! A place in the document, and what stands there.

use yaml_serde::Value;

use super::failure::Failure;

pub const CHECK: &str = "check the document";
/// The extensions of this crate, which [`Node::only`] lets stand where they mean something.
const OURS: [&str; 2] = ["x-loggable", "x-repeats"];

/// A value of the document, with the JSON pointer that leads to it.
#[derive(Clone)]
pub struct Node<'d> {
    value: &'d Value,
    pub at: String,
}

impl<'d> Node<'d> {
    pub fn root(value: &'d Value) -> Self {
        let at = String::new();
        Self { value, at }
    }

    pub fn refuse(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure::new(CHECK, reason, remedy).at(&self.at)
    }

    /// What stands under a keyword; null counts as nothing.
    pub fn get(&self, keyword: &str) -> Option<Self> {
        let value = self.value.get(keyword).filter(|value| !value.is_null())?;
        let at = format!("{}/{}", self.at, escaped(keyword));
        Some(Self { value, at })
    }

    /// As [`get`](Self::get), of what must be there.
    pub fn need(&self, keyword: &str) -> Result<Self, Failure> {
        self.get(keyword).ok_or_else(|| {
            let remedy = "Write it after the OpenAPI 3.0 specification.";
            self.refuse(format!("`{keyword}` is missing"), remedy)
        })
    }

    /// What a reference leads to; itself if it is none.
    pub fn resolve(&self, root: &Node<'d>) -> Result<Self, Failure> {
        let mut node = self.clone();
        for _ in 0..16 {
            let Some(reference) = node.get("$ref") else {
                return Ok(node);
            };
            node.only("a reference", &[&["$ref", "summary", "description"]])?;
            node = reference.target(root)?;
        }
        Err(self.refuse(
            "the reference has no end",
            "Let it lead to something else than a reference.",
        ))
    }

    /// What a pointer, which is this text, leads to.
    pub fn target(&self, root: &Node<'d>) -> Result<Self, Failure> {
        let pointer = self.text()?;
        let lost = |reason: &str| {
            let remedy = "Define what it names in this document, or correct the reference.";
            self.refuse(format!("the reference {pointer} {reason}"), remedy)
        };
        let Some(path) = pointer.strip_prefix("#/") else {
            return Err(lost("leads out of the document"));
        };
        let steps = path
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~"));
        steps
            .into_iter()
            .try_fold(root.clone(), |node, step| match node.value {
                Value::Sequence(_) => node.items().ok()?.into_iter().nth(step.parse().ok()?),
                _ => node.get(&step),
            })
            .ok_or_else(|| lost("leads nowhere"))
    }

    pub fn is(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    fn wrong(&self, expected: &str) -> Failure {
        let is = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Tagged(_) => "tagged",
        };
        self.refuse(
            format!("it is {is}, and {expected} is expected"),
            "Write it after the OpenAPI 3.0 specification; quotation marks make a text of a number.",
        )
    }

    pub fn text(&self) -> Result<&'d str, Failure> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    pub fn flag(&self) -> Result<bool, Failure> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false"))
    }

    pub fn count(&self) -> Result<u64, Failure> {
        let number = self.value.as_u64();
        number.ok_or_else(|| self.wrong("a whole number that is not negative"))
    }

    /// A number by its digits, without an exponent.
    pub fn number(&self) -> Result<String, Failure> {
        let Value::Number(number) = self.value else {
            return Err(self.wrong("a number"));
        };
        let text = match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => number.to_string(),
            None => number.to_string(),
        };
        if text.len() > 30 || text.contains(|c: char| c.is_alphabetic()) {
            let remedy = "Leave a limit of that size to the server.";
            return Err(self.refuse("the number is out of reach", remedy));
        }
        Ok(text)
    }

    pub fn items(&self) -> Result<Vec<Self>, Failure> {
        let items = self
            .value
            .as_sequence()
            .ok_or_else(|| self.wrong("a list"))?;
        let numbered = items.iter().enumerate();
        Ok(numbered
            .map(|(number, value)| Self {
                value,
                at: format!("{}/{number}", self.at),
            })
            .collect())
    }

    /// The entries in their order; YAML may write a status as a number.
    pub fn entries(&self) -> Result<Vec<(String, Self)>, Failure> {
        let map = self
            .value
            .as_mapping()
            .ok_or_else(|| self.wrong("a mapping"))?;
        map.iter()
            .map(|(key, value)| {
                let key = match key {
                    Value::String(key) => key.clone(),
                    Value::Number(key) => key.to_string(),
                    Value::Bool(key) => key.to_string(),
                    _ => {
                        let remedy = "Write its name as a text.";
                        return Err(self.refuse("an entry has no name", remedy));
                    }
                };
                let at = format!("{}/{}", self.at, escaped(&key));
                Ok((key, Self { value, at }))
            })
            .collect()
    }

    /// The allow-list: refuses every keyword that is in none of these lists.
    ///
    /// A keyword that is ignored would be a promise broken.
    pub fn only(&self, what: &str, keywords: &[&[&str]]) -> Result<(), Failure> {
        for (name, node) in self.entries()? {
            if keywords.iter().any(|list| list.contains(&&*name)) {
                continue;
            }
            if !name.starts_with("x-") {
                return Err(node.refuse(
                    format!("the keyword `{name}` of {what} is not understood"),
                    "Take it out, or describe the same by what docs/openapi.md lists.",
                ));
            }
            if OURS.contains(&&*name) {
                return Err(node.refuse(
                    format!("`{name}` means nothing of {what}"),
                    "See docs/openapi.md for where it belongs.",
                ));
            }
            if name == "x-rust-type" || name.starts_with("x-dropshot-") {
                return Err(node.refuse(
                    format!("`{name}` would change the generated code"),
                    "Take it out: a document describes the API alone.",
                ));
            }
            if let Some(ours) = OURS.iter().find(|ours| one_letter_apart(ours, &name)) {
                return Err(node.refuse(
                    format!("`{name}` is not known, and nearly is `{ours}`"),
                    "Correct it, or call it something else.",
                ));
            }
        }
        Ok(())
    }
}

/// A name as a step of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Whether a letter is missing, too many, another, in the other case or changed places.
fn one_letter_apart(ours: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let (a, b) = (ours.as_bytes(), name.as_bytes());
    let same = |(a, b): &(&u8, &u8)| a == b;
    let start = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    a.len() <= 1 && b.len() <= 1 || a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0]
}
