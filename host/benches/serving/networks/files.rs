//! The networks that `networks.py` writes, and their requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::super::http_client;
use super::super::process::Server;
use super::super::throughput::wait_until_ready;

/// A network and what it is measured with.
pub(super) struct Network {
    /// The name of the model.
    pub(super) name: &'static str,
    /// The name of the network, which several models may have.
    pub(super) file: &'static str,
    /// The threads of Wardian and of ONNX Runtime.
    pub(super) threads: usize,
    /// The sizes of its requests.
    pub(super) cases: &'static [&'static str],
    /// The most that it should take, as a multiple of ONNX Runtime's time.
    pub(super) aim: f64,
}

/// The measured networks. Sizes are rows, or rows and tokens.
pub(super) const NETWORKS: [Network; 8] = [
    Network::new("minilm", &TOKENS, 1.15),
    Network::new("minilm-int8", &TOKENS, 1.3),
    RESNET_50,
    Network { name: "resnet50-two-threads", threads: 2, ..RESNET_50 },
    Network::new("squeezenet", &ROWS, 1.35),
    Network::new("magika", &ROWS, 1.5),
    Network::new("text-direction", &ROWS, 1.35),
    Network::new("text-detector", &ROWS, 1.35),
];

pub(super) const RESNET_50: Network = Network::new("resnet50", &ROWS, 1.25);

const TOKENS: [&str; 4] = ["1x16", "1x128", "8x16", "8x128"];
const ROWS: [&str; 2] = ["1", "8"];

/// The variable with the interpreter that has the libraries.
const LIBRARIES: &str = "WARDIAN_PYTHON_LIBRARIES";

/// The variable with the folder of the networks for texts, among them both of MiniLM.
const TEXT_MODELS: &str = "WARDIAN_TEXT_MODELS";

/// Settings of a model for the largest of the networks and requests.
const SETTINGS: &str = "\
batching.max_batch_size = 1
limits = { memory = \"1GiB\", request = \"64MiB\", response = \"64MiB\", deadline = \"60s\", cpu_time = \"60s\" }
";

impl Network {
    /// A network on one thread.
    const fn new(name: &'static str, cases: &'static [&'static str], aim: f64) -> Self {
        Network { name, file: name, threads: 1, cases, aim }
    }
}

/// The folder with the networks.
pub(super) struct Networks {
    folder: tempfile::TempDir,
}

/// A request with ONNX Runtime's answer.
#[derive(Deserialize)]
pub(super) struct Expected {
    /// The bytes before the binary data of the request's body.
    head: usize,
    /// The numbers of the first output.
    answer: Vec<f32>,
}

impl Networks {
    /// Writes the networks.
    pub(super) fn write() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let text_models = std::env::var_os(TEXT_MODELS)
            .with_context(|| format!("{TEXT_MODELS} is not set; run `cargo xtask bench`"))?;
        let mut write = python("networks.py")?;
        let status = write.arg(folder.path()).arg(text_models).status()?;
        ensure!(status.success(), "the networks cannot be written");
        Ok(Networks { folder })
    }

    /// The command of a script that takes the folder.
    pub(super) fn script(&self, name: &str) -> Result<Command> {
        let mut command = python(name)?;
        command.arg(self.folder.path());
        Ok(command)
    }

    /// Starts Wardian with all networks and waits until it is ready.
    pub(super) fn serve(&self, isolation: &str) -> Result<Server> {
        let models = self.folder.path().join(isolation);
        for network in &NETWORKS {
            self.install(network, &models, isolation)?;
        }
        let server = Server::wardian(&models, &self.folder.path().join("state").join(isolation))?;
        wait_until_ready(&server)?;
        Ok(server)
    }

    /// Installs a network in a repository.
    pub(super) fn install(&self, network: &Network, models: &Path, isolation: &str) -> Result<()> {
        let version = models.join(network.name).join("1");
        fs::create_dir_all(&version)?;
        let threads = network.threads;
        let settings =
            format!("isolation = \"{isolation}\"\ninstances.threads = {threads}\n{SETTINGS}");
        fs::write(version.with_file_name("model.toml"), settings)?;
        fs::copy(self.folder.path().join("models").join(network.file).join("1/model.onnx"), {
            version.join("model.onnx")
        })?;
        Ok(())
    }

    /// Returns the bytes of a request. `tenant` is named if there are several.
    pub(super) fn request(
        &self,
        tenant: Option<&str>,
        network: &Network,
        case: &str,
    ) -> Result<Vec<u8>> {
        let head = self.expected(network, case)?.head;
        let body = fs::read(self.case(network, case, "request"))?;
        Ok(http_client::infer_binary(tenant, network.name, &body, head))
    }

    /// Checks the body of a response, whose binary data are the first output.
    pub(super) fn check(&self, network: &Network, case: &str, body: &[u8]) -> Result<()> {
        let expected = self.expected(network, case)?.answer;
        let start = body.len().checked_sub(expected.len() * 4).context("a short response")?;
        let numbers =
            body[start..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));

        let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let distances = numbers.zip(&expected).map(|(given, wanted)| (given - wanted).abs());
        let distance = distances.fold(0.0, f32::max) / largest;
        let name = network.name;
        ensure!(distance < 1e-3, "{name} {case}: {distance} from ONNX Runtime's answer");
        Ok(())
    }

    fn expected(&self, network: &Network, case: &str) -> Result<Expected> {
        Ok(serde_json::from_slice(&fs::read(self.case(network, case, "json"))?)?)
    }

    fn case(&self, network: &Network, case: &str, extension: &str) -> PathBuf {
        let file = network.file;
        self.folder.path().join("cases").join(format!("{file}-{case}.{extension}"))
    }
}

/// The command of a script in this folder.
fn python(script: &str) -> Result<Command> {
    let interpreter = std::env::var_os(LIBRARIES)
        .with_context(|| format!("{LIBRARIES} is not set; run `cargo xtask bench`"))?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/serving/networks");

    let mut command = Command::new(interpreter);
    command.arg(folder.join(script));
    Ok(command)
}
