//! The client follows the document: each test changes the real one, builds a program on the
//! crate that is generated from it, and drives the change to the wire.

use std::fs;

use serde_json::{Value, json};

use crate::revised::{Program, revised};

/// The properties of a component schema.
fn properties<'v>(document: &'v mut Value, schema: &str) -> &'v mut serde_json::Map<String, Value> {
    document["components"]["schemas"][schema]["properties"]
        .as_object_mut()
        .unwrap()
}

/// Moves the operation to another path.
fn move_path(document: &mut Value, to: &str) {
    let paths = document["paths"].as_object_mut().unwrap();
    let item = paths.remove("/v1/phone-number/{phoneNumber}").unwrap();
    paths.insert(to.into(), item);
}

fn source(imports: &str, body: &str) -> String {
    format!(
        "mod program;\nuse program::{{Server, refused, run}};\nuse serde_json::json;\nuse sigmamind::{{{imports}}};\n\
         fn main() {{ run(async {{ {body} }}); }}\n"
    )
}

/// Added, removed, renamed, deprecated, boolean, integer, a keyword's name, required, a list, a
/// map, `oneOf`, `allOf` and an object; `format: date-time` and `format: uuid`.
#[test]
fn request_properties_follow_document() {
    let document = revised(|document| {
        let update = properties(document, "PhoneNumberUpdate");
        update.remove("sipTrunkName");
        let renamed = update.remove("trunkUsername").unwrap();
        update.insert("trunkUser".into(), renamed);
        update["friendlyName"]["deprecated"] = true.into();
        for (name, schema) in [
            ("note", json!({ "type": "string", "default": "none" })),
            ("active", json!({ "type": "boolean" })),
            (
                "maxCalls",
                json!({ "type": "integer", "minimum": 1, "maximum": 9 }),
            ),
            ("type", json!({ "type": "string" })),
            (
                "startsAt",
                json!({ "type": "string", "format": "date-time" }),
            ),
            ("campaign", json!({ "type": "string", "format": "uuid" })),
            (
                "tags",
                json!({ "type": "array", "items": { "type": "string" }, "maxItems": 2 }),
            ),
            (
                "labels",
                json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            ),
            (
                "trunk",
                json!({ "oneOf": [{ "type": "string" }, { "type": "integer" }] }),
            ),
            (
                "forward",
                json!({ "allOf": [
                { "type": "object", "properties": { "pinSecret": { "type": "string", "format": "password" } } },
                { "type": "object", "properties": { "to": { "type": "string" } } },
            ] }),
            ),
        ] {
            update.insert(name.into(), schema);
        }
        document["components"]["schemas"]["PhoneNumberUpdate"]["required"] =
            json!(["type", "maxCalls"]);
    });
    let source = source(
        "PhoneNumberUpdate, Secret, models::PhoneNumberUpdateForward",
        r#"
        let server = Server::answering(&[(200, "{}")]);
        let (client, number) = (server.client(), "+14155552671".parse().unwrap());
        let required = || PhoneNumberUpdate::new(3, "inbound");
        for (update, changed) in [
            (required(), json!({})),
            (required().note("n"), json!({ "note": "n" })),
            (required().note(String::from("n")), json!({ "note": "n" })),
            (required().trunk_user("u"), json!({ "trunkUser": "u" })),
            (required().friendly_name("f"), json!({ "friendlyName": "f" })),
            (required().active(false), json!({ "active": false })),
            (required().starts_at("2026-11-24T00:00:00Z"), json!({ "startsAt": "2026-11-24T00:00:00Z" })),
            (required().campaign("0b9e"), json!({ "campaign": "0b9e" })),
            (required().tags(["a".to_owned()]), json!({ "tags": ["a"] })),
            (required().tags([]), json!({ "tags": [] })),
            (required().labels([("a".to_owned(), "b".to_owned())]), json!({ "labels": { "a": "b" } })),
            (required().trunk("t"), json!({ "trunk": "t" })),
            (required().trunk(7), json!({ "trunk": 7 })),
            (
                required().forward(PhoneNumberUpdateForward::default().to("+1").pin_secret(Secret::from("1234"))),
                json!({ "forward": { "to": "+1", "pinSecret": "1234" } }),
            ),
        ] {
            client.update_phone_number(&number, &update).await.unwrap();
            let mut expected = json!({ "maxCalls": 3, "type": "inbound" });
            expected.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            assert_eq!(server.body(), expected);
            assert!(!format!("{update:?}").contains("1234"), "a secret in Debug");
        }
        let _ = refused::<()>;
        "#,
    );
    Program::new("properties", &document, &source).run();
}

/// `maxLength`, `minLength`, `pattern` and `enum`: of a property, by reference, in `allOf`, in an
/// object, in a list and in a map.
#[test]
fn limits_are_checked_before_sending() {
    let document = revised(|document| {
        let update = properties(document, "PhoneNumberUpdate");
        update["friendlyName"]["maxLength"] = 3.into();
        update["sipTrunkName"]["minLength"] = 2.into();
        update["trunkUsername"]["pattern"] = "^[a-z]+$".into();
        update["trunkPassword"]["maxLength"] = 4.into();
        update["inboundAgentId"] = json!({ "$ref": "#/components/schemas/AgentId" });
        update["outboundAgentId"] =
            json!({ "allOf": [{ "$ref": "#/components/schemas/AgentId" }] });
        let short = json!({ "type": "string", "maxLength": 1 });
        update.insert(
            "codec".into(),
            json!({ "type": "string", "enum": ["opus", "pcmu"] }),
        );
        update.insert(
            "forward".into(),
            json!({ "type": "object", "properties": { "to": short } }),
        );
        update.insert("tags".into(), json!({ "type": "array", "items": short }));
        update.insert(
            "gain".into(),
            json!({ "type": "number", "nullable": true, "minimum": -0.5 }),
        );
        update.insert(
            "labels".into(),
            json!({ "type": "object", "additionalProperties": short }),
        );
        document["components"]["schemas"]["AgentId"] = json!({ "type": "string", "maxLength": 2 });
    });
    let source = source(
        "PhoneNumberUpdate, models::PhoneNumberUpdateForward",
        r#"
        let server = Server::answering(&[(200, "{}")]);
        let (client, number) = (server.client(), "+14155552671".parse().unwrap());
        let update = PhoneNumberUpdate::default;
        for (update, message) in [
            (update().friendly_name("abcd"), "`friendlyName` is too long: 4 characters, maximum 3"),
            (update().friendly_name(String::from("äöüß")), "`friendlyName` is too long: 4 characters, maximum 3"),
            (update().sip_trunk_name("a"), "`sipTrunkName` is too short: 1 character, minimum 2"),
            (update().trunk_username("A"), "`trunkUsername` does not match the pattern ^[a-z]+$"),
            (update().trunk_password("abcde"), "`trunkPassword` is too long: 5 characters, maximum 4"),
            (update().inbound_agent_id("abc"), "`inboundAgentId` is too long: 3 characters, maximum 2"),
            (update().outbound_agent_id("abc"), "`outboundAgentId` is too long: 3 characters, maximum 2"),
            (update().codec("mp3"), "`codec` must be one of opus, pcmu"),
            (update().gain(-0.75), "`gain` must be at least -0.5"),
            (
                update().gain(f64::NAN),
                "a number is NaN or infinite, which JSON cannot express; give a finite number",
            ),
            (
                update().forward(PhoneNumberUpdateForward::default().to("ab")),
                "`forward.to` is too long: 2 characters, maximum 1",
            ),
            (update().tags(["a".into(), "ab".into()]), "`tags.*` is too long: 2 characters, maximum 1"),
            (
                update().labels([("k".to_owned(), "ab".to_owned())]),
                "`labels.*` is too long: 2 characters, maximum 1",
            ),
        ] {
            refused(&server, client.update_phone_number(&number, &update).await, message);
        }
        let update = update()
            .friendly_name("äöü")
            .sip_trunk_name("ab")
            .trunk_username("abc")
            .trunk_password("abcd")
            .codec("opus")
            .tags(["a".to_owned()]);
        client.update_phone_number(&number, &update).await.unwrap();
        let expected = json!({
            "friendlyName": "äöü", "sipTrunkName": "ab", "trunkUsername": "abc",
            "trunkPassword": "abcd", "codec": "opus", "tags": ["a"],
        });
        assert_eq!(server.body(), expected);
        "#,
    );
    Program::new("limits", &document, &source).run();
}

/// Of every kind of property, and by reference.
#[test]
fn nullable_property_has_three_states() {
    let document = nullable();
    let source = source(
        "Nullable, PhoneNumberUpdate, models::{self, Schedule}",
        r#"
        let server = Server::answering(&[(200, "{}")]);
        let (client, number) = (server.client(), "+14155552671".parse().unwrap());
        let update = PhoneNumberUpdate::default;
        let object = models::PhoneNumberUpdateForward::default().to("+1");
        for (update, expected) in [
            (update().friendly_name("f"), json!({ "friendlyName": "f" })),
            (update().inbound_agent_id("a"), json!({ "inboundAgentId": "a" })),
            (update().inbound_agent_id(String::from("a")), json!({ "inboundAgentId": "a" })),
            (update().inbound_agent_id(Nullable::Null), json!({ "inboundAgentId": null })),
            (update().trunk_password("p"), json!({ "trunkPassword": "p" })),
            (update().trunk_password(String::from("p")), json!({ "trunkPassword": "p" })),
            (update().trunk_password(Nullable::Null), json!({ "trunkPassword": null })),
            (update().active(true), json!({ "active": true })),
            (update().active(Nullable::Null), json!({ "active": null })),
            (update().calls(3), json!({ "calls": 3 })),
            (update().calls(Nullable::Null), json!({ "calls": null })),
            (update().codec(models::PhoneNumberUpdateCodec::Opus), json!({ "codec": "opus" })),
            (update().codec(Nullable::Null), json!({ "codec": null })),
            (update().forward(object.clone()), json!({ "forward": { "to": "+1" } })),
            (update().forward(object.to(Nullable::Null)), json!({ "forward": { "to": null } })),
            (update().forward(Nullable::Null), json!({ "forward": null })),
            (update().tags(vec!["a".to_owned()]), json!({ "tags": ["a"] })),
            (update().tags(vec![]), json!({ "tags": [] })),
            (update().tags(Nullable::Null), json!({ "tags": null })),
            (update().schedule(Schedule::default().from("9")), json!({ "schedule": { "from": "9" } })),
            (update().schedule(Nullable::Null), json!({ "schedule": null })),
            (update().holiday(Nullable::Null), json!({ "holiday": null })),
        ] {
            client.update_phone_number(&number, &update).await.unwrap();
            assert_eq!(server.body(), expected, "on the wire");
            let read: PhoneNumberUpdate = serde_json::from_value(expected.clone()).unwrap();
            assert_eq!(read, update, "read from JSON");
            assert_eq!(serde_json::to_value(&read).unwrap(), expected, "and written again");
        }
        let read: PhoneNumberUpdate = serde_json::from_value(json!({})).unwrap();
        assert_eq!(read, update(), "absent");
        let message = "`inboundAgentId` is too long: 4 characters, maximum 3";
        let long = update().inbound_agent_id("abcd");
        refused(&server, client.update_phone_number(&number, &long).await, message);
        "#,
    );
    Program::new("nullable", &document, &source).run();
}

fn nullable() -> String {
    revised(|document| {
        let update = properties(document, "PhoneNumberUpdate");
        update["inboundAgentId"]["nullable"] = true.into();
        update["inboundAgentId"]["maxLength"] = 3.into();
        update["trunkPassword"]["nullable"] = true.into();
        let text = json!({ "type": "string", "nullable": true });
        for (name, schema) in [
            ("active", json!({ "type": "boolean" })),
            ("calls", json!({ "type": "integer" })),
            (
                "codec",
                json!({ "type": "string", "enum": ["opus", "pcmu", null] }),
            ),
            (
                "forward",
                json!({ "type": "object", "properties": { "to": text } }),
            ),
            (
                "tags",
                json!({ "type": "array", "items": { "type": "string" } }),
            ),
            (
                "holiday",
                json!({ "allOf": [{ "$ref": "#/components/schemas/Schedule" }] }),
            ),
        ] {
            update.insert(name.into(), schema);
            update[name]["nullable"] = true.into();
        }
        update.insert(
            "schedule".into(),
            json!({ "$ref": "#/components/schemas/Schedule" }),
        );
        document["components"]["schemas"]["Schedule"] = json!({
            "type": "object",
            "nullable": true,
            "properties": { "from": { "type": "string" } },
        });
    })
}

#[test]
fn null_does_not_compile_where_document_forbids_it() {
    let source = "fn main() { let _ = sigmamind::PhoneNumberUpdate::default().friendly_name(sigmamind::Nullable::<String>::Null); }";
    assert_eq!(
        Program::new("null", &nullable(), source).error(),
        "error[E0277]: the trait bound `String: From<Nullable<String>>` is not satisfied",
    );
}

#[test]
fn removed_property_does_not_compile() {
    let document = revised(|document| {
        properties(document, "PhoneNumberUpdate").remove("sipTrunkName");
    });
    let source =
        "fn main() { let _ = sigmamind::PhoneNumberUpdate::default().sip_trunk_name(\"a\"); }";
    assert_eq!(
        Program::new("removed", &document, source).error(),
        "error[E0599]: no method named `sip_trunk_name` found for struct `PhoneNumberUpdate` in the current scope",
    );
}

/// The path moved, an enum value added, properties that became an object, a list, a list of
/// objects, an enum and a map, nullable ones, one that is read and written, documented errors,
/// and components other than schemas.
#[test]
#[allow(clippy::too_many_lines, reason = "one document, one build")]
fn responses_follow_document() {
    let document = revised(|document| {
        move_path(document, "/v2/numbers/{phoneNumber}/settings/");
        document["components"]["schemas"]["Provider"]["enum"]
            .as_array_mut()
            .unwrap()
            .push("bandwidth".into());
        let phone = properties(document, "PhoneNumber");
        let text = json!({ "type": "string", "maxLength": 1, "format": "date-time" });
        let shared = json!({ "$ref": "#/components/schemas/Contact" });
        for (name, schema) in [
            (
                "friendlyName",
                json!({ "type": "object", "properties": { "en": text }, "additionalProperties": false }),
            ),
            (
                "inboundAgentId",
                json!({ "type": "array", "items": text, "maxItems": 1 }),
            ),
            (
                "agents",
                json!({ "type": "array", "items": { "type": "object", "properties": { "id": text } } }),
            ),
            ("state", json!({ "type": "string", "enum": ["on"] })),
            (
                "labels",
                json!({ "type": "object", "additionalProperties": text }),
            ),
            (
                "calls",
                json!({ "type": "integer", "nullable": true, "minimum": 0 }),
            ),
            ("contact", shared.clone()),
        ] {
            phone.insert(name.into(), schema);
        }
        document["components"]["schemas"]["PhoneNumber"]["required"] = json!(["calls", "state"]);
        document["components"]["schemas"]["Contact"] = json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": { "type": "string", "readOnly": true },
                "phone": { "type": "string", "format": "e164" },
            },
        });
        properties(document, "PhoneNumberUpdate").insert("contact".into(), shared);
        let operation = &mut document["paths"]["/v2/numbers/{phoneNumber}/settings/"]["patch"];
        let parameter = operation["parameters"][0].take();
        operation["parameters"][0] = json!({ "$ref": "#/components/parameters/Number" });
        let success = operation["responses"]["200"].take();
        let body =
            json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        operation["responses"] = json!({
            "200": { "$ref": "#/components/responses/Updated" },
            "401": { "description": "The key is not known.", "content": body },
            "default": { "description": "Anything else.", "content": body },
        });
        document["components"]["parameters"] = json!({ "Number": parameter });
        document["components"]["responses"] = json!({ "Updated": success });
        document["components"]["schemas"]["Problem"] = json!({
            "type": "object",
            "required": ["code"],
            "properties": { "code": { "type": "integer" } },
        });
    });
    let source = source(
        "PhoneNumberUpdate, Provider, models::{Contact, PhoneNumberState}",
        r##"
        let server = Server::answering(&[
            (200, r#"{
                "provider": "bandwidth", "friendlyName": { "en": "not a date", "de": "x" },
                "inboundAgentId": ["a", "b"], "agents": [{ "id": "c" }], "state": "new",
                "labels": { "k": "v" }, "calls": null, "contact": { "id": "i", "phone": "14155552671" }
            }"#),
            (401, "no JSON"),
            (418, r#"{ "message": "a teapot" }"#),
        ]);
        let (client, number) = (server.client(), "+14155552671".parse().unwrap());
        let update = PhoneNumberUpdate::default().contact(Contact::default().phone("+14155552671"));
        let phone = client.update_phone_number(&number, &update).await.unwrap();
        let line = "PATCH /v2/numbers/+14155552671/settings/".to_owned();
        let sent = json!({ "contact": { "phone": "+14155552671" } });
        assert_eq!(server.requests(), [(line, sent)]);
        assert_eq!(phone.provider, Some(Provider::Bandwidth), "an enum value added");
        assert_eq!(phone.friendly_name.as_ref().unwrap().en.as_deref(), Some("not a date"), "an object");
        assert_eq!(phone.inbound_agent_id, ["a", "b"], "a list");
        assert_eq!(phone.agents[0].id.as_deref(), Some("c"), "a list of objects");
        assert_eq!(phone.state, PhoneNumberState::Other("new".into()), "an enum");
        assert_eq!(phone.labels["k"], "v", "a map");
        assert_eq!(phone.calls, None, "null");
        let contact = phone.contact.as_ref().unwrap();
        assert_eq!(contact.id.as_deref(), Some("i"), "only read");
        assert_eq!(contact.phone.as_ref().unwrap().to_string(), "14155552671", "a number as reported");

        let error = client.update_phone_number(&number, &update).await.unwrap_err();
        assert_eq!(error.status().unwrap(), 401, "a documented error whose body is not what is documented");
        assert_eq!((error.body(), error.request_id()), (&b"no JSON"[..], Some("id-1")));
        let error = client.update_phone_number(&number, &update).await.unwrap_err();
        assert_eq!(error.status().unwrap(), 418, "the documented default");
        assert_eq!((error.message(), error.request_id()), (Some("a teapot"), Some("id-2")));
        server.requests();
        let update = PhoneNumberUpdate::default().contact(Contact::default().phone("14155552671"));
        let message = "`contact.phone` does not match the pattern ^\\+[1-9][0-9]{6,14}$";
        refused(&server, client.update_phone_number(&number, &update).await, message);
        "##,
    );
    Program::new("responses", &document, &source).run();
}

/// The patch is all that the later reference pages need.
#[test]
fn documented_patch_gives_client_of_later_reference() {
    let diff = include_str!("../../../docs/later-pages.patch");
    let patch = diffy::Patch::from_str(diff).unwrap();
    let document = diffy::apply(include_str!("../../../openapi.yaml"), &patch).unwrap();
    let source = source(
        "Nullable, PhoneNumberUpdate",
        r#"
        let server = Server::answering(&[(200, "{}")]);
        let (client, number) = (server.client(), "+14155552671".parse().unwrap());
        let update = PhoneNumberUpdate::default;
        let sent = update()
            .friendly_name("Support Line")
            .inbound_agent_id("awTw7UKhOsLGiDbt")
            .outbound_agent_id(Nullable::Null)
            .outbound_phone_number("+14155552671");
        client.update_phone_number(&number, &sent).await.unwrap();
        let line = "PATCH /v1/phone-numbers/+14155552671".to_owned();
        let body = json!({
            "friendlyName": "Support Line",
            "inboundAgentId": "awTw7UKhOsLGiDbt",
            "outboundAgentId": null,
            "outboundPhoneNumber": "+14155552671",
        });
        assert_eq!(server.requests(), [(line, body)]);
        let unassigned = update().inbound_agent_id(Nullable::Null);
        client.update_phone_number(&number, &unassigned).await.unwrap();
        assert_eq!(server.body(), json!({ "inboundAgentId": null }));
        let text = |length| "a".repeat(length);
        for (name, limit, update) in [
            ("friendlyName", 128, update().friendly_name(text(129))),
            ("inboundAgentId", 64, update().inbound_agent_id(text(65))),
            ("outboundAgentId", 64, update().outbound_agent_id(text(65))),
            ("terminationSipUri", 253, update().termination_sip_uri(text(254))),
            ("trunkUsername", 128, update().trunk_username(text(129))),
            ("trunkPassword", 128, update().trunk_password(text(129))),
        ] {
            let message = format!("`{name}` is too long: {} characters, maximum {limit}", limit + 1);
            refused(&server, client.update_phone_number(&number, &update).await, &message);
        }
        let longest = update()
            .friendly_name(text(128))
            .inbound_agent_id(text(64))
            .outbound_agent_id(text(64))
            .termination_sip_uri(text(253))
            .trunk_username(text(128))
            .trunk_password(text(128));
        client.update_phone_number(&number, &longest).await.unwrap();
        server.requests();
        let wrong = update().outbound_phone_number("14155552671");
        let message = "`outboundPhoneNumber` does not match the pattern ^\\+[1-9][0-9]{6,14}$";
        refused(&server, client.update_phone_number(&number, &wrong).await, message);
        let _ = serde_json::from_str::<PhoneNumberUpdate>(r"{}").unwrap();
        "#,
    );
    Program::new("later", &document, &source).run();
    let removed =
        "fn main() { let _ = sigmamind::PhoneNumberUpdate::default().sip_trunk_name(\"a\"); }";
    assert_eq!(
        Program::new("later-removed", &document, removed).error(),
        "error[E0599]: no method named `sip_trunk_name` found for struct `PhoneNumberUpdate` in the current scope",
    );
}

/// A status without quotation marks, an anchor, a reference to it and a merge key.
#[test]
fn yaml_short_forms_are_parsed() {
    let mut document = include_str!("../../../openapi.yaml").to_owned();
    for (long, short) in [
        ("        '200':\n", "        200:\n"),
        (
            "        friendlyName:\n          type: string\n",
            "        friendlyName:\n          type: &kind string\n",
        ),
        (
            "        inboundAgentId:\n          type: string\n",
            "        inboundAgentId: &agent\n          type: *kind\n",
        ),
        (
            "        outboundAgentId:\n          type: string\n",
            "        outboundAgentId:\n          <<: *agent\n",
        ),
    ] {
        assert!(document.contains(long), "{long}");
        document = document.replacen(long, short, 1);
    }
    let source = source(
        "PhoneNumberUpdate",
        r#"
        let server = Server::answering(&[(200, "{}")]);
        let update = PhoneNumberUpdate::default().friendly_name("f").outbound_agent_id("a");
        let number = "+14155552671".parse().unwrap();
        server.client().update_phone_number(&number, &update).await.unwrap();
        assert_eq!(server.body(), json!({ "friendlyName": "f", "outboundAgentId": "a" }));
        let _: [Option<String>; 2] = [update.inbound_agent_id, update.outbound_agent_id];
        let _ = refused::<()>;
        "#,
    );
    Program::new("short-forms", &document, &source).run();
}

#[test]
fn missing_document_fails_build() {
    let mut program = Program::new("missing", "", "fn main() {}");
    program.document.set_file_name("nowhere.yaml");
    let file = program.document.display();
    let message = format!(
        "error: sigmamind@{}: {file}: cannot read the document: No such file or directory (os error 2). \
         Check the path; a relative one starts at this crate's folder, so give SIGMAMIND_OPENAPI an \
         absolute one, or set it in .cargo/config.toml with `relative = true`.",
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(program.error(), message);
}

/// The build runs again when the variable or the document changes, and not when the sources do.
#[test]
fn client_is_regenerated_when_document_changes() {
    let krate = Program::copy_of_the_crate("again-crate");
    let source = |line: &str| format!("fn main() {{ {line} }}");
    let labelled = source("let _ = sigmamind::PhoneNumberUpdate::default().label(\"a\");");
    let with_label = revised(|document| {
        let update = properties(document, "PhoneNumberUpdate");
        update.insert("label".into(), json!({ "type": "string" }));
    });
    let mut program = Program::on(&krate, "again", &revised(|_| ()), &labelled);
    let missing = "error[E0599]: no method named `label` found for struct `PhoneNumberUpdate` in the current scope";
    assert_eq!(program.error(), missing);
    fs::write(&program.document, &with_label).unwrap();
    program.run(); // the document has changed
    let generated = program.generated();
    fs::File::options()
        .append(true)
        .open(krate.join("src/call.rs"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    program.run();
    assert_eq!(
        program.generated(),
        generated,
        "generated when a source was touched"
    );
    program.document = krate.join("openapi.yaml");
    assert_eq!(program.error(), missing, "the variable has changed");
}
