//! What matters of a document, decided once: which way a schema travels, what is secret, what may
//! be shown, and where limits are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    limits,
    read::{Document, Operation},
    schema::{properties, target, texts},
};

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
    limited: BTreeSet<&'d str>,
    /// The types that lead to themselves, or to one that does.
    pub(crate) circular: BTreeSet<&'d str>,
}

/// What leads on from each type.
type Graph<'d> = BTreeMap<&'d str, BTreeSet<&'d str>>;

pub fn is_secret(schema: &Value) -> bool {
    schema["format"] == "password"
}

/// What is in a list or a map.
pub fn inner(schema: &Value) -> impl Iterator<Item = &Value> {
    let inner = [&schema["items"], &schema["additionalProperties"]];
    inner.into_iter().filter(|inner| inner.is_object())
}

/// The schemas that a schema is made of.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let properties = properties(schema).map(|(_, schema)| schema);
    properties.chain(inner(schema))
}

/// The names of the types that a schema refers to itself.
pub fn referred(schema: &Value) -> BTreeSet<&str> {
    let own = schema["$ref"].as_str().into_iter();
    own.chain(parts(schema).flat_map(referred)).collect()
}

impl<'d> Model<'d> {
    /// Decides what matters.
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

    /// Whether a flag is set at a schema, or at what it refers to.
    pub(crate) fn has_flag(&self, schema: &Value, keyword: &str) -> bool {
        schema[keyword] == true || self.target(schema)[keyword] == true
    }

    /// Whether the document says that it may appear in logs.
    pub(crate) fn is_shown(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        self.has_flag(schema, "x-loggable") || items.is_object() && self.is_shown(items)
    }

    /// Whether its `Debug` may be shown: it is loggable, or a type, or a list of types, which hide
    /// by themselves what is not.
    pub(crate) fn is_debug(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        let is_type = schema["$ref"].is_string();
        is_type || self.is_shown(schema) || items.is_object() && self.is_debug(items)
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

    /// Whether anything here or below has a limit.
    pub(crate) fn is_limited(&self, schema: &Value, direction: Direction) -> bool {
        let limited = |name: &str| self.limited.contains(name);
        schema["$ref"].as_str().is_some_and(limited)
            || !limits::of(self.target(schema), direction).is_empty()
            || parts(schema).any(|part| self.is_limited(part, direction))
    }
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
