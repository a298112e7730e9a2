//! The document, the generated types and the wire, against the page's documented examples.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sigmamind::{Client, E164, PhoneNumber, PhoneNumberUpdate, Provider};

use crate::wire;

const REQUEST: &str = include_str!("../fixtures/request.json");
const RESPONSE: &str = include_str!("../fixtures/response.json");
const CURL: &str = include_str!("../fixtures/curl.sh");

fn document() -> Value {
    yaml_serde::from_str(include_str!("../../openapi.yaml")).unwrap()
}

fn sample(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A validator of one component schema of the document.
fn validator(schema: &str) -> jsonschema::Validator {
    let components = document()["components"].take();
    jsonschema::validator_for(&json!({
        "$ref": format!("#/components/schemas/{schema}"),
        "components": components,
    }))
    .unwrap()
}

/// The value, read into `T` and written again.
fn round_trip<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, serde_json::Error> {
    serde_json::from_value::<T>(value.clone()).and_then(serde_json::to_value)
}

#[test]
fn samples_match_examples_of_document() {
    let operation = &document()["paths"]["/v1/phone-number/{phoneNumber}"]["patch"];
    let media =
        |at: &Value| at["content"]["application/json"]["examples"]["documented"]["value"].clone();
    assert_eq!(media(&operation["requestBody"]), sample(REQUEST));
    assert_eq!(media(&operation["responses"]["200"]), sample(RESPONSE));
}

#[test]
fn samples_validate_against_schemas() {
    validator("PhoneNumberUpdate")
        .validate(&sample(REQUEST))
        .unwrap();
    validator("PhoneNumber")
        .validate(&sample(RESPONSE))
        .unwrap();
}

#[test]
fn samples_round_trip_through_generated_types() {
    assert_eq!(
        round_trip::<PhoneNumberUpdate>(&sample(REQUEST)).unwrap(),
        sample(REQUEST)
    );
    assert_eq!(
        round_trip::<PhoneNumber>(&sample(RESPONSE)).unwrap(),
        sample(RESPONSE)
    );
}

#[test]
fn property_examples_validate_and_round_trip() {
    fn check<T: DeserializeOwned + Serialize>(schema: &str) -> usize {
        let document = document();
        let properties = document["components"]["schemas"][schema]["properties"]
            .as_object()
            .unwrap();
        for (name, property) in properties {
            let reference = property["$ref"]
                .as_str()
                .and_then(|at| document.pointer(&at[1..]));
            let example = &reference.unwrap_or(property)["example"];
            assert!(!example.is_null(), "{schema}.{name} has no example");
            let value = json!({ name: example });
            assert!(
                validator(schema).is_valid(&value),
                "{schema}.{name}: {example}"
            );
            assert_eq!(round_trip::<T>(&value).unwrap(), value, "{schema}.{name}");
        }
        properties.len()
    }
    assert_eq!(check::<PhoneNumberUpdate>("PhoneNumberUpdate"), 7);
    assert_eq!(check::<PhoneNumber>("PhoneNumber"), 8);
}

#[test]
fn wrong_types_fail_schema_and_deserialization() {
    for name in sample(REQUEST).as_object().unwrap().keys() {
        let mut value = sample(REQUEST);
        value[name] = json!([1]);
        assert!(
            !validator("PhoneNumberUpdate").is_valid(&value),
            "schema: {name}"
        );
        assert!(
            round_trip::<PhoneNumberUpdate>(&value).is_err(),
            "types: {name}"
        );
    }
    for name in sample(RESPONSE).as_object().unwrap().keys() {
        let mut value = sample(RESPONSE);
        value[name] = json!([1]);
        assert!(!validator("PhoneNumber").is_valid(&value), "schema: {name}");
        assert!(round_trip::<PhoneNumber>(&value).is_err(), "types: {name}");
    }
}

#[test]
fn renamed_field_fails_round_trip() {
    fn check<T: DeserializeOwned + Serialize>(sample: &Value) {
        for name in sample.as_object().unwrap().keys() {
            let mut renamed = sample.clone();
            let value = renamed.as_object_mut().unwrap().remove(name).unwrap();
            renamed[format!("{name}X")] = value;
            assert_ne!(round_trip::<T>(&renamed).unwrap(), renamed, "{name}");
        }
    }
    check::<PhoneNumberUpdate>(&sample(REQUEST));
    check::<PhoneNumber>(&sample(RESPONSE));
}

#[test]
fn unlisted_provider_fails_schema_and_is_kept_by_types() {
    let value = json!({ "provider": "bandwidth" });
    assert!(!validator("PhoneNumber").is_valid(&value));
    let phone: PhoneNumber = serde_json::from_value(value).unwrap();
    assert_eq!(phone.provider, Some(Provider::Other("bandwidth".into())));
}

#[test]
fn response_details_round_trip_without_loss() {
    let phone: PhoneNumber = serde_json::from_value(json!({
        "sipPhoneNumber": 14_155_552_671_u64,
        "outboundPhoneNumber": "0800 FLOWERS",
        "friendlyName": null,
        "notDocumented": { "at": "all" },
    }))
    .unwrap();
    let [sip, outbound] =
        [&phone.sip_phone_number, &phone.outbound_phone_number].map(|n| n.as_ref().unwrap());
    assert_eq!(sip.to_string(), "14155552671");
    assert_eq!(sip.to_e164(), "+14155552671".parse().ok());
    assert_eq!(outbound.to_string(), "0800 FLOWERS");
    assert_eq!(outbound.to_e164(), None);
    assert_eq!(phone.friendly_name, None);
}

#[test]
fn derived_json_schemas_agree_with_document() {
    fn check<T: JsonSchema>(schema: &str) {
        let names = |schema: &Value| -> BTreeSet<String> {
            schema["properties"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect()
        };
        let documented = &document()["components"]["schemas"][schema];
        let derived = schemars::schema_for!(T).to_value();
        assert_eq!(names(&derived), names(documented), "{schema}");
        assert_eq!(derived["required"], documented["required"], "{schema}");
    }
    check::<PhoneNumberUpdate>("PhoneNumberUpdate");
    check::<PhoneNumber>("PhoneNumber");
}

/// The documented command: its method, path, headers and body.
fn curl(number: &str, key: &str) -> wire::Request {
    let words = shlex::split(&CURL.replace("\\\n", " ")).unwrap();
    let mut request = wire::Request::default();
    for pair in words[1..].chunks(2) {
        let (option, value) = (pair[0].as_str(), pair[1].replace("<api-key>", key));
        match option {
            "--request" => request.method = value,
            "--url" => {
                let path = value.strip_prefix("https://api.sigmamind.ai").unwrap();
                request.path = path.replace("{phoneNumber}", number);
            }
            "--header" => {
                let (name, value) = value.split_once(": ").unwrap();
                request
                    .headers
                    .insert(name.to_lowercase(), value.to_owned());
            }
            "--data" => request.body = value,
            _ => panic!("{option} is not known to this test"),
        }
    }
    request
}

/// Returns the request for the documented input, and the result for the documented answer.
async fn documented_call(prefix: &str) -> (wire::Request, PhoneNumber) {
    let server = wire::Server::answering(RESPONSE).await;
    let client = Client::builder()
        .api_key("a-key")
        .base_url(format!("{}{prefix}", server.url))
        .build()
        .unwrap();
    let update = PhoneNumberUpdate::default()
        .friendly_name("Support Line")
        .inbound_agent_id("awTw7UKhOsLGiDbt")
        .outbound_agent_id(String::from("awTw7UKhOsLGiDbt"))
        .termination_sip_uri("sip.telnyx.com")
        .sip_trunk_name("Primary Trunk")
        .trunk_username("sip_user_01")
        .trunk_password("P@ssw0rd123");
    let number: E164 = "+14155552671".parse().unwrap();
    let phone = client.update_phone_number(&number, &update).await.unwrap();
    (server.request().await, phone.into_inner())
}

#[tokio::test]
async fn client_sends_same_request_as_documented_curl() {
    let (sent, phone) = documented_call("").await;
    let documented = curl("+14155552671", "a-key");
    assert_eq!(sent.method, documented.method);
    assert_eq!(sent.path, documented.path);
    assert_eq!(sample(&sent.body), sample(&documented.body));
    for (name, value) in &documented.headers {
        assert_eq!(sent.headers.get(name), Some(value), "{name}");
    }
    let others: BTreeSet<&str> = sent
        .headers
        .keys()
        .filter(|name| !documented.headers.contains_key(*name))
        .map(String::as_str)
        .collect();
    assert_eq!(
        others,
        BTreeSet::from(["accept", "user-agent", "host", "content-length"])
    );
    assert_eq!(
        sent.headers["user-agent"],
        concat!("sigmamind-rust/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(serde_json::to_value(phone).unwrap(), sample(RESPONSE));
}

#[tokio::test]
async fn base_url_accepts_path_prefix_and_trailing_slash() {
    for prefix in ["/", "/gateway/sigmamind", "/gateway/sigmamind/"] {
        let (sent, _) = documented_call(prefix).await;
        let expected = format!(
            "{}/v1/phone-number/+14155552671",
            prefix.trim_end_matches('/')
        );
        assert_eq!(sent.path, expected);
    }
}

#[tokio::test]
async fn unset_fields_are_omitted_from_request() {
    let server = wire::Server::answering("{}").await;
    let client = Client::builder()
        .api_key("k")
        .base_url(&server.url)
        .build()
        .unwrap();
    let update = PhoneNumberUpdate::default().friendly_name("");
    client
        .update_phone_number(&"+14155552671".parse().unwrap(), &update)
        .await
        .unwrap();
    assert_eq!(server.request().await.body, r#"{"friendlyName":""}"#);
}

#[tokio::test]
async fn empty_update_is_refused_and_not_sent() {
    let server = wire::Server::answering("{}").await;
    let client = Client::builder()
        .api_key("k")
        .base_url(&server.url)
        .build()
        .unwrap();
    let number = "+14155552671".parse().unwrap();
    let error = client
        .update_phone_number(&number, &PhoneNumberUpdate::default())
        .await
        .unwrap_err();
    assert!(error.is_invalid_request());
    assert_eq!(
        error.to_string(),
        "invalid request: the body has too few properties: 0, minimum 1"
    );
    assert_eq!(error.attempts(), 0);
    assert!(!server.was_asked());
}
