//! Calls every operation of the grown document over real sockets.

mod program;

use program::{Server, refused, run};
use serde_json::{Value, json};
use sigmamind::{
    E164, Error, Nullable, Secret,
    mock::MockSigmaMind,
    models::{
        Agent, CallCreate, CallPage, CallStatus, ListCalls, ListPhoneNumbers, PhoneCall,
        PhoneNumber, PhoneNumberCreate, PhoneNumberImport, PhoneNumberPage, PhoneNumberUpdate,
        RateLimiter,
    },
    operations,
};

const PAGE: &str = r#"{ "data": [{ "callId": "c1", "status": "ended", "transcript": "shh", "phoneNumber": { "friendlyName": "F", "sipPhoneNumber": "+14155552671" } }], "hasNext": true }"#;

fn number() -> E164 {
    "+14155552671".parse().unwrap()
}

fn main() {
    run(async {
        lists().await;
        writes().await;
        answers().await;
        repeats().await;
        served_by_the_mock().await;
        schemas();
    });
}

/// One request since the last call: its line and its body.
fn one(server: &Server) -> (String, Value) {
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "one request");
    requests.into_iter().next().unwrap()
}

async fn lists() {
    let server = Server::answering(&[(200, PAGE)]);
    let client = server.client();
    for (query, line) in [
        (ListCalls::default(), "GET /v1/calls"),
        (ListCalls::default().page(0).size(100), "GET /v1/calls?page=0&size=100"),
        (
            ListCalls::default().status([CallStatus::InProgress, CallStatus::Ended]),
            "GET /v1/calls?status=in-progress&status=ended",
        ),
        (ListCalls::default().metadata_name("a&b#c d+e=f"), "GET /v1/calls?metadata%5Bname%5D=a%26b%23c%20d%2Be%3Df"),
        (ListCalls::default().status([]), "GET /v1/calls"),
        (ListCalls::default().since("2026-11-24T00:00:00+01:00"), "GET /v1/calls?since=2026-11-24T00%3A00%3A00%2B01%3A00"),
        (ListCalls::default().ids(["a".to_owned(), "b,c".to_owned()]), "GET /v1/calls?ids=a,b%2Cc"),
        (ListCalls::default().metadata_name("ü/?"), "GET /v1/calls?metadata%5Bname%5D=%C3%BC%2F%3F"),
        (ListCalls::default().web(true).score(0.5), "GET /v1/calls?web=true&score=0.5"),
    ] {
        let page = client.list_calls(&query).await.unwrap();
        assert_eq!(one(&server), (line.to_owned(), Value::Null));
        assert_eq!(page.data[0].status, Some(CallStatus::Ended));
    }
    for (query, message) in [
        (ListCalls::default().page(-1), "`page` must be at least 0"),
        (ListCalls::default().size(101), "`size` must be at most 100"),
        (ListCalls::default().score(f64::NAN), "a number is NaN or infinite, which JSON cannot express; give a finite number"),
        (ListCalls::default().metadata_name(""), "`metadata[name]` is too short: 0 characters, minimum 1"),
        (
            ListCalls::default().status(vec![CallStatus::Ended; 3]),
            "`status` has too many items: 3, maximum 2",
        ),
        (ListCalls::default().status([CallStatus::Other("new".into())]), "`status.*` must be one of scheduled, in-progress, ended, not-connected, error"),
    ] {
        refused(&server, client.list_calls(&query).await, message);
    }
    let query = ListPhoneNumbers::default().page(2);
    client.list_phone_numbers(&query).await.unwrap();
    assert_eq!(one(&server).0, "GET /v1/phone-numbers?page=2");
    client.list_agents().await.unwrap();
    assert_eq!(one(&server).0, "GET /v1/agents");
}

async fn writes() {
    let server = Server::answering(&[(200, "{}"), (201, "{}"), (200, "{}"), (200, "{}"), (204, "")]);
    let client = server.client();
    client.update_phone_number(&number(), &PhoneNumberUpdate::default().friendly_name("F")).await.unwrap();
    let line = "PATCH /v1/phone-number/+14155552671".to_owned();
    assert_eq!(one(&server), (line, json!({ "friendlyName": "F" })));

    let create = PhoneNumberCreate::default().country_code("US").area_code(415);
    let made = client.create_phone_number(&create).await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(one(&server), ("POST /v1/phone-numbers".to_owned(), json!({ "countryCode": "US", "areaCode": 415 })));
    let message = "`countryCode` does not match the pattern ^[A-Z]{2}$";
    refused(&server, client.create_phone_number(&create.country_code("usa")).await, message);

    let import = PhoneNumberImport::new(number(), "user", "secret word", "sip.example.com");
    assert!(!format!("{import:?}").contains("secret word"));
    client.import_phone_number(&import).await.unwrap();
    assert_eq!(one(&server).1["trunkPassword"], "secret word");

    let call = CallCreate::new(number(), "+14155552672".parse::<E164>().unwrap(), "agent");
    client.create_call(&call, "key-of-8").header("x-trace", "t").await.unwrap();
    let head = server.head().to_lowercase();
    assert!(head.contains("idempotency-key: key-of-8") && head.contains("x-trace: t"), "{head}");
    assert_eq!(one(&server).0, "POST /v1/calls");
    let message = "`idempotency-key` is too short: 3 characters, minimum 8";
    refused(&server, client.create_call(&call, "key").await, message);

    let gone: () = client.delete_phone_number(&number()).await.unwrap().into_inner();
    assert_eq!(gone, ());
    assert_eq!(one(&server).0, "DELETE /v1/phone-numbers/+14155552671");
}

/// 200 beside 204, lists, what `Debug` shows, and methods with other names than their operations.
async fn answers() {
    let server = Server::answering(&[
        (200, r#"{ "callId": "c1" }"#),
        (204, ""),
        (200, r#"["a", "b"]"#),
        (200, r#"[{ "name": "Ann", "agentId": "a1" }]"#),
        (200, PAGE),
        (200, r#"{ "error": "not yours" }"#),
    ]);
    let client = server.client();
    let ended: Option<PhoneCall> = client.end_call("c 1").await.unwrap().into_inner();
    assert_eq!(ended.unwrap().call_id.as_deref(), Some("c1"));
    assert_eq!(one(&server).0, "DELETE /v1/calls/c%201");
    let ended = client.end_call("c1").await.unwrap();
    assert_eq!((ended.status().as_u16(), ended.into_inner()), (204, None));

    let tags = client.request_operation().await.unwrap();
    assert_eq!(*tags, ["a", "b"]);
    assert!(!format!("{tags:?}").contains("\"a\""), "{tags:?}");
    let since = RateLimiter::new("2026-11-24");
    let agents = client.rate_limiter_operation(&vec!["abc".to_owned()], &since).await.unwrap();
    assert!(format!("{agents:?}").contains("Ann"), "{agents:?}");
    server.requests();
    let message = "`*` is too long: 4 characters, maximum 3";
    refused(&server, client.rate_limiter_operation(&vec!["abcd".to_owned()], &since).await, message);

    let page = client.list_calls(&ListCalls::default()).await.unwrap();
    let text = format!("{page:?}");
    assert!(text.contains("Ended") && text.contains("\"F\""), "{text}");
    assert!(!text.contains("shh") && !text.contains("14155552671"), "{text}");
    let error = client.get_call("c1").await.unwrap_err();
    assert!(error.is_decode(), "{error}");
    server.requests();
    for value in ["", "a/b", ".", ".."] {
        assert!(client.get_call(value).await.unwrap_err().is_invalid_request(), "{value}");
    }
    assert_eq!(server.requests(), []);
}

/// GET, PUT and DELETE are repeated; POST is not; PATCH only where the document says so.
async fn repeats() {
    let server = Server::answering(&[(503, ""), (200, "{}"), (503, ""), (204, ""), (503, ""), (200, "{}"), (503, "")]);
    let client = server.client();
    let call = client.get_phone_number(&number()).await.unwrap();
    assert_eq!(call.attempts(), 2, "a GET");
    let gone = client.delete_phone_number(&number()).await.unwrap();
    assert_eq!(gone.attempts(), 2, "a DELETE");
    let update = PhoneNumberUpdate::default().friendly_name("F");
    let updated = client.update_phone_number(&number(), &update).await.unwrap();
    assert_eq!(updated.attempts(), 2, "a PATCH that may be repeated");
    server.requests();
    let error: Error = client.create_phone_number(&PhoneNumberCreate::default()).await.unwrap_err();
    assert_eq!(error.attempts(), 1, "a POST");
    assert!(error.may_have_been_applied());
    assert_eq!(one(&server).0, "POST /v1/phone-numbers");
    for (operation, idempotent) in [(&operations::LIST_CALLS, "GET"), (&operations::CREATE_CALL, "POST")] {
        assert_eq!(operation.method(), idempotent);
    }
}

async fn served_by_the_mock() {
    let mock = MockSigmaMind::start();
    let page: CallPage = serde_json::from_str(PAGE).unwrap();
    let listed = mock.on(&operations::LIST_CALLS, |when, then| {
        when.query("status", "ended").query("page", "1");
        then.ok(&page);
    });
    let got = mock.on(&operations::GET_CALL, |when, then| {
        when.path_parameter("callId", "c 1").api_key(mock.key());
        then.status(404);
    });
    let created = mock.on(&operations::CREATE_PHONE_NUMBER, |when, then| {
        when.body(&PhoneNumberCreate::default().area_code(415));
        then.status(201).json(&PhoneNumber::default().friendly_name("F"));
    });
    let client = mock.client();
    let query = ListCalls::default().status([CallStatus::Ended]).page(1);
    assert_eq!(*client.list_calls(&query).await.unwrap(), page);
    assert!(client.get_call("c 1").await.unwrap_err().is_not_found());
    let phone = client.create_phone_number(&PhoneNumberCreate::default().area_code(415)).await.unwrap();
    assert_eq!(phone.friendly_name.as_deref(), Some("F"));
    listed.assert_calls(1);
    got.assert_calls(1);
    created.assert_calls(1);
}

fn schemas() {
    let schema = sigmamind_schema::<ListCalls>();
    assert_eq!(schema["properties"]["size"]["maximum"], 100, "{schema}");
    let schema = sigmamind_schema::<PhoneNumberPage>();
    assert_eq!(schema["required"], json!(["data"]), "{schema}");
    let _ = (Agent::default(), Secret::from("s"), Nullable::<u8>::Null);
}

fn sigmamind_schema<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).into()
}
