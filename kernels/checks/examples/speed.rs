//! Measures the kernels alone: the shapes of MiniLM, ResNet-50 and SqueezeNet.
//!
//! `cargo run --release --package kernel-checks --example speed -- [SET] [NAME] [THREADS]`
//!
//! Without a number of threads there is one, and each piece of work is measured by itself. With it
//! whole operations are measured, on threads that wait for them as in the host.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use kernel_checks::{random_bytes, random_floats};
use wardian_kernels::{
    Activation, Checkpoint, Conv2d, Conv2dData, InstructionSet, IntegerData, IntegerMatmul,
    IntegerOutput, IntegerPacking, Matmul, MatmulData, Team, run_to_end,
};

/// Layers of ResNet-50: how often, input channels, output channels, image, kernel, stride.
const RESNET_50: &[(u32, u32, u32, u32, u32, u32)] = &[
    (1, 3, 64, 224, 7, 2),
    (1, 64, 64, 56, 1, 1),
    (3, 64, 64, 56, 3, 1),
    (4, 64, 256, 56, 1, 1),
    (2, 256, 64, 56, 1, 1),
    (1, 256, 128, 56, 1, 1),
    (1, 128, 128, 56, 3, 2),
    (4, 128, 512, 28, 1, 1),
    (1, 256, 512, 56, 1, 2),
    (3, 512, 128, 28, 1, 1),
    (3, 128, 128, 28, 3, 1),
    (1, 512, 256, 28, 1, 1),
    (1, 256, 256, 28, 3, 2),
    (6, 256, 1024, 14, 1, 1),
    (1, 512, 1024, 28, 1, 2),
    (5, 1024, 256, 14, 1, 1),
    (5, 256, 256, 14, 3, 1),
    (1, 1024, 512, 14, 1, 1),
    (1, 512, 512, 14, 3, 2),
    (3, 512, 2048, 7, 1, 1),
    (1, 1024, 2048, 14, 1, 2),
    (2, 2048, 512, 7, 1, 1),
    (2, 512, 512, 7, 3, 1),
];

/// Layers of SqueezeNet 1.0.
const SQUEEZENET: &[(u32, u32, u32, u32, u32, u32)] = &[
    (1, 3, 96, 224, 7, 2),
    (1, 96, 16, 54, 1, 1),
    (2, 16, 64, 54, 1, 1),
    (2, 16, 64, 54, 3, 1),
    (1, 128, 16, 54, 1, 1),
    (1, 128, 32, 54, 1, 1),
    (1, 32, 128, 54, 1, 1),
    (1, 32, 128, 54, 3, 1),
    (1, 256, 32, 27, 1, 1),
    (1, 32, 128, 27, 1, 1),
    (1, 32, 128, 27, 3, 1),
    (1, 256, 48, 27, 1, 1),
    (2, 48, 192, 27, 1, 1),
    (2, 48, 192, 27, 3, 1),
    (1, 384, 48, 27, 1, 1),
    (1, 384, 64, 27, 1, 1),
    (1, 64, 256, 27, 1, 1),
    (1, 64, 256, 27, 3, 1),
    (1, 512, 64, 13, 1, 1),
    (1, 64, 256, 13, 1, 1),
    (1, 64, 256, 13, 3, 1),
    (1, 512, 1000, 13, 1, 1),
];

/// A thing to measure: what it is called, its operations, and the runs of it in a round.
struct Task {
    name: String,
    operations: f64,
    runs: Vec<Box<Run>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let requested = arguments.first().filter(|name| *name != "best");
    let set = match requested {
        None => InstructionSet::best(),
        Some(name) => InstructionSet::available()
            .find(|set| set.name() == name)
            .unwrap_or(InstructionSet::PORTABLE),
    };
    let filter = arguments.get(1).map(String::as_str).unwrap_or_default();

    let count = arguments.get(2).and_then(|count| count.parse().ok());
    let Ok(mut team) = Threads::start(count.unwrap_or(1), count.is_none()) else { return };

    println!("{set}, {} threads: least time of 30 rounds", count.unwrap_or(1));
    for mut task in tasks() {
        if !task.name.contains(filter) {
            continue;
        }

        let mut least = vec![Vec::new(); task.runs.len()];
        for _ in 0..30 {
            for (run, least) in task.runs.iter_mut().zip(&mut least) {
                measure(&mut **run, set, &mut team, least);
            }
        }
        let least: f64 = least.iter().flatten().sum();
        let speed = task.operations / least / 1e9;
        println!("{:34} {:9.1} us {speed:7.1} GFLOP/s", task.name, least * 1e6);
    }
}

/// Runs an operation, piece by piece if the checkpoints of the team break, and keeps the least time
/// of each piece, because other programs interrupt long operations in every round. Between two
/// rounds other operations run, so that its operands are no longer in the caches.
fn measure(run: &mut Run, set: InstructionSet, team: &mut Threads, least: &mut Vec<f64>) {
    let mut position = 0;
    for piece in 0.. {
        let start = Instant::now();
        let next = run(set, position, team);
        let time = start.elapsed().as_secs_f64();

        match least.get_mut(piece) {
            Some(least) => *least = least.min(time),
            None => least.push(time),
        }
        match next {
            Some(next) => position = next,
            None => return,
        }
    }
}

/// Threads that wait for operations.
struct Threads {
    /// One less than there are.
    pool: rayon_core::ThreadPool,
    count: usize,
    /// Every checkpoint breaks.
    breaking: bool,
}

impl Threads {
    fn start(count: usize, breaking: bool) -> Result<Self, rayon_core::ThreadPoolBuildError> {
        let helpers = count.saturating_sub(1).max(1);
        let pool = rayon_core::ThreadPoolBuilder::new().num_threads(helpers).build()?;
        Ok(Threads { pool, count, breaking })
    }
}

impl Team for Threads {
    fn threads(&self, time: Duration) -> usize {
        if time < Duration::from_micros(100) { 1 } else { self.count }
    }

    fn checkpoint(&mut self) -> ControlFlow<()> {
        if self.breaking { ControlFlow::Break(()) } else { run_to_end() }
    }

    fn run(&mut self, work: &(dyn Fn(Checkpoint<'_>) + Sync)) {
        self.pool.in_place_scope(|scope| {
            for _ in 1..self.count {
                scope.spawn(|_| work(&mut run_to_end));
            }
            work(&mut run_to_end);
        });
    }
}

/// Runs an operation from a position on, and returns the next one.
type Run = dyn FnMut(InstructionSet, u64, &mut dyn Team) -> Option<u64>;

fn tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for rows in [1, 16, 128] {
        for (inner, columns) in [(384, 384), (384, 1536), (1536, 384)] {
            tasks.push(matmuls(
                &format!("matmul {rows} x {inner} x {columns}"),
                &[(1, rows, inner, columns)],
            ));
            tasks.push(integer_matmul(rows, inner, columns));
        }
        let layers = [(24, rows, 384, 384), (6, rows, 384, 1536), (6, rows, 1536, 384)];
        tasks.push(matmuls(&format!("all of MiniLM, {rows} tokens"), &layers));
    }
    tasks.push(matmuls("matmul 512 x 512 x 512", &[(1, 512, 512, 512)]));
    tasks.push(matmuls("matmul 1024 x 1024 x 1024", &[(1, 1024, 1024, 1024)]));

    for (network, layers) in [("ResNet-50", RESNET_50), ("SqueezeNet", SQUEEZENET)] {
        for (index, layer) in layers.iter().enumerate() {
            let (_, inputs, outputs, image, kernel, stride) = *layer;
            let name = format!("{network} {index}: {inputs} {outputs} {image} k{kernel} s{stride}");
            tasks.push(convolutions(&name, &[(1, inputs, outputs, image, kernel, stride)]));
        }
        tasks.push(convolutions(&format!("all of {network}"), layers));
    }
    tasks
}

fn matmuls(name: &str, layers: &[(u32, u32, u32, u32)]) -> Task {
    let mut operations = 0.0;
    let mut runs: Vec<Box<Run>> = Vec::new();

    for (count, rows, inner, columns) in layers.iter().copied() {
        for _ in 0..count {
            let operation = Matmul::dense(rows, inner, columns);
            let left = random_floats((rows * inner) as usize, 1);
            let right = random_floats((inner * columns.next_multiple_of(16)) as usize, 2);
            let mut output = vec![0.0; (rows * columns) as usize];
            operations += 2.0 * f64::from(rows) * f64::from(inner) * f64::from(columns);
            runs.push(Box::new(move |set, position, team| {
                let data = MatmulData {
                    left: &left,
                    right: &right,
                    bias: &[],
                    residual: &[],
                    output: &mut output,
                };
                operation.run_by(set, data, position, team).unwrap_or_default()
            }));
        }
    }

    Task { name: name.into(), operations, runs }
}

fn integer_matmul(rows: u32, inner: u32, columns: u32) -> Task {
    let operation = IntegerMatmul {
        rows,
        inner,
        columns,
        left_stride: inner,
        left_signed: false,
        left_zero: 7,
        activation: Activation::None,
    };
    let strides = wardian_kernels::Strides::dense(inner, columns);
    let packing = IntegerPacking { inner, columns, strides, signed: true };
    let mut right = vec![0; packing.packed_len().map_or(0, |len| len as usize)];
    let done =
        packing.run(&random_bytes((inner * columns) as usize, 2), &mut right, 0, &mut run_to_end);
    assert_eq!(done, Ok(None));

    let left = random_bytes((rows * inner) as usize, 1);
    let mut output = vec![0.0; (rows * columns) as usize];
    let run = move |set: InstructionSet, position: u64, team: &mut dyn Team| {
        let output =
            IntegerOutput::Float { scale: &[0.01], bias: &[], residual: &[], output: &mut output };
        let data = IntegerData { left: &left, right: &right, right_zero: &[], output };
        operation.run_by(set, data, position, team).unwrap_or_default()
    };

    Task {
        name: format!("8-bit matmul {rows} x {inner} x {columns}"),
        operations: 2.0 * f64::from(rows) * f64::from(inner) * f64::from(columns),
        runs: vec![Box::new(run)],
    }
}

fn convolutions(name: &str, layers: &[(u32, u32, u32, u32, u32, u32)]) -> Task {
    let mut operations = 0.0;
    let mut runs: Vec<Box<Run>> = Vec::new();

    for (count, input_channels, output_channels, image, kernel, stride) in layers.iter().copied() {
        let pad = kernel / 2;
        let operation = Conv2d {
            batch: 1,
            input_channels,
            input: [image, image],
            output_channels,
            kernel: [kernel, kernel],
            strides: [stride, stride],
            dilations: [1, 1],
            pads: [pad; 4],
            groups: 1,
            bias: true,
            residual: false,
            activation: Activation::Relu,
        };
        let Ok([height, width]) = operation.output_size() else { continue };
        let outputs = output_channels * height * width;

        for _ in 0..count {
            let input = random_floats((input_channels * image * image) as usize, 1);
            let filters = random_floats(operation.packed_len().map_or(0, |len| len as usize), 2);
            let bias = random_floats(output_channels as usize, 3);
            let mut output = vec![0.0; outputs as usize];
            operations += 2.0 * f64::from(outputs) * f64::from(input_channels * kernel * kernel);
            runs.push(Box::new(move |set, position, team| {
                let data = Conv2dData {
                    input: &input,
                    filters: &filters,
                    bias: &bias,
                    residual: &[],
                    output: &mut output,
                };
                operation.run_by(set, data, position, team).unwrap_or_default()
            }));
        }
    }

    Task { name: name.into(), operations, runs }
}
