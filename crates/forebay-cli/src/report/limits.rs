//! What limits a run, as JSON and in words.
//!
//! Owns the names under which progress, summary and `forebay tune` tell limits. Never rounds what
//! a program reads.

use forebay::config::{Concurrency, Limits};
use forebay::limit::{InForce, LearntRates};
use serde::{Deserialize, Serialize};

use super::units;

/// All limits at a moment; its members are those of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct InForceJson {
    /// How the attempts in flight are limited, as `--concurrency` takes it.
    pub(crate) concurrency: String,
    /// The most attempts that may be in flight now.
    pub(crate) limit: u64,
    /// Attempts in flight.
    pub(crate) in_flight: u64,
    /// Requests per second that the user set; `null` for no limit, as below.
    pub(crate) rps: Option<f64>,
    pub(crate) rpm: Option<f64>,
    pub(crate) tpm: Option<f64>,
    pub(crate) itpm: Option<f64>,
    pub(crate) otpm: Option<f64>,
    pub(crate) rpd: Option<u64>,
    /// The share of what the provider allows that may be used.
    pub(crate) target_utilization: f64,
    /// Rates that were learnt and hold.
    pub(crate) learnt: LearntJson,
}

/// Rates per minute that were learnt and hold; `null` where none is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LearntJson {
    pub(crate) rpm: Option<f64>,
    pub(crate) tpm: Option<f64>,
    pub(crate) itpm: Option<f64>,
    pub(crate) otpm: Option<f64>,
    /// Whether the provider tells them; else its refusals showed them.
    pub(crate) told: bool,
}

impl InForceJson {
    pub(crate) fn of(now: &InForce) -> InForceJson {
        let Limits {
            rps,
            rpm,
            tpm,
            itpm,
            otpm,
            rpd,
        } = now.limits;
        InForceJson {
            concurrency: concurrency(now.concurrency),
            limit: now.limit as u64,
            in_flight: now.in_flight as u64,
            rps,
            rpm,
            tpm,
            itpm,
            otpm,
            rpd,
            target_utilization: now.target_utilization,
            learnt: LearntJson::of(&now.learnt),
        }
    }

    /// What was set, by the names of the flags, as text.
    pub(crate) fn set(&self) -> [(&'static str, String); 8] {
        let rate = |rate: Option<f64>| rate.map_or("none".into(), units::number);
        [
            ("concurrency", self.concurrency.clone()),
            ("rps", rate(self.rps)),
            ("rpm", rate(self.rpm)),
            ("tpm", rate(self.tpm)),
            ("itpm", rate(self.itpm)),
            ("otpm", rate(self.otpm)),
            ("rpd", self.rpd.map_or("none".into(), units::count)),
            ("target utilization", share(self.target_utilization)),
        ]
    }

    /// The rates that were set: `1,200 rpm, 5,000 rpd`; `None` when there are none.
    pub(crate) fn rates(&self) -> Option<String> {
        let rates = [
            (self.rps, "rps"),
            (self.rpm, "rpm"),
            (self.tpm, "tpm"),
            (self.itpm, "itpm"),
            (self.otpm, "otpm"),
            (self.rpd.map(|rpd| rpd as f64), "rpd"),
        ];
        let known = rates.into_iter();
        named(known.filter_map(|(rate, name)| Some((rate?, name))))
    }

    /// `60 of 64 in flight (auto:2000)`.
    pub(crate) fn attempts(&self) -> String {
        let (now, limit) = (units::count(self.in_flight), units::count(self.limit));
        format!("{now} of {limit} in flight ({})", self.concurrency)
    }
}

impl LearntJson {
    pub(crate) fn of(rates: &LearntRates) -> LearntJson {
        let LearntRates {
            rpm,
            tpm,
            itpm,
            otpm,
            told,
        } = *rates;
        LearntJson {
            rpm,
            tpm,
            itpm,
            otpm,
            told,
        }
    }

    /// The rates that are known, with their names.
    pub(super) fn known(&self) -> impl Iterator<Item = (f64, &'static str)> {
        let rates = [
            (self.rpm, "rpm"),
            (self.tpm, "tpm"),
            (self.itpm, "itpm"),
            (self.otpm, "otpm"),
        ];
        rates
            .into_iter()
            .filter_map(|(rate, name)| Some((rate?, name)))
    }

    /// `1,200 rpm, 30,000 tpm (told by the provider)`; `None` when nothing was learnt.
    pub(crate) fn text(&self) -> Option<String> {
        let source = match self.told {
            true => "told by the provider",
            false => "found",
        };
        Some(format!("{} ({source})", named(self.known())?))
    }
}

/// Rates with their names; `None` when there are none.
fn named<'a>(rates: impl Iterator<Item = (f64, &'a str)>) -> Option<String> {
    let known: Vec<_> = rates
        .map(|(rate, name)| format!("{} {name}", units::number(rate)))
        .collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// A setting of `--concurrency` as the flag takes it.
pub(crate) fn concurrency(setting: Concurrency) -> String {
    match setting {
        Concurrency::Fixed(n) => n.to_string(),
        Concurrency::Auto { max } => format!("auto:{max}"),
        Concurrency::Rule(_) => "a rule".into(),
    }
}

/// A share as a percentage: `50 %`.
pub(crate) fn share(share: f64) -> String {
    format!("{} %", units::number(share * 100.0))
}

/// What changed, `concurrency auto:2000 → 50, rpm none → 900`; `None` when nothing did.
pub(crate) fn changes(was: &InForceJson, now: &InForceJson) -> Option<String> {
    let parts: Vec<_> = was
        .set()
        .into_iter()
        .zip(now.set())
        .filter(|(was, now)| was != now)
        .map(|((name, was), (_, now))| format!("{name} {was} → {now}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> InForceJson {
        InForceJson {
            concurrency: "auto:2000".into(),
            limit: 64,
            in_flight: 60,
            rpm: Some(1_200.0),
            target_utilization: 1.0,
            ..InForceJson::default()
        }
    }

    #[test]
    fn changes_name_what_was_and_what_is() {
        let now = InForceJson {
            concurrency: "50".into(),
            rpm: None,
            tpm: Some(2.5),
            rpd: Some(10_000),
            target_utilization: 0.375,
            ..usual()
        };
        assert_eq!(
            changes(&usual(), &now).unwrap(),
            "concurrency auto:2000 → 50, rpm 1,200 → none, tpm none → 2.5, rpd none → 10,000, \
             target utilization 100 % → 37.5 %"
        );
        let other = InForceJson {
            in_flight: 3,
            ..usual()
        };
        assert_eq!(changes(&usual(), &other), None);
    }

    #[test]
    fn learnt_rates_say_where_they_come_from() {
        let learnt = LearntJson {
            rpm: Some(1_176.0),
            tpm: Some(29_400.4),
            told: true,
            ..LearntJson::default()
        };
        let told = "1,176 rpm, 29,400 tpm (told by the provider)";
        assert_eq!(learnt.text().unwrap(), told);
        let found = LearntJson {
            tpm: None,
            told: false,
            ..learnt
        };
        assert_eq!(found.text().unwrap(), "1,176 rpm (found)");
        assert_eq!(LearntJson::default().text(), None);
    }
}
