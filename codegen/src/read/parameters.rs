//! Reads the parameters of an operation.
//!
//! | `in` | becomes |
//! |---|---|
//! | `path` | an argument each |
//! | `query` | one object, a type that is named by the operation |
//! | `header`, required | an argument each |
//! | `header`, `cookie`, not required | nothing: `Call::header` sets them |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{HEADERS, Operation, Reader, end, matches};
use crate::{
    check::{PARAMETER, check},
    failure::{
        COOKIE, Failure, NO_PARAMETER, NO_SCALAR, NO_TEMPLATE, NOT_IN_PATH, OTHER_STYLE, Result,
        UNCHECKED, UNEXPECTED, ensure, need,
    },
    names::{self, Scope},
    schema::{items, target, text},
    texts::tidy,
};

/// A parameter that is an argument of the method.
pub struct Parameter<'d> {
    pub name: &'d str,
    /// Name of the argument.
    pub argument: String,
    pub schema: Value,
}

/// A parameter as it is described, and its place.
type Described<'d> = (&'d Value, String);

/// Pattern of a path whose segments are names or parameters in braces.
const PATH: &str = r"(/(\{[^/{}]+\}|[\w~!$&'()+,;=@-][\w.~!$&'()*+,;=:@-]*))+/?";
const SCALARS: [&str; 4] = ["string", "integer", "number", "boolean"];

#[derive(Default)]
pub struct Parameters<'d> {
    path: BTreeMap<&'d str, Described<'d>>,
    /// In the order of the document.
    query: Vec<(&'d str, Described<'d>)>,
    headers: Vec<(&'d str, Described<'d>)>,
}

impl<'d> Parameters<'d> {
    /// Reads the parameters of the owners; later ones take precedence.
    pub fn read(
        reader: &mut Reader<'d>,
        operation: &mut Operation<'d>,
        owners: [(&str, &'d Value); 2],
    ) -> Result<()> {
        let mut parameters = Self::default();
        for (at, owner) in owners {
            for (index, parameter) in items(&owner["parameters"]).enumerate() {
                let at = format!("{at}/parameters/{index}");
                let (parameter, at) = end(reader.root, parameter, at)?;
                parameters.add(reader, parameter, at)?;
            }
        }
        let mut scope = Scope::with(["body", "query", "self"].map(ToOwned::to_owned));
        reader.path(operation, parameters.path, &mut scope)?;
        reader.headers(operation, parameters.headers, &mut scope)?;
        reader.query(operation, &parameters.query)
    }

    fn add(&mut self, reader: &Reader, parameter: &'d Value, at: String) -> Result<()> {
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let required = parameter["required"] == true;
        match place {
            "header" => {
                // HTTP's own headers and the key are not arguments: the client sets them.
                let lower = name.to_ascii_lowercase();
                let ours = lower == reader.key.header || lower == "authorization";
                if !required || ours || matches(HEADERS, &lower) {
                    return Ok(());
                }
            }
            "cookie" => return ensure(!required, &at, COOKIE, name),
            "path" => ensure(required, &format!("{at}/required"), UNEXPECTED, "true")?,
            _ => ensure(
                place == "query",
                &at,
                UNEXPECTED,
                "`in: path`, `query` or `header`",
            )?,
        }
        check(PARAMETER, parameter, &at)?;
        let default = if place == "query" { "form" } else { "simple" };
        let style = parameter["style"].as_str().unwrap_or(default);
        ensure(style == default, &at, OTHER_STYLE, style)?;
        match place {
            "path" => drop(self.path.insert(name, (parameter, at))),
            "query" => replace(&mut self.query, name, (parameter, at)),
            _ => replace(&mut self.headers, name, (parameter, at)),
        }
        Ok(())
    }
}

fn replace<'d>(list: &mut Vec<(&'d str, Described<'d>)>, name: &'d str, new: Described<'d>) {
    match list.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = new,
        None => list.push((name, new)),
    }
}

impl<'d> Reader<'d> {
    fn path(
        &mut self,
        operation: &mut Operation<'d>,
        mut described: BTreeMap<&'d str, Described<'d>>,
        scope: &mut Scope,
    ) -> Result<()> {
        let (id, path) = (operation.id, operation.path);
        ensure(matches(PATH, path), &operation.at, NO_TEMPLATE, path)?;
        for segment in path.split('/').filter(|segment| segment.starts_with('{')) {
            let name = segment.trim_matches(['{', '}']);
            let described = described.remove(name);
            let (parameter, at) = need(described, &operation.at, NO_PARAMETER, name)?;
            let (name, schema) = self.scalar(id, name, &(parameter, at.clone()))?;
            let target = target(&self.schemas.types, &schema);
            let is_text = target["type"] == "string" && target["format"] != "password";
            let fits = is_text || target["type"] == "integer";
            ensure(fits, &at, UNEXPECTED, "a string, an integer or an enum")?;
            let guards = ["enum", "pattern", "format"].iter();
            let guarded = !sounds_like_a_number(name)
                || !parameter["schema"]["format"].is_null()
                || guards.into_iter().any(|guard| !target[*guard].is_null());
            ensure(guarded, &at, UNCHECKED, name)?;
            let argument = scope.take(&names::value(name, "parameter"), "_");
            operation.parameters.push(Parameter {
                name,
                argument,
                schema,
            });
        }
        match described.into_iter().next() {
            Some((name, (_, at))) => Err(Failure::at(&at, NOT_IN_PATH, name)),
            None => Ok(()),
        }
    }

    fn headers(
        &mut self,
        operation: &mut Operation<'d>,
        described: Vec<(&'d str, Described<'d>)>,
        scope: &mut Scope,
    ) -> Result<()> {
        for (name, described) in described {
            let at = &described.1;
            let usable = matches(r"[\w!#$%&'*+.^`|~-]+", name);
            ensure(usable, at, UNEXPECTED, "the name of a header")?;
            let (name, schema) = self.scalar(operation.id, name, &described)?;
            let target = target(&self.schemas.types, &schema);
            let fits = target["type"].is_string() && target["format"] != "password";
            ensure(fits, at, NO_SCALAR, name)?;
            let argument = scope.take(&names::value(name, "header"), "_");
            operation.headers.push(Parameter {
                name,
                argument,
                schema,
            });
        }
        Ok(())
    }

    /// Combines the query parameters into one object: `ListCalls` for `listCalls`.
    fn query(
        &mut self,
        operation: &mut Operation<'d>,
        described: &[(&'d str, Described<'d>)],
    ) -> Result<()> {
        if described.is_empty() {
            return Ok(());
        }
        let own = names::type_name(operation.id);
        let is_known = |name: &String| self.schemas.components.contains_key(name);
        let name = if is_known(&own) {
            format!("{own}Query")
        } else {
            own
        };
        let mut query =
            json!({ "type": "object", "properties": {}, "x-order": [], "required": [] });
        query["description"] = format!("The query of `{}`.", operation.name).into();
        for (parameter, described) in described {
            let (node, at) = described;
            let mut schema = self.schemas.all(
                &node["schema"],
                &names::type_name(&format!("{name}-{parameter}")),
                &format!("{at}/schema"),
            )?;
            let used = target(&self.schemas.types, &schema);
            let is_list = used["type"] == "array";
            let value = if is_list {
                target(&self.schemas.types, &used["items"])
            } else {
                used
            };
            let is_scalar = value["type"].is_array() || SCALARS.contains(&text(&value["type"]));
            ensure(is_scalar, at, NO_SCALAR, parameter)?;
            if is_list && node["explode"] == false {
                operation.joined.push(parameter);
            }
            if let Some(keywords) = schema.as_object_mut() {
                keywords.remove("nullable"); // a query has no null
            }
            if let Some(text) = node["description"].as_str() {
                schema["description"] = tidy(text).into();
            }
            query["properties"][*parameter] = schema;
            push(&mut query["x-order"], parameter);
            if node["required"] == true {
                push(&mut query["required"], parameter);
            }
        }
        let name = self.schemas.define(&name, query, &operation.at)?;
        operation.query = Some(json!({ "$ref": name }));
        Ok(())
    }

    /// Reads the schema of a parameter that is an argument.
    fn scalar(
        &mut self,
        id: &str,
        name: &'d str,
        described: &Described<'d>,
    ) -> Result<(&'d str, Value)> {
        let (parameter, at) = described;
        let type_name = format!("{id}-{name}");
        let schema = self.used(&parameter["schema"], &type_name, &format!("{at}/schema"))?;
        let ty = &target(&self.schemas.types, &schema)["type"];
        ensure(SCALARS.contains(&text(ty)), at, NO_SCALAR, name)?;
        Ok((name, schema))
    }
}

fn push(list: &mut Value, name: &str) {
    list.as_array_mut()
        .into_iter()
        .for_each(|list| list.push(name.into()));
}

/// Returns whether a name is like `phone`, `phoneNumber` or `from_phone`, but not `phoneNumberId`.
fn sounds_like_a_number(name: &str) -> bool {
    let name = name.to_lowercase().replace(['_', '-'], "");
    name.contains("phone") && (name.ends_with("phone") || name.ends_with("number"))
}
