//! The TLS of the client's own HTTP client.

use reqwest::ClientBuilder;

use crate::Error;

/// Refuses settings for which reqwest would panic, or fail with each connection.
pub(crate) fn check(encrypted: bool) -> Result<(), Error> {
    // A TLS feature that another crate turned on does not count: whether a client works would
    // depend on what else is built.
    const CHOSEN: bool = cfg!(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ));
    if encrypted && !CHOSEN {
        return Err(Error::configuration(
            "https needs TLS; enable the feature `rustls`, `rustls-no-provider` or `native-tls` \
             of sigmamind, or give an `http_client`",
        ));
    }
    #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Error::configuration(
            "no rustls crypto provider is installed; call `install_default` of one first, or \
             enable the feature `rustls` of sigmamind",
        ));
    }
    Ok(())
}

/// Chooses the backend, so that a feature elsewhere in the program does not.
pub(crate) fn choose(builder: ClientBuilder) -> ClientBuilder {
    #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
    let builder = builder.tls_backend_rustls();
    #[cfg(all(
        feature = "native-tls",
        not(any(feature = "rustls", feature = "rustls-no-provider"))
    ))]
    let builder = builder.tls_backend_native();
    builder
}

/// Turns root certificates off: none is read, none is trusted.
pub(crate) fn without_roots(builder: ClientBuilder) -> ClientBuilder {
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    let builder = builder.tls_certs_only([]);
    builder
}
