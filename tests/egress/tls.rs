//! The certificates that outgoing requests accept.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{Upstream, ask};
use crate::harness::{Server, Setup, guest};

/// Returns a function that speaks TLS on a connection, with a certificate for `localhost` from an
/// authority of its own, and that authority in PEM.
pub(crate) fn localhost()
-> (impl Fn(TcpStream) -> StreamOwned<ServerConnection, TcpStream> + Send + Sync, String) {
    let (certificate, key, authority) = certificate("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let wrap = move |stream: TcpStream| {
        StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
    };
    (wrap, authority)
}

fn certificate(name: &str) -> (Certificate, KeyPair, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    (certificate, key, authority.pem())
}

/// Returns a certificate for a name or address, its key, and the authority that signed it, all in
/// PEM.
pub(crate) fn certificate_of(name: &str) -> (String, String, String) {
    let (certificate, key, authority) = certificate(name);
    (certificate.pem(), key.serialize_pem(), authority)
}

/// Starts a server with such a certificate.
fn upstream() -> (Upstream, String) {
    let (wrap, authority) = localhost();
    (Upstream::start_with(wrap), authority)
}

fn caller(upstream: &Upstream) -> Setup {
    let port = upstream.address.port();
    Server::with_models(|models| {
        let origins = format!("['https://localhost:{port}', 'https://127.0.0.1:{port}']");
        models.settings("http-caller", &format!("[capabilities]\nhttp = {origins}"));
        models.version("http-caller", 1, guest("http-caller"));
    })
}

fn get(server: &Server, host: &str, upstream: &Upstream) -> (i64, String) {
    server.until_ready("http-caller", 1);
    let got = ask(server, format!("GET https {host}:{} /", upstream.address.port()), json!({}));
    (got.status, got.text)
}

#[test]
fn certificates_are_verified_against_trusted_authorities() {
    let (upstream, authority) = upstream();
    let server = caller(&upstream).start();
    assert_eq!(get(&server, "localhost", &upstream), untrusted());
    let setup = server.stop();
    setup.models().put("../authority.pem", authority);
    let server = setup.config("[egress]\nca_certificates = 'authority.pem'").start();
    let (status, text) = get(&server, "localhost", &upstream);
    assert!(status == 200 && text.contains("GET / HTTP/1.1"), "{status} {text}");
    // The certificate is for another name.
    assert_eq!(get(&server, "127.0.0.1", &upstream), untrusted());
}

fn untrusted() -> (i64, String) {
    (0, "ErrorCode::TlsCertificateError".to_owned())
}
