//! The addresses that a request may go to after its host name is resolved.
//!
//! The operator who lists a name trusts it, but its DNS server chooses the addresses and can change
//! them from one lookup to the next. So a name may lead to public addresses only. A private address
//! can be reached only if it is listed itself: the list shows everything that can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Host;

/// True if a request to that host may go to that address.
pub(super) fn is_permitted(host: &Host, address: IpAddr) -> bool {
    match host {
        Host::Address(listed) => *listed == address,
        Host::Name(name) if name == "localhost" => address.is_loopback(),
        Host::Name(_) => is_public(address),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Blocks that do not belong to the public internet: IANA's registry of special-purpose addresses,
/// and the multicast and reserved blocks. Cloud metadata (169.254.169.254 and the like) is
/// link-local.
const NOT_PUBLIC_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(block, length): ([u8; 4], u32)| {
        let differing = address.to_bits() ^ Ipv4Addr::from(block).to_bits();
        differing.leading_zeros() >= length
    };

    // Metadata of some clouds, beside the link-local address.
    let metadata = address == Ipv4Addr::new(168, 63, 129, 16);
    !metadata && !NOT_PUBLIC_V4.into_iter().any(within)
}

/// True for global unicast addresses (2000::/3) except those that embed an IPv4 address that is not
/// public, and those in reserved blocks. Loopback, link-local, unique local (fd00:ec2::254 among
/// them), multicast and the deprecated IPv4-compatible form are outside of 2000::/3.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(embedded) = embedded_v4(address) {
        return is_public_v4(embedded);
    }

    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;

    // 2001::/23 holds Teredo, benchmarking and ORCHID; the others are for documentation.
    let set_aside = first == 0x2001 && (second < 0x0200 || second == 0x0db8)
        || first == 0x3fff && second < 0x1000;

    global && !set_aside
}

/// The IPv4 address to which a packet is routed: IPv4-mapped, NAT64 (64:ff9b::/96) and 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let joined = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(joined(high, low))
        }
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_name(address: &str) -> bool {
        is_permitted(&Host::Name("api.example.com".into()), address.parse().unwrap())
    }

    #[test]
    fn a_name_leads_to_public_addresses() {
        for address in [
            "1.1.1.1",
            "93.184.215.14",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
            "2002:101:101::1",
            "2001:4860:4860::8888",
        ] {
            assert!(by_name(address), "{address}");
        }
    }

    #[test]
    fn a_name_leads_to_no_other() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::1.1.1.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:1.1.1.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!by_name(address), "{address}");
        }
    }

    #[test]
    fn a_literal_leads_to_itself_and_localhost_to_loopback() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for listed in ["127.0.0.1", "10.0.0.1", "::1", "8.8.8.8"] {
            assert!(is_permitted(&Host::Address(address(listed)), address(listed)), "{listed}");
            assert!(
                !is_permitted(&Host::Address(address(listed)), address("10.0.0.2")),
                "{listed}"
            );
        }

        assert!(!is_permitted(&Host::Address(address("127.0.0.1")), address("::ffff:127.0.0.1")));
        let localhost = Host::Name("localhost".into());
        for (text, permitted) in
            [("127.0.0.1", true), ("127.8.8.8", true), ("::1", true), ("10.0.0.1", false)]
        {
            assert_eq!(is_permitted(&localhost, address(text)), permitted, "{text}");
        }
        assert!(!is_permitted(&localhost, address("8.8.8.8")));
        assert!(!is_permitted(&Host::Name("a.localhost".into()), address("127.0.0.1")));
    }

    proptest! {
        #[test]
        fn every_form_of_an_address_is_judged_as_the_address(address: Ipv4Addr) {
            let [a, b, c, d] = address.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let mapped = address.to_ipv6_mapped();
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
            let six_to_four = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1);

            for form in [mapped, nat64, six_to_four] {
                prop_assert_eq!(is_public_v6(form), is_public_v4(address));
            }
        }

        #[test]
        fn what_the_standard_library_calls_special_is_never_public(address: Ipv4Addr) {
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!(special && is_public_v4(address)));
        }
    }
}
