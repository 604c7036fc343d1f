//! A model that runs the SQL statements of its input, see `tests/guests/README.md`.

mod script;
mod steps;
mod words;

use wardian_sdk::bindings::migrations::exports::wardian::model::migrations as interface;
use wardian_sdk::{Error, Lifecycle, Metadata, Model, Request, Response, Tensor, sql};

use script::Script;
use steps::Steps;

struct SqlSteps;

impl Model for SqlSteps {
    fn load() -> Result<Self, Error> {
        for statement in Script::read().all("load") {
            sql::execute(&statement, ())?;
        }
        Ok(SqlSteps)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new().input::<String>("steps", [-1]).output::<String>("results", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let mut steps = Steps::default();
        let texts = request.input("steps")?.strings()?;
        // The host's warm-up sends empty texts.
        let results: Vec<_> =
            texts.iter().filter(|text| !text.is_empty()).map(|text| steps.take(text)).collect();
        // An open transaction stays open until the call ends.
        steps.leave_open();
        Ok(Response::new().output(Tensor::from_strings("results", [results.len()], results)))
    }
}

impl Lifecycle for SqlSteps {
    fn warm_up(&self) -> Result<(), Error> {
        for statement in Script::read().all("warm") {
            sql::execute(&statement, ())?;
        }
        Ok(())
    }
}

wardian_sdk::export!(SqlSteps, lifecycle);

/// Exports migrations by hand, because the test's script defines them.
#[cfg_attr(
    not(target_family = "wasm"),
    expect(dead_code, reason = "there is nobody to export it to")
)]
struct Migrations;

impl interface::Guest for Migrations {
    fn migrations() -> Vec<interface::Migration> {
        let steps = Script::read().all("migrate");
        let pairs = steps.iter().filter_map(|step| step.split_once(' '));
        let owned = |(name, statements): (&str, &str)| (name.to_owned(), statements.to_owned());
        pairs
            .map(owned)
            .map(|(name, statements)| interface::Migration { name, statements })
            .collect()
    }
}

#[cfg(target_family = "wasm")]
wardian_sdk::bindings::migrations::export_migrations!(Migrations with_types_in wardian_sdk::bindings::migrations);
