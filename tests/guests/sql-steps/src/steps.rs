//! The steps of a request.

use std::time::Duration;

use wardian_sdk::sql::{self, SqlError, Transaction, Value};

use super::words::{parse, show_error, show_rows};

/// The separator between the parts of a step.
const BETWEEN: char = '\u{1f}';

#[derive(Default)]
pub(crate) struct Steps {
    open: Option<Transaction>,
}

impl Steps {
    /// Performs a step, and returns its result.
    pub(crate) fn take(&mut self, step: &str) -> String {
        let mut parts = step.split(BETWEEN);
        let word = parts.next().unwrap_or_default();
        let rest: Vec<&str> = parts.collect();
        self.carry_out(word, &rest).unwrap_or_else(|error| show_error(&error))
    }

    fn carry_out(&mut self, word: &str, rest: &[&str]) -> Result<String, SqlError> {
        let text = rest.first().copied().unwrap_or_default();
        match word {
            "query" => sql::query(text, values(rest)).map(|rows| show_rows(&rows)),
            "execute" => sql::execute(text, values(rest)).map(|changed| changed.to_string()),
            "size" => sql::query(text, values(rest)).map(|rows| rows.len().to_string()),
            "begin" => Transaction::begin().map(|open| self.open = Some(open)).map(done),
            "in query" => self.open()?.query(text, values(rest)).map(|rows| show_rows(&rows)),
            "in execute" => {
                self.open()?.execute(text, values(rest)).map(|changed| changed.to_string())
            }
            "commit" => self.take_open()?.commit().map(done),
            "rollback" => self.take_open()?.rollback().map(done),
            "drop" => self.take_open().map(drop).map(done),
            "transfer" => transfer(rest),
            "repeat" => repeat(rest),
            "sleep" => {
                std::thread::sleep(Duration::from_millis(text.parse().unwrap_or(0)));
                Ok(done(()))
            }
            "trap" => std::process::abort(),
            "spin" => loop {
                std::hint::black_box(());
            },
            _ => Ok("no such step".to_owned()),
        }
    }

    /// Leaves an open transaction to the host.
    pub(crate) fn leave_open(self) {
        self.open.into_iter().for_each(std::mem::forget);
    }

    fn open(&self) -> Result<&Transaction, SqlError> {
        self.open.as_ref().ok_or_else(|| SqlError::Invalid("no transaction is open".to_owned()))
    }

    fn take_open(&mut self) -> Result<Transaction, SqlError> {
        self.open.take().ok_or_else(|| SqlError::Invalid("no transaction is open".to_owned()))
    }
}

/// Moves an amount from one account to another, and records it under a name.
fn transfer(parts: &[&str]) -> Result<String, SqlError> {
    let [name, from, to, amount] = parts else { return Ok("name, from, to, amount".to_owned()) };
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    let (from, to, amount) = (number(from), number(to), number(amount));
    let transaction = Transaction::begin()?;
    // Reads and writes separately, so that concurrent transfers would lose a change without a
    // transaction.
    for (account, change) in [(from, -amount), (to, amount)] {
        let found = transaction.query("select balance from accounts where id = $1", (account,))?;
        let balance: i64 = found.first().and_then(|row| row.at(0).ok()).unwrap_or(0);
        transaction.execute(
            "update accounts set balance = $1 where id = $2",
            (balance + change, account),
        )?;
    }
    transaction.execute("insert into transfers (name) values ($1)", (*name,))?;
    transaction.commit().map(done)
}

/// Runs a statement repeatedly, with the number of the repetition as its parameter: `query`,
/// `execute` or, in one transaction, `in execute`.
fn repeat(parts: &[&str]) -> Result<String, SqlError> {
    let [word, times, from, text] = parts else {
        return Ok("word, times, from, statement".to_owned());
    };
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    let (times, from) = (number(times), number(from));
    let transaction = if *word == "in execute" { Some(Transaction::begin()?) } else { None };
    for time in from..from + times {
        match &transaction {
            Some(transaction) => drop(transaction.execute(text, (time,))?),
            None if *word == "query" => drop(sql::query(text, (time,))?),
            None => drop(sql::execute(text, (time,))?),
        }
    }
    transaction.map_or(Ok(()), Transaction::commit).map(done)
}

fn values(parts: &[&str]) -> Vec<Value> {
    parts.iter().skip(1).filter_map(|text| parse(text)).collect()
}

fn done(_nothing: ()) -> String {
    "ok".to_owned()
}
