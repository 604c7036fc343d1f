//! Translation of errors to those of `wasi:http`.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::iter::successors;

use http_body_util::LengthLimitError;
use wasmtime_wasi_http::Error;

use super::body::MAX_BODY;
use super::tcp_connector::ConnectError;

/// Translates a client error for a guest. The outermost cause with a translation decides.
pub(super) fn to_wasi_error(error: &(dyn StdError + 'static)) -> Error {
    let translated = causes(error).find_map(translate);
    tracing::debug!(error = ?causes(error).map(ToString::to_string).collect::<Vec<_>>(), "a model's request failed");
    translated.unwrap_or(Error::HttpProtocolError)
}

/// Iterates over an error and its causes, from the outside in. The error inside an I/O error is not
/// its `source`, so it is taken separately.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source())
    })
}

fn translate(cause: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(error) = cause.downcast_ref::<ConnectError>() {
        return Some(from_connect_error(error));
    }

    if cause.is::<LengthLimitError>() {
        return Some(Error::HttpRequestBodySize(Some(MAX_BODY as u64)));
    }

    // The guest announced a length that differs from what it wrote.
    if let Some(Error::HttpRequestBodySize(size)) = cause.downcast_ref::<Error>() {
        return Some(Error::HttpRequestBodySize(*size));
    }

    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(from_tls_error(error));
    }

    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return from_http_error(error);
    }

    cause.downcast_ref::<io::Error>().and_then(|error| from_io_error(error.kind()))
}

fn from_connect_error(error: &ConnectError) -> Error {
    match error {
        ConnectError::NoOrigin(_) => Error::HttpRequestUriInvalid,
        ConnectError::Lookup(_, error) => {
            Error::DnsError { rcode: Some(error.to_string()), info_code: None }
        }
        ConnectError::Prohibited { .. } => Error::DestinationIpProhibited,
        ConnectError::Connect(_, error) => {
            from_io_error(error.kind()).unwrap_or(Error::DestinationUnavailable)
        }
        ConnectError::TimedOut => Error::ConnectionTimeout,
        ConnectError::Closed => Error::ConnectionLimitReached,
    }
}

fn from_tls_error(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}

/// Translates an HTTP error; `None` if its cause is more specific.
fn from_http_error(error: &hyper::Error) -> Option<Error> {
    match error {
        error if error.is_parse_too_large() => Some(Error::HttpResponseHeaderSectionSize(None)),
        error if error.is_parse() => Some(Error::HttpProtocolError),
        error if error.is_incomplete_message() => Some(Error::HttpResponseIncomplete),
        error if error.is_closed() || error.is_canceled() => Some(Error::ConnectionTerminated),
        _ => None,
    }
}

fn from_io_error(kind: ErrorKind) -> Option<Error> {
    match kind {
        ErrorKind::ConnectionRefused => Some(Error::ConnectionRefused),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(Error::ConnectionTerminated),
        ErrorKind::TimedOut => Some(Error::ConnectionTimeout),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Some(Error::DestinationIpUnroutable)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_cause_decides() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        let address = "127.0.0.1:1".parse().unwrap();
        assert!(matches!(
            to_wasi_error(&ConnectError::Connect(address, refused())),
            Error::ConnectionRefused
        ));

        let wrapped =
            io::Error::other(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired));
        assert!(matches!(to_wasi_error(&wrapped), Error::TlsCertificateError));
        assert!(matches!(
            to_wasi_error(&io::Error::other(io::Error::other("?"))),
            Error::HttpProtocolError
        ));

        let name = crate::model::Host::Name("a.b".into());
        assert!(matches!(
            to_wasi_error(&ConnectError::Lookup(name, io::Error::other("?"))),
            Error::DnsError { .. }
        ));
    }
}
