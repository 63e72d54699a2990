//! The command line.
//!
//! Owns the flags. Never acts on them.

use clap::{Parser, Subcommand};
use forebay_scenarios::Rule;

/// Scenarios that judge limits that find themselves.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs scenarios and prints a line for each rule and seed.
    Run(RunArgs),
    /// Runs all scenarios under all rules, for an hour or so, and writes docs/reference/scenarios.md
    /// and a drawing of each scenario to docs/concepts/concurrency.
    Pages(PagesArgs),
    /// Runs the short versions and holds them to the ranges of their files.
    Check(CheckArgs),
    /// Finds the best fixed number of the short versions.
    Optimum(OptimumArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Scenarios; all of them when none is named.
    pub(crate) names: Vec<String>,
    /// Rules: auto, fixed-N, aimd, gradient2, inspect.
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    pub(crate) rules: Vec<Rule>,
    /// Seeds, from 1.
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// Rows of each client, in place of the file's.
    #[arg(long)]
    pub(crate) rows: Option<usize>,
    /// The short version, with the best number of its file.
    #[arg(long)]
    pub(crate) short: bool,
    /// The fixed number to compare with, in place of a search.
    #[arg(long)]
    pub(crate) best: Option<usize>,
    /// JSON, a line for each run.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PagesArgs {
    /// Seeds, from 1.
    #[arg(long, default_value_t = 3)]
    pub(crate) seeds: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Scenarios; all of them when none is named.
    pub(crate) names: Vec<String>,
    /// Narrows the ranges of the files to what was measured; a range never gets wider.
    #[arg(long)]
    pub(crate) narrow: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OptimumArgs {
    /// Scenarios; all of them when none is named.
    pub(crate) names: Vec<String>,
    /// Writes what was found into the files.
    #[arg(long)]
    pub(crate) write: bool,
}
