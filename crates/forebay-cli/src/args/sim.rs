//! The flags of `forebay sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use forebay_sim::faults::{Fault, Probability};

use super::check::CheckArgs;
use super::proxy::ProxyArgs;
use super::values;

const BACK_END: &str = "Back end";
const LIMITS: &str = "Limits";
const FAULTS: &str = "Faults";

/// What else the simulator's side can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Judge a run by the simulator's log, its results and its journal
    Check(Box<CheckArgs>),
    /// Stand between a client and a server and make the network bad
    Proxy(Box<ProxyArgs>),
}

#[derive(Debug, Args)]
#[command(
    after_help = crate::help::SIM_AFTER,
    allow_negative_numbers = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SimCommand>,
    /// Port on the loopback address; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    pub(crate) port: u16,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The only key that is accepted [default: any]
    #[arg(long, value_name = "KEY", value_parser = values::some_text)]
    pub(crate) key: Option<String>,
    /// Write a log of requests received and answers fully sent (JSON lines)
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Put prompts into the log
    #[arg(long, requires = "log")]
    pub(crate) log_prompts: bool,

    /// Start from a profile: a ready-made one by name, or a TOML file; the flags change it
    #[arg(long, value_name = "NAME|FILE", help_heading = BACK_END)]
    pub(crate) profile: Option<String>,
    /// List the ready-made profiles, and end
    #[arg(long, help_heading = BACK_END)]
    pub(crate) list_profiles: bool,
    /// Median latency; 0 answers at once [default: 400ms]
    #[arg(long, value_name = "TIME", help_heading = BACK_END, value_parser = values::duration_or_zero)]
    pub(crate) latency: Option<Duration>,
    /// Spread of the latency (log-normal sigma); 0 is a fixed latency [default: 0.4]
    #[arg(long, value_name = "S", help_heading = BACK_END)]
    pub(crate) sigma: Option<f64>,
    /// Further latency per output token
    #[arg(long, value_name = "TIME", help_heading = BACK_END, value_parser = values::duration, conflicts_with = "sigma")]
    pub(crate) per_token: Option<Duration>,
    /// Answers: plausible, echo, or a fixed text [default: plausible]
    #[arg(long, value_name = "WHAT", help_heading = BACK_END)]
    pub(crate) answers: Option<String>,
    /// Median length of plausible answers, in tokens (log-normal)
    #[arg(long, value_name = "N", help_heading = BACK_END, value_parser = values::output_tokens)]
    pub(crate) output_tokens: Option<f64>,

    /// Requests per minute
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) rpm: Option<u64>,
    /// Requests per second
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::rate)]
    pub(crate) rps: Option<f64>,
    /// Requests per day
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) rpd: Option<u64>,
    /// Tokens per minute
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) tpm: Option<u64>,
    /// Input tokens per minute
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) itpm: Option<u64>,
    /// Output tokens per minute
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) otpm: Option<u64>,
    /// Requests at the same time
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) max_in_flight: Option<u64>,
    /// Streams that a connection of HTTP/2 may have at once [default: 100]
    #[arg(long, value_name = "N", help_heading = LIMITS, value_parser = values::at_least_one)]
    pub(crate) h2_streams: Option<u64>,
    /// Send no rate headers
    #[arg(long, help_heading = LIMITS)]
    pub(crate) no_headers: bool,

    /// Answer with an error status by probability, such as 500=0.05; repeatable
    #[arg(long = "error", value_name = "STATUS=P", help_heading = FAULTS, value_parser = values::error_rate)]
    pub(crate) errors: Vec<(u16, f64)>,
    /// Probability that the connection is reset
    #[arg(long, value_name = "P", help_heading = FAULTS, value_parser = values::probability)]
    pub(crate) reset: Option<f64>,
    /// Probability that the answer is cut
    #[arg(long, value_name = "P", help_heading = FAULTS, value_parser = values::probability)]
    pub(crate) cut: Option<f64>,
    /// Probability that no answer ever comes
    #[arg(long, value_name = "P", help_heading = FAULTS, value_parser = values::probability)]
    pub(crate) stall: Option<f64>,
    /// Strike with a fault of the catalogue by probability, such as
    /// 429-retry-after-ms=0.05; repeatable
    #[arg(long = "fault", value_name = "NAME=P", help_heading = FAULTS, value_parser = values::fault_rate)]
    pub(crate) faults: Vec<(Fault, Probability)>,
    /// Strike by the rules in a TOML file
    #[arg(long, value_name = "FILE", help_heading = FAULTS)]
    pub(crate) script: Option<PathBuf>,
    /// Refuse each so many-th stream of a connection of HTTP/2 without looking at it
    #[arg(long, value_name = "N", help_heading = FAULTS, value_parser = values::at_least_one)]
    pub(crate) h2_refuse_every: Option<u64>,
    /// Take no more than so many streams of a connection of HTTP/2, and say so with a GOAWAY
    #[arg(long, value_name = "N", help_heading = FAULTS, value_parser = values::at_least_one)]
    pub(crate) h2_goaway_after: Option<u64>,
    /// Say HTTP_1_1_REQUIRED to what these two refuse
    #[arg(long, help_heading = FAULTS)]
    pub(crate) h2_http1_required: bool,
    /// List the catalogue of faults, and end
    #[arg(long, help_heading = FAULTS)]
    pub(crate) list_faults: bool,
    /// List as JSON
    #[arg(long, requires = "list_faults", help_heading = FAULTS)]
    pub(crate) json: bool,
}
