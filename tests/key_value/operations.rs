//! Every operation, and its result.

use super::{ask, ask_one, server};

#[test]
fn values_are_set_found_and_deleted() {
    let server = server();
    let all = [
        "get b k",
        "exists b k",
        "set b k one",
        "get b k",
        "exists b k",
        "delete b k",
        "get b k",
        "delete b k",
    ];
    assert_eq!(ask(&server, &all), ["none", "false", "ok", "one", "true", "ok", "none", "ok"]);
    assert_eq!(ask(&server, &["set b k ", "get b k", "exists b k"]), ["ok", "", "true"]);
    let text = "\u{e4}\u{1f600}/%_";
    assert_eq!(
        ask(&server, &[&format!("set b {text} {text}"), &format!("get b {text}")]),
        ["ok", text]
    );
    let large = ["set b large *1048576", "get b large"];
    assert_eq!(ask(&server, &large), ["ok", "1048576 bytes"]);
}

#[test]
fn buckets_are_separate() {
    let server = server();
    let all =
        ["set a k 1", "set b k 2", "get a k", "get b k", "set  k 3", "get default k", "get a k"];
    assert_eq!(ask(&server, &all), ["ok", "ok", "1", "2", "ok", "3", "1"]);
    assert_eq!(ask(&server, &["list a", "list nothing"]), ["k", ""]);
}

#[test]
fn keys_are_listed_in_ordered_pages() {
    let server = server();
    let fill: Vec<_> = (0..10).map(|part| format!("set-many b p{part}- 1000 v")).collect();
    let fill: Vec<_> = fill.iter().map(String::as_str).collect();
    assert!(ask(&server, &fill).iter().all(|said| said == "ok"));
    assert_eq!(ask_one(&server, "list b"), "10000 true");
    assert_eq!(ask_one(&server, "page b"), "1000 p0-00000 p0-00999 p0-00999");
    // A page starts behind its cursor, even if that key has been removed.
    assert_eq!(
        ask(&server, &["delete b p0-00999", "page b p0-00999"])[1],
        "1000 p1-00000 p1-00999 p1-00999"
    );
    assert_eq!(
        ask(&server, &["page b p9-00998", "page b p9-00999"]),
        ["1 p9-00999 p9-00999 none", "0 none none none"]
    );
    assert_eq!(ask_one(&server, "list b"), "9999 true");
}

#[test]
fn increment_accepts_only_numbers() {
    let server = server();
    let all = [
        "increment b n 5",
        "increment b n -7",
        "get b n",
        "set b n 40",
        "increment b n 2",
        "get b n",
    ];
    assert_eq!(ask(&server, &all), ["5", "-2", "-2", "ok", "42", "42"]);
    for value in ["many", "1.5", "", "9223372036854775808"] {
        let said = ask(&server, &[&format!("set b x {value}"), "increment b x 1", "get b x"]);
        assert!(said[1].starts_with("other: the "), "{said:?}");
        assert_eq!(said[2], value);
    }
    let all = ["set b n 9223372036854775807", "increment b n 1", "get b n", "increment b n -1"];
    let said = ask(&server, &all);
    assert!(said[1].contains("does not fit into 64 bits"), "{said:?}");
    assert_eq!(said[2..], ["9223372036854775807", "9223372036854775806"]);
}

#[test]
fn compare_and_swap_detects_concurrent_writes() {
    let server = server();
    // The operation reads the value, sets `one`, and then tries to swap in `two`.
    assert_eq!(ask(&server, &["beaten b k one two", "get b k"]), ["failed one", "one"]);
    // The value equals the one that was read, so the swap succeeds.
    assert_eq!(ask(&server, &["beaten b k one two", "get b k"]), ["swapped", "two"]);
    assert_eq!(ask(&server, &["add b n 3", "add b n 4", "get b n"]), ["3", "7", "7"]);
}

#[test]
fn multi_key_operations_are_atomic() {
    let server = server();
    let all = ["set-many b p 100 abc", "get-many b p 100", "get-many b p 200", "list b"];
    assert_eq!(ask(&server, &all)[..3], ["ok", "100 300", "100 300"]);
    assert_eq!(
        ask(&server, &["delete-many b p 50", "get-many b p 100", "delete-many b p 200", "list b"])
            [1],
        "50 150"
    );
    // The second key is too long, so the first is not set either.
    let said =
        ask(&server, &["set-two b good 1 *513 2", "exists b good", "set-two b k 1 k 2", "get b k"]);
    assert!(said[0].starts_with("other: a key has 1 to 512 bytes"), "{said:?}");
    assert_eq!(said[1..], ["false", "ok", "2"]);
}
