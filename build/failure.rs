//! Why the build stops: one line with the reason, the place and what to do about it.

pub type Result<T> = std::result::Result<T, Failure>;

#[derive(Debug, Clone)]
pub struct Failure {
    step: &'static str,
    reason: String,
    /// A JSON pointer; nothing if it is the whole document.
    place: String,
    remedy: String,
}

impl Failure {
    pub fn new(step: &'static str, reason: String, remedy: &str) -> Self {
        Self {
            step,
            reason,
            place: String::new(),
            remedy: remedy.to_owned(),
        }
    }

    /// For what a check found, by one of the texts below.
    pub fn at(place: &str, text: &str, what: &str) -> Self {
        let (reason, remedy) = text.split_once(" | ").unwrap_or((text, ""));
        let place = place.to_owned();
        let failure = Self::new("check the document", reason.replace("{}", what), remedy);
        Self { place, ..failure }
    }

    /// For what the generator does not write as it did.
    pub fn changed(reason: String) -> Self {
        let remedy = "The generator has changed: compare build/types.rs and build/url.rs with what it writes.";
        Self::new("complete the client", reason, remedy)
    }

    /// One line, as a directive for cargo has no more.
    pub fn line(&self, file: &str) -> String {
        // The generator may print a whole syntax tree.
        let texts = [file, &self.reason, &self.place, &self.remedy];
        let [file, reason, place, remedy] = texts.map(|text| short(text, 300));
        let at = if place.is_empty() { "" } else { " at " };
        let step = self.step;
        format!("{file}: cannot {step}: {reason}{at}{place}. {remedy}")
    }
}

pub fn ensure(is_so: bool, place: &str, text: &str, what: &str) -> Result<()> {
    need(is_so.then_some(()), place, text, what)
}

pub fn need<T>(value: Option<T>, place: &str, text: &str, what: &str) -> Result<T> {
    value.ok_or_else(|| Failure::at(place, text, what))
}

/// Refuses what was found, if anything was.
pub fn refuse(found: Option<&str>, place: &str, text: &str) -> Result<()> {
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
pub const VERSION: &str = "its version is `{}` | Write it as OpenAPI 3.0.3.";
pub const UNKNOWN: &str = "`{}` is not understood here | Take it out, or describe the same by what docs/openapi.md lists.";
pub const UNEXPECTED: &str =
    "{} is expected | Write it as the OpenAPI 3.0 specification and docs/openapi.md have it.";
pub const MISSING: &str = "`{}` is missing | Write it as the OpenAPI 3.0 specification has it.";
pub const MISPLACED: &str = "`{}` means nothing here | Move it where docs/openapi.md has it.";
pub const CODE: &str = "`{}` would change the code | Take it out: a document describes the API.";
pub const NEARLY: &str = "this is nearly, but not `{}` | Correct it, or call it something else.";
pub const LOST: &str =
    "the reference {} leads nowhere | Define what it names in this document, or correct it.";
pub const UNNAMED: &str =
    "the reference {} leads to no schema | Put what it names under `components/schemas`.";
pub const ENDLESS: &str =
    "the schema {} contains itself | Let a property of an object refer to it, and nothing else.";
pub const TOO_MUCH: &str = "{} properties or values are too many | Leave the less used out.";
pub const DEEP: &str = "{} is nested too deep | Make it flatter.";
pub const NO_TYPE: &str = "no type can be called `{}` | Rename it.";
pub const NO_FIELD: &str = "no field can be called `{}` | Rename it.";
pub const NO_ARGUMENT: &str = "no argument of its own can be called `{}` | Rename it.";
pub const NO_METHOD: &str =
    "no method of its own can be called `{}` | Give the operation another `operationId`.";
pub const NO_VARIANT: &str =
    "no variant of its own can be called `{}` | Take the list out, and leave it to the server.";
pub const TWO_TYPES: &str = "two schemas become the type `{}` | Rename one of them.";
pub const TWO_FIELDS: &str = "two properties become the field `{}` | Rename one of them.";
pub const NOT_ALIKE: &str = "`{}` is described twice and not alike | Describe it once.";
pub const NO_PROPERTY: &str = "`{}` is required and not described | Describe it.";
pub const NO_OBJECT: &str =
    "`{}` of something else than plain objects | Describe them as objects, or in one place.";
pub const NO_SCALARS: &str =
    "`{}` of something else than scalars of different types | Describe one, or such scalars.";
pub const NO_LIMIT: &str =
    "`{}` would not be checked for one alternative alone | Take it out, for the server to check.";
pub const NO_NUMBER: &str = "{} is no number that could be checked | Leave it to the server.";
pub const NO_PATTERN: &str = "the pattern is not understood: {} | Write it as an ECMAScript regular expression that looks neither around nor back.";
pub const NULL: &str = "null is listed and not allowed | Say `nullable: true`, or take it out.";
pub const GUARD: &str = "`{}` is of plain texts | Take one of the two out.";
pub const SECRET: &str = "`{}` sounds like a secret and would be a plain text | \
     Give it `format: password`, or `x-loggable: true` if it is harmless.";
pub const UNCHECKED: &str =
    "`{}` would be sent without validation | Give its schema `format: e164`.";
pub const REPEATS: &str = "no operation that answers so has the parameter `{}` | \
     Name a parameter of the path.";
pub const NO_SCHEMA: &str = "it has no schema `{}` | Describe it: src/ names it.";
pub const NO_OPERATION: &str =
    "it has no operation whose method would be `{}` | Describe it: src/client.rs calls it.";
pub const ANOTHER: &str = "{} | Describe the operation so, or change the method in src/client.rs.";
pub const NO_SERVER: &str =
    "{} is no plain https address | Name the server under `servers`: `https://` and a host.";
pub const SERVERS: &str = "it is not at {} as the others | Give all operations one server.";
pub const NO_KEY: &str = "`security` asks for no key in a header alone | \
     Describe the key as `type: apiKey` and `in: header`, and name it under `security`.";
pub const NO_HEADER: &str = "no key can be sent as `{}` | Name the header that it is read from.";
pub const OTHER_KEY: &str = "it asks for something else than `{}` | Secure all operations alike.";
pub const NO_TEMPLATE: &str =
    "the path {} cannot be filled in | Let a segment be a name, or a parameter in braces.";
pub const NOT_PATH: &str =
    "`{}` is no part of the path | Take it out: other parameters are not sent.";
pub const NOT_IN_PATH: &str = "`{}` has no place in the path | Write it there in braces.";
pub const NO_JSON: &str = "it is no JSON | Describe it as `application/json`.";
pub const ALL_NULL: &str = "null would be all of it | Take `nullable` out.";
pub const NO_SUCCESS: &str = "it has no success | Describe its 2xx response.";
pub const TWO_ANSWERS: &str =
    "its successes have different schemas | Describe one schema for every 2xx response.";
