//! Measures the cost of the sandbox: Wardian beside a plain axum handler that runs the same trees.
//!
//! ```text
//! cargo xtask guests
//! cargo bench -p wardian
//! cargo bench -p wardian -- --only throughput --seconds 5
//! ```
//!
//! Everything is measured side by side in one run, in turns, and reported as ratios, since absolute
//! times mean little on a shared machine. Client and servers share the cores, so a server's CPU
//! time per request is the steadiest figure. A missed aim is reported and fails nothing.

mod options;
mod report;

mod models;
mod process;
mod process_stats;

mod http_client;
mod load;
mod native;
mod native_stream;

mod abuse;
mod batching;
mod density;
mod instance;
mod instructions;
mod interceptors;
mod keyvalue;
mod many_models;
mod model_files;
mod neighbours;
mod networks;
mod protocols;
mod sessions;
mod sql;
mod streaming;
mod swap;
mod throughput;

use anyhow::Result;
use clap::Parser;

use options::{Options, Part};

fn main() -> Result<()> {
    let options = Options::parse();
    if options.native {
        return native::serve();
    }
    if options.native_grpc {
        return protocols::native_grpc::serve();
    }

    if !options.bench {
        println!("not measuring: this is for `cargo bench`");
        return Ok(());
    }
    println!("{}", process_stats::describe());

    for part in options.parts() {
        match part {
            Part::Throughput => throughput::run(&options)?,
            Part::Batching => batching::run(&options)?,
            Part::Instance => instance::run(&options)?,
            Part::Instructions => instructions::run(&options)?,
            Part::Swap => swap::run(&options)?,
            Part::Density => density::run(&options)?,
            Part::ManyModels => many_models::run(&options)?,
            Part::ModelFiles => model_files::run(&options)?,
            Part::Networks => networks::run(&options)?,
            Part::Protocols => protocols::run(&options)?,
            Part::Streaming => streaming::run(&options)?,
            Part::Keyvalue => keyvalue::run(&options)?,
            Part::Neighbours => neighbours::run(&options)?,
            Part::Interceptors => interceptors::run(&options)?,
            Part::Sessions => sessions::run(&options)?,
            Part::Sql => sql::run(&options)?,
            Part::Abuse => abuse::run(&options)?,
            Part::Soak => abuse::soak(&options)?,
        }
    }
    Ok(())
}
