//! The flags of `forebay sim check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values;

const EVIDENCE: &str = "Evidence";
const BOUNDS: &str = "Bounds (what is not given is not checked)";

#[derive(Debug, Args)]
#[command(after_help = crate::help::CHECK_AFTER)]
pub(crate) struct CheckArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// The simulator's log; repeatable, in the order of time
    #[arg(long, value_name = "FILE", help_heading = EVIDENCE)]
    pub(crate) log: Vec<PathBuf>,
    /// The rows, .jsonl or .json
    #[arg(long, value_name = "FILE", help_heading = EVIDENCE)]
    pub(crate) results: Option<PathBuf>,
    /// The journal [default: RESULTS.journal if it exists]
    #[arg(long, value_name = "FILE", help_heading = EVIDENCE)]
    pub(crate) journal: Option<PathBuf>,
    /// The errors file [default: RESULTS.errors.jsonl if it exists]
    #[arg(long, value_name = "FILE", help_heading = EVIDENCE)]
    pub(crate) errors: Option<PathBuf>,
    /// Another output to look through for secrets; repeatable
    #[arg(long, value_name = "FILE", help_heading = EVIDENCE)]
    pub(crate) scan: Vec<PathBuf>,
    /// The log holds requests of other runs too
    #[arg(long, help_heading = EVIDENCE)]
    pub(crate) shared_log: bool,
    /// Log and rows are of the journal's last session only
    #[arg(long, help_heading = EVIDENCE)]
    pub(crate) last_session: bool,
    /// The endpoint's name, if the journal does not tell it
    #[arg(long, value_name = "NAME", help_heading = EVIDENCE)]
    pub(crate) endpoint: Option<String>,

    /// Items in the input
    #[arg(long, value_name = "N", help_heading = BOUNDS, value_parser = values::whole)]
    pub(crate) items: Option<u64>,
    /// Attempts that count, per item
    #[arg(long, value_name = "N", help_heading = BOUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_attempts: Option<u32>,
    /// Retries keep to forebay's budget
    #[arg(long, help_heading = BOUNDS)]
    pub(crate) retry_budget: bool,
    /// Failed rows may be sent again by later sessions
    #[arg(long, help_heading = BOUNDS)]
    pub(crate) retry_failed: bool,
    /// Requests at the same time
    #[arg(long, value_name = "N", help_heading = BOUNDS, value_parser = values::at_least_one)]
    pub(crate) max_in_flight: Option<u64>,
    /// How long before its record in the log an answer may have been read
    #[arg(long, value_name = "TIME", default_value = "5ms", help_heading = BOUNDS, value_parser = values::duration_or_zero)]
    pub(crate) slack: Duration,
    /// How the run ended
    #[arg(long, value_name = "CODE", help_heading = BOUNDS)]
    pub(crate) exit_code: Option<i32>,
    /// How long a session may take
    #[arg(long, value_name = "TIME", help_heading = BOUNDS, value_parser = values::duration)]
    pub(crate) within: Option<Duration>,
    /// Environment variable with a secret that must stand nowhere; repeatable
    #[arg(long, value_name = "NAME", help_heading = BOUNDS)]
    pub(crate) secret_env: Vec<String>,
}
