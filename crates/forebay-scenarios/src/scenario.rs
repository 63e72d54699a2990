//! A scenario file: a back end, the rows sent to it, and what has to come of it.
//!
//! Owns the file's form and finding the files. Never runs anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay::catalogue::RateHeaders;
use forebay::endpoint::Dialect;
use forebay_sim::{Config, Profile, RateHeaders as RateHeadersSent};
use serde::Deserialize;

use crate::workload::Workload;

/// A scenario as its file describes it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its end.
    pub name: String,
    /// What the provider is like, in one sentence.
    pub about: String,
    /// The simulated back end.
    pub backend: Config,
    /// How the clients are set up.
    pub client: ClientSetup,
    /// What each of them sends.
    pub workload: Workload,
    /// The short version.
    pub short: Short,
    /// The least and the most that each statistic of the short version may be, by its name.
    pub ranges: BTreeMap<String, [f64; 2]>,
}

/// How the clients are set up.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientSetup {
    /// Clients on the one key.
    pub clients: usize,
    /// The dialect they speak.
    pub dialect: Speaks,
    /// How they read rate headers.
    pub headers: Reads,
    /// The cap on output tokens in each request.
    pub max_tokens: Option<u32>,
    /// How long they wait for the first byte of an answer, in seconds; the default is the engine's.
    pub first_byte_s: Option<u64>,
}

impl Default for ClientSetup {
    fn default() -> ClientSetup {
        ClientSetup {
            clients: 1,
            dialect: Speaks::Openai,
            headers: Reads::Unknown,
            max_tokens: None,
            first_byte_s: None,
        }
    }
}

/// The dialect of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// OpenAI's chat completions.
    Openai,
    /// Anthropic's messages.
    Anthropic,
}

/// Which profile of rate headers the clients know the provider by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// OpenAI's.
    PerMinute,
    /// Groq's: the requests are those of a day.
    RequestsPerDay,
    /// Azure's: times in whole seconds.
    Seconds,
    /// Anthropic's.
    Anthropic,
    /// None are sent.
    None,
    /// Nothing is known of them.
    Unknown,
}

/// The short version, for tests; but for the rows, the command `optimum` writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Short {
    /// Rows of each client.
    pub rows: usize,
    /// The best fixed number.
    #[serde(default)]
    pub best: Option<usize>,
    /// What it reaches.
    #[serde(default)]
    pub optimum: Option<Optimum>,
}

/// What the best fixed number reaches.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Optimum {
    /// Rows per second.
    pub rows_per_s: f64,
    /// The mean latency of its answers, in seconds.
    pub latency: f64,
    /// From when on, until when, and the rows per second in between, once it had settled.
    pub phases: Vec<[f64; 3]>,
    /// Requests that it sends.
    pub requests: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    about: String,
    backend: toml::Table,
    #[serde(default)]
    client: ClientSetup,
    workload: Workload,
    short: Short,
    #[serde(default)]
    ranges: BTreeMap<String, [f64; 2]>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// When the text is none; the message names the scenario.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("scenario {name}: {what}");
        let form: Form = toml::from_str(text).map_err(|error| wrong(&error))?;
        let backend = toml::to_string(&form.backend).map_err(|error| wrong(&error))?;
        let profile = Profile::parse(name, &backend).map_err(|error| wrong(&error))?;
        Ok(Scenario {
            name: name.to_owned(),
            about: form.about,
            backend: profile.config,
            client: form.client,
            workload: form.workload,
            short: form.short,
            ranges: form.ranges,
        })
    }

    /// The folder of the scenario files.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
    }

    /// The file that a scenario was read from.
    pub fn path(&self) -> PathBuf {
        Scenario::folder().join(format!("{}.toml", self.name))
    }

    /// All scenarios, by name.
    ///
    /// # Errors
    /// When the folder cannot be read, or a file in it is no scenario.
    pub fn all() -> Result<Vec<Scenario>, String> {
        let folder = Scenario::folder();
        let unreadable = |error| format!("cannot read {}: {error}", folder.display());
        let mut scenarios = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_none_or(|end| end != "toml") {
                continue;
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(&path).map_err(unreadable)?;
            scenarios.push(Scenario::parse(&name, &text)?);
        }
        scenarios.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scenarios)
    }

    /// The scenarios of these names, or all when none is given.
    ///
    /// # Errors
    /// When there is none of a name, or the files cannot be read.
    pub fn named(names: &[String]) -> Result<Vec<Scenario>, String> {
        let all = Scenario::all()?;
        if let Some(unknown) = names
            .iter()
            .find(|name| !all.iter().any(|s| s.name == **name))
        {
            let known: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
            return Err(format!(
                "no scenario is called {unknown:?}: there are {}",
                known.join(", ")
            ));
        }
        let wanted = |scenario: &Scenario| names.is_empty() || names.contains(&scenario.name);
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// The same with so many rows of each client.
    #[must_use]
    pub fn with_rows(mut self, rows: usize) -> Scenario {
        self.workload.rows = rows;
        self
    }

    /// The short version.
    #[must_use]
    pub fn short(&self) -> Scenario {
        self.clone().with_rows(self.short.rows)
    }

    /// The times at which something changes, in order.
    pub fn changes(&self) -> Vec<Duration> {
        let backend = &self.backend;
        let steps = backend.capacity.iter().map(|step| step.at);
        let outages = backend
            .outages
            .iter()
            .flat_map(|outage| [outage.from, outage.until]);
        let tenant = backend
            .tenant
            .iter()
            .flat_map(|tenant| [tenant.from, tenant.until]);
        let mut changes: Vec<Duration> = steps
            .chain(outages)
            .chain(tenant)
            .filter(|at| !at.is_zero() && *at < Duration::MAX)
            .collect();
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    /// Whether headers of the answers tell all of the true limits.
    pub fn tells_limits(&self) -> bool {
        let limits = &self.backend.limits;
        let tells = match limits.headers {
            RateHeadersSent::Dialect
            | RateHeadersSent::WholeSeconds
            | RateHeadersSent::DayAndMinute
            | RateHeadersSent::PerSecond => true,
            RateHeadersSent::None
            | RateHeadersSent::PerDay
            | RateHeadersSent::Unknown
            | RateHeadersSent::Scaled(_) => false,
        };
        // Nothing tells of a ramp.
        tells && self.client.headers.tells() && limits.ramp.is_none()
    }

    /// The goodput aimed at, as a share of the best number's.
    pub fn least_goodput(&self) -> f64 {
        match (self.changes().is_empty(), self.tells_limits()) {
            (false, _) => 0.85,
            (true, true) => 0.95,
            (true, false) => 0.90,
        }
    }

    /// The share of refused requests aimed at.
    pub fn most_rejected(&self) -> f64 {
        match self.tells_limits() {
            true => 0.01,
            false => 0.03,
        }
    }

    /// Whether the back end is a server that batches.
    pub fn is_self_hosted(&self) -> bool {
        self.backend.batching.is_some()
    }
}

impl Speaks {
    /// As the library calls it.
    pub fn dialect(self) -> Dialect {
        match self {
            Speaks::Openai => Dialect::Chat,
            Speaks::Anthropic => Dialect::Anthropic,
        }
    }

    /// The base URL of an endpoint of this dialect.
    pub fn base_url(self) -> &'static str {
        match self {
            Speaks::Openai => "http://sim.local/v1",
            Speaks::Anthropic => "http://sim.local",
        }
    }
}

impl Reads {
    /// As the library calls it.
    pub fn rate_headers(self) -> RateHeaders {
        match self {
            Reads::PerMinute => RateHeaders::PerMinute,
            Reads::RequestsPerDay => RateHeaders::RequestsPerDay,
            Reads::Seconds => RateHeaders::Seconds,
            Reads::Anthropic => RateHeaders::Anthropic,
            Reads::None => RateHeaders::None,
            Reads::Unknown => RateHeaders::Unknown,
        }
    }

    fn tells(self) -> bool {
        match self {
            Reads::PerMinute | Reads::Seconds | Reads::Anthropic => true,
            Reads::RequestsPerDay | Reads::None | Reads::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_scenario_and_says_what_it_is() {
        let all = Scenario::all().unwrap();
        assert!(!all.is_empty());
        for scenario in &all {
            assert!(scenario.about.ends_with('.'), "{}", scenario.name);
            assert!(
                scenario.short.rows <= scenario.workload.rows,
                "{}",
                scenario.name
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_name() {
        let wrong = Scenario::parse("x", "about = 'a.'").unwrap_err();
        assert!(wrong.starts_with("scenario x: "), "{wrong}");
        let limits = "about = 'a.'\nworkload.rows = 1\nshort.rows = 1\nbackend.limits.rmp = 1";
        let wrong = Scenario::parse("x", limits).unwrap_err();
        assert!(wrong.contains("rmp"), "{wrong}");
    }

    #[test]
    fn changes_are_those_of_capacity_outages_and_tenant() {
        let text = r#"
            about = "A."
            workload.rows = 1
            short.rows = 1
            [backend]
            capacity = [{ at = "2m", factor = 2.0 }]
            outages = [{ from = "1m", until = "2m" }]
            tenant = { rpm = 6.0, from = "3m" }
        "#;
        let seconds = |at: &Duration| at.as_secs();
        let changes = Scenario::parse("x", text).unwrap().changes();
        assert_eq!(
            changes.iter().map(seconds).collect::<Vec<_>>(),
            [60, 120, 180]
        );
    }
}
