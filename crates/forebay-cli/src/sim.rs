//! `forebay sim`: the simulated provider by itself.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use forebay::error::Error;
use forebay_sim::{
    Answers, Config, Faults, Latency, Limits, OutputLength, RateHeaders, RetryAfter,
};

use crate::args::SimArgs;
use crate::exit_code::Exit;
use crate::simulated;

/// Spread of the length of answers when their median is given.
const OUTPUT_SIGMA: f64 = 0.7;

/// Serves until the process is killed.
///
/// # Errors
/// When the port or the log cannot be opened.
pub(crate) fn sim(args: &SimArgs) -> Result<Exit, Error> {
    let config = config(args)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).map_err(|error| {
        Error::io(format!("cannot listen on 127.0.0.1:{}: {error}", args.port))
            .with_hint("choose another --port, or 0 for a free one")
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::io(format!("the port cannot be told: {error}")))?;
    // Programs that started the simulator read its port from this line.
    println!("forebay sim listens on http://{address}");
    simulated::serve(config, listener)
        .map(|()| Exit::Ok)
        .map_err(|error| Error::io(format!("the simulated provider ended: {error}")))
}

fn config(args: &SimArgs) -> Result<Config, Error> {
    let log_file = args
        .log
        .as_ref()
        .map(|path| {
            let mut options = OpenOptions::new();
            let file = options.append(true).create(true).mode(0o600).open(path);
            file.map(Arc::new).map_err(|error| {
                Error::io(format!("cannot open the log {}: {error}", path.display()))
            })
        })
        .transpose()?;
    if !(0.0..=5.0).contains(&args.sigma) {
        return Err(Error::config("--sigma takes a number from 0 to 5"));
    }
    let (headers, retry_after) = match args.no_headers {
        true => (RateHeaders::None, RetryAfter::None),
        false => (RateHeaders::Dialect, RetryAfter::True),
    };
    Ok(Config {
        seed: args.seed,
        latency: latency(args),
        answers: match args.answers.as_str() {
            "plausible" => Answers::Plausible,
            "echo" => Answers::Echo,
            text => Answers::Fixed(text.to_owned()),
        },
        output_length: match args.output_tokens {
            Some(median) => OutputLength::LogNormal {
                median: median.max(1.0),
                sigma: OUTPUT_SIGMA,
            },
            None => OutputLength::AsWritten,
        },
        limits: Limits {
            rpm: args.rpm,
            rps: args.rps,
            tpm: args.tpm,
            itpm: args.itpm,
            otpm: args.otpm,
            max_in_flight: args.max_in_flight,
            headers,
            retry_after,
            ..Limits::default()
        },
        faults: Faults {
            error_rate: args.errors.clone(),
            reset: args.reset,
            cut: args.cut,
            stall: args.stall,
        },
        required_key: args.key.clone(),
        log_file,
        log_prompts: args.log_prompts,
        ..Config::default()
    })
}

fn latency(args: &SimArgs) -> Latency {
    match (args.per_token, args.latency) {
        (Some(per_output_token), first) => Latency::PerToken {
            first,
            per_output_token,
        },
        (None, Duration::ZERO) => Latency::Zero,
        (None, fixed) if args.sigma == 0.0 => Latency::Fixed(fixed),
        (None, median) => Latency::LogNormal {
            median,
            sigma: args.sigma,
        },
    }
}
