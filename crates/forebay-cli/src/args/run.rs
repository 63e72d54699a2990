//! The flags of `forebay run`; a catalogue.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use forebay::config::Concurrency;
use forebay::money::Usd;

use super::cache::CacheArgs;
use super::{CookbookArgs, EndpointArgs, ShapeArgs, values};

/// Attempts per item that may be asked for: more are no patience but a hammer.
pub(crate) const MOST_ATTEMPTS: u32 = 1_000;

const INPUT: &str = "Input";
const REQUEST: &str = "Request";
const OUTPUT: &str = "Output";
const PACE: &str = "Pace and limits";
const RETRY: &str = "Retries and deadlines";
const MONEY: &str = "Money";
const REPORT: &str = "Report";

#[derive(Debug, Clone, Args)]
#[command(
    after_help = crate::help::RUN_AFTER,
    allow_negative_numbers = true,
    override_usage = "forebay run <INPUT>... --model <NAME> [OPTIONS]"
)]
pub(crate) struct RunArgs {
    /// Files of items: .txt (a line an item), .jsonl, .csv, each also as .gz
    /// or .zst, and .parquet; `-` is standard input
    #[arg(required_unless_present = "requests_filepath", value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Read the input as this, whatever its name and shape are
    #[arg(long, value_name = "FORMAT", help_heading = INPUT, value_parser = ["txt", "jsonl", "csv", "parquet", "openai-batch", "anthropic-batch", "cookbook"])]
    pub(crate) format: Option<String>,
    /// Take each line as a whole request body and send it as it is
    #[arg(long, help_heading = INPUT)]
    pub(crate) raw_requests: bool,
    /// Take the items' keys (custom_id) from this field
    #[arg(long, value_name = "FIELD", help_heading = INPUT)]
    pub(crate) id_field: Option<String>,
    /// Take at most N items
    #[arg(long, value_name = "N", help_heading = INPUT, value_parser = values::at_least_one)]
    pub(crate) limit: Option<u64>,
    /// Skip the first N items
    #[arg(long, value_name = "N", help_heading = INPUT, value_parser = values::whole)]
    pub(crate) offset: Option<u64>,
    /// Refuse to start when any item is unusable
    #[arg(long, help_heading = INPUT)]
    pub(crate) strict: bool,

    /// Model, such as gpt-4o-mini, anthropic/claude-sonnet-4-5, sim/gpt-4o
    #[arg(short, long, value_name = "NAME", help_heading = REQUEST)]
    pub(crate) model: Option<String>,
    /// Prompt template over the item's fields: "Label this: {{ text }}"
    #[arg(short, long, value_name = "TEMPLATE", help_heading = REQUEST, conflicts_with = "prompt_file")]
    pub(crate) prompt: Option<String>,
    /// Prompt template from a file
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    pub(crate) prompt_file: Option<PathBuf>,
    /// System prompt, a template too
    #[arg(short, long, value_name = "TEMPLATE", help_heading = REQUEST, conflicts_with = "system_file")]
    pub(crate) system: Option<String>,
    /// System prompt from a file
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    pub(crate) system_file: Option<PathBuf>,
    /// Image to show with the prompt: a file's path or an address, a template
    /// too; repeatable
    #[arg(long = "image", value_name = "TEMPLATE", help_heading = REQUEST)]
    pub(crate) images: Vec<String>,
    /// Tools that the model may call: a JSON array as OpenAI or Anthropic
    /// write it
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    pub(crate) tools: Option<PathBuf>,
    /// Which tool it has to call: auto, none, required, or a tool's name
    #[arg(long, value_name = "CHOICE", help_heading = REQUEST)]
    pub(crate) tool_choice: Option<String>,
    /// Most output tokens of an answer
    #[arg(long, value_name = "N", help_heading = REQUEST, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// Sampling temperature
    #[arg(long, value_name = "T", help_heading = REQUEST, value_parser = values::temperature)]
    pub(crate) temperature: Option<f64>,
    /// Nucleus sampling: the share of probability to draw from
    #[arg(long, value_name = "P", help_heading = REQUEST, value_parser = values::share)]
    pub(crate) top_p: Option<f64>,
    /// Text that ends the answer; repeatable
    #[arg(long = "stop", value_name = "TEXT", help_heading = REQUEST, value_parser = values::stop)]
    pub(crate) stops: Vec<String>,
    /// Seed of sampling
    #[arg(long, value_name = "N", help_heading = REQUEST, value_parser = values::integer)]
    pub(crate) seed: Option<i64>,
    /// Further member of the request body, such as top_k=40; repeatable
    #[arg(long = "param", value_name = "KEY=JSON", help_heading = REQUEST, value_parser = values::parameter)]
    pub(crate) params: Vec<(String, String)>,

    /// Ask for the embedding of each item's text instead of an answer
    #[arg(long, help_heading = REQUEST, conflicts_with_all = [
        "system", "system_file", "images", "tools", "tool_choice", "max_tokens", "temperature",
        "top_p", "stops", "seed", "stream", "raw", "raw_requests", "dialect",
        "schema", "schema_name", "schema_mode", "schema_retries", "on_length",
    ])]
    pub(crate) embed: bool,
    /// Numbers of each embedding, where the model can shorten them
    #[arg(long, value_name = "N", help_heading = REQUEST, requires = "embed", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) dimensions: Option<u32>,
    /// Most texts that travel in one request [default: 100]
    #[arg(long, value_name = "N", help_heading = REQUEST, requires = "embed", value_parser = values::texts)]
    pub(crate) embed_batch: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) to: EndpointArgs,
    #[command(flatten)]
    pub(crate) cookbook: CookbookArgs,

    /// Output file: .jsonl, .json, .csv or .parquet [default: standard output]
    #[arg(short, long, value_name = "FILE", help_heading = OUTPUT, alias = "save_filepath")]
    pub(crate) output: Option<PathBuf>,
    /// Write the output as this, whatever its name is [default: by its name, or
    /// as the tool does whose requests the input holds]
    #[arg(long, value_name = "FORMAT", help_heading = OUTPUT, value_parser = ["jsonl", "json", "csv", "parquet", "openai-batch", "anthropic-batch", "cookbook"])]
    pub(crate) output_format: Option<String>,
    /// Order of the rows: as in the input when the run ends, or as they finish
    /// [default: input for files, completed for stdout]
    #[arg(long, value_name = "ORDER", help_heading = OUTPUT)]
    pub(crate) order: Option<OrderArg>,
    /// Take answers as streams: a stall is seen early and the time to the
    /// first chunk is in each row [default: auto, which streams long answers]
    #[arg(long, value_name = "WHEN", help_heading = REQUEST, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub(crate) stream: Option<StreamArg>,
    /// Keep the provider's own answer in each row
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) raw: bool,
    /// Throw an earlier run's rows away and start over
    #[arg(long, help_heading = OUTPUT, conflicts_with = "retry_failed")]
    pub(crate) fresh: bool,
    /// Send items again whose rows failed
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) retry_failed: bool,
    /// What rows survive: a kill of the process, or a power cut
    #[arg(long, value_name = "WHAT", help_heading = OUTPUT)]
    pub(crate) durability: Option<DurabilityArg>,
    /// Keep the whole journal after a run without failures
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) keep_journal: bool,

    /// Attempts in flight: a number, or as many as the provider serves well,
    /// MAX at the most, which is found out [default: auto, which is auto:2000]
    #[arg(short, long, value_name = "N|auto[:MAX]", help_heading = PACE, value_parser = values::concurrency)]
    pub(crate) concurrency: Option<Concurrency>,
    /// Share of what the provider allows that may be used, 0.5 or 50%, when
    /// others use the key too; for what is found out, not for the rates that
    /// are given here [default: 1]
    #[arg(long, value_name = "SHARE", help_heading = PACE, value_parser = values::utilization)]
    pub(crate) target_utilization: Option<f64>,
    /// Requests per second
    #[arg(long, value_name = "N", help_heading = PACE, value_parser = values::rate)]
    pub(crate) rps: Option<f64>,
    /// Requests per minute
    #[arg(long, alias = "max_requests_per_minute", value_name = "N", help_heading = PACE, value_parser = values::rate)]
    pub(crate) rpm: Option<f64>,
    /// Tokens per minute, input and output
    #[arg(long, alias = "max_tokens_per_minute", value_name = "N", help_heading = PACE, value_parser = values::rate)]
    pub(crate) tpm: Option<f64>,
    /// Input tokens per minute
    #[arg(long, value_name = "N", help_heading = PACE, value_parser = values::rate)]
    pub(crate) itpm: Option<f64>,
    /// Output tokens per minute
    #[arg(long, value_name = "N", help_heading = PACE, value_parser = values::rate)]
    pub(crate) otpm: Option<f64>,
    /// Requests per day
    #[arg(long, value_name = "N", help_heading = PACE, value_parser = values::at_least_one)]
    pub(crate) rpd: Option<u64>,
    /// Send identical requests that are in flight together only once
    #[arg(long, help_heading = PACE)]
    pub(crate) dedup: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    /// Attempts per item; refusals for rate do not count [default: 5]
    #[arg(long, alias = "max_attempts", value_name = "N", help_heading = RETRY, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ATTEMPTS)))]
    pub(crate) max_attempts: Option<u32>,
    /// Deadline of one attempt [default: 1800s]
    #[arg(long, value_name = "TIME", help_heading = RETRY, value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) timeout: Option<Duration>,
    /// Deadline of DNS, TCP and TLS together [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = RETRY, value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Deadline of the answer's first byte [default: 600s]
    #[arg(long, value_name = "TIME", help_heading = RETRY, value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) first_byte_timeout: Option<Duration>,
    /// Longest silence inside an answer [default: 120s]
    #[arg(long, value_name = "TIME", help_heading = RETRY, value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) idle_timeout: Option<Duration>,
    /// Longest wait that a provider may ask for; beyond it the run stops and
    /// the rest stays pending [default: 120s]
    #[arg(long, value_name = "TIME", help_heading = RETRY, value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) max_wait: Option<Duration>,

    /// Stop before the run costs more, in US dollars
    #[arg(long, value_name = "USD", help_heading = MONEY, value_parser = values::dollars)]
    pub(crate) max_cost: Option<Usd>,
    /// Read everything, estimate tokens, cost and time, send nothing
    #[arg(long, help_heading = MONEY)]
    pub(crate) dry_run: bool,

    /// How progress is shown on stderr [default: bar on a terminal, else plain]
    #[arg(long, value_name = "HOW", help_heading = REPORT)]
    pub(crate) progress: Option<ProgressArg>,
    /// Show nothing but errors on stderr
    #[arg(short, long, help_heading = REPORT)]
    pub(crate) quiet: bool,
    /// Write the closing summary as JSON
    #[arg(long, value_name = "FILE", help_heading = REPORT)]
    pub(crate) summary_json: Option<PathBuf>,
}

// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    // As in the input, complete, when the run ends
    Input,
    // As they finish
    Completed,
}

// Whether answers are streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StreamArg {
    // When they may be long
    Auto,
    // Always
    On,
    // Never
    Off,
}

// What finished rows survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArg {
    // A kill of the process
    Process,
    // A power cut too
    Fsync,
}

// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    // A live line
    Bar,
    // A line every few seconds
    Plain,
    // A JSON object every second
    Json,
    // Nothing
    None,
}
