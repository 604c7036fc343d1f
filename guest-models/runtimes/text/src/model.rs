//! A network for texts, ready to answer.

use model_file::SavedMetadata;
use wardian_sdk::{Error, Metadata, OrError, Request, Response};

use crate::folder::Folder;
use crate::heads::{Answered, Head, Use, default_prompt};
use crate::network::{Network, Plan, Row};
use crate::tokens::{Limit, Text, TextTokenizer, Tokens};

/// The input with the texts.
const TEXT: &str = "text";
/// The input with the second text of each.
const PAIR: &str = "text_pair";
/// Texts of a request.
const MAX_TEXTS: usize = 1024;

/// A network with its tokenizer.
pub struct TextModel {
    tokenizer: TextTokenizer,
    network: Network,
    output: String,
    by_token: bool,
    head: Head,
    metadata: Metadata,
}

/// Reads a network, and what lies beside it.
///
/// # Errors
/// Failed if a file is missing, damaged, or has something that is not served; the text says what to
/// do.
pub fn open(
    network: Vec<u8>,
    folder: &Folder<'_>,
    saved: &SavedMetadata,
) -> Result<TextModel, Error> {
    let network = Network::read(network, saved, folder)?;
    let Use { output, by_token, head } = Use::read(folder, &network.outputs())?;
    let limit = Limit::read(folder)?.with_positions(network.length());
    let prefix = match head {
        Head::Embedding(_) => default_prompt(folder)?,
        Head::Labels(_) | Head::Entities(_) => String::new(),
    };
    let tokenizer = TextTokenizer::read(folder, limit, prefix)?;

    let metadata = saved.add_to(Metadata::new()).input::<String>(TEXT, [-1]);
    let mut model = TextModel { tokenizer, network, output, by_token, head, metadata };
    model.describe()?;
    Ok(model)
}

impl TextModel {
    /// Asks the network for the largest token, which it has to know, and for a text; completes the
    /// description with the size of the answer.
    fn describe(&mut self) -> Result<(), Error> {
        let last = self.tokenizer.last_id();
        let largest = Tokens { ids: vec![last], types: vec![0], places: Vec::new() };
        let trial = self.run(&[largest]).or_failed(format_args!(
            "the tokenizer has the token {last}, and the network does not take it; tokenizer.json \
             belongs to another network, or"
        ))?;
        let width = trial.first().map_or(0, |row| row.width);
        self.run(&[self.tokens(Text { first: "A text.", second: None })?]).or_failed("a trial")?;

        let mut metadata = self.metadata.clone();
        if self.head.takes_pairs() {
            metadata = metadata.optional_input::<String>(PAIR, [-1]);
        }
        let metadata = self.head.describe(width, metadata)?;
        self.metadata = metadata
            .property("format", "onnx-text")
            .property("max_tokens", self.tokenizer.limit() as i64);
        Ok(())
    }

    /// Describes inputs, outputs and properties.
    pub fn description(&self) -> Metadata {
        self.metadata.clone()
    }

    /// Answers a request.
    ///
    /// # Errors
    /// Rejected if a text is too long, or there are too many; Failed as the network says.
    pub fn answer(&self, request: &Request) -> Result<Response, Error> {
        let texts = self.texts(request)?;
        let tokens: Vec<_> = self.all_tokens(&texts)?;
        let rows = self.run(&tokens)?;
        let answered = Answered { texts: &texts, tokens: &tokens, rows: &rows };
        Ok(self.head.response(request, &answered))
    }

    /// Answers several requests, whose texts run together.
    ///
    /// # Errors
    /// Of each as for [`TextModel::answer`].
    pub fn answer_all(&self, requests: &[Request]) -> Vec<Result<Response, Error>> {
        let mut all = Vec::new();
        let mut parts = Vec::new();
        for request in requests {
            let part = self.texts(request).and_then(|texts| {
                let tokens = self.all_tokens(&texts)?;
                let start = all.len();
                all.extend(tokens);
                Ok((texts, start..all.len()))
            });
            parts.push(part);
        }
        // A fault of one request must not fail the others.
        let Ok(rows) = self.run(&all) else {
            return requests.iter().map(|request| self.answer(request)).collect();
        };

        let answer = |(part, request): (Result<(Vec<Text<'_>>, _), Error>, &Request)| {
            let (texts, range): (_, std::ops::Range<usize>) = part?;
            let tokens = all.get(range.clone()).unwrap_or_default();
            let rows = rows.get(range).unwrap_or_default();
            Ok(self.head.response(request, &Answered { texts: &texts, tokens, rows }))
        };
        parts.into_iter().zip(requests).map(answer).collect()
    }

    fn texts<'a>(&self, request: &'a Request) -> Result<Vec<Text<'a>>, Error> {
        let first = request.input(TEXT)?.strings()?;
        if first.len() > MAX_TEXTS {
            let count = first.len();
            return Err(Error::rejected(format_args!(
                "the request has {count} texts, and at most {MAX_TEXTS} are answered at once"
            )));
        }
        let Some(pair) = request.find_input(PAIR) else {
            return Ok(first.into_iter().map(|first| Text { first, second: None }).collect());
        };

        let second = pair.strings()?;
        if second.len() != first.len() {
            let counts = (first.len(), second.len());
            return Err(Error::rejected(format_args!(
                "{TEXT:?} has {} texts and {PAIR:?} has {}; each text has one second",
                counts.0, counts.1
            )));
        }
        let pairs = first.into_iter().zip(second);
        Ok(pairs.map(|(first, second)| Text { first, second: Some(second) }).collect())
    }

    fn all_tokens(&self, texts: &[Text<'_>]) -> Result<Vec<Tokens>, Error> {
        let texts = texts.iter().enumerate();
        let tokens = texts.map(|(index, text)| {
            self.tokens(*text).map_err(|error| match error {
                Error::Rejected(reason) => Error::rejected(format_args!("text {index}: {reason}")),
                failed => failed,
            })
        });
        tokens.collect()
    }

    fn tokens(&self, text: Text<'_>) -> Result<Tokens, Error> {
        self.tokenizer.tokens(text, self.head.needs_places())
    }

    fn run(&self, tokens: &[Tokens]) -> Result<Vec<Row>, Error> {
        let (pad, by_token) = (self.tokenizer.pad(), self.by_token);
        self.network.run(tokens, &Plan { output: &self.output, pad, by_token })
    }
}
