//! Why the build stops: one line with the reason, the place and what to do about it.

/// What a pass comes to.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why the build stops.
#[derive(Debug, Clone)]
pub struct Failure {
    step: &'static str,
    reason: String,
    /// A JSON pointer; nothing if it is the whole document.
    place: String,
    remedy: String,
}

impl Failure {
    /// A failure of this step, about the whole document.
    #[must_use]
    pub fn new(step: &'static str, reason: String, remedy: &str) -> Self {
        Self {
            step,
            reason,
            place: String::new(),
            remedy: remedy.to_owned(),
        }
    }

    /// What the generator does not support.
    #[allow(clippy::needless_pass_by_value, reason = "so `map_err` calls it")]
    pub fn unsupported(reason: impl ToString) -> Self {
        let remedy = "Simplify what the reason names; the generator does not support it.";
        Self::new("generate the client", reason.to_string(), remedy)
    }

    /// For what a check found, by one of the texts below.
    pub(crate) fn at(place: &str, text: &str, what: &str) -> Self {
        let (reason, remedy) = text.split_once(" | ").unwrap_or((text, ""));
        let place = place.to_owned();
        let failure = Self::new("check the document", reason.replace("{}", what), remedy);
        Self { place, ..failure }
    }

    /// For what the generator does not write as it did.
    pub(crate) fn changed(reason: String) -> Self {
        let remedy = "The generator has changed: compare codegen/src/types.rs and codegen/src/url.rs with what it writes.";
        Self::new("complete the client", reason, remedy)
    }

    /// One line, as a directive for cargo has no more.
    #[must_use]
    pub fn line(&self, file: &str) -> String {
        // The generator may print a whole syntax tree.
        let texts = [file, &self.reason, &self.place, &self.remedy];
        let [file, reason, place, remedy] = texts.map(|text| short(text, 300));
        let at = if place.is_empty() { "" } else { " at " };
        let step = self.step;
        format!("{file}: cannot {step}: {reason}{at}{place}. {remedy}")
    }
}

pub(crate) fn ensure(is_so: bool, place: &str, text: &str, what: &str) -> Result<()> {
    need(is_so.then_some(()), place, text, what)
}

pub(crate) fn need<T>(value: Option<T>, place: &str, text: &str, what: &str) -> Result<T> {
    value.ok_or_else(|| Failure::at(place, text, what))
}

/// Refuses what was found, if anything was.
pub(crate) fn refuse(found: Option<&str>, place: &str, text: &str) -> Result<()> {
    ensure(found.is_none(), place, text, found.unwrap_or_default())
}

/// On one line, and of at most so many characters.
fn short(text: &str, most: usize) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.replace_range(end.., "…");
    }
    text
}

// The reason, in which `{}` stands for what is in question, and what to do about it.
pub(crate) const VERSION: &str = "its version is `{}` | Write it as OpenAPI 3.0.3.";
pub(crate) const UNKNOWN: &str = "`{}` is not understood here | Take it out, or describe the same by what docs/openapi.md lists.";
pub(crate) const UNEXPECTED: &str =
    "{} is expected | Write it as the OpenAPI 3.0 specification and docs/openapi.md have it.";
pub(crate) const MISSING: &str =
    "`{}` is missing | Write it as the OpenAPI 3.0 specification has it.";
pub(crate) const MISPLACED: &str =
    "`{}` means nothing here | Move it where docs/openapi.md has it.";
pub(crate) const CODE: &str =
    "`{}` would change the code | Take it out: a document describes the API.";
pub(crate) const NEARLY: &str =
    "this is nearly, but not `{}` | Correct it, or call it something else.";
pub(crate) const LOST: &str =
    "the reference {} leads nowhere | Define what it names in this document, or correct it.";
pub(crate) const UNNAMED: &str =
    "the reference {} leads to no schema | Put what it names under `components/schemas`.";
pub(crate) const ENDLESS: &str =
    "the schema {} contains itself | Let a property of an object refer to it, and nothing else.";
pub(crate) const TOO_MUCH: &str = "{} properties or values are too many | Leave the less used out.";
pub(crate) const DEEP: &str = "{} is nested too deep | Make it flatter.";
pub(crate) const NO_TYPE: &str = "no type can be called `{}` | Rename it.";
pub(crate) const NO_FIELD: &str = "no field can be called `{}` | Rename it.";
pub(crate) const NO_ARGUMENT: &str = "no argument of its own can be called `{}` | Rename it.";
pub(crate) const NO_METHOD: &str =
    "no method of its own can be called `{}` | Give the operation another `operationId`.";
pub(crate) const NO_VARIANT: &str =
    "no variant of its own can be called `{}` | Take the list out, and leave it to the server.";
pub(crate) const TWO_TYPES: &str = "two schemas become the type `{}` | Rename one of them.";
pub(crate) const TWO_FIELDS: &str = "two properties become the field `{}` | Rename one of them.";
pub(crate) const NOT_ALIKE: &str = "`{}` is described twice and not alike | Describe it once.";
pub(crate) const NO_PROPERTY: &str = "`{}` is required and not described | Describe it.";
pub(crate) const NO_OBJECT: &str =
    "`{}` of something else than plain objects | Describe them as objects, or in one place.";
pub(crate) const NO_SCALARS: &str =
    "`{}` of something else than scalars of different types | Describe one, or such scalars.";
pub(crate) const NO_LIMIT: &str =
    "`{}` would not be checked for one alternative alone | Take it out, for the server to check.";
pub(crate) const NO_NUMBER: &str =
    "{} is no number that could be checked | Leave it to the server.";
pub(crate) const NO_PATTERN: &str = "the pattern is not understood: {} | Write it as an ECMAScript regular expression that looks neither around nor back.";
pub(crate) const NULL: &str =
    "null is listed and not allowed | Say `nullable: true`, or take it out.";
pub(crate) const GUARD: &str = "`{}` is of plain texts | Take one of the two out.";
pub(crate) const SECRET: &str = "`{}` sounds like a secret and would be a plain text | \
     Give it `format: password`, or `x-loggable: true` if it is harmless.";
pub(crate) const UNCHECKED: &str =
    "`{}` would be sent without validation | Give its schema `format: e164`.";
pub(crate) const REPEATS: &str = "no operation that answers so has the parameter `{}` | \
     Name a parameter of the path.";
pub(crate) const NO_SCHEMA: &str = "it has no schema `{}` | Describe it: src/ names it.";
pub(crate) const NO_OPERATION: &str =
    "it has no operation whose method would be `{}` | Describe it: src/client.rs calls it.";
pub(crate) const ANOTHER: &str =
    "{} | Describe the operation so, or change the method in src/client.rs.";
pub(crate) const NO_SERVER: &str =
    "{} is no plain https address | Name the server under `servers`: `https://` and a host.";
pub(crate) const SERVERS: &str = "it is not at {} as the others | Give all operations one server.";
pub(crate) const NO_KEY: &str = "`security` asks for no key in a header alone | \
     Describe the key as `type: apiKey` and `in: header`, and name it under `security`.";
pub(crate) const NO_HEADER: &str =
    "no key can be sent as `{}` | Name the header that it is read from.";
pub(crate) const OTHER_KEY: &str =
    "it asks for something else than `{}` | Secure all operations alike.";
pub(crate) const NO_TEMPLATE: &str =
    "the path {} cannot be filled in | Let a segment be a name, or a parameter in braces.";
pub(crate) const NOT_PATH: &str =
    "`{}` is no part of the path | Take it out: other parameters are not sent.";
pub(crate) const NOT_IN_PATH: &str = "`{}` has no place in the path | Write it there in braces.";
pub(crate) const NO_JSON: &str = "it is no JSON | Describe it as `application/json`.";
pub(crate) const ALL_NULL: &str = "null would be all of it | Take `nullable` out.";
pub(crate) const NO_SUCCESS: &str = "it has no success | Describe its 2xx response.";
pub(crate) const TWO_ANSWERS: &str =
    "its successes have different schemas | Describe one schema for every 2xx response.";
