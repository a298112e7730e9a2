//! The crate's own requirements of the document, as data.

use crate::{
    failure::{NO_OPERATION, NO_SCHEMA, OTHER_SIGNATURE, Result, ensure, need, refuse},
    read::{Document, Operation},
    schema::Types,
};

/// The crate's own requirements of a document. The default has none and accepts any document.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needed<'n> {
    /// The name of the handwritten method; empty without one.
    pub method: &'n str,
    /// The types of its arguments, without paths and references.
    pub arguments: &'n [&'n str],
    /// The type of its response.
    pub answer: &'n str,
    /// The types that the crate exports by name.
    pub types: &'n [&'n str],
    /// The method names that the crate's client already has.
    pub taken: &'n [&'n str],
}

impl Needed<'_> {
    /// Refuses a document without the operation and the types.
    pub(crate) fn check(&self, document: &Document) -> Result<()> {
        let is_missing = |name: &&&str| !document.types.contains_key(**name);
        let missing = self.types.iter().find(is_missing);
        if self.method.is_empty() {
            return refuse(missing.copied(), "", NO_SCHEMA);
        }
        let mut operations = document.operations.iter();
        let operation = operations.find(|operation| operation.name == self.method);
        let operation = need(operation, "/paths", NO_OPERATION, self.method)?;
        refuse(missing.copied(), "", NO_SCHEMA)?;
        let reason = format!(
            "`{}` is {}, and the crate calls it as ({}) -> {}",
            operation.id,
            signature(operation),
            self.arguments.join(", "),
            self.answer
        );
        let same_type = |ours: &str, name: &str| is_same(&document.types, ours, name);
        let arguments = arguments(operation);
        let fits = arguments.len() == self.arguments.len()
            && arguments
                .iter()
                .zip(self.arguments)
                .all(|(name, ours)| same_type(ours, name))
            && operation.query.is_none()
            && operation.headers.is_empty()
            && same_type(self.answer, answer(operation));
        ensure(fits, &operation.at, OTHER_SIGNATURE, &reason)
    }
}

fn is_same(types: &Types, ours: &str, name: &str) -> bool {
    let alias = types.get(ours).and_then(|alias| alias["$ref"].as_str());
    ours == name || alias == Some(name)
}

fn arguments<'o>(operation: &'o Operation) -> Vec<&'o str> {
    let parameters = operation
        .parameters
        .iter()
        .map(|parameter| &parameter.schema);
    parameters.chain(&operation.body).map(rust_name).collect()
}

fn answer<'o>(operation: &'o Operation) -> &'o str {
    operation.answer.as_ref().map_or("()", rust_name)
}

/// Returns `(E164, PhoneNumberUpdate) -> PhoneNumber`, with the query and the headers.
fn signature(operation: &Operation) -> String {
    let query = operation.query.as_ref().map(|_| "a query");
    let headers = operation.headers.iter().map(|_| "a header");
    let arguments: Vec<_> = arguments(operation)
        .into_iter()
        .chain(query)
        .chain(headers)
        .collect();
    format!("({}) -> {}", arguments.join(", "), answer(operation))
}

/// Returns the last segment of the type's Rust path, without a reference.
fn rust_name(schema: &serde_json::Value) -> &str {
    let text = |keyword: &str| schema[keyword].as_str();
    text("$ref").unwrap_or_else(|| match (text("type"), text("format")) {
        (Some("string"), Some("e164")) => "E164",
        (Some("string"), Some("password")) => "Secret",
        (Some("string"), _) => "str",
        (Some("integer"), Some("int32")) => "i32",
        (Some("integer"), _) => "i64",
        (Some("number"), Some("float")) => "f32",
        (Some("number"), _) => "f64",
        (Some("boolean"), _) => "bool",
        (Some("array"), _) => "Vec",
        (Some("object"), _) => "BTreeMap",
        _ => "Value",
    })
}
