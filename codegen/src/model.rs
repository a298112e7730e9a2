//! What the wrapper and the fake must know of the operations. The one place that says what is
//! secret, what may be shown, and which way a schema travels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    emit::limits,
    failure::{ANOTHER, MISPLACED, NO_OPERATION, REPEATS, Result, SECRET, ensure, need, refuse},
    read::{Document, Operation},
    schema::{properties, target, texts},
    wrapper::Method,
};

/// What `format: e164` asks of a text.
pub const E164: &str = r"^\+[1-9][0-9]{6,14}$";

#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    Request,
    Response,
    Both,
}

/// What matters of a document.
pub struct Model<'d> {
    pub(crate) document: &'d Document<'d>,
    pub(crate) in_requests: BTreeSet<&'d str>,
    in_responses: BTreeSet<&'d str>,
    /// The types in which, or below which, something has a limit.
    pub(crate) limited: BTreeSet<&'d str>,
    /// The types that lead to themselves, or to one that does.
    pub(crate) circular: BTreeSet<&'d str>,
}

/// What leads on from each type.
type Graph<'d> = BTreeMap<&'d str, BTreeSet<&'d str>>;

pub fn is_secret(schema: &Value) -> bool {
    schema["format"] == "password"
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["password", "secret", "token", "credential"];
    words.iter().any(|word| name.contains(word))
}

/// What is in a list or a map.
fn inner(schema: &Value) -> impl Iterator<Item = &Value> {
    let inner = [&schema["items"], &schema["additionalProperties"]];
    inner.into_iter().filter(|inner| inner.is_object())
}

/// The schemas that a schema is made of.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let properties = properties(schema).map(|(_, schema)| schema);
    properties.chain(inner(schema))
}

/// Refuses a mark that is for properties.
fn repeats_nothing(schema: &Value, at: &str) -> Result<()> {
    let mark = Some("x-repeats").filter(|mark| schema[mark].is_string());
    refuse(mark, at, MISPLACED)?;
    inner(schema).try_for_each(|inner| repeats_nothing(inner, at))
}

impl<'d> Model<'d> {
    /// Finds out which way each schema travels.
    #[must_use]
    pub fn new(document: &'d Document<'d>) -> Self {
        let (mut below, mut above) = (Graph::new(), Graph::new());
        for (name, schema) in &document.types {
            let names = referred(schema);
            for below in &names {
                above.entry(*below).or_default().insert(name);
            }
            below.insert(name, names);
        }
        let operations = || document.operations.iter();
        let sent = operations().flat_map(Operation::sent).flat_map(referred);
        let received = operations().flat_map(|operation| &operation.answer);
        let mut model = Self {
            document,
            in_requests: reachable(&below, sent),
            in_responses: reachable(&below, received.flat_map(referred)),
            limited: BTreeSet::new(),
            circular: BTreeSet::new(),
        };
        let is_limited =
            |name: &&&str| model.is_limited(&document.types[**name], model.direction(name));
        model.limited = reachable(&above, model.in_requests.iter().filter(is_limited).copied());
        let mut known = BTreeMap::new();
        for name in below.keys() {
            is_circular(&below, name, &mut known);
        }
        let circular = known.into_iter().filter(|(_, is_so)| *is_so);
        model.circular = circular.map(|(name, _)| name).collect();
        model
    }

    pub(crate) fn direction(&self, name: &str) -> Direction {
        match (
            self.in_requests.contains(name),
            self.in_responses.contains(name),
        ) {
            (true, true) => Direction::Both,
            (true, false) => Direction::Request,
            (false, _) => Direction::Response,
        }
    }

    /// What a reference leads to; anything else is itself.
    pub(crate) fn target<'s>(&'s self, schema: &'s Value) -> &'s Value {
        target(&self.document.types, schema)
    }

    /// Whether something is said of a schema, or of what it refers to.
    pub(crate) fn has_flag(&self, schema: &Value, keyword: &str) -> bool {
        schema[keyword] == true || self.target(schema)[keyword] == true
    }

    /// Whether the document says that it may appear in logs.
    pub(crate) fn is_shown(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        self.has_flag(schema, "x-loggable") || items.is_object() && self.is_shown(items)
    }

    /// The properties that are always there in what travels this way.
    pub(crate) fn required<'s>(
        &'s self,
        object: &'s Value,
        direction: Direction,
    ) -> impl Iterator<Item = &'s str> {
        texts(&object["required"]).filter(move |name| {
            let schema = &object["properties"][name];
            let never_sent = direction != Direction::Response && self.has_flag(schema, "readOnly");
            let never_received =
                direction != Direction::Request && self.has_flag(schema, "writeOnly");
            let may_be_null = direction == Direction::Response && self.has_flag(schema, "nullable");
            !never_sent && !never_received && !may_be_null
        })
    }

    /// Refuses what would lose a guard, and a mark that means nothing.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, object) in &self.document.types {
            for (property, schema) in properties(object) {
                let at = format!("{name}.{property}");
                let plain = self.in_requests.contains(&**name) && self.is_plain(schema);
                ensure(!plain || !sounds_secret(property), &at, SECRET, property)?;
                let repeats = |parameter: &&str| !self.is_answered(name, parameter);
                let unknown = schema["x-repeats"].as_str().filter(repeats);
                refuse(unknown, &at, REPEATS)?;
                inner(schema).try_for_each(|inner| repeats_nothing(inner, &at))?;
            }
        }
        let operations = self.document.operations.iter();
        let mut uses = operations.flat_map(|operation| {
            let uses = operation.sent().chain(&operation.answer);
            uses.map(|schema| (schema, &operation.at))
        });
        uses.try_for_each(|(schema, at)| repeats_nothing(schema, at))
    }

    /// Whether it is a text without a guard, or texts in lists and maps.
    fn is_plain(&self, schema: &Value) -> bool {
        let mut value = schema;
        while let Some(inner) = inner(value).find(|_| value["properties"].is_null()) {
            value = inner;
        }
        let guarded = value["format"] == "password" || value["format"] == "e164";
        value["type"] == "string" && !guarded && !self.is_shown(schema)
    }

    /// Whether an operation with this parameter answers with this type.
    fn is_answered(&self, name: &str, parameter: &str) -> bool {
        self.document.operations.iter().any(|operation| {
            let answers = |answer: &Value| answer["$ref"] == name;
            let mut parameters = operation.parameters.iter();
            operation.answer.as_ref().is_some_and(answers)
                && parameters.any(|(name, _)| *name == parameter)
        })
    }

    /// Refuses operations that are not what the wrapper's methods call.
    pub(crate) fn compare(&self, methods: &[Method]) -> Result<()> {
        for method in methods {
            let mut operations = self.document.operations.iter();
            let described = operations.find(|known| known.name == method.operation);
            let described = need(described, "/paths", NO_OPERATION, &method.operation)?;
            let sent: Vec<_> = described.sent().map(rust_name).collect();
            let received = described.answer.as_ref().map_or("()", rust_name);
            let is = |(is, known): (&&str, &String)| {
                let alias = self.document.types.get(known);
                known.is_empty() || known == is || alias.is_some_and(|alias| alias["$ref"] == **is)
            };
            let fits = sent.len() == method.arguments.len()
                && sent.iter().zip(&method.arguments).all(is)
                && is((&received, &method.answer));
            let reason = format!(
                "`{}` is ({}) -> {received}, and `Client::{}` calls it as ({}) -> {}",
                described.id,
                sent.join(", "),
                method.name,
                method.arguments.join(", "),
                method.answer
            );
            ensure(fits, &described.at, ANOTHER, &reason)?;
        }
        Ok(())
    }

    /// Whether anything here or below has a limit.
    pub(crate) fn is_limited(&self, schema: &Value, direction: Direction) -> bool {
        let limited = |name: &str| self.limited.contains(name);
        schema["$ref"].as_str().is_some_and(limited)
            || !limits(self.target(schema), direction).is_empty()
            || parts(schema).any(|part| self.is_limited(part, direction))
    }
}

/// The names of the types that a schema refers to itself.
pub fn referred(schema: &Value) -> BTreeSet<&str> {
    let own = schema["$ref"].as_str().into_iter();
    own.chain(parts(schema).flat_map(referred)).collect()
}

/// All types that lead on from these, and these.
fn reachable<'d>(graph: &Graph<'d>, from: impl Iterator<Item = &'d str>) -> BTreeSet<&'d str> {
    let (mut left, mut reached) = (from.collect::<Vec<_>>(), BTreeSet::new());
    while let Some(name) = left.pop() {
        if reached.insert(name) {
            left.extend(graph.get(name).into_iter().flatten());
        }
    }
    reached
}

/// Whether a type leads to itself, or to one that does; so it does while that is being found out.
fn is_circular<'d>(graph: &Graph<'d>, name: &'d str, known: &mut BTreeMap<&'d str, bool>) -> bool {
    if let Some(known) = known.get(name) {
        return *known;
    }
    known.insert(name, true);
    let mut below = graph[name].iter();
    let is_so = below.any(|below| is_circular(graph, below, known));
    known.insert(name, is_so);
    is_so
}

/// The last part of the name of the type, without a reference.
fn rust_name(schema: &Value) -> &str {
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
