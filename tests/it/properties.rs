//! Properties that hold for any input.

use std::{
    cell::Cell,
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Map, Value, json};
use sigmamind::{Client, E164, Error, PhoneNumber, PhoneNumberUpdate, Response, reqwest};
use tokio::runtime::Runtime;

use crate::{random::check, server};

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

/// Returns whether the object was accepted, and checks that its documented properties are
/// unchanged.
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

/// Bytes with a few of them replaced, inserted or cut off.
fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        proptest::sample::select(&b"{}[]\",:\\\r\n 0e+-\0\xff"[..]),
        any::<u8>(),
    ];
    let edits = vec((0..6_u8, any::<Index>(), byte), 0..3);
    (bytes, edits).prop_map(|(mut bytes, edits)| {
        for (edit, place, byte) in edits {
            let place = place.index(bytes.len() + 1);
            match edit {
                0 => bytes.truncate(place),
                1 | 2 => bytes.insert(place, byte),
                _ => {
                    if let Some(known) = bytes.get_mut(place) {
                        *known = byte;
                    }
                }
            }
        }
        bytes
    })
}

/// Gives every request the answer of the moment, and closes the connection.
struct Answering {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    http: reqwest::Client,
    runtime: Runtime,
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
        Self {
            url,
            answer,
            http: server::http().pool_max_idle_per_host(0).build().unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// Makes one call that gets these bytes, and checks what holds however it ends.
    ///
    /// Each call has a client of its own: a strange `Retry-After` would hold up the next one.
    fn call(&self, answer: Vec<u8>) -> Result<Result<Response<PhoneNumber>, Error>, TestCaseError> {
        *self.answer.lock().unwrap() = answer;
        let client = Client::builder()
            .api_key("key")
            .base_url(&self.url)
            .http_client(self.http.clone())
            .max_retries(0)
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let number = "+14155552671".parse().unwrap();
        let update = PhoneNumberUpdate::default().friendly_name("Support Line");
        let call = client.update_phone_number(&number, &update);
        let outcome = self.runtime.block_on(call.send());
        match &outcome {
            Ok(answer) => prop_assert!(answer.status().is_success()),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(!text.is_empty(), "an error without a text");
                prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
                prop_assert!(!text.contains("4155552671"), "{:?}", text);
                prop_assert!(!error.is_invalid_request(), "{:?}", text);
                prop_assert!(!error.is_timeout(), "it hung: {:?}", text);
                prop_assert_ne!(format!("{error:?}"), "");
                let _ = (
                    error.retry_after(),
                    error.request_id(),
                    error.is_retryable(),
                );
            }
        }
        Ok(outcome)
    }
}

/// Counts the cases that come to something, so that a test shows that it meets them.
#[derive(Default)]
struct Count(Cell<u32>);

impl Count {
    fn add(&self, met: bool) {
        self.0.set(self.0.get() + u32::from(met));
    }

    #[track_caller]
    fn assert_at_least(&self, least: u32, what: &str) {
        let count = self.0.get();
        assert!(
            count >= least,
            "{count} cases were {what}, of at least {least}"
        );
    }
}

#[test]
fn any_text_parses_as_e164_only_by_grammar() {
    check(1000, &".*", |text| check_e164(&text));
}

/// Near the grammar's edges, where any text hardly comes.
#[test]
fn text_near_grammar_parses_as_e164_only_by_grammar() {
    let numbers = Count::default();
    check(1000, &r"[ +]?\+?[0-9]{0,17}[0-9٣x\n ]?", |text| {
        numbers.add(is_e164(&text));
        check_e164(&text)
    });
    numbers.assert_at_least(20, "numbers");
}

/// Also where a few bytes of what would be an answer are wrong.
#[test]
fn damaged_json_bytes_deserialize_without_panic() {
    let (read, other, broken) = (Count::default(), Count::default(), Count::default());
    let phones = phone().prop_map(|value| value.to_string().into_bytes());
    let bytes = prop_oneof![1 => vec(any::<u8>(), 0..200), 9 => damaged(phones)];
    check(3000, &bytes, |bytes| {
        let phone = serde_json::from_slice::<PhoneNumber>(&bytes);
        let value = serde_json::from_slice::<Value>(&bytes);
        read.add(phone.is_ok());
        broken.add(value.is_err());
        if let Ok(value) = value {
            other.add(phone.is_err());
            prop_assert_eq!(check_phone(&value)?, phone.is_ok());
        }
        Ok(())
    });
    read.assert_at_least(100, "answers");
    other.assert_at_least(100, "other JSON");
    broken.assert_at_least(100, "no JSON");
}

#[test]
fn any_json_deserializes_without_panic() {
    check(1000, &json(), |value| check_phone(&value).map(drop));
}

#[test]
fn accepted_json_round_trips() {
    let accepted = Count::default();
    check(2000, &phone(), |value| {
        accepted.add(check_phone(&value)?);
        Ok(())
    });
    accepted.assert_at_least(200, "accepted");
}

#[test]
fn any_http_response_gives_value_or_clear_error() {
    let server = Answering::start();
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
        ".*".prop_map(|text| json!({ "message": text }).to_string().into_bytes()),
    ];
    let status = prop_oneof![Just(200_u16), 200..300_u16, 400..600_u16, 100..=999_u16];
    let parts = (status, wait.clone(), wait, field, body);
    let (answers, refusals) = (Count::default(), Count::default());
    check(
        500,
        &parts,
        |(status, seconds, milliseconds, date, body)| {
            let length = body.len();
            let mut answer =
                format!("HTTP/1.1 {status} Any\r\ncontent-length: {length}\r\n").into_bytes();
            for (name, value) in [
                ("retry-after", seconds),
                ("retry-after-ms", milliseconds),
                ("date", date.clone()),
                ("x-request-id", date),
            ] {
                answer.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
            }
            answer.extend([b"\r\n", &*body].concat());
            match server.call(answer)? {
                Ok(answer) => {
                    answers.add(true);
                    let phone: PhoneNumber = serde_json::from_slice(&body).unwrap();
                    prop_assert_eq!(answer.into_inner(), phone);
                }
                Err(error) if status >= 300 => {
                    refusals.add(true);
                    prop_assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
                }
                Err(_) => {}
            }
            Ok(())
        },
    );
    answers.assert_at_least(10, "answers");
    refusals.assert_at_least(100, "refusals");
}

/// Also where an answer is cut off, or a few of its bytes are wrong.
#[test]
fn any_bytes_on_connection_give_value_or_clear_error() {
    #[derive(Debug, Clone)]
    enum Bytes {
        Any(Vec<u8>),
        Damaged(Vec<u8>),
        /// An answer of this status, and how much of it is sent.
        Cut(u16, Vec<u8>, usize),
        /// The same whole, with the name in it.
        Whole(u16, Vec<u8>, String),
    }
    #[derive(Debug, Clone)]
    enum Cut {
        At(Index),
        /// Where nothing but the end of a chunked body is missing.
        Short(usize),
    }
    let answer = (
        prop_oneof![3 => Just(200_u16), 1 => 400..600_u16],
        0..3_u8,
        any::<Index>(),
        "[a-z]{1,20}",
    );
    let answer = answer.prop_map(|(status, framing, place, name)| {
        let body = json!({ "friendlyName": name }).to_string();
        let (first, rest) = body.split_at(1 + place.index(body.len() - 1));
        let rest = match framing {
            0 => format!("content-length: {}\r\n\r\n{body}", body.len()),
            1 => format!(
                "transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
                first.len(),
                rest.len()
            ),
            _ => format!("connection: close\r\n\r\n{body}"),
        };
        let bytes = format!("HTTP/1.1 {status} Any\r\n{rest}").into_bytes();
        (status, bytes, name)
    });
    let cut = prop_oneof![
        any::<Index>().prop_map(Cut::At),
        (1..=5_usize).prop_map(Cut::Short),
    ];
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..200).prop_map(Bytes::Any),
        damaged(answer.clone().prop_map(|(_, bytes, _)| bytes)).prop_map(Bytes::Damaged),
        (answer.clone(), cut).prop_map(|((status, bytes, _), cut)| {
            let length = match cut {
                Cut::At(place) => place.index(bytes.len()),
                Cut::Short(by) => bytes.len() - by,
            };
            Bytes::Cut(status, bytes, length)
        }),
        answer.prop_map(|(status, bytes, name)| Bytes::Whole(status, bytes, name)),
    ];
    let server = Answering::start();
    check(500, &bytes, |bytes| {
        match bytes {
            Bytes::Any(bytes) => {
                let error = server
                    .call(bytes)?
                    .err()
                    .ok_or_else(|| TestCaseError::fail("an answer"))?;
                prop_assert!(error.may_have_been_applied(), "{}", error);
            }
            Bytes::Damaged(bytes) => drop(server.call(bytes)?),
            Bytes::Cut(status, mut bytes, length) => {
                bytes.truncate(length);
                let error = server
                    .call(bytes)?
                    .err()
                    .ok_or_else(|| TestCaseError::fail("half an answer"))?;
                prop_assert!(status != 200 || error.may_have_been_applied(), "{}", error);
            }
            Bytes::Whole(200, bytes, name) => {
                let result = server.call(bytes)?;
                let answer = result.map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(answer.into_inner().friendly_name, Some(name));
            }
            Bytes::Whole(status, bytes, _) => {
                let error = server.call(bytes)?.unwrap_err();
                prop_assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
            }
        }
        Ok(())
    });
}
