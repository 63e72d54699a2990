//! Profiles: what a back end is like, as a file or under a name.
//!
//! Owns the file's form and the ready-made profiles. Never decides on a seed, a key or a log:
//! those belong to one run.

use std::time::Duration;

use serde::Deserialize;

use crate::batching::Batching;
use crate::config::{
    Answers, Batches, Config, Faults, Latency, Limits, Outage, OutageKind, OutputLength,
    RateHeaders, RetryAfter, Step, Tenant, duration,
};
use crate::faults::Rules;

/// The most requests per second: far above every provider's.
const MOST_PER_SECOND: f64 = 1e12;

/// A back end that is described in words and numbers.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name; of a file, the one that the caller gave.
    pub name: String,
    /// One sentence on what it is like.
    pub about: String,
    /// The configuration, with the defaults of [`Config`] where the profile says nothing.
    pub config: Config,
}

/// The form of a profile in TOML.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Form {
    about: String,
    latency: Latency,
    #[serde(with = "duration")]
    network: Duration,
    batching: Option<Batching>,
    answers: Answers,
    output_length: OutputLength,
    chunk_tokens: u64,
    models: Vec<String>,
    limits: Limits,
    capacity: Vec<Step>,
    outages: Vec<Outage>,
    tenant: Option<Tenant>,
    batches: Batches,
    faults: Faults,
    rules: Rules,
}

impl Default for Form {
    fn default() -> Self {
        let config = Config::default();
        Form {
            about: String::new(),
            latency: config.latency,
            network: config.network,
            batching: config.batching,
            answers: config.answers,
            output_length: config.output_length,
            chunk_tokens: config.chunk_tokens,
            models: config.models,
            limits: config.limits,
            capacity: config.capacity,
            outages: config.outages,
            tenant: config.tenant,
            batches: config.batches,
            faults: config.faults,
            rules: config.rules,
        }
    }
}

/// What is wrong with a profile, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadProfile {
    /// What is wrong, in one line.
    pub message: String,
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
}

impl std::fmt::Display for BadProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for BadProfile {}

impl Profile {
    /// Reads a profile from TOML.
    ///
    /// # Errors
    ///
    /// When it is no TOML, has an unknown field, or a value that cannot be.
    pub fn parse(name: &str, toml: &str) -> Result<Profile, BadProfile> {
        let form: Form = toml::from_str(toml).map_err(|error| BadProfile {
            message: error.message().to_owned(),
            line: error
                .span()
                .and_then(|span| toml.get(..span.start))
                .map(|before| before.matches('\n').count() + 1),
        })?;
        form.check().map_err(|message| BadProfile {
            message,
            line: None,
        })?;
        Ok(Profile {
            name: name.to_owned(),
            about: form.about.clone(),
            config: form.into_config(),
        })
    }

    /// Finds a ready-made profile.
    pub fn named(name: &str) -> Option<Profile> {
        Profile::all().find(|profile| profile.name == name)
    }

    /// All ready-made profiles, by name.
    pub fn all() -> impl Iterator<Item = Profile> {
        // Each is parsed in a test, so that none is left out here.
        let parse = |(name, toml): &(&str, &str)| Profile::parse(name, toml).ok();
        READY_MADE.iter().filter_map(parse)
    }
}

impl Form {
    /// The first number that cannot be.
    fn check(&self) -> Result<(), String> {
        if let Latency::LogNormal { sigma, .. } = self.latency {
            fine("latency.log-normal.sigma", sigma, 5.0)?;
        }
        if let OutputLength::LogNormal { median, sigma } = self.output_length {
            fine("output-length.log-normal.median", median, 1e6)?;
            fine("output-length.log-normal.sigma", sigma, 5.0)?;
        }
        check_limits(&self.limits)?;
        check_faults(&self.faults)?;
        fine("batches.missing", self.batches.missing, 1.0)?;
        for step in &self.capacity {
            fine("capacity.factor", step.factor, 1e6)?;
        }
        if let Some(tenant) = self.tenant {
            fine("tenant.rpm", tenant.rpm, 1e9)?;
            fine("tenant.tokens", tenant.tokens, 1e9)?;
        }
        if let Some(batching) = &self.batching {
            batching.check()?;
        }
        for outage in &self.outages {
            if outage.until <= outage.from {
                return Err(format!(
                    "an outage from {:?} until {:?} ends before it begins",
                    outage.from, outage.until
                ));
            }
            if let OutageKind::Status(status) = outage.what {
                error_status("outages.what.status", status)?;
            }
        }
        Ok(())
    }

    fn into_config(self) -> Config {
        Config {
            latency: self.latency,
            network: self.network,
            batching: self.batching,
            answers: self.answers,
            output_length: self.output_length,
            chunk_tokens: self.chunk_tokens,
            models: self.models,
            limits: self.limits,
            capacity: self.capacity,
            outages: self.outages,
            tenant: self.tenant,
            batches: self.batches,
            faults: self.faults,
            rules: self.rules,
            ..Config::default()
        }
    }
}

fn fine(name: &str, value: f64, most: f64) -> Result<(), String> {
    match (0.0..=most).contains(&value) {
        true => Ok(()),
        false => Err(format!("{name} is {value}: give a number from 0 to {most}")),
    }
}

fn error_status(name: &str, status: u16) -> Result<(), String> {
    match (400..600).contains(&status) {
        true => Ok(()),
        false => Err(format!("{name} is {status}: give a status from 400 to 599")),
    }
}

fn check_limits(limits: &Limits) -> Result<(), String> {
    for (name, limit) in [
        ("rpm", limits.rpm),
        ("rpd", limits.rpd),
        ("tpm", limits.tpm),
        ("tpd", limits.tpd),
        ("itpm", limits.itpm),
        ("otpm", limits.otpm),
        ("max-in-flight", limits.max_in_flight.map(|n| n as u64)),
        ("ramp.start", limits.ramp.map(|ramp| ramp.start)),
    ] {
        if limit == Some(0) {
            return Err(format!("limits.{name} is 0: give a number of at least 1"));
        }
    }
    if let Some(rps) = limits.rps {
        fine("limits.rps", rps, MOST_PER_SECOND)?;
        if rps == 0.0 {
            return Err("limits.rps is 0: give a number above 0".to_owned());
        }
    }
    if let Some(ramp) = limits.ramp {
        fine("limits.ramp.growth", ramp.growth, 1e6)?;
    }
    if let RateHeaders::Scaled(factor) = limits.headers {
        fine("limits.headers.scaled", factor, 1e6)?;
    }
    if let RetryAfter::Scaled(factor) = limits.retry_after {
        fine("limits.retry-after.scaled", factor, 1e6)?;
    }
    Ok(())
}

fn check_faults(faults: &Faults) -> Result<(), String> {
    fine("faults.reset", faults.reset, 1.0)?;
    fine("faults.cut", faults.cut, 1.0)?;
    fine("faults.stall", faults.stall, 1.0)?;
    for (status, p) in &faults.error_rate {
        error_status("faults.errors", *status)?;
        fine(
            &format!("the probability of {status} in faults.errors"),
            *p,
            1.0,
        )?;
    }
    Ok(())
}

macro_rules! ready_made {
    ($($name:literal),* $(,)?) => {
        /// Names and texts.
        const READY_MADE: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../profiles/", $name, ".toml")))),*
        ];
    };
}

ready_made![
    "anthropic-start",
    "azure",
    "cerebras",
    "day-limit",
    "deepseek",
    "flaky",
    "gemini-free",
    "groq",
    "healthy",
    "llama-cpp",
    "lying-headers",
    "openai-tier-1",
    "outage",
    "per-second",
    "second-tenant",
    "slow",
    "steps",
    "together",
    "vllm",
    "vllm-full",
    "vllm-queue-cap",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ready_made_profile_is_one_and_says_what_it_is() {
        for (name, toml) in READY_MADE {
            let profile = Profile::parse(name, toml).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(profile.about.ends_with('.'), "{name}: {}", profile.about);
        }
        assert_eq!(Profile::all().count(), READY_MADE.len());
        let names: Vec<&str> = READY_MADE.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted());
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let toml = r#"
            latency.fixed = "2s"
            [limits]
            rpm = 60
            headers = "whole-seconds"
            retry-after = { scaled = 10.0 }
            [[outages]]
            from = "1m"
            until = "6m"
            what = { status = 529 }
        "#;
        let profile = Profile::parse("mine", toml).unwrap();
        let config = profile.config;
        assert_eq!(config.latency, Latency::Fixed(Duration::from_secs(2)));
        assert_eq!(config.limits.rpm, Some(60));
        assert_eq!(config.limits.burst, Duration::from_secs(60));
        assert_eq!(config.outages[0].until, Duration::from_secs(360));
        assert_eq!(config.answers, Answers::Plausible);
        assert_eq!(config.batching, None);
        assert_eq!(config.batches, Batches::default());
    }

    #[test]
    fn a_profile_can_choose_an_engine_and_its_numbers() {
        let toml = "[batching]\nblock-size = 32\nstep-time.table.decode = [[1, 6], [256, 30.5]]";
        let batching = Profile::parse("x", toml).unwrap().config.batching.unwrap();
        assert_eq!((batching.block_size, batching.kv_blocks), (32, 8192));
        let wrong = |toml| Profile::parse("x", toml).unwrap_err().to_string();
        assert_eq!(
            wrong("batching.max-num-seqs = 0"),
            "batching.max-num-seqs is 0: give a number above 0"
        );
        let unknown = wrong("[batching]\nmax-seqs = 3");
        assert!(
            unknown.starts_with("line 2: unknown field `max-seqs`"),
            "{unknown}"
        );
    }

    #[test]
    fn batches_are_worked_off_as_a_profile_says() {
        let toml = "[batches]\nvalidating = \"5s\"\nparallel = 3\nmissing = 0.5";
        let batches = Profile::parse("x", toml).unwrap().config.batches;
        assert_eq!(batches.validating, Duration::from_secs(5));
        assert_eq!((batches.parallel, batches.missing), (3, 0.5));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |toml: &str| Profile::parse("x", toml).unwrap_err().to_string();
        let unknown = wrong("[limits]\nrpm = 5\nrmp = 6\n");
        assert!(
            unknown.starts_with("line 3: unknown field `rmp`"),
            "{unknown}"
        );
        let duration = wrong("[limits]\nburst = \"soon\"\n");
        assert!(
            duration.starts_with("line 2: \"soon\" is no duration"),
            "{duration}"
        );
        let number = wrong("latency = { log-normal = { median = \"1s\", sigma = -1.0 } }");
        assert_eq!(
            number,
            "latency.log-normal.sigma is -1: give a number from 0 to 5"
        );
        for (toml, told) in [
            (
                "faults.reset = 2",
                "faults.reset is 2: give a number from 0 to 1",
            ),
            ("faults.cut = nan", "faults.cut is NaN: "),
            (
                "faults.errors = [[20, 0.5]]",
                "faults.errors is 20: give a status",
            ),
            (
                "faults.errors = [[500, -1]]",
                "the probability of 500 in faults.errors is -1",
            ),
            (
                "limits.rpm = 0",
                "limits.rpm is 0: give a number of at least 1",
            ),
            ("limits.max-in-flight = 0", "limits.max-in-flight is 0: "),
            ("limits.rps = -5", "limits.rps is -5: "),
            (
                "limits.headers.scaled = -1",
                "limits.headers.scaled is -1: ",
            ),
            (
                "limits.retry-after.scaled = inf",
                "limits.retry-after.scaled is inf: ",
            ),
            (
                "outages = [{ from = \"1s\", until = \"2s\", what.status = 20 }]",
                "outages.what.status is 20: give a status from 400 to 599",
            ),
        ] {
            let said = wrong(toml);
            assert!(said.starts_with(told), "{toml}: {said}");
        }
    }
}
