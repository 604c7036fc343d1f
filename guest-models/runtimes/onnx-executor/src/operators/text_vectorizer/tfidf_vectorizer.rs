//! `TfIdfVectorizer`: counts n-grams of texts or numbers, and weights the counts.
//!
//! A *sequence* is an n-gram; the *pool* are those that the model counts.

use wardian_sdk::{Error, OrError};

use crate::kernel::Kernel;
use crate::node::Node;
use crate::operators::key::{Key, Table};
use crate::operators::matrix::{dimensions, indices};
use crate::operators::{Domain, Operator, for_types};
use crate::tensor::{ElementType, Shape, Tensor, filled};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Onnx,
    name: "TfIdfVectorizer",
    versions: (9, Domain::NEWEST),
    accepts: &[ElementType::Text, ElementType::I64, ElementType::I32],
    build: |node| {
        let texts = node.texts("pool_strings")?;
        let numbers = node.integers("pool_int64s");
        if node.input_type(0)? == ElementType::Text {
            return vectorizer(node, texts);
        }
        for_types!(node.input_type(0)?, T in [I64(i64), I32(i32)] => {
            let number = |number: &i64| T::try_from(*number).or_failed("a number beyond int32");
            vectorizer::<T>(node, numbers.iter().map(number).collect::<Result<_, _>>()?)
        })
    },
};

/// The output for a sequence: its count, its weight if it occurs, or the product of both.
#[derive(Clone, Copy)]
enum Mode {
    Count,
    Weight,
    Product,
}

/// The sequences that are counted.
struct Pool<K: Key> {
    /// The items by their number.
    items: Table<K::Form, u32>,
    /// The number of a sequence, by the number of the sequence without its last item and the number
    /// of that item.
    next: Table<(u32, u32), u32>,
    /// The column and the weight of the sequence with this number; `None` if it is not counted.
    columns: Vec<Option<(usize, f32)>>,
}

/// The number of the empty sequence.
const EMPTY: u32 = 0;

/// The lengths of sequences, and the most items skipped within them.
#[derive(Clone, Copy)]
struct Lengths {
    least: usize,
    most: usize,
    skips: usize,
}

fn vectorizer<K: Key>(node: &Node<'_>, pool: Vec<K>) -> Result<Kernel, Error> {
    let mode = match node.text("mode", "")? {
        "TF" => Mode::Count,
        "IDF" => Mode::Weight,
        "TFIDF" => Mode::Product,
        other => return Err(Error::failed(format_args!("the mode {other:?} is unknown"))),
    };
    let lengths = Lengths::read(node)?;
    let pool = Pool::read(node, pool, lengths)?;
    let width = indices("ngram_indexes", node.integers("ngram_indexes"))?;
    let width = Shape::new(&[width.iter().max().map_or(0, |last| last + 1)])?.elements();

    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let input = arguments.get(0)?;
        let (rows, items) = dimensions(input)?;
        let shape = match input.shape().len() {
            1 => Shape::new(&[width])?,
            _ => Shape::new(&[rows, width])?,
        };
        let work = lengths.work(items).saturating_mul(rows as u64);
        let mut counts = filled(shape.elements(), 0.0_f32)?;
        if width > 0 {
            let sequences = input.values::<K>()?.chunks(items.max(1));
            for (row, counts) in sequences.zip(counts.chunks_mut(width)) {
                pool.count(row, lengths, mode, counts);
            }
        }
        arguments.charge(work)?;
        Tensor::new(shape, counts)
    }))
}

impl Lengths {
    fn read(node: &Node<'_>) -> Result<Self, Error> {
        let number = |name: &str| {
            let number = node.find_integer(name).or_failed(format_args!("it has no {name}"))?;
            usize::try_from(number).or_failed(name)
        };
        let lengths = Self {
            least: number("min_gram_length")?,
            most: number("max_gram_length")?,
            skips: number("max_skip_count")?,
        };
        if lengths.least == 0 || lengths.most < lengths.least {
            return Err(Error::failed("its lengths of sequences are not a range from 1"));
        }
        Ok(lengths)
    }

    /// Returns the steps of work for a row of so many items.
    fn work(self, items: usize) -> u64 {
        let skips = self.skips.min(items) as u64 + 1;
        (items as u64).saturating_mul(self.most.min(items) as u64).saturating_mul(skips)
    }
}

impl<K: Key> Pool<K> {
    /// Reads the sequences. `ngram_counts` has, for each length, the index in the pool of the first
    /// sequence of that length.
    fn read(node: &Node<'_>, pool: Vec<K>, lengths: Lengths) -> Result<Self, Error> {
        let starts = indices("ngram_counts", node.integers("ngram_counts"))?;
        let columns = indices("ngram_indexes", node.integers("ngram_indexes"))?;
        let weights = node.floats("weights");
        if !weights.is_empty() && weights.len() != columns.len() {
            let text = format!("{} weights for {} ngram_indexes", weights.len(), columns.len());
            return Err(Error::failed(text));
        }
        let weight = |number: usize| weights.get(number).copied().unwrap_or(1.0);
        let mut read =
            Self { items: Table::default(), next: Table::default(), columns: vec![None] };
        let mut columns = columns.into_iter().enumerate();
        for (start, length) in starts.iter().zip(1_usize..) {
            let end = starts.get(length).copied().unwrap_or(pool.len());
            let part =
                pool.get(*start..end).or_failed("ngram_counts are not indices of the pool")?;
            if part.len() % length != 0 {
                let text = format!("{} items are not sequences of {length}", part.len());
                return Err(Error::failed(text));
            }
            for sequence in part.chunks_exact(length) {
                let (number, column) =
                    columns.next().or_failed("there are too few ngram_indexes")?;
                let is_counted = (lengths.least..=lengths.most).contains(&length);
                read.insert(sequence, is_counted.then_some((column, weight(number))));
            }
        }
        if columns.next().is_some() {
            return Err(Error::failed("there are more ngram_indexes than sequences"));
        }
        Ok(read)
    }

    fn insert(&mut self, sequence: &[K], column: Option<(usize, f32)>) {
        let mut number = EMPTY;
        for item in sequence {
            let new = self.items.len() as u32;
            let item = *self.items.entry(item.form()).or_insert(new);
            let new = self.columns.len() as u32;
            number = *self.next.entry((number, item)).or_insert(new);
            if number == new {
                self.columns.push(None);
            }
        }
        if let Some(place) = self.columns.get_mut(number as usize) {
            *place = place.or(column);
        }
    }

    /// Counts the sequences of a row: with every number of items skipped between two of theirs.
    fn count(&self, row: &[K], lengths: Lengths, mode: Mode, counts: &mut [f32]) {
        let items: Vec<_> = row.iter().map(|item| self.items.get(&item.form()).copied()).collect();
        for skipped in 0..=lengths.skips.min(items.len()) {
            for start in 0..items.len() {
                let mut number = EMPTY;
                let following = items.iter().skip(start).step_by(skipped + 1);
                for (item, length) in following.take(lengths.most).zip(1_usize..) {
                    let Some(item) = item else { break };
                    let Some(next) = self.next.get(&(number, *item)) else { break };
                    number = *next;
                    // A single item skips nothing, and is counted once.
                    if length > 1 || skipped == 0 {
                        self.add(number, mode, counts);
                    }
                }
            }
        }
    }

    fn add(&self, number: u32, mode: Mode, counts: &mut [f32]) {
        let Some(Some((column, weight))) = self.columns.get(number as usize) else { return };
        let Some(count) = counts.get_mut(*column) else { return };
        match mode {
            Mode::Count => *count += 1.0,
            Mode::Weight => *count = *weight,
            Mode::Product => *count += weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Case, strings, tensor};
    use crate::tests::REGISTRY;

    /// Counts 2, 3, 5 and 4 alone, and the pairs 5 6, 7 8 and 6 7.
    fn case(mode: &str, lengths: (i64, i64), skips: i64) -> Case {
        Case::new(REGISTRY, "TfIdfVectorizer", 9)
            .text("mode", mode)
            .int("min_gram_length", lengths.0)
            .int("max_gram_length", lengths.1)
            .int("max_skip_count", skips)
            .ints("ngram_counts", &[0, 4])
            .ints("ngram_indexes", &[0, 1, 2, 3, 4, 5, 6])
            .ints("pool_int64s", &[2, 3, 5, 4, 5, 6, 7, 8, 6, 7])
    }

    #[test]
    fn sequences_are_counted_with_and_without_skips() {
        let row = || [tensor(&[12], &[1_i64, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8])];
        let count = |lengths, skips| case("TF", lengths, skips).values::<f32>(&row());
        assert_eq!(count((1, 1), 0), [0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(count((2, 2), 0), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(count((2, 2), 5), [0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 1.0]);
        assert_eq!(count((1, 2), 5), [0.0, 3.0, 1.0, 0.0, 1.0, 3.0, 1.0]);
    }

    #[test]
    fn rows_are_counted_apart() {
        let rows = tensor(&[2, 6], &[1_i32, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8]);
        let got = case("TF", (1, 2), 0).output(&[rows]);
        let counts = [0.0_f32, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        assert_eq!(got, tensor(&[2, 7], &counts));
    }

    #[test]
    fn weights_replace_or_multiply_the_counts() {
        let words = |mode: &str| {
            Case::new(REGISTRY, "TfIdfVectorizer", 9)
                .text("mode", mode)
                .int("min_gram_length", 1)
                .int("max_gram_length", 1)
                .int("max_skip_count", 0)
                .ints("ngram_counts", &[0])
                .ints("ngram_indexes", &[1, 0])
                .texts("pool_strings", &["x", "日本"])
                .floats("weights", &[2.0, 0.5])
                .values::<f32>(&[strings(&[1, 3], &["日本", "x", "日本"])])
        };
        assert_eq!(words("TF"), [2.0, 1.0]);
        assert_eq!(words("IDF"), [0.5, 2.0]);
        assert_eq!(words("TFIDF"), [1.0, 2.0]);
    }

    #[test]
    fn places_that_lie_are_refused() {
        let text = |starts: &[i64], columns: &[i64]| {
            Case::new(REGISTRY, "TfIdfVectorizer", 9)
                .text("mode", "TF")
                .int("min_gram_length", 1)
                .int("max_gram_length", 2)
                .int("max_skip_count", 0)
                .ints("ngram_counts", starts)
                .ints("ngram_indexes", columns)
                .ints("pool_int64s", &[2, 3, 4])
                .error(&[tensor(&[1], &[1_i64])])
        };
        assert!(text(&[0, 4], &[0]).ends_with("ngram_counts are not indices of the pool"));
        assert!(text(&[2, 0], &[0]).ends_with("ngram_counts are not indices of the pool"));
        assert!(text(&[0, 2], &[0, 1]).ends_with("1 items are not sequences of 2"));
        assert!(text(&[0], &[0, 1]).ends_with("there are too few ngram_indexes"));
        assert!(text(&[0], &[0, 1, 2, 3]).ends_with("there are more ngram_indexes than sequences"));
        assert!(text(&[0], &[0, 1, i64::from(u32::MAX)]).contains("larger than"));
        assert!(text(&[0], &[0, 1, -1]).ends_with("\"ngram_indexes\" has the value -1"));
    }
}
