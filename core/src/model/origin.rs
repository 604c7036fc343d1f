//! Origins that a model may call: scheme, host and port, compared as a whole.
//!
//! The operator's list and the guests' requests use the same parser, so both are understood alike.
//! The parser is stricter than URLs: texts that programs interpret differently, such as `127.1` or
//! `0x7f000001`, are rejected.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The names are the schemes' own.
pub enum Scheme {
    Http,
    Https,
}

/// Host of an origin, before any DNS lookup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name, in lower case.
    Name(String),
    /// A literal address.
    Address(IpAddr),
}

/// Scheme, host and port. Origins are normalized: different spellings of one origin are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Reason for a rejected origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an origin like \"https://api.example.com\" or \"http://127.0.0.1:9000\": {why}"
)]
pub struct InvalidOrigin {
    text: String,
    why: &'static str,
}

/// Limits of a DNS name and of one label, in bytes.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Limit of a rejected text in the error, in characters.
const MAX_SHOWN: usize = 100;

impl Origin {
    /// Parses `scheme://host` or `scheme://host:port`. Fails if there is anything else, or if the
    /// host is neither a plain DNS name nor a literal address.
    pub fn parse(text: &str) -> Result<Origin, InvalidOrigin> {
        let invalid = |why| InvalidOrigin { text: text.chars().take(MAX_SHOWN).collect(), why };
        let (scheme, authority) = text
            .split_once("://")
            .ok_or_else(|| invalid("it does not begin with http:// or https://"))?;
        Origin::from_parts(scheme, authority).map_err(invalid)
    }

    /// Creates an origin from the scheme and authority of a URL. Fails with the reason alone.
    pub fn from_parts(scheme: &str, authority: &str) -> Result<Origin, &'static str> {
        let scheme = Scheme::parse(scheme).ok_or("the scheme is neither http nor https")?;

        if authority.contains('@') {
            return Err("it may not hold a user or a password");
        }

        if authority.contains(['/', '?', '#', '\\']) {
            return Err("it ends with the host or its port: no path, no '/'");
        }

        let (host, port) = split_port(authority)?;
        let port = port.map_or(Ok(scheme.default_port()), parse_port)?;

        Ok(Origin { scheme, host: Host::parse(host)?, port })
    }

    /// Returns `http` or `https`.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host without the port.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port, or the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the host, with the port unless it is the scheme's default.
    pub fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl Scheme {
    /// Returns the scheme as written in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn parse(text: &str) -> Option<Scheme> {
        [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|scheme| text.eq_ignore_ascii_case(scheme.name()))
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Host {
    /// Parses a DNS name or a literal address. IPv6 addresses need brackets. Fails with the reason.
    pub fn parse(text: &str) -> Result<Host, &'static str> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("a '[' has no ']'")?;
            let address: Ipv6Addr =
                inner.parse().map_err(|_| "what stands in brackets is not an IPv6 address")?;
            return Ok(Host::Address(address.into()));
        }

        // Some resolvers interpret any name that ends in a number as an address.
        if text.rsplit('.').next().is_some_and(is_numeric) {
            let address: Ipv4Addr =
                text.parse().map_err(|_| "it ends in a number and is not an IPv4 address")?;
            return Ok(Host::Address(address.into()));
        }

        check_name(text)?;
        Ok(Host::Name(text.to_ascii_lowercase()))
    }
}

fn is_numeric(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit()) && !label.is_empty()
        || label.starts_with("0x")
        || label.starts_with("0X")
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("there is no host");
    }

    if name.contains('*') {
        return Err("a wildcard is not possible: list each host");
    }

    if name.len() > MAX_NAME {
        return Err("the host is longer than a DNS name can be");
    }

    let is_valid_label = |label: &str| {
        let plain =
            label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        plain
            && !label.is_empty()
            && label.len() <= MAX_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
    };

    if name.split('.').all(is_valid_label) {
        Ok(())
    } else {
        Err("the host is neither a DNS name nor an address")
    }
}

/// Splits at the last colon outside brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after_host..].split_once(':') {
        Some((rest, port)) => Ok((&authority[..after_host + rest.len()], Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.filter(|port| *port != 0).ok_or("the port is not between 1 and 65535")
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.scheme.name(), self.authority())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => out.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(out),
            Host::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests;
