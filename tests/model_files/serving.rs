//! Files that are dropped, replaced, and bad.

use serde_json::json;

use super::{golden, index_line, lightgbm, predict, until_predicts};
use crate::harness::{Server, until};

#[test]
fn a_dropped_file_serves_and_a_changed_one_replaces_it() {
    let server = Server::empty();
    server.models().put("rent.txt", lightgbm(1));
    until_predicts(&server, "rent", 1.0);
    server.models().put("rent.txt", lightgbm(2));
    until_predicts(&server, "rent", 2.0);

    server.models().put("price/1/golden.json", golden(5));
    server.models().put("price/1/model.txt", lightgbm(5));
    until_predicts(&server, "price", 5.0);
    assert_eq!(predict(&server, "price", 0.0), Some(0.0));
    server.models().put("price/2/model.txt", lightgbm(6));
    until_predicts(&server, "price", 6.0);
}

#[test]
fn a_bad_file_leaves_the_old_one_serving() {
    let server = Server::with_models(|models| models.put("rent/1/model.txt", lightgbm(1))).start();
    until_predicts(&server, "rent", 1.0);

    let whole = lightgbm(2);
    server.models().put("rent/1/model.txt", &whole[..whole.len() / 2]);
    server.until_entry("rent", 1, "a load failure", |entry| {
        entry.state == "READY" && entry.reason.contains("serves its last good content")
    });
    assert_eq!(predict(&server, "rent", 9.0), Some(1.0));

    server.models().put("rent/2/golden.json", golden(8));
    server.models().put("rent/2/model.txt", lightgbm(7));
    server.until_refused("rent", 2, "golden");
    assert_eq!(predict(&server, "rent", 9.0), Some(1.0));
    server.models().put("rent/2/golden.json", golden(7));
    until_predicts(&server, "rent", 7.0);
}

#[test]
fn the_runtime_is_shown_everywhere() {
    let server = Server::with_models(|models| models.put("rent/1/model.txt", lightgbm(1))).start();
    server.until_ready("rent", 1);

    let runtime = &index_line(&server, "rent")["runtime"];
    assert_eq!((&runtime["name"], &runtime["format"]), (&json!("tabular"), &json!("lightgbm")));
    assert_eq!(runtime["model_file"], "model.txt");
    assert_eq!(runtime["digest"].as_str().map(str::len), Some(64));
    assert_eq!(&server.config_of("rent")["wardian"]["runtime"], runtime);

    let digest = runtime["digest"].as_str().unwrap();
    let labels = format!(
        "wardian_model_runtime{{tenant=\"default\",model=\"rent\",version=\"1\",runtime=\"tabular\",\
         format=\"lightgbm\",digest=\"{digest}\"}}"
    );
    assert_eq!(server.metric(&labels), Some(1.0), "{}", server.get("/metrics").text());
    server.models().remove("rent");
    server.until_gone("rent");
    until("the end of the metric", || server.metric("wardian_model_runtime{").is_none());
}

#[test]
fn a_restart_compiles_nothing() {
    let server = Server::with_models(|models| models.put("rent/1/model.txt", lightgbm(1))).start();
    until_predicts(&server, "rent", 1.0);
    let store = server.state().join("artifacts/default");
    let artifacts = || {
        let entries = std::fs::read_dir(&store).unwrap().flatten();
        let mut seen: Vec<_> = entries
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().created().ok()))
            .collect();
        seen.sort();
        seen
    };
    let before = artifacts();
    let server = server.stop().start();
    until_predicts(&server, "rent", 1.0);
    assert_eq!(artifacts(), before);
}
