//! Parses the address to listen on.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::model::sanitize;

/// Parses an address such as `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. Resolves host
/// names; prefers loopback addresses and, among those, IPv4.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }

    let shown = sanitize(text, 100);
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let number: u16 = port.parse().map_err(|_| {
        format!("'{shown}' is not an address like 127.0.0.1:8080, [::1]:8080 or localhost:8080")
    })?;

    if host.is_empty() {
        return Err(format!(
            "'{shown}' names no address; 127.0.0.1:{number} is for this machine alone, and 0.0.0.0:{number} for others \
             too"
        ));
    }

    let found = (host, number).to_socket_addrs();
    let found = found
        .map_err(|error| format!("the host name in '{shown}' cannot be looked up: {error}"))?;
    let nearest = found.min_by_key(|address| (!address.ip().is_loopback(), !address.is_ipv4()));

    nearest.ok_or_else(|| format!("the host name in '{shown}' has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_host_names_are_read() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("localhost:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(
                listen_address(text).map(|address| address.to_string()).as_deref(),
                Ok(address),
                "{text}"
            );
        }
    }

    #[test]
    fn faulty_addresses_are_explained() {
        for (text, says) in [
            (":8080", "127.0.0.1:8080 is for this machine alone"),
            ("8080", "'8080' names no address"),
            ("localhost", "is not an address like"),
            ("localhost:http", "is not an address like"),
            ("127.0.0.1:99999", "is not an address like"),
            ("", "is not an address like"),
        ] {
            let refusal = listen_address(text).unwrap_err();
            assert!(refusal.contains(says), "{text}: {refusal}");
        }
    }
}
