//! `forebay sim`: the simulated provider by itself.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use forebay::error::Error;
use forebay_sim::faults::Rules;
use forebay_sim::{Answers, Config, Latency, OutputLength, Profile, RateHeaders, RetryAfter};

use crate::args::SimArgs;
use crate::exit_code::Exit;
use crate::{machine, simulated};

/// Spread of the length of answers when their median is given.
const OUTPUT_SIGMA: f64 = 0.7;
/// The latency and its spread when only one of the two is given: the simulator's own defaults.
const DEFAULT_LATENCY: Duration = Duration::from_millis(400);
const DEFAULT_SIGMA: f64 = 0.4;

/// Serves until a signal ends it.
///
/// # Errors
/// When the profile or the script cannot be read, or the port or the log cannot be opened.
pub(crate) fn sim(args: &SimArgs) -> Result<Exit, Error> {
    if args.list_profiles {
        return Ok(crate::print(list_of_profiles()));
    }
    if args.list_faults {
        return Ok(crate::print(crate::fault_list::list(args.json)));
    }
    let config = config(args)?;
    machine::raise_open_files();
    let (listener, address) = simulated::listen(args.port)?;
    // Programs that started the simulator read its port from this line.
    println!("forebay sim listens on http://{address}");
    simulated::serve_alone(config, listener)
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
    let mut config = match &args.profile {
        Some(profile) => self::profile(profile)?.config,
        None => Config::default(),
    };
    config.seed = args.seed;
    config.required_key = args.key.clone();
    config.log_file = log_file;
    config.log_prompts = args.log_prompts;
    set_latency(&mut config, args)?;
    if let Some(answers) = &args.answers {
        config.answers = match answers.as_str() {
            "plausible" => Answers::Plausible,
            "echo" => Answers::Echo,
            text => Answers::Fixed(text.to_owned()),
        };
    }
    if let Some(median) = args.output_tokens {
        config.output_length = OutputLength::LogNormal {
            median,
            sigma: OUTPUT_SIGMA,
        };
    }
    set_limits(&mut config, args);
    let faults = &mut config.faults;
    faults.error_rate.extend(&args.errors);
    faults.reset = args.reset.unwrap_or(faults.reset);
    faults.cut = args.cut.unwrap_or(faults.cut);
    faults.stall = args.stall.unwrap_or(faults.stall);
    let http2 = &mut config.http2;
    if let Some(streams) = args.h2_streams {
        http2.max_streams = u32::try_from(streams).unwrap_or(u32::MAX);
    }
    http2.refuse_every = args.h2_refuse_every.unwrap_or(http2.refuse_every);
    http2.go_away_after = args.h2_goaway_after.unwrap_or(http2.go_away_after);
    http2.http1_required |= args.h2_http1_required;
    set_rules(&mut config.rules, args)?;
    check_chances(&config)?;
    Ok(config)
}

/// At most one fault strikes a request, so that what goes beyond 1 would never strike.
fn check_chances(config: &Config) -> Result<(), Error> {
    let faults = &config.faults;
    let errors: f64 = faults.error_rate.iter().map(|(_, p)| p).sum();
    let drawn = errors + faults.reset + faults.cut + faults.stall;
    let named: f64 = config.rules.faults.values().map(|p| p.get()).sum();
    for (what, sum) in [
        ("--error, --reset, --cut and --stall", drawn),
        ("--fault", named),
    ] {
        // Tenths do not add up exactly.
        if sum > 1.0 + 1e-9 {
            let message = format!("the probabilities of {what} add up to {sum:.3}, more than 1");
            return Err(Error::config(message)
                .with_hint("those of the profile and the script are counted too"));
        }
    }
    Ok(())
}

/// A ready-made profile, or one from a file.
fn profile(name: &str) -> Result<Profile, Error> {
    if let Some(profile) = Profile::named(name) {
        return Ok(profile);
    }
    let is_file = name.contains(['/', '.']);
    if !is_file {
        return Err(Error::config(format!("no profile is called {name:?}"))
            .with_hint("see `forebay sim --list-profiles`, or give a TOML file"));
    }
    let toml = std::fs::read_to_string(name)
        .map_err(|error| Error::config(format!("cannot read the profile {name}: {error}")))?;
    Profile::parse(name, &toml).map_err(|error| Error::config(format!("{name}: {error}")))
}

fn list_of_profiles() -> String {
    let widest = Profile::all().map(|profile| profile.name.len()).max();
    let widest = widest.unwrap_or_default();
    Profile::all()
        .map(|Profile { name, about, .. }| format!("{name:widest$}  {about}\n"))
        .collect()
}

/// The script's rules come before those of the profile, the flags' faults take the place of both.
fn set_rules(rules: &mut Rules, args: &SimArgs) -> Result<(), Error> {
    if let Some(script) = &args.script {
        let script = Rules::read(script).map_err(|bad| {
            Error::config(format!("the script {bad}"))
                .with_hint("see docs/reference/sim-faults.md; `--list-faults` names the faults")
        })?;
        rules.rule.splice(0..0, script.rule);
        rules.faults.extend(script.faults);
    }
    rules.faults.extend(args.faults.iter().cloned());
    Ok(())
}

fn set_latency(config: &mut Config, args: &SimArgs) -> Result<(), Error> {
    if args
        .sigma
        .is_some_and(|sigma| !(0.0..=5.0).contains(&sigma))
    {
        return Err(Error::config("--sigma takes a number from 0 to 5"));
    }
    if args.latency.is_none() && args.sigma.is_none() && args.per_token.is_none() {
        return Ok(());
    }
    // A latency that is asked for takes the place of an engine that a profile has.
    config.batching = None;
    let latency = args.latency.unwrap_or(DEFAULT_LATENCY);
    config.latency = match (args.per_token, latency, args.sigma.unwrap_or(DEFAULT_SIGMA)) {
        (Some(per_output_token), first, _) => Latency::PerToken {
            first,
            per_output_token,
        },
        (None, Duration::ZERO, _) => Latency::Zero,
        (None, fixed, 0.0) => Latency::Fixed(fixed),
        (None, median, sigma) => Latency::LogNormal { median, sigma },
    };
    Ok(())
}

fn set_limits(config: &mut Config, args: &SimArgs) {
    let limits = &mut config.limits;
    limits.rpm = args.rpm.or(limits.rpm);
    limits.rps = args.rps.or(limits.rps);
    limits.rpd = args.rpd.or(limits.rpd);
    limits.tpm = args.tpm.or(limits.tpm);
    limits.itpm = args.itpm.or(limits.itpm);
    limits.otpm = args.otpm.or(limits.otpm);
    let places = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    limits.max_in_flight = args.max_in_flight.map(places).or(limits.max_in_flight);
    if args.no_headers {
        limits.headers = RateHeaders::None;
        limits.retry_after = RetryAfter::None;
    }
}
