//! The fake beside a server that knows the document alone; `.ci/conformance` starts that.

use std::env;

use serde_json::{Map, Value, json};
use sigmamind::{Client, PhoneNumber, PhoneNumberUpdate, mock::FakeSigmaMind};

use crate::mock::http;

/// The address of prism, serving `openapi.yaml`.
const VARIABLE: &str = "SIGMAMIND_PRISM";

/// What can be seen of a call: the answer, or the status of the refusal.
type Seen = Result<PhoneNumber, Option<u16>>;

async fn call(url: &str, key: &str, update: &PhoneNumberUpdate) -> Seen {
    let client = Client::builder()
        .api_key(key)
        .base_url(url)
        .http_client(http());
    let client = client.max_retries(0).build().unwrap();
    let number = "+14155552671".parse().unwrap();
    let outcome = client.update_phone_number(&number, update).await;
    outcome
        .map(sigmamind::Response::into_inner)
        .map_err(|e| e.status().map(|s| s.as_u16()))
}

async fn raw(url: &str, key: Option<&str>, content_type: &str, body: String) -> u16 {
    let mut request = http()
        .patch(format!("{url}/v1/phone-number/+14155552671"))
        .header("content-type", content_type)
        .body(body);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
#[ignore = "needs prism; .ci/conformance starts it"]
async fn the_fake_gives_what_a_server_made_of_the_document_gives() {
    let prism = env::var(VARIABLE).expect(VARIABLE);
    let read = |text| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    let request = read(include_str!("../fixtures/request.json"));
    let response = read(include_str!("../fixtures/response.json"));
    let phone: PhoneNumber = serde_json::from_value(response.clone().into()).unwrap();
    let fake = FakeSigmaMind::start();
    let number = "+14155552671".parse().unwrap();
    let both = async |update: &Map<String, Value>| {
        fake.insert(&number, phone.clone());
        let update = serde_json::from_value(update.clone().into()).unwrap();
        (
            call(fake.url(), fake.key(), &update).await,
            call(&prism, "key", &update).await,
        )
    };

    // prism keeps nothing: the results are equal where the update sets what the page shows.
    let mut same = request.clone();
    same.retain(|name, _| !name.eq_ignore_ascii_case("terminationSipUri"));
    for (name, value) in &mut same {
        if let Some(shown) = response.get(name) {
            *value = shown.clone();
        }
    }
    let (ours, theirs) = both(&same).await;
    assert_eq!(ours, theirs);
    assert_eq!(ours, Ok(phone.clone()));
    for (name, value) in &same {
        let (ours, theirs) = both(&Map::from_iter([(name.clone(), value.clone())])).await;
        assert_eq!(ours, theirs, "{name}");
    }

    // With other values, they are equal but for what was set.
    let (ours, theirs) = both(&request).await;
    let ours = serde_json::to_value(ours.unwrap()).unwrap();
    let theirs = serde_json::to_value(theirs.unwrap()).unwrap();
    for (name, value) in ours.as_object().unwrap() {
        let set = request
            .iter()
            .find(|(sent, _)| sent.eq_ignore_ascii_case(name));
        assert_eq!(
            value,
            set.map_or(&theirs[name], |(_, value)| value),
            "{name}"
        );
    }

    // What the client never sends is refused alike.
    let json = "application/json";
    let mut bodies: Vec<_> = request
        .keys()
        .map(|name| json!({ name: 5 }).to_string())
        .collect();
    bodies.extend(request.keys().map(|name| json!({ name: null }).to_string()));
    bodies.extend(["[]".to_owned(), "5".to_owned(), "{}".to_owned()]);
    bodies.push(json!({ "unknown": 5 }).to_string());
    for body in bodies {
        let ours = raw(fake.url(), Some(fake.key()), json, body.clone()).await;
        let theirs = raw(&prism, Some("key"), json, body.clone()).await;
        assert_eq!(ours, theirs, "{body}");
    }
    let body = Value::from(request).to_string();
    let plain = "text/plain";
    let ours = raw(fake.url(), Some(fake.key()), plain, body.clone()).await;
    let theirs = raw(&prism, Some("key"), plain, body.clone()).await;
    assert_eq!((ours, theirs), (415, 415));
    let ours = raw(fake.url(), None, json, body.clone()).await;
    let theirs = raw(&prism, None, json, body).await;
    assert_eq!((ours, theirs), (401, 401));
}
