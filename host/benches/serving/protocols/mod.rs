//! Measures one small model by each protocol, and gRPC beside a tonic server that runs the same
//! trees.

mod grpc_client;
mod messages;
pub(crate) mod native_grpc;
mod requests;

use std::path::Path;

use anyhow::Result;

use super::load::{self, Exchange, LoadResult};
use super::models;
use super::options::Options;
use super::process::Server;
use super::report::{Aim, Table, format_number, median};
use super::throughput::wait_until_ready;
use requests::{Protocol, Question};

/// The method of inference.
const METHOD: &str = "/inference.GRPCInferenceService/ModelInfer";

/// The connections of the first table, and the shapes of the second.
const CONNECTIONS: [usize; 2] = [1, 16];
const SHAPES: [Shape; 3] = [Shape::new(1, 1), Shape::new(16, 1), Shape::new(1, 16)];

/// The models, by their isolation.
const POOLED: &str = "house-price";
const FRESH: &str = "house-price-fresh";
const EMBEDDER: &str = "embedder";

/// Connections, and calls at the same time on each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    connections: usize,
    calls: usize,
}

impl Shape {
    const fn new(connections: usize, calls: usize) -> Self {
        Shape { connections, calls }
    }
}

/// The measured servers.
struct Servers {
    wardian: Server,
    native: Server,
}

/// Questions in a protocol, and the results in each round.
struct Variant<'s> {
    name: &'static str,
    server: &'s Server,
    questions: Vec<Question>,
    protocol: Protocol,
    shape: Shape,
    results: Vec<LoadResult>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let servers = Servers::start(folder.path())?;
    let mut protocols = by_protocol(&servers, options)?;
    let mut grpc = beside_tonic(&servers, options)?;

    for _ in 0..options.rounds() {
        for variant in protocols.iter_mut().chain(&mut grpc) {
            let result = variant.measure(options)?;
            variant.results.push(result);
        }
    }

    table(&protocols, "model", is_json).print("One row a request, pooled, by protocol");
    table(&grpc, "server", is_native).print("house-price by gRPC, one row a request");
    println!("\n  Ratios are medians over rounds of what was measured one after the other.\n");
    aims(&grpc);
    Ok(())
}

impl Servers {
    fn start(folder: &Path) -> Result<Self> {
        let (repository, state) = (folder.join("models"), folder.join("state"));
        let pooled = "isolation = 'pooled'\n";
        let house_price = models::component()?;
        models::install(&repository, POOLED, &house_price, pooled)?;
        models::install(&repository, FRESH, &house_price, "isolation = 'request'\n")?;
        models::install_bare(&repository, EMBEDDER, &models::test_guest("embedder")?, pooled)?;

        let wardian = Server::wardian(&repository, &state)?;
        wait_until_ready(&wardian)?;
        Ok(Servers { wardian, native: Server::native_grpc()? })
    }
}

/// A model of numbers, which does not embed, and one of texts in every protocol.
fn by_protocol<'s>(servers: &'s Servers, options: &Options) -> Result<Vec<Variant<'s>>> {
    use Protocol::{Binary, Embeddings, Grpc, Json, Predict};
    let (houses, text) = (requests::houses(POOLED)?, vec![requests::text(EMBEDDER)]);
    let mut variants = Vec::new();

    for connections in options.connections_or(&CONNECTIONS) {
        for (model, questions, protocols) in [
            (POOLED, &houses, &[Json, Binary, Grpc, Predict][..]),
            (EMBEDDER, &text, &[Json, Binary, Grpc, Predict, Embeddings]),
        ] {
            variants.extend(protocols.iter().map(|&protocol| Variant {
                name: model,
                server: &servers.wardian,
                questions: questions.clone(),
                protocol,
                shape: Shape::new(connections, 1),
                results: Vec::new(),
            }));
        }
    }

    Ok(variants)
}

/// The trees by gRPC. The first server of each shape is the native one.
fn beside_tonic<'s>(servers: &'s Servers, options: &Options) -> Result<Vec<Variant<'s>>> {
    let shapes: Vec<Shape> = match options.connections_or(&[]) {
        given if given.is_empty() => SHAPES.into(),
        given => given.into_iter().map(|connections| Shape::new(connections, 1)).collect(),
    };
    let (pooled, fresh) = (requests::houses(POOLED)?, requests::houses(FRESH)?);

    let variants = shapes.into_iter().flat_map(|shape| {
        [
            ("native", &servers.native, &pooled),
            ("pooled", &servers.wardian, &pooled),
            ("fresh", &servers.wardian, &fresh),
        ]
        .map(|(name, server, questions)| Variant {
            name,
            server,
            questions: questions.clone(),
            protocol: Protocol::Grpc,
            shape,
            results: Vec::new(),
        })
    });
    Ok(variants.collect())
}

impl Variant<'_> {
    fn measure(&self, options: &Options) -> Result<LoadResult> {
        let Shape { connections, calls } = self.shape;
        if self.protocol == Protocol::Grpc {
            let window = options.window();
            return grpc_client::run(self.server, &self.questions, connections, calls, window);
        }

        let questions = self.questions.iter().cycle().take(connections);
        let exchanges = questions.map(|question| self.exchange(question)).collect();
        load::run_exchanges(self.server, exchanges, None, options.window())
    }

    fn exchange<'q>(&'q self, question: &'q Question) -> Exchange<'q> {
        Exchange {
            request: question.http(self.protocol),
            is_answer: Box::new(|body| question.is_answered_by(self.protocol, body)),
        }
    }

    fn median(&self, field: fn(&LoadResult) -> f64) -> f64 {
        median(self.results.iter().map(field))
    }

    /// The ratio to another variant for a figure.
    fn ratio(&self, base: &Variant<'_>, field: fn(&LoadResult) -> f64) -> f64 {
        median(self.results.iter().zip(&base.results).map(|(one, base)| field(one) / field(base)))
    }
}

fn is_json(variant: &Variant<'_>) -> bool {
    variant.protocol == Protocol::Json
}

fn is_native(variant: &Variant<'_>) -> bool {
    variant.name == "native"
}

/// Variants after the one that they are compared with.
fn table(variants: &[Variant<'_>], first: &str, is_base: fn(&Variant<'_>) -> bool) -> Table {
    let absolute = ["protocol", "connections", "calls", "req/s", "p50 µs", "p99 µs", "CPU µs/req"];
    let mut table =
        Table::new(&[&[first], &absolute[..], &["req/s ÷ first", "p99 ÷", "CPU ÷"]].concat());
    let mut base = None;

    for variant in variants {
        if is_base(variant) {
            base = Some(variant);
        }
        let of = |field| format_number(variant.median(field));
        let ratio =
            |field| base.map_or("-".into(), |base| format_number(variant.ratio(base, field)));

        let Shape { connections, calls } = variant.shape;
        let named = [variant.name.into(), variant.protocol.name().into()];
        let shape = [connections.to_string(), calls.to_string()];
        let absolute = [of(|m| m.rate), of(|m| m.p50), of(|m| m.p99), of(|m| m.cpu)];
        let relative = [ratio(|m| m.rate), ratio(|m| m.p99), ratio(|m| m.cpu)];
        table.row(named.into_iter().chain(shape).chain(absolute).chain(relative));
    }
    table
}

fn aims(variants: &[Variant<'_>]) {
    for servers in variants.chunks_exact(3) {
        let [native, pooled, _] = servers else { continue };
        let Shape { connections, calls } = native.shape;
        let what = format!("gRPC pooled/tonic throughput at {connections} × {calls}");
        Aim::AtLeast(0.8).print(&what, pooled.ratio(native, |m| m.rate));
    }
}
