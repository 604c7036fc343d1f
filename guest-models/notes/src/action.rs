//! The action of a request.

use wardian_sdk::{Error, OrError, Request};

/// The most notes in a list.
const MOST: i64 = 1000;

/// The action of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create { text: String },
    List { skip: i64, limit: i64 },
    Complete { id: i64 },
    Delete { id: i64 },
}

impl Action {
    /// Reads the action from the inputs. Without an action the notes are listed.
    pub(crate) fn read(request: &Request) -> Result<Action, Error> {
        match text(request, "action")?.as_deref() {
            None | Some("" | "list") => {
                let skip = number(request, "skip")?.unwrap_or(0);
                let limit = number(request, "limit")?.unwrap_or(MOST);
                if skip < 0 || !(0..=MOST).contains(&limit) {
                    return Err(Error::rejected(format_args!(
                        "skip is at least 0, and limit between 0 and {MOST}"
                    )));
                }
                Ok(Action::List { skip, limit })
            }
            Some("create") => {
                Ok(Action::Create { text: needed(text(request, "text")?, "create", "text")? })
            }
            Some("complete") => {
                Ok(Action::Complete { id: needed(number(request, "id")?, "complete", "id")? })
            }
            Some("delete") => {
                Ok(Action::Delete { id: needed(number(request, "id")?, "delete", "id")? })
            }
            Some(other) => Err(Error::rejected(format_args!(
                "there is no action {other:?}; there are create, list, complete and delete"
            ))),
        }
    }
}

fn text(request: &Request, name: &str) -> Result<Option<String>, Error> {
    let Some(input) = request.find_input(name) else { return Ok(None) };
    Ok(input.strings()?.first().map(|text| (*text).to_owned()))
}

fn number(request: &Request, name: &str) -> Result<Option<i64>, Error> {
    let Some(input) = request.find_input(name) else { return Ok(None) };
    Ok(input.view::<i64>()?.get(0))
}

fn needed<T>(value: Option<T>, action: &str, input: &str) -> Result<T, Error> {
    value.or_rejected(format_args!("{action} takes the input {input:?}"))
}

#[cfg(test)]
mod tests {
    use wardian_sdk::Tensor;

    use super::*;

    fn request(inputs: Vec<Tensor>) -> Request {
        Request { id: String::new(), parameters: vec![], inputs, outputs: vec![] }
    }

    fn read(inputs: Vec<Tensor>) -> Result<Action, Error> {
        Action::read(&request(inputs))
    }

    fn word(name: &str, text: &str) -> Tensor {
        Tensor::from_strings(name, [1], [text])
    }

    #[test]
    fn actions_are_read_with_their_arguments() {
        let id = || Tensor::new("id", [1], [7_i64]);
        let all = Action::List { skip: 0, limit: MOST };
        assert!(matches!(read(vec![]), Ok(list) if list == all));
        assert!(matches!(read(vec![word("action", "list")]), Ok(list) if list == all));
        let page = vec![Tensor::new("skip", [1], [2_i64]), Tensor::new("limit", [1], [3_i64])];
        assert!(matches!(read(page), Ok(Action::List { skip: 2, limit: 3 })));
        let create = read(vec![word("action", "create"), word("text", "milk")]);
        assert!(matches!(create, Ok(Action::Create { text }) if text == "milk"));
        assert!(matches!(
            read(vec![word("action", "complete"), id()]),
            Ok(Action::Complete { id: 7 })
        ));
        assert!(matches!(read(vec![word("action", "delete"), id()]), Ok(Action::Delete { id: 7 })));
    }

    #[test]
    fn invalid_actions_are_the_callers_fault() {
        for inputs in [
            vec![word("action", "create")],
            vec![word("action", "delete")],
            vec![word("action", "burn")],
            vec![Tensor::new("skip", [1], [-1_i64])],
            vec![Tensor::new("limit", [1], [MOST + 1])],
        ] {
            assert!(matches!(read(inputs), Err(Error::Rejected(_))));
        }
    }
}
