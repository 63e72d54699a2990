//! The flags of the response cache, and of `forebay cache`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::values;

const CACHE: &str = "Cache";

/// Where answers are kept, and for how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct CacheArgs {
    /// Keep answers, and take those that are there instead of asking again;
    /// default folder: ~/.cache/forebay
    #[arg(long, value_name = "DIR", help_heading = CACHE, num_args = 0..=1, require_equals = true)]
    pub(crate) cache: Option<Option<PathBuf>>,
    /// Most bytes of the cache; the least recently used answers go first
    /// [default: 1GB]
    #[arg(long, value_name = "SIZE", help_heading = CACHE, value_parser = values::bytes, requires = "cache")]
    pub(crate) cache_max_size: Option<u64>,
    /// Age from which answers are not used [default: 30d]
    #[arg(long, value_name = "AGE", help_heading = CACHE, value_parser = values::age, requires = "cache")]
    pub(crate) cache_max_age: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct CacheCommandArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Tell what the cache holds and what it saved
    Stats(CacheStatsArgs),
    /// Remove answers
    Clear(CacheClearArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CacheStatsArgs {
    /// The cache's folder [default: ~/.cache/forebay]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CacheClearArgs {
    /// Only answers that were made longer ago, such as 7d
    #[arg(long, value_name = "AGE", value_parser = values::age)]
    pub(crate) older_than: Option<Duration>,
    /// The cache's folder [default: ~/.cache/forebay]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
