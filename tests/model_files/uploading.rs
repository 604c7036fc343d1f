//! Model files that are uploaded, alone and in an archive.

use tar::{Builder, Header};

use super::{golden, lightgbm, until_predicts};
use crate::harness::Server;

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn an_uploaded_model_file_serves() {
    let server = Server::empty();
    let uploaded = server.upload("rent", 1, lightgbm(1));
    assert_eq!((uploaded.status, &uploaded.json()["state"]), (201, &"READY".into()), "{uploaded}");
    assert!(server.models().path("rent/1/model.txt").exists());
    until_predicts(&server, "rent", 1.0);
    assert_eq!(server.upload("rent", 1, lightgbm(1)).status, 200);
    assert_eq!(server.upload("rent", 1, lightgbm(2)).status, 200);
    until_predicts(&server, "rent", 2.0);
}

#[test]
fn an_archive_of_a_model_file_is_checked_with_its_golden_requests() {
    let server = Server::empty();
    let (one, wanted) = (lightgbm(1), golden(1));
    let files = [("model.txt", one.as_str()), ("golden.json", &wanted)];
    let uploaded = server.upload("rent", 1, tar(&files));
    assert_eq!((uploaded.status, &uploaded.json()["state"]), (201, &"READY".into()), "{uploaded}");

    let (two, wrong) = (lightgbm(2), golden(3));
    let refused = server.upload("rent", 2, tar(&[("model.txt", &two), ("golden.json", &wrong)]));
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("golden: "), "{refused}");
    let both = tar(&[("model.txt", &two), ("model.onnx", "x")]);
    server.upload("rent", 2, both).refused(422, "load_failed");
    until_predicts(&server, "rent", 1.0);
}

#[test]
fn an_uploaded_pickle_is_refused_with_the_remedy() {
    let server = Server::empty();
    for body in [b"\x80\x04\x95\x14\0".to_vec(), tar(&[("model.pkl", "\x01")])] {
        let refused = server.upload("rent", 1, body);
        refused.refused(422, "load_failed");
        assert!(refused.text().contains("wardian.save"), "{refused}");
    }
    assert!(!server.models().path("rent").exists());
}
