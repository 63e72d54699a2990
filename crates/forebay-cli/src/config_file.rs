//! The configuration file, `forebay.toml`.
//!
//! Owns its shape and the messages about it. Never decides what wins: that is the plan's.
//! A message names file, line and column and never repeats the line itself, which may hold a
//! key that somebody put there.

mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use forebay::catalogue;
use forebay::config::Limits;
use forebay::endpoint::TokenField;
use forebay::error::Error;
use forebay::money::Usd;
use forebay::price::{Price, PriceTable};
use serde::Deserialize;

use crate::args::{DialectArg, HttpArg, OnLengthArg, SchemaModeArg, Secret, StreamArg};
use crate::env_vars;
use values::NotNegative;
pub(crate) use values::{Attempts, InFlight, Positive, SchemaRetries, Seconds, Share, Temperature};

/// The name that is looked for in the working directory.
const FILE_NAME: &str = "forebay.toml";
/// Tokens that the file's prices are for.
const PRICE_UNIT: f64 = 1e6;

/// What a configuration file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The proxy of all requests, as `--proxy` has it.
    pub(crate) proxy: Option<Secret>,
    /// Defaults of `forebay run`.
    #[serde(default)]
    pub(crate) run: RunDefaults,
    /// Defaults of `forebay ask`.
    #[serde(default)]
    pub(crate) ask: AskDefaults,
    /// Endpoints by name; the name of a provider adjusts the built-in one.
    #[serde(default)]
    pub(crate) endpoints: BTreeMap<String, EndpointEntry>,
    /// Prices by model, which beat the built-in table.
    #[serde(default)]
    prices: BTreeMap<String, PriceEntry>,
}

/// Defaults of `forebay run`, under the names of its flags.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RunDefaults {
    pub(crate) model: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) prompt_file: Option<PathBuf>,
    pub(crate) system: Option<String>,
    pub(crate) system_file: Option<PathBuf>,
    pub(crate) max_tokens: Option<std::num::NonZeroU32>,
    pub(crate) temperature: Option<Temperature>,
    pub(crate) stream: Option<StreamArg>,
    pub(crate) schema: Option<PathBuf>,
    pub(crate) schema_name: Option<String>,
    pub(crate) schema_mode: Option<SchemaModeArg>,
    pub(crate) schema_retries: Option<SchemaRetries>,
    pub(crate) on_length: Option<OnLengthArg>,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, serde_json::Value>,
    pub(crate) id_field: Option<String>,
    pub(crate) concurrency: Option<InFlight>,
    pub(crate) target_utilization: Option<Share>,
    pub(crate) rps: Option<Positive>,
    pub(crate) rpm: Option<Positive>,
    pub(crate) tpm: Option<Positive>,
    pub(crate) itpm: Option<Positive>,
    pub(crate) otpm: Option<Positive>,
    pub(crate) rpd: Option<std::num::NonZeroU64>,
    pub(crate) max_attempts: Option<Attempts>,
    pub(crate) timeout: Option<Seconds>,
    pub(crate) connect_timeout: Option<Seconds>,
    pub(crate) first_byte_timeout: Option<Seconds>,
    pub(crate) idle_timeout: Option<Seconds>,
    pub(crate) max_wait: Option<Seconds>,
    pub(crate) max_cost: Option<Positive>,
}

impl RunDefaults {
    /// Leaves out what is said about requests: those that are whole are sent as they are.
    pub(crate) fn forget_requests(&mut self) {
        let retries_cut = self.on_length == Some(OnLengthArg::Retry);
        let own = std::mem::take(self);
        *self = RunDefaults {
            model: None,
            prompt: None,
            prompt_file: None,
            system: None,
            system_file: None,
            max_tokens: None,
            temperature: None,
            stream: None,
            schema: None,
            schema_name: None,
            schema_mode: None,
            schema_retries: None,
            on_length: own.on_length.filter(|_| !retries_cut),
            params: BTreeMap::new(),
            id_field: None,
            ..own
        };
    }

    /// Leaves out what is said about answers: embeddings have none.
    pub(crate) fn forget_answers(&mut self) {
        self.system = None;
        self.system_file = None;
        self.max_tokens = None;
        self.temperature = None;
        self.stream = None;
        self.schema = None;
        self.schema_name = None;
        self.schema_mode = None;
        self.schema_retries = None;
        self.on_length = None;
    }
}

/// Defaults of `forebay ask`, under the names of its flags.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AskDefaults {
    /// When it names none, the model of `[run]` counts.
    pub(crate) model: Option<Models>,
    pub(crate) system: Option<String>,
    pub(crate) max_tokens: Option<std::num::NonZeroU32>,
    pub(crate) temperature: Option<Temperature>,
}

/// One model or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a model's name or a list of names")]
pub(crate) enum Models {
    One(String),
    Many(Vec<String>),
}

impl Models {
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Models::One(name) => vec![name.clone()],
            Models::Many(names) => names.clone(),
        }
    }
}

/// One endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct EndpointEntry {
    pub(crate) provider: Option<String>,
    pub(crate) dialect: Option<DialectArg>,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key_env: Option<String>,
    pub(crate) api_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) token_field: Option<TokenFieldName>,
    pub(crate) http: Option<HttpArg>,
    pub(crate) concurrency: Option<InFlight>,
    pub(crate) target_utilization: Option<Share>,
    #[serde(default)]
    pub(crate) limits: LimitsEntry,
}

/// The limits of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsEntry {
    rps: Option<Positive>,
    rpm: Option<Positive>,
    tpm: Option<Positive>,
    itpm: Option<Positive>,
    otpm: Option<Positive>,
    rpd: Option<std::num::NonZeroU64>,
}

/// The price of a model, in US dollars per million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceEntry {
    input: NotNegative,
    output: NotNegative,
    cached_input: Option<NotNegative>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenFieldName {
    MaxTokens,
    MaxCompletionTokens,
}

impl From<TokenFieldName> for TokenField {
    fn from(name: TokenFieldName) -> TokenField {
        match name {
            TokenFieldName::MaxTokens => TokenField::MaxTokens,
            TokenFieldName::MaxCompletionTokens => TokenField::MaxCompletionTokens,
        }
    }
}

impl LimitsEntry {
    pub(crate) fn limits(&self) -> Limits {
        let number = |n: Option<Positive>| n.map(|n| n.0);
        Limits {
            rps: number(self.rps),
            rpm: number(self.rpm),
            tpm: number(self.tpm),
            itpm: number(self.itpm),
            otpm: number(self.otpm),
            rpd: self.rpd.map(std::num::NonZeroU64::get),
        }
    }
}

impl ConfigFile {
    /// Reads the file named by a flag or the environment, or the one in the working directory
    /// if there is one.
    ///
    /// # Errors
    /// When a named file is missing, or a file is not valid.
    pub(crate) fn find(flag: Option<&Path>) -> Result<ConfigFile, Error> {
        let named = flag
            .map(Path::to_owned)
            .or_else(|| env_vars::read(env_vars::FOREBAY_CONFIG).map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
        match std::fs::read_to_string(&path) {
            Ok(text) => ConfigFile::parse(&text, &path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                Ok(ConfigFile::default())
            }
            Err(error) => Err(Error::config(format!(
                "cannot read the configuration file {}: {error}",
                path.display()
            ))),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<ConfigFile, Error> {
        let config: ConfigFile = toml::from_str(text).map_err(|error| {
            let (line, column) = place_of(text, error.span().map_or(0, |span| span.start));
            let message = error.message().replace('\n', " ");
            let place = format!("{}:{line}:{column}", path.display());
            let fault = Error::config(format!("{place}: {message}"));
            if message.contains("`api-key`") || message.contains("`api_key`") {
                return fault.with_hint(
                    "keys do not belong into files that are shared: name their place with \
                     api-key-env or api-key-file",
                );
            }
            fault
        })?;
        for (name, endpoint) in &config.endpoints {
            let built_in = catalogue::find(name).is_some();
            let fault = |what: &str| {
                let place = path.display();
                Err(Error::config(format!("{place}: endpoint {name:?} {what}")))
            };
            if name == "sim" || name.is_empty() || name.contains('/') {
                return fault("has a name that is taken or cannot be a prefix");
            }
            if let Some(provider) = &endpoint.provider {
                let place = format!("{}: endpoint {name:?}", path.display());
                catalogue::get(provider).map_err(|fault| fault.at(&place))?;
            }
            if !built_in && endpoint.base_url.is_none() {
                return fault("has no base-url");
            }
            if !built_in && endpoint.provider.is_none() && endpoint.dialect.is_none() {
                return fault("has no provider, such as openai or anthropic");
            }
        }
        Ok(config)
    }

    /// The built-in prices, with those of the file in their place.
    pub(crate) fn price_table(&self) -> PriceTable {
        let mut table = PriceTable::embedded();
        for (model, price) in self.prices() {
            table.set(model, price);
        }
        table
    }

    /// The prices of the file, by model.
    fn prices(&self) -> impl Iterator<Item = (&str, Price)> {
        self.prices.iter().map(|(model, entry)| {
            // The numbers were checked to be finite and small when they were read.
            let usd = |n: NotNegative| Usd::from_dollars(n.0 / PRICE_UNIT).unwrap_or_default();
            let price = Price {
                input: usd(entry.input),
                output: usd(entry.output),
                cache_read: entry.cached_input.map(usd),
                ..Price::default()
            };
            (model.as_str(), price)
        })
    }
}

/// Line and column, from 1, of a byte.
fn place_of(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(text: &str) -> Result<ConfigFile, Error> {
        ConfigFile::parse(text, Path::new("forebay.toml"))
    }

    #[test]
    fn a_full_file_is_read() {
        let config = parse(
            r#"
            [run]
            model = "gateway/claude-sonnet-4-5"
            concurrency = 50
            target-utilization = "50%"
            timeout = "2m"
            max-wait = 30
            params = { top_p = 0.9 }

            [endpoints.gateway]
            provider = "openai"
            base-url = "https://llm.example.com/v1"
            api-key-env = "GATEWAY_KEY"
            headers = { x-team = "data" }
            token-field = "max_tokens"
            concurrency = "auto:200"
            target-utilization = 1
            limits = { rpm = 600, tpm = 1e6 }

            [prices."my-model"]
            input = 0.5
            output = 1.5
            "#,
        )
        .unwrap();
        assert_eq!(config.run.timeout.unwrap().0, Duration::from_secs(120));
        let concurrency = config.run.concurrency.unwrap().0;
        assert_eq!(format!("{concurrency:?}"), "Fixed(50)");
        assert_eq!(config.run.target_utilization.unwrap().0, 0.5);
        let gateway = &config.endpoints["gateway"];
        let concurrency = gateway.concurrency.unwrap().0;
        assert_eq!(format!("{concurrency:?}"), "Auto { max: 200 }");
        assert_eq!(gateway.target_utilization.unwrap().0, 1.0);
        assert_eq!(gateway.limits.limits().rpm, Some(600.0));
        let (model, price) = config.prices().next().unwrap();
        assert_eq!((model, price.input), ("my-model", Usd::from_picos(500_000)));
    }

    #[test]
    fn faults_are_told_with_their_place_and_without_the_line() {
        for (text, place, what) in [
            (
                "[run]\nrpm = -5\n",
                "forebay.toml:2:7",
                "not a number above 0",
            ),
            (
                "[run]\nmodle = \"x\"\n",
                "forebay.toml:2:1",
                "unknown field `modle`",
            ),
            ("[run\n", "forebay.toml:1:", ""),
            (
                "[run]\nconcurrency = 0\n",
                "forebay.toml:2:15",
                "whole number",
            ),
            ("[run]\ntimeout = \"1d\"\n", "forebay.toml:2:11", "seconds"),
            (
                "[endpoints.x]\nbase-url = \"u\"\n",
                "forebay.toml",
                "no provider",
            ),
            ("[endpoints.sim]\n", "forebay.toml", "taken"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(place) && error.contains(what),
                "{text}: {error}"
            );
        }
        let error = parse("[endpoints.x]\napi-key = \"sk-secret\"\n").unwrap_err();
        assert!(!error.to_string().contains("sk-secret"), "{error}");
        assert!(error.hint().unwrap().contains("api-key-env"));
    }
}
