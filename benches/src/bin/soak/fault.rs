//! What goes wrong with a request.

use fastrand::Rng;

use crate::log::label;

/// Of a hundred requests, so many meet a fault.
pub const FAULTS: u8 = 12;
/// A body that is longer than a success may be, in bytes.
pub const LONG: usize = 2 << 20;
pub const REFUSAL: &str = r#"{"message":"no"}"#;
/// JSON, and not the documented.
pub const WRONG: &str = r#"{"friendlyName":["call-0."]}"#;

/// The answer to this call.
pub fn success(call: usize) -> String {
    format!(r#"{{"friendlyName":"{}","active":true}}"#, label(call))
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The connection is closed before the request is read.
    CloseUnread,
    /// It is reset after the request was read.
    Reset,
    CloseInHead,
    CloseInBody,
    SilentUnread,
    Silent,
    SilentInHead,
    SilentInBody,
    /// The answer comes byte by byte, and too slowly.
    Drip,
    /// 2 MiB, announced.
    TooLong,
    /// Chunks without an end.
    Endless,
    /// Nearly as much as may be read, and then nothing: what takes the most memory.
    Held,
    BrokenJson,
    /// JSON, and not the documented.
    WrongJson,
    NotHttp,
    /// A status that may pass, with or without the update applied.
    Passing,
    /// The same with a wait, which is short or over.
    RetryAfter,
    /// A 4xx that repeating does not help.
    Refused,
    Redirect,
    /// All that has come is answered, and nothing else (HTTP/2).
    GoAway,
    /// For all the calls on it (HTTP/2).
    Gone,
}

impl Fault {
    /// Those of a server that speaks HTTP/1.
    pub const HTTP1: &[Self] = &[
        Self::CloseUnread,
        Self::Reset,
        Self::CloseInHead,
        Self::CloseInBody,
        Self::SilentUnread,
        Self::Silent,
        Self::SilentInHead,
        Self::SilentInBody,
        Self::Drip,
        Self::TooLong,
        Self::Endless,
        Self::BrokenJson,
        Self::WrongJson,
        Self::NotHttp,
        Self::Passing,
        Self::RetryAfter,
        Self::Refused,
        Self::Redirect,
    ];

    /// Those of a server that speaks HTTP/2, where "closed" and "reset" are said of a stream.
    pub const HTTP2: &[Self] = &[
        Self::CloseUnread,
        Self::Reset,
        Self::CloseInBody,
        Self::SilentUnread,
        Self::Silent,
        Self::SilentInBody,
        Self::Drip,
        Self::TooLong,
        Self::Endless,
        Self::BrokenJson,
        Self::WrongJson,
        Self::Passing,
        Self::RetryAfter,
        Self::Refused,
        Self::Redirect,
        Self::GoAway,
        Self::Gone,
    ];

    /// One of them, or none, by chance.
    pub fn of(faults: &[Self], rng: &mut Rng) -> Option<Self> {
        (rng.u8(..100) < FAULTS).then(|| faults[rng.usize(..faults.len())])
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::CloseUnread => "closed before reading",
            Self::Reset => "reset before the answer",
            Self::CloseInHead => "closed in the head",
            Self::CloseInBody => "closed in the body",
            Self::SilentUnread => "silent without reading",
            Self::Silent => "silent after reading",
            Self::SilentInHead => "silent in the head",
            Self::SilentInBody => "silent in the body",
            Self::Drip => "dripping",
            Self::TooLong => "body too long, announced",
            Self::Endless => "body without an end",
            Self::Held => "long body, held",
            Self::BrokenJson => "broken JSON",
            Self::WrongJson => "wrong JSON",
            Self::NotHttp => "not HTTP",
            Self::Passing => "408 or 5xx",
            Self::RetryAfter => "503 with Retry-After",
            Self::Refused => "4xx",
            Self::Redirect => "redirect",
            Self::GoAway => "the server goes away, gently",
            Self::Gone => "the connection is gone",
        }
    }

    /// Whether the server has applied the update; where it can be either, by chance.
    pub fn applies(self, rng: &mut Rng) -> bool {
        match self {
            Self::CloseUnread | Self::SilentUnread | Self::Refused | Self::Redirect => false,
            Self::Reset
            | Self::Silent
            | Self::NotHttp
            | Self::Passing
            | Self::RetryAfter
            | Self::Gone => rng.bool(),
            _ => true, // a success is on its way
        }
    }

    pub fn status(self, rng: &mut Rng) -> u16 {
        let statuses: &[u16] = match self {
            Self::Passing => &[408, 500, 501, 502, 503, 504],
            Self::RetryAfter => &[503],
            Self::Refused => &[400, 401, 403, 404, 409, 413, 422],
            Self::Redirect => &[301, 307],
            _ => &[200],
        };
        statuses[rng.usize(..statuses.len())]
    }

    /// A header of the answer, by name and value.
    pub fn header(self, rng: &mut Rng) -> Option<(&'static str, &'static str)> {
        match self {
            Self::RetryAfter => Some(if rng.bool() {
                ("retry-after-ms", "20")
            } else {
                ("retry-after", "Tue, 24 Nov 2026 00:00:00 GMT")
            }),
            Self::Redirect => Some(("location", "http://127.0.0.1:9/elsewhere")),
            _ => None,
        }
    }
}
