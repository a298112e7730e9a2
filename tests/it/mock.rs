//! The servers that the crate gives to other people's tests.

use std::{net::TcpStream, time::Duration};

use serde_json::{Value, json};
use sigmamind::{
    Client, E164, PhoneNumber, PhoneNumberUpdate,
    mock::{FakeSigmaMind, MockSigmaMind, RetryAfter},
    reqwest::{self, StatusCode},
};
use tokio::time::Instant;

fn number() -> E164 {
    "+14155552671".parse().unwrap()
}

fn documented() -> (PhoneNumberUpdate, PhoneNumber) {
    (
        serde_json::from_str(include_str!("../fixtures/request.json")).unwrap(),
        serde_json::from_str(include_str!("../fixtures/response.json")).unwrap(),
    )
}

/// A fake that knows the documented number.
fn fake() -> FakeSigmaMind {
    let fake = FakeSigmaMind::start();
    fake.insert(&number(), documented().1);
    fake
}

fn named(name: &str) -> PhoneNumberUpdate {
    PhoneNumberUpdate::default().friendly_name(name)
}

/// Returns a client for requests that the crate's client would not send.
pub fn http() -> reqwest::Client {
    crate::server::http().build().unwrap()
}

/// Sends what the client would not, and returns the status and the message.
async fn raw(
    fake: &FakeSigmaMind,
    change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
) -> (u16, String) {
    let url = format!("{}/v1/phone-number/{}", fake.url(), number());
    let request = http().patch(url).header("x-api-key", fake.key());
    let response = change(request).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (
        status,
        body["message"].as_str().unwrap_or_default().to_owned(),
    )
}

fn is_open(url: &str) -> bool {
    TcpStream::connect(url.trim_start_matches("http://")).is_ok()
}

mod fake {
    use super::*;

    #[tokio::test]
    async fn update_changes_only_set_properties() {
        let fake = fake();
        let (update, before) = documented();

        let answer = fake
            .client()
            .update_phone_number(&number(), &update)
            .await
            .unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        let expected = PhoneNumber::default()
            .friendly_name("Support Line")
            .inbound_agent_id("awTw7UKhOsLGiDbt")
            .outbound_agent_id("awTw7UKhOsLGiDbt")
            .termination_sip_uri("sip.telnyx.com") // `…Uri` in the request
            .sip_phone_number(before.sip_phone_number.unwrap())
            .provider(before.provider.unwrap())
            .outbound_phone_number(before.outbound_phone_number.unwrap())
            .active(true);
        assert_eq!(*answer, expected);
        assert_eq!(fake.get(&number()), Some(expected));
    }

    #[test]
    fn debug_shows_url() {
        let fake = fake();
        assert!(format!("{fake:?}").contains(fake.url()));
    }

    #[tokio::test]
    async fn update_is_kept_for_next_request() {
        let fake = fake();
        let client = fake.client();
        client
            .update_phone_number(&number(), &named("first"))
            .await
            .unwrap();
        let agent = PhoneNumberUpdate::default().inbound_agent_id("agent");
        let answer = client.update_phone_number(&number(), &agent).await.unwrap();
        assert_eq!(answer.friendly_name.as_deref(), Some("first"));
    }

    #[tokio::test]
    async fn wrong_api_key_gets_401_and_changes_nothing() {
        let fake = fake();
        let client = Client::builder()
            .api_key("wrong")
            .base_url(fake.url())
            .build()
            .unwrap();
        let error = client
            .update_phone_number(&number(), &named("new"))
            .await
            .unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(fake.get(&number()), Some(documented().1));
    }

    #[tokio::test]
    async fn unknown_number_gets_404() {
        let fake = fake();
        let other = "+14155552672".parse().unwrap();
        let error = fake
            .client()
            .update_phone_number(&other, &named("new"))
            .await
            .unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }

    #[tokio::test]
    async fn removed_number_gets_404() {
        let fake = fake();
        fake.remove(&number());
        let error = fake
            .client()
            .update_phone_number(&number(), &named("new"))
            .await
            .unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert_eq!(fake.get(&number()), None);
    }

    #[tokio::test]
    async fn wrong_property_type_gets_422_with_name_but_not_value() {
        let fake = fake();
        for name in serde_json::to_value(documented().0)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
        {
            let (status, message) = raw(&fake, |r| r.json(&json!({ name: 987_654 }))).await;
            assert_eq!(status, 422, "{name}");
            assert_eq!(message, format!("`{name}` is not of type \"string\""));
        }
        assert_eq!(fake.get(&number()), Some(documented().1));
    }

    #[tokio::test]
    async fn null_gets_422_where_document_forbids_it() {
        let (status, message) = raw(&fake(), |r| r.json(&json!({ "friendlyName": null }))).await;
        assert_eq!(
            (status, &*message),
            (422, "`friendlyName` is not of type \"string\"")
        );
    }

    #[tokio::test]
    async fn body_other_than_object_gets_422() {
        let (status, message) = raw(&fake(), |r| r.json(&json!(["friendlyName"]))).await;
        assert_eq!(
            (status, &*message),
            (422, "the body is not of type \"object\"")
        );
    }

    #[tokio::test]
    async fn malformed_json_gets_400() {
        let json = |r: reqwest::RequestBuilder| r.header("content-type", "application/json");
        assert_eq!(raw(&fake(), |r| json(r).body("{")).await.0, 400);
        assert_eq!(raw(&fake(), json).await.0, 400);
    }

    #[tokio::test]
    async fn other_content_type_gets_415() {
        assert_eq!(raw(&fake(), |r| r.body("{}")).await.0, 415);
        let text = |r: reqwest::RequestBuilder| r.header("content-type", "text/plain").body("{}");
        assert_eq!(raw(&fake(), text).await.0, 415);
    }

    #[tokio::test]
    async fn content_type_with_charset_is_json() {
        let json = |r: reqwest::RequestBuilder| {
            r.header("content-type", "Application/JSON; charset=utf-8")
                .body(r#"{"friendlyName":"a"}"#)
        };
        assert_eq!(raw(&fake(), json).await.0, 200);
    }

    #[tokio::test]
    async fn trunk_credentials_are_never_returned() {
        let fake = fake();
        let answer = raw(&fake, |r| r.json(&documented().0)).await;
        assert_eq!(answer.0, 200);
        let answer = fake
            .client()
            .update_phone_number(&number(), &documented().0)
            .await
            .unwrap();
        let body = serde_json::to_string(&*answer).unwrap() + &format!("{:?}", fake.get(&number()));
        for hidden in ["P@ssw0rd123", "sip_user_01", "Primary Trunk"] {
            assert!(!body.contains(hidden), "{hidden} in {body}");
        }
    }

    #[tokio::test]
    async fn received_requests_are_recorded_with_status_and_redacted_secret() {
        let fake = fake();
        let update = documented().0;
        fake.fail_next(1, 403);
        fake.client()
            .update_phone_number(&number(), &update)
            .await
            .unwrap_err();
        fake.client()
            .update_phone_number(&number(), &update)
            .await
            .unwrap();

        let received = fake.received();
        let statuses: Vec<_> = received.iter().map(|r| r.status.as_u16()).collect();
        assert_eq!(statuses, [403, 200]);
        assert_eq!(
            (&received[1].number, &received[1].update),
            (&number(), &update)
        );
        let password = received[1].update.trunk_password.as_ref().unwrap();
        assert_eq!(password.expose(), "P@ssw0rd123");
        let debug = format!("{received:?} {fake:?}");
        assert!(!debug.contains("P@ss"), "{debug}");
    }

    #[tokio::test]
    async fn failures_are_consumed_and_client_retries() {
        let fake = fake();
        fake.fail_next(1, 503);
        fake.fail_next(1, 429);
        let answer = fake
            .client()
            .update_phone_number(&number(), &named("new"))
            .await
            .unwrap();
        assert_eq!(answer.attempts(), 3);
        let statuses: Vec<_> = fake.received().iter().map(|r| r.status.as_u16()).collect();
        assert_eq!(statuses, [503, 429, 200]);
    }

    #[tokio::test]
    async fn failure_applies_nothing() {
        let fake = fake();
        fake.fail_next(1, 500);
        let call = fake.client().update_phone_number(&number(), &named("new"));
        let error = call.max_retries(0).await.unwrap_err();
        assert!(error.is_server_error());
        assert_eq!(fake.get(&number()), Some(documented().1));
    }

    #[tokio::test]
    async fn failures_can_be_endless() {
        let fake = fake();
        fake.fail_next(0, 500);
        fake.fail_next(1, 503);
        fake.fail_next(usize::MAX, 403);
        fake.fail_next(usize::MAX, 404);
        for status in [503, 403, 403] {
            let (answered, _) = raw(&fake, |request| request).await;
            assert_eq!(answered, status);
        }
    }

    /// The status of two requests beyond a limit of one, and when the second may come back.
    async fn beyond(choose: impl FnOnce(&FakeSigmaMind)) -> (u16, reqwest::Response) {
        let fake = fake();
        fake.rate_limit(0.001);
        choose(&fake);
        let url = format!("{}/v1/phone-number/{}", fake.url(), number());
        let send = || {
            let request = http().patch(&url).header("x-api-key", fake.key());
            request.json(&named("new")).send()
        };
        let first = send().await.unwrap().status().as_u16();
        (first, send().await.unwrap())
    }

    #[tokio::test]
    async fn request_beyond_rate_limit_gets_429_with_retry_after() {
        type Choose = fn(&FakeSigmaMind);
        let cases: [(Choose, [Option<u64>; 2]); 4] = [
            (|_| {}, [Some(1000), None]),
            (
                |fake| fake.retry_after(RetryAfter::Seconds),
                [Some(1000), None],
            ),
            (
                |fake| fake.retry_after(RetryAfter::Milliseconds),
                [None, Some(1_000_000)],
            ),
            (|fake| fake.retry_after(RetryAfter::Absent), [None, None]),
        ];
        for (choose, expected) in cases {
            let (first, refused) = beyond(choose).await;
            assert_eq!((first, refused.status().as_u16()), (200, 429));
            let hints = ["retry-after", "retry-after-ms"].map(|name| {
                let value = refused.headers().get(name)?.to_str().unwrap();
                Some(value.parse::<u64>().unwrap())
            });
            for (hint, most) in hints.into_iter().zip(expected) {
                assert_eq!(hint.is_some(), most.is_some());
                // Some of it has passed.
                assert!(hint <= most && hint >= most.map(|most| most * 9 / 10));
            }
            let body: Value = refused.json().await.unwrap();
            assert_eq!(body["message"], "there are too many requests");
        }
    }

    #[test]
    #[should_panic(expected = "the rate limit is not a number above zero")]
    fn rate_limit_must_be_positive() {
        fake().rate_limit(f64::NAN);
    }

    #[test]
    #[should_panic(expected = "a status of 400 to 599")]
    fn success_status_is_refused_as_failure() {
        fake().fail_next(1, 200);
    }

    #[tokio::test]
    async fn delayed_update_is_applied_after_call_timed_out() {
        let fake = fake();
        fake.delay(Duration::from_secs(60));
        let call = fake.client().update_phone_number(&number(), &named("new"));
        let limit = Duration::from_millis(300);
        let error = call.timeout(limit).await.unwrap_err();
        assert!(
            error.is_timeout() && error.may_have_been_applied(),
            "{error}"
        );
        assert_eq!(
            fake.get(&number()).unwrap().friendly_name.as_deref(),
            Some("new")
        );
        let start = Instant::now();
        drop(fake);
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the drop waited for the answer"
        );
    }

    #[tokio::test]
    async fn servers_are_independent() {
        // More than httpmock has servers.
        let fakes: Vec<_> = (0..40).map(|_| fake()).collect();
        let names: Vec<_> = (0..40).map(|i| i.to_string()).collect();
        for (fake, name) in fakes.iter().zip(&names) {
            fake.client()
                .update_phone_number(&number(), &named(name))
                .await
                .unwrap();
        }
        for (fake, name) in fakes.iter().zip(&names) {
            assert_eq!(
                fake.get(&number()).unwrap().friendly_name.as_ref(),
                Some(name)
            );
            assert_eq!(fake.received().len(), 1);
        }
    }

    #[test]
    fn server_needs_no_runtime_and_stops_on_drop() {
        let fake = fake();
        let url = fake.url().to_owned();
        assert!(is_open(&url));
        drop(fake);
        assert!(!is_open(&url));
    }

    #[tokio::test]
    async fn drop_closes_open_connections() {
        let fake = fake();
        let client = fake.client();
        let call = || client.update_phone_number(&number(), &named("new"));
        call().await.unwrap();
        drop(fake); // on the client's runtime, whose connection is kept alive
        let error = call().max_retries(0).await.unwrap_err();
        assert!(error.is_connect() || error.is_retryable(), "{error:?}");
    }

    #[tokio::test]
    async fn undocumented_path_or_method_gets_404() {
        let fake = fake();
        let http = super::http();
        let status = async |method, path| {
            let url = format!("{}{path}", fake.url());
            http.request(method, url)
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!(
            status(reqwest::Method::PATCH, "/v1/phone-numbers/+14155552671").await,
            404
        );
        assert_eq!(
            status(reqwest::Method::GET, "/v1/phone-number/+14155552671").await,
            405
        );
    }
}

mod expectations {
    use super::*;

    /// Returns whether an update gets the success that is expected under `when`.
    async fn fits(
        when: impl FnOnce(sigmamind::mock::UpdatePhoneNumberWhen),
        number: &str,
        update: &PhoneNumberUpdate,
    ) -> bool {
        let mock = MockSigmaMind::start();
        let expected = mock.update_phone_number(|w, then| {
            when(w);
            then.ok(&PhoneNumber::default());
        });
        let number = number.parse().unwrap();
        let outcome = mock.client().update_phone_number(&number, update).await;
        assert_eq!(expected.calls() == 1, outcome.is_ok());
        if let Err(error) = &outcome {
            assert!(error.is_not_found(), "{error}");
        }
        outcome.is_ok()
    }

    #[tokio::test]
    async fn number_matches_only_itself() {
        let when = |w: sigmamind::mock::UpdatePhoneNumberWhen| drop(w.phone_number(&number()));
        assert!(fits(when, "+14155552671", &named("a")).await);
        assert!(!fits(when, "+14155552672", &named("a")).await);
        assert!(!fits(when, "+141555526711", &named("a")).await);
    }

    #[test]
    fn debug_shows_url() {
        let server = MockSigmaMind::start();
        assert!(format!("{server:?}").contains(&server.url()));
    }

    #[tokio::test]
    async fn api_key_matches_only_itself() {
        let with = |key| move |w: sigmamind::mock::UpdatePhoneNumberWhen| drop(w.api_key(key));
        let mock = MockSigmaMind::start();
        assert!(fits(with(mock.key()), "+14155552671", &named("a")).await);
        assert!(!fits(with("another"), "+14155552671", &named("a")).await);
    }

    #[tokio::test]
    async fn whole_update_matches_only_itself() {
        let update = documented().0;
        let when = |w: sigmamind::mock::UpdatePhoneNumberWhen| drop(w.body(&update));
        assert!(fits(when, "+14155552671", &update).await);
        assert!(!fits(when, "+14155552671", &named("Support Line")).await);
        assert!(!fits(when, "+14155552671", &update.clone().friendly_name("other")).await);
        assert!(
            !fits(
                when,
                "+14155552671",
                &update.clone().trunk_password("other")
            )
            .await
        );
    }

    #[tokio::test]
    async fn single_property_matches_regardless_of_others() {
        let part = named("Support Line").trunk_password("P@ssw0rd123");
        let when = |w: sigmamind::mock::UpdatePhoneNumberWhen| drop(w.body_including(&part));
        assert!(fits(when, "+14155552671", &part).await);
        assert!(fits(when, "+14155552671", &documented().0).await);
        assert!(!fits(when, "+14155552671", &named("Support Line")).await);
        assert!(!fits(when, "+14155552671", &part.clone().friendly_name("other")).await);
    }

    #[tokio::test]
    async fn response_is_given_value() {
        let mock = MockSigmaMind::start();
        let phone = documented().1;
        mock.update_phone_number(|_, then| drop(then.ok(&phone).header("x-request-id", "7")));
        let answer = mock
            .client()
            .update_phone_number(&number(), &named("a"))
            .await
            .unwrap();
        assert_eq!((&*answer, answer.request_id()), (&phone, Some("7")));
    }

    #[tokio::test]
    async fn any_status_and_body_can_be_returned() {
        let mock = MockSigmaMind::start();
        let refused = |_, then: sigmamind::mock::UpdatePhoneNumberThen| {
            drop(
                then.status(418)
                    .body(r#"{"message": "short and stout"}"#)
                    .header("a", "b"),
            );
        };
        mock.update_phone_number(refused);
        let error = mock
            .client()
            .update_phone_number(&number(), &named("a"))
            .await
            .unwrap_err();
        assert_eq!(error.status().unwrap(), 418);
        assert_eq!(error.message(), Some("short and stout"));
        assert_eq!(error.headers()["a"], "b");

        let mock = MockSigmaMind::start();
        mock.update_phone_number(|_, then| drop(then.status(200).body([0xff, 0x00])));
        let error = mock
            .client()
            .update_phone_number(&number(), &named("a"))
            .await
            .unwrap_err();
        assert!(error.is_decode());
        assert_eq!(error.body(), [0xff, 0x00]);
    }

    #[tokio::test]
    async fn response_can_be_delayed() {
        let mock = MockSigmaMind::start();
        mock.update_phone_number(|_, then| {
            then.ok(&PhoneNumber::default())
                .delay(Duration::from_secs(5));
        });
        let call = mock.client().update_phone_number(&number(), &named("a"));
        let limit = Duration::from_millis(300);
        let error = call.timeout(limit).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }

    #[tokio::test]
    async fn failures_are_followed_by_success() {
        let mock = MockSigmaMind::start();
        let failing = mock.update_phone_number(|_, then| drop(then.status(503).times(2)));
        let working = mock.update_phone_number(|_, then| drop(then.ok(&PhoneNumber::default())));
        let answer = mock
            .client()
            .update_phone_number(&number(), &named("a"))
            .await
            .unwrap();
        assert_eq!(answer.attempts(), 3);
        failing.assert_calls(2);
        working.assert_calls(1);
    }
}
