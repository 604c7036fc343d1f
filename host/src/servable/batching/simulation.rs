//! A simulation of the batcher with a fake model: random arrivals, sizes, priorities, failures and
//! disconnecting clients.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{BatchForm, BatchLimit, BatchResponses, Batcher, Runner};
use crate::capability::CallContext;
use crate::engine::{Budget, Call};
use crate::model::{
    Batching, Datatype, InferError, InferRequest, InferResponse, Metadata, ModelSettings,
    RequestId, TenantName, Tensor, TensorSpec,
};
use crate::servable::Inference;
use crate::servable::guest_call::CallOutcome;
use crate::tenant::{CpuShare, Resource, Tenant};

/// The behaviour of the fake model for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    /// Rejected, together with all requests joined with it.
    Refused,
    /// Makes the whole batch fail.
    Deadly,
    /// Makes a joined response one row too short.
    Short,
    /// Arrives after its deadline.
    Late,
}

/// A client: its request, and the times at which it arrives and disconnects.
#[derive(Clone, Debug)]
struct Client {
    kind: Kind,
    rows: u64,
    priority: u32,
    /// Requests of different shapes are not joined.
    shape: u64,
    comes_after: usize,
    goes_after: Option<usize>,
}

/// The number of yields after which a client that never disconnects counts as stuck.
const FOR_EVER: usize = 10_000_000;

fn clients() -> impl Strategy<Value = Vec<Client>> {
    let kind = prop_oneof![
        12 => Just(Kind::Good), 1 => Just(Kind::Refused), 1 => Just(Kind::Deadly), 1 => Just(Kind::Short),
        1 => Just(Kind::Late),
    ];
    let goes_after = prop_oneof![3 => Just(None), 1 => (0..30usize).prop_map(Some)];
    let client = (kind, 1..4u64, 0..4u32, 1..3u64, 0..40usize, goes_after).prop_map(
        |(kind, rows, priority, shape, comes_after, goes_after)| Client {
            kind,
            rows,
            priority,
            shape,
            comes_after,
            goes_after,
        },
    );
    prop::collection::vec(client, 1..60)
}

/// A model that adds one to each element after a while. Elements are a thousand times the client's
/// number plus an index.
struct Model {
    clients: Vec<Client>,
    places: Arc<Semaphore>,
    share: Arc<CpuShare>,
    at_work: AtomicUsize,
    most_at_work: AtomicUsize,
    largest: AtomicUsize,
    joint: AtomicUsize,
    failed: AtomicUsize,
}

impl Model {
    fn kinds(&self, request: &InferRequest) -> Vec<Kind> {
        elements(&request.inputs[0])
            .iter()
            .map(|&element| self.clients[(element / 1000) as usize].kind)
            .collect()
    }

    async fn work(&self, effort: usize) {
        let at_work = self.at_work.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_work.fetch_max(at_work, Ordering::Relaxed);
        let _leaves = Leaves(&self.at_work);
        for _ in 0..effort % 7 {
            tokio::task::yield_now().await;
        }
    }

    /// Returns the response to a request, which may be joined from several.
    fn answer(&self, request: &InferRequest) -> Result<InferResponse, InferError> {
        let (kinds, input) = (self.kinds(request), &request.inputs[0]);
        let clients = elements(input).into_iter().map(|element| element / 1000);
        let alone = clients.collect::<BTreeSet<_>>().len() == 1;
        if kinds.contains(&Kind::Refused) {
            return Err(InferError::Rejected("not to my taste".into()));
        }
        if kinds.contains(&Kind::Deadly) {
            return Err(InferError::Trapped { detail: "deadly".into() });
        }
        let mut y: Vec<u64> = elements(input).iter().map(|element| element + 1).collect();
        let mut shape = input.shape.clone();
        if kinds.contains(&Kind::Short) && !alone {
            y.truncate(y.len() - shape[1] as usize);
            shape[0] -= 1;
        }
        Ok(InferResponse { parameters: Vec::new(), outputs: vec![tensor("y", shape, &y)] })
    }
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Runner for Model {
    type Permit = OwnedSemaphorePermit;

    fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    async fn acquire(&self) -> Result<OwnedSemaphorePermit, InferError> {
        self.places.clone().acquire_owned().await.map_err(|_| InferError::Overloaded)
    }

    async fn run_single<T: Send + 'static>(
        self: &Arc<Self>,
        _place: OwnedSemaphorePermit,
        request: InferRequest,
        _call: Call,
        then: impl FnOnce(InferResponse) -> Result<T, InferError> + Send + 'static,
    ) -> Result<CallOutcome<T>, InferError> {
        self.work(request.inputs[0].data.len()).await;
        let outcome = then(self.answer(&request)?)?;
        Ok(CallOutcome { outcome, instance: Duration::ZERO, compute: Duration::from_micros(10) })
    }

    async fn run_batch<T: Send + 'static>(
        self: &Arc<Self>,
        _place: OwnedSemaphorePermit,
        requests: Vec<InferRequest>,
        _call: Call,
        then: impl FnOnce(BatchResponses) -> Result<T, InferError> + Send + 'static,
    ) -> Result<CallOutcome<T>, InferError> {
        self.work(requests.len()).await;
        if requests.iter().any(|request| self.kinds(request).contains(&Kind::Deadly)) {
            return Err(InferError::Trapped { detail: "deadly".into() });
        }
        let short = requests.iter().any(|request| self.kinds(request).contains(&Kind::Short));
        let told = requests.len() - usize::from(short);
        let outcome =
            then(requests.iter().take(told).map(|request| self.answer(request)).collect())?;
        Ok(CallOutcome { outcome, instance: Duration::ZERO, compute: Duration::from_micros(10) })
    }

    fn new_call(&self, budget: Budget, request_id: RequestId) -> Call {
        Call {
            budget,
            share: self.share.clone(),
            context: Arc::new(CallContext::for_request(request_id)),
        }
    }

    fn record_call(&self, requests: usize) {
        self.largest.fetch_max(requests, Ordering::Relaxed);
        self.joint.fetch_add(usize::from(requests > 1), Ordering::Relaxed);
    }

    fn record_execution(&self, _rows: u64, _instance: Duration, _compute: Duration) {}

    fn record_batch_failure(&self, requests: usize, _error: &InferError) {
        assert!(requests > 1);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

fn elements(tensor: &Tensor) -> Vec<u64> {
    tensor.data.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn tensor(name: &str, shape: Vec<u64>, elements: &[u64]) -> Tensor {
    let data = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
    Tensor { name: name.into(), datatype: Datatype::Uint64, shape, data }
}

fn request(number: usize, client: &Client) -> InferRequest {
    let own = number as u64 * 1000;
    let elements: Vec<_> = (own..own + client.rows * client.shape).collect();
    let inputs = vec![tensor("x", vec![client.rows, client.shape], &elements)];
    InferRequest { inputs, priority: client.priority, ..InferRequest::default() }
}

fn metadata() -> Arc<Metadata> {
    let spec = |name: &str| TensorSpec {
        name: name.into(),
        datatype: Datatype::Uint64,
        shape: vec![-1, -1],
        optional: false,
    };
    Arc::new(Metadata { inputs: vec![spec("x")], outputs: vec![spec("y")], ..Metadata::default() })
}

/// A batcher, its model and their tenant.
struct Simulation {
    batcher: Arc<Batcher>,
    model: Arc<Model>,
    tenant: Arc<Tenant>,
}

impl Simulation {
    fn new(
        form: BatchForm,
        items: u32,
        places: usize,
        settings: &ModelSettings,
        clients: Vec<Client>,
    ) -> Self {
        let tenant = Tenant::unlimited(TenantName::new("simulated").unwrap());
        let share = CpuShare::new(tenant.account().clone());
        let batcher =
            Batcher::new(BatchLimit { form, items }, settings, metadata(), tenant.clone());
        let places = Arc::new(Semaphore::new(places));
        let [at_work, most_at_work, largest, joint, failed] = Default::default();
        let model = Model { clients, places, share, at_work, most_at_work, largest, joint, failed };
        Simulation { batcher, model: Arc::new(model), tenant }
    }

    /// Runs one client. Returns `None` if it disconnects before its response.
    async fn ask(&self, number: usize) -> Option<Result<Inference, InferError>> {
        let client = &self.model.clients[number];
        yields(client.comes_after).await;
        let allowed =
            if client.kind == Kind::Late { Duration::ZERO } else { Duration::from_secs(600) };
        let budget = Budget::new(Instant::now(), allowed, Duration::from_secs(600));
        let call = self.model.new_call(budget, RequestId::none());
        tokio::select! {
            biased;
            answer = self.batcher.infer(&self.model, request(number, client), call) => Some(answer),
            () = yields(client.goes_after.unwrap_or(FOR_EVER)) => {
                assert!(client.goes_after.is_some(), "client {number} was never answered");
                None
            }
        }
    }

    /// Runs all clients and checks each response.
    async fn run(self: Arc<Self>) {
        let places = self.model.places.available_permits();
        let ask = |number| {
            let simulation = self.clone();
            tokio::spawn(async move { simulation.ask(number).await })
        };
        let asking: Vec<_> = (0..self.model.clients.len()).map(ask).collect();
        for (number, asking) in asking.into_iter().enumerate() {
            if let Some(answer) = asking.await.unwrap() {
                self.check(number, answer);
            }
        }
        self.until_quiet(places).await;
    }

    fn check(&self, number: usize, answer: Result<Inference, InferError>) {
        let client = &self.model.clients[number];
        match (client.kind, answer) {
            (Kind::Good | Kind::Short, Ok(Inference { response, .. })) => {
                let asked = &request(number, client).inputs[0];
                let expected: Vec<_> = elements(asked).iter().map(|element| element + 1).collect();
                assert_eq!(response.outputs, [tensor("y", asked.shape.clone(), &expected)]);
            }
            (Kind::Refused, Err(InferError::Rejected(_)))
            | (Kind::Deadly, Err(InferError::Trapped { .. }))
            | (Kind::Late, Err(InferError::DeadlineExceeded(_))) => {}
            (_, Err(InferError::QueueFull { limit })) if limit < 1000 => {}
            (kind, answer) => panic!("client {number} is {kind:?} and was answered {answer:?}"),
        }
    }

    /// Waits until all permits and quota are returned.
    async fn until_quiet(&self, places: usize) {
        for _ in 0..FOR_EVER {
            let quiet = self.batcher.is_idle() && self.model.places.available_permits() == places;
            if quiet && self.tenant.used(Resource::Queue) == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("something was never given back");
    }
}

async fn yields(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

proptest! {
    #[test]
    fn each_client_gets_its_own_response_once_and_none_waits_for_the_disconnected(
        clients in clients(),
        side_by_side: bool,
        items in 2..12u32,
        places in 1..4usize,
        max_queue in prop_oneof![Just(1000u32), 0..6u32],
        delay in prop_oneof![3 => Just(0u64), 1 => 1..3u64],
    ) {
        let form = if side_by_side { BatchForm::SideBySide } else { BatchForm::Joined };
        let batching = Batching { max_batch_size: None, max_queue_delay: Duration::from_millis(delay), max_queue };
        let settings = ModelSettings { batching, ..ModelSettings::default() };
        let simulation = Arc::new(Simulation::new(form, items, places, &settings, clients));
        block_on(simulation.clone().run());
        let model = &simulation.model;
        prop_assert!(model.most_at_work.load(Ordering::Relaxed) <= places);
        prop_assert!(model.largest.load(Ordering::Relaxed) <= items as usize);
    }
}

#[test]
fn concurrent_requests_are_batched() {
    let client = Client {
        kind: Kind::Good,
        rows: 1,
        priority: 0,
        shape: 1,
        comes_after: 0,
        goes_after: None,
    };
    for form in [BatchForm::Joined, BatchForm::SideBySide] {
        let clients = vec![client.clone(); 64];
        let simulation = Arc::new(Simulation::new(form, 16, 1, &ModelSettings::default(), clients));
        block_on(simulation.clone().run());
        let model = &simulation.model;
        assert_eq!(
            (model.joint.load(Ordering::Relaxed), model.failed.load(Ordering::Relaxed)),
            (4, 0),
            "{form:?}"
        );
    }
}

#[test]
fn requests_one_after_another_give_everything_back_at_once() {
    let client = Client {
        kind: Kind::Good,
        rows: 3,
        priority: 0,
        shape: 1,
        comes_after: 0,
        goes_after: None,
    };
    // After a streak of requests that were alone, the batcher expects the next one to be alone too.
    let kinds = [Kind::Good, Kind::Refused, Kind::Deadly, Kind::Late];
    let later = kinds.map(|kind| Client { kind, ..client.clone() });
    let disconnects = Client { goes_after: Some(1), ..client.clone() };
    let clients = [vec![client; 20], later.into(), vec![disconnects; 5]].concat();

    let simulation = Simulation::new(BatchForm::Joined, 16, 1, &ModelSettings::default(), clients);
    block_on(async {
        for number in 0..simulation.model.clients.len() {
            match simulation.ask(number).await {
                Some(answer) => simulation.check(number, answer),
                None => assert!(number >= 24, "client {number} was not answered"),
            }
            simulation.until_quiet(1).await;
        }
    });
    assert_eq!(simulation.model.joint.load(Ordering::Relaxed), 0);
}
