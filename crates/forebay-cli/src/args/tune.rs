//! The flags of `forebay tune`; a catalogue.

use std::path::PathBuf;

use clap::Args;
use forebay::config::{Change, Concurrency};

use super::values;

#[derive(Debug, Args)]
#[command(
    after_help = crate::help::TUNE_AFTER,
    allow_negative_numbers = true,
    override_usage = "forebay tune <JOURNAL> [OPTIONS]"
)]
pub(crate) struct TuneArgs {
    /// The output of a run that is under way, or its journal (OUTPUT.journal)
    #[arg(value_name = "JOURNAL")]
    pub(crate) file: PathBuf,
    /// Attempts in flight: a number, or as many as the provider serves well,
    /// MAX at the most, which is found out
    #[arg(short, long, value_name = "N|auto[:MAX]", value_parser = values::concurrency)]
    pub(crate) concurrency: Option<Concurrency>,
    /// Requests per second
    #[arg(long, value_name = "N|none", value_parser = values::rate_change)]
    pub(crate) rps: Option<Change<f64>>,
    /// Requests per minute
    #[arg(long, value_name = "N|none", value_parser = values::rate_change)]
    pub(crate) rpm: Option<Change<f64>>,
    /// Tokens per minute, input and output
    #[arg(long, value_name = "N|none", value_parser = values::rate_change)]
    pub(crate) tpm: Option<Change<f64>>,
    /// Input tokens per minute
    #[arg(long, value_name = "N|none", value_parser = values::rate_change)]
    pub(crate) itpm: Option<Change<f64>>,
    /// Output tokens per minute
    #[arg(long, value_name = "N|none", value_parser = values::rate_change)]
    pub(crate) otpm: Option<Change<f64>>,
    /// Requests per day
    #[arg(long, value_name = "N|none", value_parser = values::day_change)]
    pub(crate) rpd: Option<Change<u64>>,
    /// Share of what the provider allows that may be used, such as 0.5 or 50%
    #[arg(long, value_name = "SHARE", value_parser = values::utilization)]
    pub(crate) target_utilization: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
