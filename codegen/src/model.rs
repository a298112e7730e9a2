//! Facts about a document that are computed once: the direction of each schema, the secrets, the
//! loggable values and the limits.

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

/// Facts about a document that are computed once.
pub struct Model<'d> {
    pub(crate) document: &'d Document<'d>,
    pub(crate) in_requests: BTreeSet<&'d str>,
    in_responses: BTreeSet<&'d str>,
    /// Types that have a limit, directly or in a type that they refer to.
    limited: BTreeSet<&'d str>,
    /// Types that refer to themselves, directly or through other types, or to such a type.
    pub(crate) circular: BTreeSet<&'d str>,
}

/// The types that each type refers to.
type Graph<'d> = BTreeMap<&'d str, BTreeSet<&'d str>>;

pub fn is_secret(schema: &Value) -> bool {
    schema["format"] == "password"
}

/// Returns the schemas of the values in a list or a map.
pub fn inner(schema: &Value) -> impl Iterator<Item = &Value> {
    let inner = [&schema["items"], &schema["additionalProperties"]];
    inner.into_iter().filter(|inner| inner.is_object())
}

/// Returns the schemas that a schema is made of.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let properties = properties(schema).map(|(_, schema)| schema);
    properties.chain(inner(schema))
}

/// Returns the names of the types that a schema itself refers to.
pub fn referred(schema: &Value) -> BTreeSet<&str> {
    let own = schema["$ref"].as_str().into_iter();
    own.chain(parts(schema).flat_map(referred)).collect()
}

impl<'d> Model<'d> {
    /// Computes the facts about a document.
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

    /// Returns the target of a reference, and any other schema itself.
    pub(crate) fn target<'s>(&'s self, schema: &'s Value) -> &'s Value {
        target(&self.document.types, schema)
    }

    /// Returns whether a flag is set at a schema, or at the schema that it refers to.
    pub(crate) fn has_flag(&self, schema: &Value, keyword: &str) -> bool {
        schema[keyword] == true || self.target(schema)[keyword] == true
    }

    /// Returns whether the document marks it as loggable.
    pub(crate) fn is_shown(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        self.has_flag(schema, "x-loggable") || items.is_object() && self.is_shown(items)
    }

    /// Returns whether its `Debug` may be shown: it is loggable, or a type or a list of types, whose
    /// own `Debug` redacts the rest.
    pub(crate) fn is_debug(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        let is_type = schema["$ref"].is_string();
        is_type || self.is_shown(schema) || items.is_object() && self.is_debug(items)
    }

    /// Returns the properties that are always present in this direction.
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

    /// Returns whether a schema has a limit, itself or in a schema below it.
    pub(crate) fn is_limited(&self, schema: &Value, direction: Direction) -> bool {
        let limited = |name: &str| self.limited.contains(name);
        schema["$ref"].as_str().is_some_and(limited)
            || !limits::of(self.target(schema), direction).is_empty()
            || parts(schema).any(|part| self.is_limited(part, direction))
    }
}

/// Returns these types, and all types that are reachable from them.
fn reachable<'d>(graph: &Graph<'d>, from: impl Iterator<Item = &'d str>) -> BTreeSet<&'d str> {
    let (mut left, mut reached) = (from.collect::<Vec<_>>(), BTreeSet::new());
    while let Some(name) = left.pop() {
        if reached.insert(name) {
            left.extend(graph.get(name).into_iter().flatten());
        }
    }
    reached
}

/// Returns whether a type refers to itself, directly or through others, or to such a type. A type
/// that is still being visited counts as circular.
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
