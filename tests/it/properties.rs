//! What holds for any input.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};
use sigmamind::{Client, E164, PhoneNumber, PhoneNumberUpdate};

/// The properties that the page documents for a response.
const DOCUMENTED: [&str; 8] = [
    "sipPhoneNumber",
    "provider",
    "inboundAgentId",
    "outboundAgentId",
    "outboundPhoneNumber",
    "active",
    "terminationSipURI",
    "friendlyName",
];

/// `^\+[1-9][0-9]{6,14}$`, character by character.
fn is_e164(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    (8..=16).contains(&characters.len())
        && characters[0] == '+'
        && "123456789".contains(characters[1])
        && characters[2..].iter().all(|c| "0123456789".contains(*c))
}

fn check_e164(text: &str) -> Result<(), TestCaseError> {
    let parsed = text.parse::<E164>();
    prop_assert_eq!(parsed.is_ok(), is_e164(text), "{:?}", parsed);
    let json = serde_json::from_value::<E164>(text.into());
    prop_assert_eq!(json.is_ok(), parsed.is_ok());
    match parsed {
        Ok(number) => prop_assert_eq!(number.as_str(), text),
        Err(error) => prop_assert!(error.to_string().starts_with("not an E.164 phone number: ")),
    }
    Ok(())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop_oneof!["twilio", "telnyx", "byo"].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..10).prop_map(Value::from),
            vec((".*", inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// An object that has some of the documented properties, mostly with values that they may have.
fn phone() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        6 => ".*".prop_map(Value::from),
        2 => any::<u64>().prop_map(Value::from),
        2 => any::<bool>().prop_map(Value::from),
        2 => Just(Value::Null),
        1 => json(),
    ];
    let name = prop_oneof![
        9 => proptest::sample::select(&DOCUMENTED[..]).prop_map(str::to_owned),
        1 => ".*",
    ];
    vec((name, value), 0..8).prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

/// Whether the object was accepted; if it was, what is documented in it comes out as it came.
fn check_phone(value: &Value) -> Result<bool, TestCaseError> {
    let Ok(phone) = serde_json::from_value::<PhoneNumber>(value.clone()) else {
        return Ok(false);
    };
    let bytes = serde_json::to_vec(value).unwrap();
    prop_assert_eq!(
        &serde_json::from_slice::<PhoneNumber>(&bytes).unwrap(),
        &phone
    );
    let Some(came) = value.as_object() else {
        return Ok(false);
    };
    let mut expected = Map::new();
    for name in DOCUMENTED {
        if let Some(value) = came.get(name).filter(|value| !value.is_null()) {
            expected.insert(name.to_owned(), value.clone());
        }
    }
    prop_assert_eq!(
        serde_json::to_value(&phone).unwrap(),
        Value::Object(expected)
    );
    Ok(true)
}

/// Answers every request with the bytes that are set, and closes the connection.
struct Answering {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Answering {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Vec::new()));
        let answers = answer.clone();
        thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut part = [0; 1024];
                while !request.ends_with(b"}") {
                    match connection.read(&mut part) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&part[..read]),
                    }
                }
                let _ = connection.write_all(&answers.lock().unwrap());
            }
        });
        Self { url, answer }
    }

    fn client(&self) -> Client {
        let builder = Client::builder()
            .api_key("key")
            .base_url(&self.url)
            .http_client(crate::mock::http());
        builder
            .max_retries(0)
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap()
    }
}

/// Makes one call that gets `answer`, and checks that it ends as a call may end.
fn check_answer(
    runtime: &tokio::runtime::Runtime,
    server: &Answering,
    client: &Client,
    answer: Vec<u8>,
) -> Result<(), TestCaseError> {
    *server.answer.lock().unwrap() = answer;
    let number = "+14155552671".parse().unwrap();
    let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    let start = Instant::now();
    let outcome = runtime.block_on(client.update_phone_number(&number, &update).send());
    prop_assert!(
        start.elapsed() < Duration::from_secs(5),
        "it hung: {:?}",
        outcome
    );
    match outcome {
        Ok(answer) => prop_assert!(answer.status().is_success()),
        Err(error) => {
            let text = error.to_string();
            prop_assert!(
                !text.is_empty() && !text.chars().any(char::is_control),
                "{:?}",
                text
            );
            prop_assert!(!text.contains("4155552671"), "{:?}", text);
            prop_assert!(!error.is_invalid_request(), "{:?}", text);
            prop_assert_ne!(format!("{error:?}"), "");
            let _ = (
                error.retry_after(),
                error.request_id(),
                error.is_retryable(),
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_number_by_the_grammar_alone(text in ".*") {
        check_e164(&text)?;
    }

    /// Near the grammar's edges, where any text hardly comes.
    #[test]
    fn a_text_near_the_grammar_is_a_number_by_it_alone(
        text in r"[ +]?\+?[0-9]{0,17}[0-9٣x\n ]?",
    ) {
        check_e164(&text)?;
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = serde_json::from_slice::<PhoneNumber>(&bytes);
    }

    #[test]
    fn any_json_is_read_without_panic(value in json()) {
        check_phone(&value)?;
    }
}

#[test]
fn what_is_accepted_comes_out_again_as_it_came() {
    let config = ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let accepted = std::cell::Cell::new(0);
    proptest::test_runner::TestRunner::new(config)
        .run(&phone(), |value| {
            accepted.set(accepted.get() + u32::from(check_phone(&value)?));
            Ok(())
        })
        .unwrap();
    assert!(
        accepted.get() > 200,
        "only {} were accepted",
        accepted.get()
    );
}

#[test]
fn any_answer_is_an_answer_or_a_clear_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Answering::start();
    let client = server.client();
    let field = vec(
        prop_oneof![1 => Just(b'\t'), 20 => 0x20..=0x7e_u8, 2 => 0x80..=0xff_u8],
        0..40,
    );
    let wait = prop_oneof![
        field.clone(),
        "-?[0-9]{1,25}(\\.[0-9]{0,25})?".prop_map(String::into_bytes),
        "(Sun|Mon), [0-9]{2} (Nov|Feb) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
            .prop_map(String::into_bytes),
        Just(b"NaN".to_vec()),
        Just(b"inf".to_vec()),
        Just(b"1e300".to_vec()),
    ];
    let body = prop_oneof![
        vec(any::<u8>(), 0..300),
        json().prop_map(|value| value.to_string().into_bytes()),
        phone().prop_map(|value| value.to_string().into_bytes()),
        ".*".prop_map(
            |text| Value::from(Map::from_iter([("message".into(), text.into())]))
                .to_string()
                .into_bytes()
        ),
    ];
    let status = prop_oneof![Just(200_u16), 200..300_u16, 400..600_u16, 100..=999_u16];
    let parts = (status, wait.clone(), wait, field, body);
    let config = ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(&parts, |(status, seconds, milliseconds, date, body)| {
            let mut answer = format!(
                "HTTP/1.1 {status} Any\r\ncontent-length: {}\r\n",
                body.len()
            )
            .into_bytes();
            for (name, value) in [
                ("retry-after", seconds),
                ("retry-after-ms", milliseconds),
                ("date", date.clone()),
                ("x-request-id", date),
            ] {
                answer.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
            }
            answer.extend([b"\r\n", &*body].concat());
            check_answer(&runtime, &server, &client, answer)
        })
        .unwrap();
}

#[test]
fn any_bytes_on_the_connection_are_an_answer_or_a_clear_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Answering::start();
    let client = server.client();
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(any::<u8>(), 0..100).prop_map(|rest| [b"HTTP/1.1 200 OK\r\n", &*rest].concat()),
        vec(any::<u8>(), 0..100).prop_map(|rest| [
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            &*rest
        ]
        .concat()),
    ];
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(&bytes, |bytes| {
            check_answer(&runtime, &server, &client, bytes)
        })
        .unwrap();
}
