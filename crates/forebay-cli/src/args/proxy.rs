//! The flags of `forebay sim proxy`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values;

const TOXICS: &str = "Toxics";

#[derive(Debug, Args)]
#[command(after_help = crate::help::PROXY_AFTER)]
pub(crate) struct ProxyArgs {
    /// Where connections go; TLS passes through unopened
    #[arg(long, value_name = "HOST:PORT|URL")]
    pub(crate) to: String,
    /// Port on the loopback address; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8788)]
    pub(crate) port: u16,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Which way the toxics act
    #[arg(long, value_name = "WAY", value_enum, default_value_t = DirectionArg::Both)]
    pub(crate) direction: DirectionArg,
    /// Probability that a connection is struck at all
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = values::probability)]
    pub(crate) toxicity: f64,

    /// Each byte comes so much later
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true, help_heading = TOXICS, value_parser = values::duration_or_zero)]
    pub(crate) latency: Duration,
    /// The latency varies by up to so much
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true, help_heading = TOXICS, value_parser = values::duration_or_zero)]
    pub(crate) jitter: Duration,
    /// Bytes per second
    #[arg(long, value_name = "BYTES", help_heading = TOXICS, value_parser = values::at_least_one)]
    pub(crate) bandwidth: Option<u64>,
    /// Pieces of about so many bytes, and the wait between them, such as 10,5ms
    #[arg(long, value_name = "BYTES,TIME", help_heading = TOXICS, value_parser = values::slice)]
    pub(crate) slice: Option<(usize, Duration)>,
    /// Reset once so many bytes have passed one way
    #[arg(long, value_name = "BYTES", help_heading = TOXICS, value_parser = values::whole)]
    pub(crate) reset_after: Option<u64>,
    /// Close once so many bytes have passed one way
    #[arg(long, value_name = "BYTES", help_heading = TOXICS, value_parser = values::whole)]
    pub(crate) limit_data: Option<u64>,
    /// Pass nothing, and close after this time; 0 never closes
    #[arg(long, value_name = "TIME", help_heading = TOXICS, value_parser = values::duration_or_zero)]
    pub(crate) timeout: Option<Duration>,
    /// Reset each connection at once
    #[arg(long, help_heading = TOXICS)]
    pub(crate) down: bool,
    /// Close so much later than the other end
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true, help_heading = TOXICS, value_parser = values::duration_or_zero)]
    pub(crate) slow_close: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DirectionArg {
    Up,
    Down,
    Both,
}
