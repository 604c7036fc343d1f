//! Listings read by `object_store` from stores with arbitrary responses.

use hyper::StatusCode;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions};
use proptest::prelude::*;
use quick_xml::escape::escape;

use super::super::listing::{Listing, list};
use super::super::location::StoreLocation;
use super::*;

const PROTOCOLS: [Protocol; 3] = [Protocol::S3, Protocol::Azure, Protocol::WebDav];

/// A store that returns the same response to every request.
#[derive(Clone, Debug)]
struct Canned(u16, Vec<u8>);

impl HttpConnector for Canned {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Canned {
    fn call<'s, 'f>(
        &'s self,
        _: HttpRequest,
    ) -> futures_util::future::BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async {
            let mut response = HttpResponse::new(self.1.clone().into());
            *response.status_mut() = StatusCode::from_u16(self.0).unwrap();
            Ok(response)
        })
    }
}

fn success(protocol: Protocol) -> u16 {
    if protocol == Protocol::WebDav { 207 } else { 200 }
}

fn store(
    protocol: Protocol,
    status: u16,
    body: &[u8],
    skipped: &SkippedObjects,
) -> Arc<dyn ObjectStore> {
    let connector =
        CheckingConnector::new(protocol, skipped.clone()).through(Canned(status, body.to_owned()));
    match protocol {
        Protocol::S3 => {
            let builder =
                AmazonS3Builder::new().with_bucket_name("bucket").with_endpoint("http://store");
            let builder =
                builder.with_region("any").with_allow_http(true).with_skip_signature(true);
            Arc::new(builder.with_http_connector(connector).build().unwrap())
        }
        Protocol::Azure => {
            let builder = MicrosoftAzureBuilder::new()
                .with_account("account")
                .with_container_name("container");
            let builder = builder.with_skip_signature(true);
            Arc::new(builder.with_http_connector(connector).build().unwrap())
        }
        Protocol::WebDav => {
            let builder = HttpBuilder::new()
                .with_url("http://store")
                .with_config(ClientConfigKey::AllowHttp, "true");
            Arc::new(builder.with_http_connector(connector).build().unwrap())
        }
    }
}

fn listing(protocol: Protocol, status: u16, body: &[u8]) -> Result<Listing, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let skipped = SkippedObjects::default();
    let store = store(protocol, status, body, &skipped);
    runtime.block_on(list(&StoreLocation { store, prefix: Path::from("models"), skipped }))
}

/// Returns a listing of objects with these keys, as encoded in the response.
fn page(protocol: Protocol, keys: &[Vec<u8>]) -> Vec<u8> {
    let date = "Sun, 01 Feb 2026 00:00:00 GMT";
    let (head, before, after, tail) = match protocol {
        Protocol::S3 => (
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>bucket</Name><Prefix>models/</Prefix><IsTruncated>false</IsTruncated>"
                .into(),
            "<Contents><Key>".into(),
            "</Key><LastModified>2026-02-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>".into(),
            "</ListBucketResult>",
        ),
        Protocol::Azure => (
            "<EnumerationResults ServiceEndpoint=\"https://account/\" ContainerName=\"container\">\
             <Prefix>models/</Prefix><Blobs>"
                .into(),
            "<Blob><Name>".into(),
            format!(
                "</Name><Properties><Last-Modified>{date}</Last-Modified><Etag>1</Etag>\
                 <Content-Length>1</Content-Length><Content-Type>application/wasm</Content-Type></Properties></Blob>"
            ),
            "</Blobs><NextMarker /></EnumerationResults>",
        ),
        Protocol::WebDav => (
            format!(
                "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/models/</D:href><D:propstat><D:prop>\
                 <D:getlastmodified>{date}</D:getlastmodified><D:resourcetype><D:collection/></D:resourcetype></D:prop>\
                 <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
            ),
            "<D:response><D:href>/".into(),
            format!(
                "</D:href><D:propstat><D:prop><D:getlastmodified>{date}</D:getlastmodified><D:resourcetype/>\
                 <D:getcontentlength>1</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status>\
                 </D:propstat></D:response>"
            ),
            "</D:multistatus>",
        ),
    };

    let (head, before, after): (String, String, String) = (head, before, after);
    let entries = keys.iter().flat_map(|key| [before.as_bytes(), key, after.as_bytes()].concat());

    head.bytes().chain(entries).chain(tail.bytes()).collect()
}

fn sound(protocol: Protocol) -> Vec<u8> {
    page(protocol, &[b"models/iris.wasm".to_vec()])
}

/// Returns the names of the listed files, in order.
fn files(listing: &Listing) -> Vec<String> {
    listing
        .files
        .iter()
        .flat_map(|(unit, files)| files.keys().map(|name| unit.file(name)))
        .collect()
}

#[test]
fn listings_are_read_even_if_empty() {
    for protocol in PROTOCOLS {
        let listed = listing(protocol, success(protocol), &sound(protocol)).unwrap();
        assert_eq!(files(&listed), ["iris.wasm"], "{protocol:?}");
        let listed = listing(protocol, success(protocol), &page(protocol, &[])).unwrap();
        assert_eq!((files(&listed).len(), listed.ignored), (0, None), "{protocol:?}");
    }
}

#[test]
fn other_responses_are_refused_with_the_reason() {
    let others: &[(&str, &str)] = &[
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("not here", "it is not XML"),
        ("{\"kind\": \"storage#objects\", \"items\": []}", "it is not XML"),
        (
            "<!DOCTYPE html><html><head><title>Sign in</title></head><body><br></body></html>",
            "<html>",
        ),
        ("<html><body><form action='/login'></form></body></html>", "<html>"),
        ("<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>", "<Error>"),
        ("<rss version=\"2.0\"><channel/></rss>", "<rss>"),
        ("<ListAllMyBucketsResult/>", "<ListAllMyBucketsResult>"),
        ("<ListBucketResult/>", ""),
        ("<EnumerationResults/>", ""),
        ("<multistatus/>", ""),
        ("<multistatus xmlns='DAV:'/>", ""),
        ("<ListBucketResult><Name>bucket</Name><Prefix>models/</Prefix></ListBucketResult>", ""),
        (
            "<EnumerationResults ContainerName='container'><Prefix>models/</Prefix><Blobs/></EnumerationResults>",
            "",
        ),
    ];

    for protocol in PROTOCOLS {
        for (answer, says) in others {
            let refused = listing(protocol, success(protocol), answer.as_bytes()).unwrap_err();
            assert!(
                refused.starts_with("the store's response is not a listing: "),
                "{protocol:?} {answer}: {refused}"
            );
            assert!(refused.contains(says), "{protocol:?} {answer}: {refused}");
        }

        for other in PROTOCOLS.into_iter().filter(|other| *other != protocol) {
            assert!(
                listing(protocol, success(protocol), &sound(other)).is_err(),
                "{protocol:?} {other:?}"
            );
        }

        // The right document under another status is refused too.
        for status in [201, 204, 206, if protocol == Protocol::WebDav { 200 } else { 207 }] {
            let refused = listing(protocol, status, &sound(protocol)).unwrap_err();
            assert!(refused.contains(&format!("its status is {status}")), "{refused}");
        }

        assert!(listing(protocol, 404, b"").is_err(), "{protocol:?}");
    }
}

#[test]
fn a_truncated_listing_is_refused() {
    for protocol in PROTOCOLS {
        let whole = sound(protocol);
        for length in 0..whole.len() {
            assert!(
                listing(protocol, success(protocol), &whole[..length]).is_err(),
                "{protocol:?} {length}"
            );
        }
    }
}

/// Lists from a valid page with one part replaced.
fn altered(protocol: Protocol, from: &str, to: &str) -> Result<Listing, String> {
    let page = String::from_utf8(sound(protocol)).unwrap();
    assert!(page.contains(from), "{page}");
    listing(protocol, success(protocol), page.replace(from, to).as_bytes())
}

#[test]
fn a_listing_of_another_folder_is_refused() {
    for (protocol, from, to, says) in [
        (Protocol::S3, "<Name>bucket", "<Name>other", "it lists the bucket 'other'"),
        (Protocol::S3, "<Name>bucket</Name>", "", "it has no <Name>"),
        (Protocol::S3, "<Prefix>models/", "<Prefix>", "its <Prefix> is not 'models/'"),
        (Protocol::S3, "<Prefix>models/</Prefix>", "", "its <Prefix> is not 'models/'"),
        (Protocol::S3, "models/iris", "elsewhere/iris", "it lists 'elsewhere/iris.wasm'"),
        (Protocol::S3, "<IsTruncated>false</IsTruncated>", "", "no <IsTruncated>"),
        (Protocol::S3, "<IsTruncated>false", "<IsTruncated>true", "it is truncated"),
        (
            Protocol::S3,
            "<Contents>",
            "<NextContinuationToken>x</NextContinuationToken><Contents>",
            "last page",
        ),
        (
            Protocol::S3,
            "<Contents>",
            "<ContinuationToken>x</ContinuationToken><Contents>",
            "not the requested page",
        ),
        (
            Protocol::Azure,
            "ContainerName=\"container\"",
            "ContainerName=\"other\"",
            "the container 'other'",
        ),
        (Protocol::Azure, "ContainerName=\"container\"", "", "no ContainerName"),
        (Protocol::Azure, "<Prefix>models/</Prefix>", "", "its <Prefix> is not 'models/'"),
        (Protocol::Azure, "models/iris", "elsewhere/iris", "it lists 'elsewhere/iris.wasm'"),
        (Protocol::Azure, "<NextMarker />", "", "it has no <NextMarker>"),
        (
            Protocol::WebDav,
            "<D:href>/models/</D:href>",
            "<D:href>/other/</D:href>",
            "does not list the folder /models",
        ),
        (Protocol::WebDav, "DAV:", "urn:other", "is not in the namespace DAV:"),
    ] {
        let refused = altered(protocol, from, to).unwrap_err();
        assert!(refused.contains(says), "{protocol:?} {to}: {refused}");
    }
}

#[test]
fn a_page_that_refers_to_itself_is_refused() {
    let next = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>";
    let refused = altered(Protocol::S3, "<IsTruncated>false</IsTruncated>", next).unwrap_err();
    assert!(refused.contains("its next page is itself"), "{refused}");
    let refused =
        altered(Protocol::Azure, "<NextMarker />", "<NextMarker>x</NextMarker>").unwrap_err();
    assert!(refused.contains("its next page is itself"), "{refused}");
}

#[test]
fn objects_that_cannot_be_files_are_skipped() {
    let long = format!("models/iris/1/{}", "x".repeat(1100));
    let odd: &[&str] = &[
        "models/a//x",
        "models//iris.wasm",
        "models/a/../x",
        "models/./x",
        "models/a/..",
        "models/a&#x1;b",
        "models/a&#10;b",
        "models/a&#x7f;",
        "models/&unknown;",
        "models/&#0;",
        "models/ends in a space ",
    ];

    for protocol in [Protocol::S3, Protocol::Azure] {
        let mut keys: Vec<_> = odd.iter().map(|key| key.as_bytes().to_vec()).collect();
        keys.push(b"models/not \xff UTF-8".to_vec());
        keys.insert(3, b"models/iris.wasm".to_vec());
        let skipped = keys.len() - 1;
        // These are read, but are not part of a model or only stand for folders.
        keys.extend(
            [long.as_bytes(), b"models/a\\b", b"models/a b/1/x", b"models/folder/", b"models/"]
                .map(Vec::from),
        );

        let listed = listing(protocol, 200, &page(protocol, &keys)).unwrap();
        assert_eq!(files(&listed), ["iris.wasm"]);

        assert_eq!(listed.ignored.map(|(count, _)| count), Some(skipped + 3), "{protocol:?}");
    }

    let odd = [
        "models/a//x",
        "models/a%01b",
        "models/%ff",
        "models/iris.wasm/",
        "elsewhere/x.wasm",
        "models/../x.wasm",
    ];

    let keys = odd.map(Vec::from).into_iter().chain([b"models/iris.wasm".to_vec()]);
    let listed =
        listing(Protocol::WebDav, 207, &page(Protocol::WebDav, &keys.collect::<Vec<_>>())).unwrap();
    assert_eq!(files(&listed), ["iris.wasm"]);

    assert_eq!(listed.ignored, Some((odd.len(), "/models/a//x".into())));
}

#[test]
fn names_encoded_by_azure_are_skipped() {
    let listed = altered(Protocol::Azure, "<Name>", "<Name Encoded=\"true\">").unwrap();
    assert_eq!((files(&listed).len(), listed.ignored.map(|(count, _)| count)), (0, Some(1)));
}

/// Generates any key that a store could hold, and some that look like those of files.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-c/.\\\\%~ \t\u{0}-\u{1f}&;#x0-9é]{0,16}",
        "(a|/|\\.|\\.\\.|1|model\\.wasm){0,6}"
    ]
}

/// Encodes a key as stores do: escaped, and unchanged where XML cannot represent it.
fn written(protocol: Protocol, key: &str) -> Vec<u8> {
    match protocol {
        Protocol::WebDav => {
            let encoded = key.bytes().map(|byte| match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' => char::from(byte).to_string(),
                _ => format!("%{byte:02x}"),
            });
            encoded.collect::<String>().into_bytes()
        }
        _ => escape(key).into_owned().into_bytes(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_object_prevents_the_others_from_being_listed(keys in proptest::collection::vec(key(), 0..8)) {
        for protocol in PROTOCOLS {
            let names = keys.iter().map(|key| format!("models/{key}")).chain(["models/kept.wasm".into()]);
            let written: Vec<_> = names.map(|key| written(protocol, &key)).collect();
            let listed = listing(protocol, success(protocol), &page(protocol, &written));
            let listed = files(&listed.map_err(|why| TestCaseError::fail(format!("{protocol:?}: {why}")))?);
            prop_assert!(listed.contains(&"kept.wasm".to_owned()), "{:?} {:?}", protocol, listed);

            // Each listed object exists under that key or, over WebDAV, under an equivalent one.
            for file in listed.iter().filter(|file| *file != "kept.wasm" && protocol != Protocol::WebDav) {
                prop_assert!(keys.contains(file), "{:?} {:?}", protocol, file);
            }
        }
    }

    #[test]
    fn no_response_causes_a_panic(answer in any::<Vec<u8>>(), at in 0usize..400, cut in 0usize..40) {
        for protocol in PROTOCOLS {
            let mut page = sound(protocol);
            let at = at.min(page.len());
            let end = (at + cut).min(page.len());
            page.splice(at..end, answer.iter().copied());
            let _ = listing(protocol, success(protocol), &page);
        }
    }
}
