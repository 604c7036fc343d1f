use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    Origin::parse(text).unwrap().to_string()
}

#[test]
fn spellings_of_the_same_origin_are_equal() {
    for (written, means) in [
        ("https://api.example.com", "https://api.example.com"),
        ("HTTPS://API.Example.COM:443", "https://api.example.com"),
        ("http://a.b:80", "http://a.b"),
        ("http://a.b:443", "http://a.b:443"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost:08080", "http://localhost:8080"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("https://[2001:DB8:0:0::1]", "https://[2001:db8::1]"),
        ("http://under_score.example", "http://under_score.example"),
        ("http://xn--bcher-kva.example", "http://xn--bcher-kva.example"),
    ] {
        assert_eq!(shown(written), means);
        assert_eq!(Origin::parse(written), Origin::parse(means));
    }
}

#[test]
fn texts_that_are_not_exactly_an_origin_are_refused() {
    for (text, why) in [
        ("", "does not begin"),
        ("api.example.com", "does not begin"),
        ("ftp://a.b", "neither http nor https"),
        ("https://", "no host"),
        ("https://:443", "no host"),
        ("https://a.b/", "no path"),
        ("https://a.b/v1", "no path"),
        ("https://a.b?x", "no path"),
        ("https://a.b#x", "no path"),
        ("https://a.b\\c", "no path"),
        ("https://user@a.b", "user or a password"),
        ("https://good.example:443@evil.example", "user or a password"),
        ("https://*.example.com", "wildcard"),
        ("https://a.b:0", "port"),
        ("https://a.b:65536", "port"),
        ("https://a.b:", "port"),
        ("https://a.b:+1", "port"),
        ("https://a.b:1:2", "port"),
        ("https://[::1]x", "no ']'"),
        ("https://[127.0.0.1]", "not an IPv6"),
        ("https://[fe80::1%25eth0]", "not an IPv6"),
        ("https://::1", "port"),
        ("https://a..b", "neither a DNS name"),
        ("https://a.b.", "neither a DNS name"),
        ("https://-a.b", "neither a DNS name"),
        ("https://a b", "neither a DNS name"),
        ("https://bücher.example", "neither a DNS name"),
        (&format!("https://{}.b", "a".repeat(64)), "neither a DNS name"),
        (&format!("https://{}", ["abc"; 80].join(".")), "longer"),
    ] {
        let error = Origin::parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn other_spellings_of_an_address_are_not_names() {
    for host in [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0X7F.0.0.1",
        "0177.0.0.1",
        "1.2.3.4.5",
        "256.0.0.1",
        "a.1",
    ] {
        let error = Origin::parse(&format!("http://{host}")).unwrap_err().to_string();
        assert!(error.contains("ends in a number"), "{host}: {error}");
    }
}

fn hosts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]{2,8}){1,3}",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ]
}

proptest! {
    #[test]
    fn what_is_shown_reads_as_the_same(host in hosts(), https: bool, port in 1u16..) {
        let scheme = if https { "https" } else { "http" };
        let origin = Origin::parse(&format!("{scheme}://{host}:{port}")).unwrap();

        prop_assert_eq!(origin.port(), port);
        prop_assert_eq!(Origin::parse(&origin.to_string()), Ok(origin.clone()));

        let louder = origin.to_string().to_ascii_uppercase();
        prop_assert_eq!(Origin::parse(&louder), Ok(origin));
    }

    #[test]
    fn a_different_port_or_scheme_is_a_different_origin(host in hosts(), one in 1u16.., other in 1u16..) {
        let origin = |scheme: &str, port: u16| Origin::parse(&format!("{scheme}://{host}:{port}")).unwrap();
        prop_assert_eq!(origin("http", one) == origin("http", other), one == other);
        prop_assert_ne!(origin("http", one), origin("https", one));
    }

    #[test]
    fn no_text_makes_it_panic(text: String, tail in "[a-z0-9.:@/\\[\\]%*-]{0,40}") {
        let _ = Origin::parse(&text);

        if let Ok(origin) = Origin::parse(&format!("http://{tail}")) {
            // The HTTP client's URL type agrees on every accepted text.
            let uri: hyper::Uri = format!("{origin}/").parse().unwrap();
            prop_assert_eq!(uri.host().unwrap(), origin.host().to_string());
            prop_assert_eq!(uri.port_u16().unwrap_or(80), origin.port());
        }
    }
}
