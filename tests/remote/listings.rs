//! Listings: a response counts only if it is a valid listing, and one invalid object does not
//! affect others.

use super::fake::{Fake, KINDS, Kind};
use super::{OFTEN, SELDOM, degraded, until_degraded};
use crate::harness::{Server, scripted, until};

/// Starts a server with one model from a store of this kind.
fn serving(kind: Kind, config: &str) -> (Fake, Server, usize) {
    let component = scripted("version=1");
    let size = component.len();
    let fake = Fake::new(kind, component);
    fake.list(&["models/scripted.wasm"], size);
    let server = fake.serve().config(config).start();
    server.until_version_of("scripted", 1);
    until_degraded(&server, "");
    (fake, server, size)
}

/// Returns responses that stores, proxies and portals send instead of a listing.
fn no_listings(kind: Kind, size: usize) -> Vec<(u16, String)> {
    let sound = kind.page(&["models/scripted.wasm"], size);
    let success = if kind == Kind::Web { 207 } else { 200 };
    let mut answers: Vec<(u16, String)> = [
        "",
        " \n",
        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form action='/login'></form></body></html>",
        "<html><body><h1>It works!</h1></body></html>",
        "<html><body><p>A page that nobody has finished<br>",
        "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>We are sorry</Message></Error>",
        "<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><title>News</title></feed>",
        "{\"kind\": \"storage#objects\"}",
        "{\"error\": {\"code\": 401}}",
        "Service temporarily unavailable",
        "<ListBucketResult/>",
        "<ListBucketResult><Name>bucket</Name></ListBucketResult>",
        "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>",
        "<D:multistatus xmlns:D=\"DAV:\"></D:multistatus>",
    ]
    .iter()
    .map(|answer| (success, (*answer).to_owned()))
    .collect();
    // Cut within an entry, and before the end.
    answers.push((success, sound[..sound.len() / 2].to_owned()));
    answers.push((success, sound[..sound.rfind("</").unwrap()].to_owned()));
    answers.push((200, "<html><body>OK</body></html>".into()));
    answers.push((204, String::new()));
    let family = |kind| if kind == Kind::Google { Kind::S3 } else { kind };
    let others = KINDS.into_iter().filter(|other| family(*other) != family(kind));
    answers.extend(others.map(|other| (success, other.page(&[], size))));
    answers
}

#[test]
fn an_invalid_listing_unloads_nothing() {
    for kind in KINDS {
        let (fake, server, size) = serving(kind, SELDOM);
        for (status, answer) in no_listings(kind, size) {
            fake.answer(status, answer.clone());
            // Twice, because a listing that has lost everything is accepted the second time.
            for _ in 0..2 {
                let told = server.call("POST", "/v2/repository/refresh").send();
                let text = told.refused(503, "repository_degraded").text();
                assert!(
                    text.contains("the store's response is not a listing: "),
                    "{kind:?} {answer}: {text}"
                );
            }
            assert_eq!(
                (server.version_of("scripted"), server.index().len()),
                (1, 1),
                "{kind:?} {answer}"
            );
        }
        fake.list(&["models/scripted.wasm"], size);
        super::refresh(&server);
        assert_eq!(degraded(&server), "", "{kind:?}");
    }
}

#[test]
fn a_missing_web_folder_unloads_nothing() {
    let (fake, server, _) = serving(Kind::Web, SELDOM);
    fake.answer(404, "<html><body>Not Found</body></html>");
    let told = server.call("POST", "/v2/repository/refresh").send();
    assert!(
        told.refused(503, "repository_degraded").text().contains("there is no folder /models"),
        "{told}"
    );
    assert_eq!(server.version_of("scripted"), 1);
}

#[test]
fn a_repeated_empty_listing_is_accepted() {
    for kind in KINDS {
        let (fake, server, size) = serving(kind, OFTEN);
        fake.list(&[], size);
        server.until_gone("scripted");
        until_degraded(&server, "");
    }
}

#[test]
fn one_invalid_object_does_not_affect_others() {
    for kind in KINDS {
        let (fake, server, size) = serving(kind, SELDOM);
        let odd = match kind {
            Kind::Web => ["models/a//x", "models/a%01b", "models/%ff", "elsewhere/x.wasm"],
            _ => ["models/a//x", "models/a/../x", "models/a&#x1;b", "models/&unknown;"],
        };
        let keys = [&odd[..2], &["models/scripted.wasm", "models/other.wasm"], &odd[2..]].concat();
        fake.list(&keys, size);
        for _ in 0..3 {
            super::refresh(&server);
        }
        server.until_version_of("other", 1);
        assert_eq!((degraded(&server).as_str(), server.index().len()), ("", 2), "{kind:?}");
        let told =
            || server.log().matches("objects that are not part of a model are not fetched").count();
        until("that it is told what was left out", || told() == 1);
        assert!(server.log().contains("count=4"), "{kind:?} {}", server.log());
    }
}
