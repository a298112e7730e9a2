//! The line that an error shows.

use std::{borrow::Cow, error::Error as _, fmt, time::Duration};

use super::{AttemptHistory, Cause, Error, Inner, Undecodable, transport::chain};
use crate::limiter::Reason;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_cause(f)?;
        let AttemptHistory {
            attempts,
            may_have_been_applied,
        } = self.0.history;
        match attempts {
            1 if self.is_configuration() => f.write_str(" [after 1 attempt]")?,
            0 | 1 => {}
            _ => write!(f, " [after {attempts} attempts]")?,
        }
        if may_have_been_applied && !self.is_decode() {
            f.write_str(" [the request may have taken effect]")?;
        }
        Ok(())
    }
}

impl Error {
    fn write_cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            cause,
            response,
            history,
            ..
        } = &*self.0;
        if let (Cause::ConnectionLost | Cause::Timeout(_) | Cause::Decode(_), Some(status)) =
            (cause, response.status)
        {
            write!(f, "the request was accepted ({status}), but ")?;
        }
        match cause {
            Cause::InvalidRequest(violation) => {
                write!(f, "invalid request: {}", violation.reason)
            }
            Cause::Configuration(reason) => write!(f, "invalid configuration: {reason}"),
            Cause::Setup if self.names_a_certificate() => f.write_str(
                "the HTTP client cannot be set up, because https needs root certificates and \
                 none can be loaded; install the system's (the package `ca-certificates`), or \
                 name a file of them in SSL_CERT_FILE",
            ),
            Cause::Setup => f.write_str(
                "the HTTP client cannot be set up; check its TLS backend and proxy settings",
            ),
            Cause::Held(reason) => {
                let wait = Rounded(response.retry_after.unwrap_or_default());
                match reason {
                    Reason::Throttled => write!(
                        f,
                        "not sent: the server asked for a pause; retry after {wait}"
                    ),
                    Reason::Unavailable => write!(
                        f,
                        "not sent: the server asked for a pause; retry after {wait} (it answered \
                         503 to another request)"
                    ),
                    Reason::OwnLimit => write!(
                        f,
                        "not sent: the client's `rate_limit` leaves no room within the time \
                         limit; retry after {wait}"
                    ),
                }
            }
            Cause::Connect if self.names_a_certificate() => f.write_str(
                "no connection, because of a certificate; check the base URL, the clock and the \
                 system's root certificates (the package `ca-certificates`, or SSL_CERT_FILE)",
            ),
            Cause::Connect => {
                f.write_str("no connection")?;
                if let Some(cause) = self.root_cause() {
                    write!(f, " ({cause})")?;
                }
                f.write_str("; check the network, the proxy and the base URL")
            }
            Cause::ConnectionLost if response.status.is_some() => {
                f.write_str("the connection was lost; retry later")
            }
            Cause::ConnectionLost => f.write_str("connection lost; retry later"),
            Cause::InvalidHttp if self.is_head_too_large() => f.write_str(
                "the head of the server's response is too large: more than 100 header lines, or \
                 too many bytes; check the base URL or raise the limits with an `http_client`, \
                 and verify the current state",
            ),
            Cause::InvalidHttp => f.write_str(
                "the server's response is not valid HTTP; check the base URL and verify the \
                 current state",
            ),
            Cause::Timeout(limit) => {
                f.write_str("no complete response within ")?;
                match limit {
                    Some(limit) => write!(f, "{}", Rounded(*limit))?,
                    None => f.write_str("the HTTP client's own limit")?,
                }
                f.write_str("; retry later or allow more time")
            }
            Cause::Status => {
                let status = response.status.unwrap_or_default();
                write!(f, "SigmaMind answered {status}")?;
                if let Some(message) = &response.message {
                    write!(f, " ({message})")?;
                }
                write!(f, "; {}", self.advice())
            }
            Cause::Redirected => f.write_str(
                "the HTTP client followed a redirect to elsewhere; give it \
                 `redirect(Policy::none())` and correct the base URL",
            ),
            Cause::Decode(problem) => {
                write!(f, "the response {problem}")?;
                if history.may_have_been_applied {
                    f.write_str("; verify the current state")?;
                }
                Ok(())
            }
        }
    }

    /// Returns whether the cause is about certificates. Each TLS library has errors of its own, and
    /// only their texts in common.
    fn names_a_certificate(&self) -> bool {
        chain(self.source())
            .map(|cause| cause.to_string().to_lowercase())
            .any(|text| text.contains("certificate"))
    }

    /// Returns whether the head of the response exceeded a limit of hyper's, whose error tells that
    /// to servers by a method and to clients by its text alone.
    fn is_head_too_large(&self) -> bool {
        chain(self.source())
            .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
            .any(|error| error.is_parse() && error.to_string().contains("too large"))
    }

    /// Returns the innermost cause, without the number that std adds to errors of the system.
    fn root_cause(&self) -> Option<String> {
        let root = chain(self.source()).last()?.to_string();
        let end = root.find(" (os error ").unwrap_or(root.len());
        Some(root[..end].to_lowercase())
    }

    /// Returns what to do about a status.
    fn advice(&self) -> Cow<'static, str> {
        match self.status().map_or(0, |status| status.as_u16()) {
            300..=399 => match &self.0.response.redirect {
                Some(host) => format!(
                    "the redirect to {host} was not followed, because the key would go along; \
                     correct the base URL"
                )
                .into(),
                None => "redirects are not followed; correct the base URL".into(),
            },
            401 => "check the API key".into(),
            403 => "check the permissions of the API key".into(),
            404 => "check the path, the base URL and the key's account".into(),
            429 => match self.retry_after() {
                Some(wait) => format!("retry after {}", Rounded(wait)).into(),
                None => "reduce concurrency or set `rate_limit`".into(),
            },
            408 | 500.. => "retry later".into(),
            _ => "correct the request".into(),
        }
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDocumented(None) => f.write_str("is not the documented JSON"),
            Self::NotDocumented(Some(property)) => {
                write!(f, "is not the documented JSON at `{property}`")
            }
            Self::NoDocumentedProperty => f.write_str("has none of the documented properties"),
            Self::TooLong => f.write_str("is longer than 1 MiB"),
            Self::Malformed => f.write_str("is malformed"),
        }
    }
}

/// A duration as people say it: "200 ms", "1.5 s", "30 s", "5 min", "2 h", "3 days".
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        let seconds = millis.div_ceil(1000);
        match seconds {
            0 | 1 if millis < 1000 => write!(f, "{millis} ms"),
            0..10 => {
                let tenths = millis.div_ceil(100);
                match tenths % 10 {
                    0 => write!(f, "{} s", tenths / 10),
                    tenth => write!(f, "{}.{tenth} s", tenths / 10),
                }
            }
            10..180 => write!(f, "{seconds} s"),
            180..7200 => write!(f, "{} min", seconds.div_ceil(60)),
            7200..172_800 => write!(f, "{} h", seconds.div_ceil(3600)),
            _ => write!(f, "{} days", seconds.div_ceil(86_400)),
        }
    }
}
