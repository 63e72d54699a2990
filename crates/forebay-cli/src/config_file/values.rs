//! Values of the configuration file that have bounds: those of the flags.

use std::time::Duration;

use forebay::config::Concurrency;
use serde::Deserialize;

/// A finite number above zero.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Positive(pub(crate) f64);

impl TryFrom<f64> for Positive {
    type Error = String;
    fn try_from(n: f64) -> Result<Positive, String> {
        if n > 0.0 && n <= 1e12 {
            Ok(Positive(n))
        } else {
            Err(format!("{n} is not a number above 0"))
        }
    }
}

/// A sampling temperature, under the bounds of its flag.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Temperature(pub(crate) f64);

impl TryFrom<f64> for Temperature {
    type Error = String;
    fn try_from(n: f64) -> Result<Temperature, String> {
        crate::args::temperature(&n.to_string()).map(Temperature)
    }
}

/// Attempts in flight, as a number or as the text of its flag.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) struct InFlight(pub(crate) Concurrency);

impl TryFrom<toml::Value> for InFlight {
    type Error = String;
    fn try_from(value: toml::Value) -> Result<InFlight, String> {
        crate::args::concurrency(&flag_text(value)).map(InFlight)
    }
}

/// A share of the whole, as a number or as the text of its flag.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) struct Share(pub(crate) f64);

impl TryFrom<toml::Value> for Share {
    type Error = String;
    fn try_from(value: toml::Value) -> Result<Share, String> {
        crate::args::utilization(&flag_text(value)).map(Share)
    }
}

/// A value as one would type it after a flag; what no flag takes is no text.
fn flag_text(value: toml::Value) -> String {
    match value {
        toml::Value::Integer(n) => n.to_string(),
        toml::Value::Float(n) => n.to_string(),
        toml::Value::String(text) => text,
        _ => String::new(),
    }
}

/// Attempts per item, within the flag's bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct Attempts(pub(crate) u32);

impl TryFrom<u32> for Attempts {
    type Error = String;
    fn try_from(n: u32) -> Result<Attempts, String> {
        let most = crate::args::MOST_ATTEMPTS;
        if (1..=most).contains(&n) {
            Ok(Attempts(n))
        } else {
            Err(format!("{n} is not in 1..={most}"))
        }
    }
}

/// Further questions per item, within the flag's bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct SchemaRetries(pub(crate) u32);

impl TryFrom<u32> for SchemaRetries {
    type Error = String;
    fn try_from(n: u32) -> Result<SchemaRetries, String> {
        let most = crate::args::MOST_SCHEMA_RETRIES;
        if n <= most {
            Ok(SchemaRetries(n))
        } else {
            Err(format!("{n} is not in 0..={most}"))
        }
    }
}

/// A finite number of at least zero.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct NotNegative(pub(super) f64);

impl TryFrom<f64> for NotNegative {
    type Error = String;
    fn try_from(n: f64) -> Result<NotNegative, String> {
        if (0.0..=1e9).contains(&n) {
            Ok(NotNegative(n))
        } else {
            Err(format!("{n} is not a price"))
        }
    }
}

/// A duration: seconds as a number, or text such as "2m".
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) struct Seconds(pub(crate) Duration);

impl TryFrom<toml::Value> for Seconds {
    type Error = String;
    fn try_from(value: toml::Value) -> Result<Seconds, String> {
        crate::args::duration(&flag_text(value)).map(Seconds)
    }
}
