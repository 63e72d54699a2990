//! `forebay prices`: what models cost by the price table.
//!
//! Owns the listing in text and JSON. Never looks a price up for a run.

use forebay::error::Error;
use forebay::money::Usd;
use forebay::price::{ModelInfo, Price, PriceTable};
use serde::Serialize;

use crate::nearest::nearest;
use crate::report::columns::{Side, aligned};
use crate::report::{pretty, units};

/// The columns' names.
const HEADER: [&str; 7] = [
    "model",
    "input",
    "cached",
    "output",
    "context",
    "max output",
    "",
];

/// The first and last to the left, numbers to the right.
const SIDES: [Side; 7] = {
    let mut sides = [Side::Right; 7];
    sides[0] = Side::Left;
    sides[6] = Side::Left;
    sides
};

/// Lists the models whose name matches, or all of them.
///
/// # Errors
/// When no name matches.
pub(crate) fn prices(
    table: &PriceTable,
    pattern: Option<&str>,
    json: bool,
) -> Result<String, Error> {
    let models = table.matching(pattern.unwrap_or_default());
    if models.is_empty() {
        return Err(no_match(table, pattern.unwrap_or_default()));
    }
    if json {
        let models = models.iter().map(|(name, info)| Model::new(name, info));
        return Ok(pretty(&Listing {
            source: "LiteLLM",
            date: PriceTable::SNAPSHOT,
            models: models.collect(),
        }));
    }
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(models.iter().map(|(name, info)| cells(name, info)));
    Ok(format!(
        "Estimates from LiteLLM's price table of {} and your own prices,\n\
         in US dollars per million tokens; context and max output in tokens.\n\n{}",
        PriceTable::SNAPSHOT,
        aligned(&rows, SIDES)
    ))
}

fn no_match(table: &PriceTable, pattern: &str) -> Error {
    let all = table.matching("");
    let wanted = pattern.replace('*', "");
    let offered = nearest(&wanted, all.iter().map(|(name, _)| name.as_str()));
    let hint = match offered.is_empty() {
        true => "`forebay prices` without a pattern lists all names".to_owned(),
        false => format!("did you mean {}?", offered.join(", ")),
    };
    Error::config(format!("no model's name matches {pattern:?}")).with_hint(hint)
}

fn cells(name: &str, info: &ModelInfo) -> [String; 7] {
    let price = &info.price;
    let tokens = |n: Option<u64>| n.map_or_else(|| "-".into(), units::count);
    let mut notes = Vec::new();
    if let Some(tier) = price.tiers.first() {
        notes.push(format!(
            "other prices above {}",
            units::count(tier.above_input_tokens)
        ));
    }
    if let Some(request) = price.per_request.filter(|cost| *cost != Usd::ZERO) {
        notes.push(format!("{} per request", units::dollars(request)));
    }
    if let Some(date) = &info.deprecation_date {
        notes.push(format!("ends {date}"));
    }
    [
        name.to_owned(),
        units::per_million(price.input),
        price
            .cache_read
            .map_or_else(|| "-".into(), units::per_million),
        units::per_million(price.output),
        tokens(info.max_input_tokens),
        tokens(info.max_output_tokens),
        notes.join(", "),
    ]
}

/// The listing as JSON.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    /// Whose table it is; the user's own prices win over it.
    source: &'static str,
    /// The day of the table.
    date: &'static str,
    models: Vec<Model<'a>>,
}

/// One model; prices are dollars per million tokens, `null` is not known.
#[derive(Debug, Serialize)]
struct Model<'a> {
    model: &'a str,
    provider: Option<&'a str>,
    mode: Option<&'a str>,
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: f64,
    reasoning: Option<f64>,
    /// Dollars per request, whatever its tokens.
    per_request_usd: Option<f64>,
    /// Prices of requests with more input tokens than that.
    tiers: Vec<Tier>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    deprecation_date: Option<&'a str>,
}

/// Prices of large requests.
#[derive(Debug, Serialize)]
struct Tier {
    above_input_tokens: u64,
    input: f64,
    cached_input: Option<f64>,
    output: f64,
}

impl<'a> Model<'a> {
    fn new(name: &'a str, info: &'a ModelInfo) -> Model<'a> {
        let price: &Price = &info.price;
        let million = |price: Usd| price.times(1_000_000).dollars();
        Model {
            model: name,
            provider: info.provider.as_deref(),
            mode: info.mode.as_deref(),
            input: million(price.input),
            cached_input: price.cache_read.map(million),
            cache_write: price.cache_write.map(million),
            output: million(price.output),
            reasoning: price.reasoning.map(million),
            per_request_usd: price.per_request.map(Usd::dollars),
            tiers: (price.tiers.iter())
                .map(|tier| Tier {
                    above_input_tokens: tier.above_input_tokens,
                    input: million(tier.input),
                    cached_input: tier.cache_read.map(million),
                    output: million(tier.output),
                })
                .collect(),
            max_input_tokens: info.max_input_tokens,
            max_output_tokens: info.max_output_tokens,
            deprecation_date: info.deprecation_date.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_line_under_the_source_and_date() {
        let text = prices(&PriceTable::embedded(), Some("gpt-4o-mini*7-18"), false).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains(PriceTable::SNAPSHOT) && lines[0].contains("Estimates"));
        assert_eq!(
            lines[3..],
            [
                "model                   input  cached  output  context  max output",
                "gpt-4o-mini-2024-07-18   0.15   0.075    0.60  128,000      16,384  ends 2027-01-14",
            ]
        );
    }

    #[test]
    fn own_prices_are_listed_and_unknown_sizes_are_dashes() {
        let mut table = PriceTable::embedded();
        let price = Price {
            input: Usd::from_picos(2_000_000),
            output: Usd::from_picos(30_000),
            ..Price::default()
        };
        table.set("my-model", price);
        let text = prices(&table, Some("my-model"), false).unwrap();
        assert!(
            text.ends_with("my-model   2.00       -    0.03        -           -\n"),
            "{text}"
        );
        let json = prices(&table, Some("my-model"), true).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["models"][0]["input"], 2.0);
        assert!(json["models"][0]["cached_input"].is_null());
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_right_one() {
        let error = prices(&PriceTable::embedded(), Some("gtp-4o-mini"), false).unwrap_err();
        assert!(error.to_string().contains("\"gtp-4o-mini\""));
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("gpt-4o-mini")),
            "{error:?}"
        );
        let error = prices(&PriceTable::embedded(), Some("zzzz"), false).unwrap_err();
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("without a pattern"))
        );
    }
}
