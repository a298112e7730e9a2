//! Headers that a caller may set, and that a server answers with.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::generated::KEY_HEADER;

/// Checks a header that a caller sets.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let Ok(name) = HeaderName::try_from(name) else {
        return Err(format!("`{name}` is not the name of a header").replace(char::is_control, " "));
    };
    if is_reserved(&name) {
        return Err(reserved(&name));
    }
    let Ok(mut value) = HeaderValue::try_from(value) else {
        return Err(format!(
            "the value of the header `{name}` has a control character"
        ));
    };
    value.set_sensitive(true);
    Ok((name, value))
}

/// Returns whether only the client itself may set a header.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    // A response that reqwest does not decompress could not be read.
    let reserved = ["accept-encoding", "connection", "host", "transfer-encoding"];
    *name == KEY_HEADER
        || reserved.contains(&name.as_str())
        || name.as_str().starts_with("content-")
}

/// Returns why a reserved header is refused.
pub(crate) fn reserved(name: &HeaderName) -> String {
    format!("the header `{name}` is set by the client itself; leave it out")
}

/// Adds headers; they replace those of the same name, and keep all their own values.
pub(crate) fn merge(headers: &mut HeaderMap, added: &HeaderMap) {
    for name in added.keys() {
        headers.remove(name);
    }
    for (name, value) in added {
        headers.append(name.clone(), value.clone());
    }
}

/// Returns the id under which the server knows a request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    [
        "x-request-id",
        "request-id",
        "x-amzn-requestid",
        "x-amz-request-id",
        "x-correlation-id",
        "cf-ray",
    ]
    .iter()
    .find_map(|name| headers.get(*name)?.to_str().ok())
}
