//! Which TLS the client's own HTTP client uses.

use reqwest::ClientBuilder;

use crate::Error;

#[cfg(not(feature = "rustls-no-provider"))]
pub(crate) fn configure(builder: ClientBuilder) -> Result<ClientBuilder, Error> {
    Ok(builder)
}

/// reqwest takes the crypto provider that the process has installed, and panics without one.
#[cfg(feature = "rustls-no-provider")]
pub(crate) fn configure(builder: ClientBuilder) -> Result<ClientBuilder, Error> {
    if rustls::crypto::CryptoProvider::get_default().is_some() {
        return Ok(builder);
    }
    #[cfg(feature = "rustls")]
    return ring()
        .map(|tls| builder.tls_backend_preconfigured(tls))
        .map_err(Error::setup);
    #[cfg(not(feature = "rustls"))]
    return Err(Error::input(
        "no rustls crypto provider is installed; call `install_default` of one first, or enable \
         the feature `rustls` of sigmamind",
    ));
}

/// What reqwest would make, with ring. Nothing is installed for the process, which may yet choose
/// its own.
#[cfg(feature = "rustls")]
fn ring() -> Result<rustls::ClientConfig, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt;

    let provider = rustls::crypto::ring::default_provider().into();
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    tls.alpn_protocols = vec![
        #[cfg(feature = "http2")]
        b"h2".to_vec(),
        b"http/1.1".to_vec(),
    ];
    Ok(tls)
}
