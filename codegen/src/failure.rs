//! Failures that stop the build or skip a part of the document, in one line with the reason, the
//! place and the remedy.

use std::fmt;

/// Result of a pass.
pub type Result<T> = std::result::Result<T, Failure>;

/// Failure that stops the build or skips a part of the document.
#[derive(Debug, Clone)]
pub struct Failure {
    step: &'static str,
    reason: String,
    /// A JSON pointer or `Type.property`; empty for the whole document.
    place: String,
    remedy: String,
}

/// A reason, in which `{}` is replaced with the value in question, and its remedy.
#[derive(Clone, Copy)]
pub(crate) struct Problem(&'static str, &'static str);

impl Failure {
    /// Creates a failure of this step, about the whole document.
    #[must_use]
    pub fn new(step: &'static str, reason: String, remedy: &str) -> Self {
        Self {
            step,
            reason,
            place: String::new(),
            remedy: remedy.to_owned(),
        }
    }

    /// Creates a failure for a document that the generator does not support.
    #[allow(clippy::needless_pass_by_value, reason = "so `map_err` calls it")]
    pub fn unsupported(reason: impl ToString) -> Self {
        let remedy = "Simplify what the reason names; the generator does not support it.";
        Self::new("generate the client", reason.to_string(), remedy)
    }

    pub(crate) fn at(place: &str, Problem(reason, remedy): Problem, what: &str) -> Self {
        let failure = Self::new("check the document", reason.replace("{}", what), remedy);
        Self {
            place: place.to_owned(),
            ..failure
        }
    }

    /// Creates a failure for unexpected output of the generator.
    pub(crate) fn changed(reason: String) -> Self {
        let remedy = "The generator has changed: compare codegen/src/emit with what it writes.";
        Self::new("complete the client", reason, remedy)
    }

    /// Returns the failure as one line, because a cargo directive cannot have more.
    #[must_use]
    pub fn line(&self, file: &str) -> String {
        let (file, step) = (short(file), self.step);
        format!("{file}: cannot {step}: {self}")
    }
}

/// The reason, the place and the remedy.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [&self.reason, &self.place, &self.remedy];
        let [reason, place, remedy] = texts.map(|text| short(text));
        let at = if place.is_empty() { "" } else { " at " };
        write!(f, "{reason}{at}{place}. {remedy}")
    }
}

pub(crate) fn ensure(is_so: bool, place: &str, problem: Problem, what: &str) -> Result<()> {
    need(is_so.then_some(()), place, problem, what)
}

pub(crate) fn need<T>(value: Option<T>, place: &str, problem: Problem, what: &str) -> Result<T> {
    value.ok_or_else(|| Failure::at(place, problem, what))
}

/// Fails if something was found.
pub(crate) fn refuse(found: Option<&str>, place: &str, problem: Problem) -> Result<()> {
    ensure(found.is_none(), place, problem, found.unwrap_or_default())
}

/// Puts a text on one line, and cuts it: the generator may print a whole syntax tree.
fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.replace_range(end.., "…");
    }
    text
}

// The document as a whole.
pub(crate) const VERSION: Problem = Problem("its version is `{}`", "Write it as OpenAPI 3.0.3.");
pub(crate) const NO_SERVER: Problem = Problem(
    "{} is not a plain https address",
    "Name the server under `servers`: `https://` and a host.",
);
pub(crate) const OTHER_SERVER: Problem = Problem(
    "its server is not {}, as that of the others",
    "Give all operations one server.",
);
pub(crate) const NO_KEY: Problem = Problem(
    "no security requirement is an API key in a header alone",
    "Describe the key as `type: apiKey` and `in: header` under `components/securitySchemes`, and \
     require it under `security`; `http` (bearer, basic), `oauth2`, `openIdConnect` and keys in a \
     query or a cookie are not understood.",
);
pub(crate) const OTHER_KEY: Problem = Problem(
    "it requires something else than the API key in `{}`",
    "Let one of its security requirements be that key alone.",
);

// Keywords.
pub(crate) const UNKNOWN: Problem = Problem(
    "{} is not understood here",
    "Remove it, or describe the same by what docs/openapi.md lists.",
);
pub(crate) const UNEXPECTED: Problem = Problem(
    "{} is expected",
    "Write it as the OpenAPI 3.0 specification and docs/openapi.md have it.",
);
pub(crate) const MISSING: Problem = Problem(
    "`{}` is missing",
    "Add it, as the OpenAPI 3.0 specification has it.",
);
pub(crate) const MISPLACED: Problem = Problem(
    "`{}` has no meaning here",
    "Move it where docs/openapi.md has it.",
);
pub(crate) const NEARLY: Problem = Problem(
    "unknown extension; did you mean `{}`?",
    "Correct it, or give it another name.",
);
pub(crate) const LOST: Problem = Problem(
    "the reference {} leads nowhere",
    "Define what it names in this document, or correct it.",
);
pub(crate) const UNNAMED: Problem = Problem(
    "the reference {} leads to no schema",
    "Put what it names under `components/schemas`.",
);

// Operations.
pub(crate) const NO_METHOD: Problem = Problem(
    "cannot derive a method name from the operationId `{}`",
    "Give the operation an `operationId` with letters.",
);
pub(crate) const OTHER_METHOD: Problem = Problem(
    "no method is generated for {} requests",
    "Send it by `Client::request`.",
);
pub(crate) const NO_TEMPLATE: Problem = Problem(
    "a segment of the path {} is neither a name nor one parameter",
    "Send it by `Client::request`, or describe a path whose parameters are whole segments.",
);
pub(crate) const NO_PARAMETER: Problem = Problem(
    "the path's parameter `{}` is not described",
    "Describe it under `parameters` with `in: path`.",
);
pub(crate) const NOT_IN_PATH: Problem = Problem(
    "the parameter `{}` is not in the path",
    "Write it there in braces, or remove it.",
);
pub(crate) const COOKIE: Problem = Problem(
    "`{}` is a required cookie",
    "Send it by `Client::request`, or describe a header.",
);
pub(crate) const NO_SCALAR: Problem = Problem(
    "`{}` is not a string, number, boolean or enum",
    "Describe it as one of these; in a query also as a list of them.",
);
pub(crate) const OTHER_STYLE: Problem = Problem(
    "the parameter's `style: {}` is not understood",
    "Describe it with the default style of its place.",
);
pub(crate) const UNCHECKED: Problem = Problem(
    "`{}` would be sent without validation",
    "Give its schema `format: e164` if it is a phone number; if not, any other `format`, or a \
     `pattern`.",
);
pub(crate) const BODY_OF_GET: Problem = Problem(
    "a {} request has no body",
    "Describe parameters of the query, or another method.",
);
pub(crate) const NO_JSON: Problem = Problem(
    "its content is not JSON",
    "Describe it as `application/json`.",
);
pub(crate) const NO_SUCCESS: Problem = Problem("no 2xx response", "Describe its 2xx response.");
pub(crate) const TWO_ANSWERS: Problem = Problem(
    "its 2xx responses have different schemas",
    "Describe one schema for all that have a body.",
);
pub(crate) const ALL_NULL: Problem = Problem(
    "a top-level value must not be nullable",
    "Remove `nullable`.",
);
pub(crate) const NO_OPERATION: Problem = Problem(
    "no operation has the method name `{}`",
    "Describe it: the crate's own `Client` has a method for it.",
);
pub(crate) const OTHER_SIGNATURE: Problem = Problem(
    "{}",
    "Describe the operation so; the crate's own `Client` calls it.",
);
pub(crate) const NO_SCHEMA: Problem = Problem(
    "no schema becomes the type `{}`",
    "Describe it under `components/schemas`: the crate exports it.",
);

// Schemas.
pub(crate) const ENDLESS: Problem = Problem(
    "the schema {} contains itself",
    "Let a property of an object refer to it, and nothing else.",
);
pub(crate) const TOO_MUCH: Problem = Problem(
    "too many properties or values in {}",
    "Remove those that are less used.",
);
pub(crate) const DEEP: Problem = Problem("{} is nested too deep", "Make it flatter.");
pub(crate) const LONG_CHAIN: Problem = Problem(
    "its types contain each other over {} levels, too many for rustc",
    "Make the deepest of them a free object, `type: object` without properties.",
);
pub(crate) const NOT_ALIKE: Problem = Problem(
    "`{}` is described twice and differently",
    "Describe it once.",
);
pub(crate) const NO_PROPERTY: Problem =
    Problem("`{}` is required and not described", "Describe it.");
pub(crate) const NO_OBJECT: Problem = Problem(
    "`{}` of something else than plain objects",
    "Describe one object with all properties.",
);
pub(crate) const NO_SCALARS: Problem = Problem(
    "`{}` of something else than scalars of different types",
    "Describe one schema, or such scalars, or `{}` for any value.",
);
pub(crate) const NO_LIMIT: Problem = Problem(
    "`{}` would not be checked for one alternative alone",
    "Remove it, for the server to check.",
);
pub(crate) const NO_NUMBER: Problem = Problem(
    "{} is not a number that can be compared",
    "Remove it, for the server to check.",
);
pub(crate) const NO_PATTERN: Problem = Problem(
    "the pattern is not understood: {}",
    "Write it by what docs/openapi.md lists, or remove it, for the server to check.",
);
pub(crate) const NO_TEXT: Problem = Problem(
    "the value {} of a string is not a string",
    "Put it in quotation marks.",
);
pub(crate) const NO_VALUE: Problem = Problem(
    "the list of values is empty",
    "Remove `enum`, or list a value.",
);
pub(crate) const NULL: Problem = Problem(
    "null is listed and not allowed",
    "Add `nullable: true`, or remove null.",
);
pub(crate) const GUARD: Problem = Problem(
    "`{}` is for plain strings",
    "Remove it, or what stands beside it.",
);
pub(crate) const SECRET: Problem = Problem(
    "`{}` sounds like a secret and would be a plain string",
    "Give it `format: password`, or `x-loggable: true` if it is harmless.",
);
