//! What `src/` takes for granted of the document: found there, so that it is written once.

use std::collections::BTreeSet;

use regex_lite::Regex;

/// The sources that name what the document must have.
pub struct Sources<'s> {
    /// `src/client.rs`.
    pub client: &'s str,
    /// `src/lib.rs`.
    pub lib: &'s str,
}

/// A method of the client that calls an operation.
#[derive(Debug, PartialEq)]
pub struct Method {
    pub name: String,
    /// The method of the generated client.
    pub operation: String,
    /// The types of what it hands on, without references; nothing where that cannot be told.
    pub arguments: Vec<String>,
    /// The type of the answer.
    pub answer: String,
}

/// `fn f(&self, a: &A, b: &B) -> Call<T> { … api.operation(a, b) … }` → `operation(A, B) -> T`.
pub fn methods(sources: &Sources) -> Vec<Method> {
    let method =
        r"fn (\w+)\(\s*&self,?([^)]*)\)\s*->\s*Call<([^{]+)>\s*\{[^}]*?\bapi\s*\.(\w+)\(([^)]*)\)";
    let method = Regex::new(method).expect("it is a regular expression");
    let words = |text: &str| -> Vec<String> {
        let words = text.split(',').map(|word| word.trim().replace('&', ""));
        words.filter(|word| !word.is_empty()).collect()
    };
    let last = |path: &str| {
        let parts = path.rsplit(['&', ':', ' ']);
        parts.map(ToOwned::to_owned).next().unwrap_or_default()
    };
    let found = method.captures_iter(sources.client).map(|found| {
        let [_, name, inputs, answer, operation, handed] = [0, 1, 2, 3, 4, 5].map(|n| &found[n]);
        let inputs = words(inputs);
        let type_of = |argument: &String| {
            let mut inputs = inputs.iter().filter_map(|input| input.split_once(':'));
            let input = inputs.find(|(name, _)| name == argument);
            input.map_or(String::new(), |(_, ty)| last(ty))
        };
        Method {
            name: name.to_owned(),
            operation: operation.to_owned(),
            arguments: words(handed).iter().map(type_of).collect(),
            answer: last(answer),
        }
    });
    found.collect()
}

/// The types in `models::{…}` and `models::T`.
pub fn types(sources: &Sources) -> BTreeSet<String> {
    let models = Regex::new(r"\bmodels::(\{[^}]*\}|\w+)").expect("it is a regular expression");
    let text = [sources.client, sources.lib].concat();
    let found = models.captures_iter(&text).filter_map(|found| found.get(1));
    let names = found.flat_map(|names| names.as_str().split([',', ' ', '\n', '{', '}']));
    let types = names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
    types.map(ToOwned::to_owned).collect()
}
