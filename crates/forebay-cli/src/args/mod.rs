//! The command line as typed; nothing is looked up or resolved here.

mod ask;
mod cache;
mod check;
mod cookbook;
mod endpoint;
mod proxy;
mod run;
mod shape;
mod sim;
mod tune;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use ask::AskArgs;
pub(crate) use cache::{CacheArgs, CacheClearArgs, CacheCommand, CacheCommandArgs, CacheStatsArgs};
pub(crate) use check::CheckArgs;
pub(crate) use cookbook::{CookbookArgs, Secret};
pub(crate) use endpoint::{DialectArg, EndpointArgs, HttpArg};
pub(crate) use proxy::{DirectionArg, ProxyArgs};
pub(crate) use run::{DurabilityArg, MOST_ATTEMPTS, OrderArg, ProgressArg, RunArgs, StreamArg};
pub(crate) use shape::{MOST_SCHEMA_RETRIES, OnLengthArg, SchemaModeArg, ShapeArgs};
pub(crate) use sim::{SimArgs, SimCommand};
pub(crate) use tune::TuneArgs;
pub(crate) use values::{concurrency, day_change, duration, rate_change, temperature, utilization};

/// Push very many requests through LLM APIs: nothing lost, nothing paid twice.
#[derive(Debug, Parser)]
#[command(
    name = "forebay",
    version,
    max_term_width = 80,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start with: forebay run --help"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a file of items through a model; one row per item comes back
    Run(Box<RunArgs>),
    /// Ask one model or several; the answer comes on standard output
    Ask(Box<AskArgs>),
    /// Tell what a run's journal holds: done, failed, pending, cost
    Status(StatusArgs),
    /// Change the limits of a run that is under way, or show what holds
    Tune(TuneArgs),
    /// List the providers that are known by name, and whose key is set
    Providers(ProvidersArgs),
    /// List the models that a provider serves
    Models(Box<ModelsArgs>),
    /// Show what models cost
    Prices(PricesArgs),
    /// Look at the answers that `run --cache` keeps, or remove them
    Cache(CacheCommandArgs),
    /// Serve a simulated provider on a loopback port
    Sim(Box<SimArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run's output, or its journal (OUTPUT.journal)
    pub(crate) file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    /// Part of a model's name, or a pattern with *
    pub(crate) pattern: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Configuration file with prices of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProvidersArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Configuration file with endpoints of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Provider, endpoint of forebay.toml, or sim
    #[arg(value_name = "PROVIDER", conflicts_with = "provider")]
    pub(crate) of: Option<String>,
    /// Show those whose name has this in it, or matches a pattern with *
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) to: EndpointArgs,
}
