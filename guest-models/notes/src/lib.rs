//! Notes in the tenant's database: the example of a model with tables.

mod action;
mod notes;

use wardian_sdk::{Error, Metadata, Migrations, Model, Request, Response, Tensor};

use action::Action;
use notes::Note;

struct Notes;

impl Model for Notes {
    fn load() -> Result<Self, Error> {
        Ok(Notes)
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("Creates, lists, completes and deletes notes")
            .optional_input::<String>("action", [1])
            .optional_input::<String>("text", [1])
            .optional_input::<i64>("id", [1])
            .optional_input::<i64>("skip", [1])
            .optional_input::<i64>("limit", [1])
            .output::<i64>("id", [-1])
            .output::<String>("text", [-1])
            .output::<bool>("done", [-1])
            .output::<String>("created", [-1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let found = match Action::read(&request)? {
            Action::Create { text } => notes::create(&text)?,
            Action::List { skip, limit } => notes::list(skip, limit)?,
            Action::Complete { id } => notes::complete(id)?,
            Action::Delete { id } => notes::delete(id)?,
        };
        Ok(answer(&found))
    }
}

impl Migrations for Notes {
    const MIGRATIONS: &'static [(&'static str, &'static str)] = &[
        (
            "001-notes",
            "create table notes (
                 id integer primary key autoincrement,
                 text text not null check (length(text) between 1 and 1000),
                 created text not null default current_timestamp
             )",
        ),
        ("002-done", "alter table notes add column done boolean not null default false"),
    ];
}

/// Returns a response with one element of every output for each note.
fn answer(notes: &[Note]) -> Response {
    let shape = [notes.len()];
    Response::new()
        .output(Tensor::new("id", shape, notes.iter().map(|note| note.id)))
        .output(Tensor::from_strings("text", shape, notes.iter().map(|note| &note.text)))
        .output(Tensor::new("done", shape, notes.iter().map(|note| note.done)))
        .output(Tensor::from_strings("created", shape, notes.iter().map(|note| &note.created)))
}

wardian_sdk::export!(Notes, migrations);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_become_rows_of_the_response() {
        let note = |id, done| Note {
            id,
            text: format!("note {id}"),
            done,
            created: "2024-01-01 00:00:00".into(),
        };
        let response = answer(&[note(1, true), note(2, false)]);
        let output = |name: &str| {
            response.outputs.iter().find(|output| output.name == name).map(|output| &output.shape)
        };
        for name in ["id", "text", "done", "created"] {
            assert_eq!(output(name), Some(&vec![2]), "{name}");
        }
    }

    #[test]
    fn migrations_have_unique_names() {
        let mut names: Vec<_> = Notes::MIGRATIONS.iter().map(|(name, _)| name).collect();
        names.dedup();
        assert_eq!(names.len(), Notes::MIGRATIONS.len());
        assert!(names.is_sorted());
    }

    #[test]
    fn without_a_host_there_is_no_database() {
        let request =
            Request { id: String::new(), parameters: vec![], inputs: vec![], outputs: vec![] };
        assert!(
            matches!(Notes.infer(request), Err(Error::Failed(said)) if said.contains("there is no host"))
        );
    }
}
