//! Which headers a caller may set.

use reqwest::header::{HeaderName, HeaderValue};

use crate::generated::KEY_HEADER;

/// A header that a caller may set.
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

pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let reserved = ["host", "transfer-encoding", "connection"];
    *name == KEY_HEADER
        || reserved.contains(&name.as_str())
        || name.as_str().starts_with("content-")
}

pub(crate) fn reserved(name: &HeaderName) -> String {
    format!("the header `{name}` is set by the client itself; leave it out")
}
