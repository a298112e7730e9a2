//! Reads an operation.

use serde_json::Value;

use super::{Parameter, Reader, end, matches, parameters::Parameters, server_of};
use crate::{
    check::{BODY, MEDIA, OPERATION, RESPONSE, check, escape},
    failure::{
        ALL_NULL, BODY_OF_GET, Failure, NO_JSON, NO_SUCCESS, OTHER_KEY, OTHER_METHOD, OTHER_SERVER,
        Result, TWO_ANSWERS, UNKNOWN, ensure,
    },
    names,
    schema::{entries, items, target, text},
    texts::tidy,
};

#[derive(Default)]
pub struct Operation<'d> {
    pub at: String,
    pub id: &'d str,
    /// Name of the method.
    pub name: String,
    pub method: &'static str,
    pub path: &'d str,
    /// Documentation, from the document's texts.
    pub docs: String,
    /// In the order of their places in the path.
    pub parameters: Vec<Parameter<'d>>,
    /// Schema of the query: a reference to an object of scalars and lists of scalars.
    pub query: Option<Value>,
    /// Query parameters whose lists are joined by commas.
    pub joined: Vec<&'d str>,
    /// Required headers.
    pub headers: Vec<Parameter<'d>>,
    pub body: Option<Value>,
    /// Declared media type of the body.
    pub content_type: String,
    /// True if it may be repeated after the server may have seen it.
    pub idempotent: bool,
    pub statuses: Vec<&'d str>,
    /// `None` if no success has a body.
    pub answer: Option<Value>,
    /// True if only some of its successes have a body.
    pub may_be_empty: bool,
}

impl<'d> Operation<'d> {
    pub fn new(at: String, id: &'d str, name: String, method: &'static str, path: &'d str) -> Self {
        Self {
            at,
            id,
            name,
            method,
            path,
            ..Self::default()
        }
    }

    /// Returns the schemas of all that is sent.
    pub fn sent(&self) -> impl Iterator<Item = &Value> {
        self.parameters
            .iter()
            .chain(&self.headers)
            .map(|parameter| &parameter.schema)
            .chain(&self.query)
            .chain(&self.body)
    }
}

impl<'d> Reader<'d> {
    pub fn operation(&mut self, operation: &mut Operation<'d>, item: &'d Value) -> Result<()> {
        let (at, method) = (operation.at.clone(), operation.method);
        let node = &item[method];
        check(OPERATION, node, &at)?;
        let known = !matches!(method, "options" | "trace");
        ensure(known, &at, OTHER_METHOD, &method.to_uppercase())?;
        self.secured(&node["security"], &at)?;
        let texts = [&node["summary"], &node["description"]].map(|value| tidy(text(value)));
        texts.join("\n\n").trim().clone_into(&mut operation.docs);
        operation.idempotent = !matches!(method, "post" | "patch") || node["x-idempotent"] == true;
        let item_at = at.strip_suffix(&format!("/{method}")).unwrap_or_default();
        let owners = [(&*at, node), (item_at, item), ("", self.root)];
        Parameters::read(self, operation, [owners[1], owners[0]])?;
        self.body(operation, &node["requestBody"])?;
        self.answer(operation, &node["responses"])?;
        self.check_sent(operation)?;
        let server = server_of(&owners)?;
        self.schemas.grow(3, &at)?;
        let known = self.server.get_or_insert(server.clone());
        ensure(*known == server, &at, OTHER_SERVER, known)
    }

    /// Refuses an operation that needs another key; one that needs no key accepts this one.
    fn secured(&self, security: &Value, at: &str) -> Result<()> {
        let is_ours = |name: &String| self.key.schemes.contains(name);
        let by_key = |names: &Value| {
            let mut names = entries(names).map(|(name, _)| name);
            names.next().is_none_or(is_ours) && names.next().is_none()
        };
        let own = if security.is_null() {
            &self.root["security"]
        } else {
            security
        };
        let mut alternatives = items(own).peekable();
        let secured = alternatives.peek().is_none() || alternatives.any(by_key);
        ensure(
            secured,
            &format!("{at}/security"),
            OTHER_KEY,
            &self.key.header,
        )
    }

    fn body(&mut self, operation: &mut Operation<'d>, body: &'d Value) -> Result<()> {
        if body.is_null() {
            return Ok(());
        }
        let (at, method) = (format!("{}/requestBody", operation.at), operation.method);
        let taken = !matches!(method, "get" | "head");
        ensure(taken, &at, BODY_OF_GET, &method.to_uppercase())?;
        let (body, at) = end(self.root, body, at)?;
        check(BODY, body, &at)?;
        let (declared, schema) = self.json(body, &format!("{}-body", operation.id), &at)?;
        (operation.content_type, operation.body) = (declared, Some(schema));
        Ok(())
    }

    /// Reads the 2xx responses; the client reads errors without their schemas.
    fn answer(&mut self, operation: &mut Operation<'d>, responses: &'d Value) -> Result<()> {
        let (operation_at, id) = (operation.at.clone(), operation.id);
        let successes = entries(responses).filter(|(status, _)| status.starts_with('2'));
        let mut answers = Vec::new();
        for (status, response) in successes {
            let at = format!("{operation_at}/responses/{status}");
            ensure(
                matches(r"2\d\d|2XX", status),
                &at,
                UNKNOWN,
                &format!("`{status}`"),
            )?;
            let (response, at) = end(self.root, response, at)?;
            check(RESPONSE, response, &at)?;
            let has_body = entries(&response["content"]).next().is_some();
            let body = has_body.then(|| self.json(response, &format!("{id}-response"), &at));
            answers.push(body.transpose()?.map(|(_, schema)| schema));
            operation.statuses.push(status);
        }
        ensure(!answers.is_empty(), &operation_at, NO_SUCCESS, "")?;
        let mut bodies: Vec<_> = answers.iter().flatten().cloned().collect();
        let same = bodies.iter().all(|body| *body == bodies[0]);
        ensure(same, &operation_at, TWO_ANSWERS, "")?;
        operation.may_be_empty = !bodies.is_empty() && bodies.len() < answers.len();
        operation.answer = bodies.pop();
        Ok(())
    }

    /// Returns the declared media type of the JSON in `content`, and its schema.
    fn json(&mut self, owner: &'d Value, name: &str, at: &str) -> Result<(String, Value)> {
        for (declared, media) in entries(&owner["content"]) {
            let essence = declared.split(';').next().unwrap_or_default().trim();
            let essence = match &*essence.to_ascii_lowercase() {
                "*/*" | "application/*" => "application/json".to_owned(),
                other => other.to_owned(),
            };
            if matches(r"application/([\w.+-]+\+)?json", &essence) {
                let at = format!("{at}/content/{}", escape(declared));
                check(MEDIA, media, &at)?;
                let schema = self.used(&media["schema"], name, &format!("{at}/schema"))?;
                return Ok((essence, schema));
            }
        }
        Err(Failure::at(at, NO_JSON, ""))
    }

    /// Reads the schema of a whole body or parameter, which must not be nullable.
    pub fn used(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        let schema = self.schemas.all(schema, &names::type_name(name), at)?;
        let target = target(&self.schemas.types, &schema);
        let nullable = schema["nullable"] == true || target["nullable"] == true;
        ensure(!nullable, at, ALL_NULL, "")?;
        Ok(schema)
    }
}
