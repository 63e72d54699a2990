//! Reads one model's entry of the table.
//!
//! Owns the names of the table's fields. Members that it does not know are passed over, among
//! them the rates of service tiers and of the batch API, which Forebay does not use.

use serde_json::value::RawValue;

use super::{ModelInfo, Price, Tier};
use crate::fields;
use crate::money::Usd;

/// Reads the entry of a model; `None` when it lacks a price of input or of output tokens.
pub(super) fn entry(name: &str, json: &str) -> Option<ModelInfo> {
    let mut info = ModelInfo {
        name: name.to_owned(),
        ..ModelInfo::default()
    };
    let mut base = Rates::default();
    let mut tiers: Vec<(u64, Rates)> = Vec::new();
    for (member, value) in fields::members(json).ok()? {
        let text = || fields::as_str(value).map(|text| text.into_owned());
        match &*member {
            "litellm_provider" => info.provider = text(),
            "mode" => info.mode = text(),
            "deprecation_date" => info.deprecation_date = text(),
            "max_input_tokens" => info.max_input_tokens = whole(value),
            "max_output_tokens" => info.max_output_tokens = whole(value),
            other => match split_tier(other) {
                Some((rate, above)) => tier(&mut tiers, above).set(rate, value),
                None => base.set(other, value),
            },
        }
    }
    let (input, output) = (base.input?, base.output?);
    tiers.sort_by_key(|(above, _)| *above);
    info.price = Price {
        input,
        output,
        cache_read: base.cache_read,
        cache_write: base.cache_write,
        cache_write_1h: base.cache_write_1h,
        reasoning: base.reasoning,
        per_request: base.per_request,
        tiers: tiers
            .into_iter()
            .map(|(above, rates)| Tier {
                above_input_tokens: above,
                input: rates.input.unwrap_or(input),
                output: rates.output.unwrap_or(output),
                cache_read: rates.cache_read.or(base.cache_read),
                cache_write: rates.cache_write.or(base.cache_write),
                cache_write_1h: rates.cache_write_1h.or(base.cache_write_1h),
            })
            .collect(),
    };
    Some(info)
}

/// The rates of an entry, or of one of its tiers, as far as they are named.
#[derive(Debug, Default)]
struct Rates {
    input: Option<Usd>,
    output: Option<Usd>,
    cache_read: Option<Usd>,
    cache_write: Option<Usd>,
    cache_write_1h: Option<Usd>,
    reasoning: Option<Usd>,
    per_request: Option<Usd>,
}

impl Rates {
    fn set(&mut self, member: &str, value: &RawValue) {
        let rate = match member {
            "input_cost_per_token" => &mut self.input,
            "output_cost_per_token" => &mut self.output,
            "cache_read_input_token_cost" => &mut self.cache_read,
            "cache_creation_input_token_cost" => &mut self.cache_write,
            "cache_creation_input_token_cost_above_1hr" => &mut self.cache_write_1h,
            "output_cost_per_reasoning_token" => &mut self.reasoning,
            "input_cost_per_request" => &mut self.per_request,
            _ => return,
        };
        *rate = picos(value.get());
    }
}

/// Splits `RATE_above_200k_tokens` into the rate's name and 200,000.
fn split_tier(member: &str) -> Option<(&str, u64)> {
    let (rate, above) = member.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
    Some((rate, above.parse::<u64>().ok()?.checked_mul(1000)?))
}

/// The rates of the tier above that many tokens, which is added when it is new.
fn tier(tiers: &mut Vec<(u64, Rates)>, above: u64) -> &mut Rates {
    let at = match tiers.iter().position(|(have, _)| *have == above) {
        Some(at) => at,
        None => {
            tiers.push((above, Rates::default()));
            tiers.len() - 1
        }
    };
    &mut tiers[at].1
}

/// A whole number, also when it is written as `256000.0`.
fn whole(value: &RawValue) -> Option<u64> {
    let number: f64 = value.get().parse().ok()?;
    // A float that is too large saturates; a table has none.
    (number >= 0.0).then_some(number as u64)
}

/// Digits of a number that count; what follows is below a pico-dollar in any price.
const MAX_DIGITS: u32 = 30;

/// Reads a JSON number of dollars exactly, rounding to the nearest pico-dollar at the end.
///
/// The decimal text is read itself: a float on the way would add noise. `None` for what is no
/// number, is negative, or is above 10^18 dollars.
fn picos(number: &str) -> Option<Usd> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut value: i128 = 0;
    // Dollars are 10^12 pico-dollars.
    let mut scale = exponent.checked_add(12)?;
    let mut digits = 0;
    for (index, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if !byte.is_ascii_digit() {
            return None;
        }
        let in_fraction = index >= whole.len();
        if digits < MAX_DIGITS {
            value = value * 10 + i128::from(byte - b'0');
            digits += u32::from(value != 0);
            scale = scale.checked_sub(i32::from(in_fraction))?;
        } else {
            scale = scale.checked_add(i32::from(!in_fraction))?;
        }
    }
    if whole.is_empty() {
        return None;
    }
    let power = |n: i32| 10_i128.checked_pow(n.unsigned_abs());
    let picos = match scale {
        _ if value == 0 => 0,
        0.. => value.checked_mul(power(scale)?)?,
        // Beyond 10^38 the divisor does not fit, and the quotient is nothing.
        _ => power(scale).map_or(0, |divisor| (value + divisor / 2) / divisor),
    };
    (picos <= 10_i128.pow(30)).then(|| Usd::from_picos(picos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_dollars_become_whole_picos() {
        for (text, want) in [
            ("1.5e-07", Some(150_000)),
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("0e999", Some(0)),
            ("2.9999900000000002e-06", Some(2_999_990)),
            ("8.900000000000001e-07", Some(890_000)),
            ("9.499999999999999E-7", Some(950_000)),
            ("0.0000011428571428571428", Some(1_142_857)),
            ("1.41953125e-07", Some(141_953)),
            ("4.9e-13", Some(0)),
            ("5e-13", Some(1)),
            ("1e-400", Some(0)),
            ("12", Some(12_000_000_000_000)),
            ("1e19", None),
            ("1e999999999", None),
            ("1e9999999999", None),
            ("-1", None),
            ("\"1\"", None),
            ("null", None),
            ("", None),
            (".5", None),
        ] {
            assert_eq!(picos(text).map(Usd::picos), want, "{text}");
        }
        let long = format!("0.{}1", "0".repeat(500));
        assert_eq!(picos(&long), Some(Usd::ZERO));
        assert_eq!(picos(&"9".repeat(500)), None);
    }

    #[test]
    fn an_entry_needs_both_prices() {
        assert!(entry("m", r#"{"input_cost_per_token":1e-06}"#).is_none());
        assert!(entry("m", r#"{"output_cost_per_token":1e-06}"#).is_none());
        assert!(entry("m", r#"{"max_input_tokens":5}"#).is_none());
        assert!(entry("m", "nonsense").is_none());
        let json = r#"{"input_cost_per_token":0,"output_cost_per_token":0.0,"max_input_tokens":256000.0,"x":[{}]}"#;
        let info = entry("m", json).unwrap();
        assert_eq!(info.price, Price::default());
        assert_eq!(info.max_input_tokens, Some(256_000));
    }

    #[test]
    fn tiers_are_read_in_order_and_other_suffixes_are_passed_over() {
        let json = r#"{"input_cost_per_token":1e-06,"output_cost_per_token":2e-06,
            "cache_read_input_token_cost":1e-07,
            "input_cost_per_token_above_256k_tokens":4e-06,
            "output_cost_per_token_above_256k_tokens":5e-06,
            "input_cost_per_token_above_32k_tokens":3e-06,
            "input_cost_per_token_above_32k_tokens_batches":9e-06,
            "input_cost_per_token_priority":9e-06,
            "cache_creation_input_token_cost_above_1hr_above_32k_tokens":7e-06}"#;
        let price = entry("m", json).unwrap().price;
        assert_eq!(price.input.picos(), 1_000_000);
        let tiers: Vec<_> = price
            .tiers
            .iter()
            .map(|t| (t.above_input_tokens, t.input.picos(), t.output.picos()))
            .collect();
        assert_eq!(
            tiers,
            [
                (32_000, 3_000_000, 2_000_000),
                (256_000, 4_000_000, 5_000_000)
            ]
        );
        assert_eq!(price.tiers[0].cache_read, price.cache_read);
        assert_eq!(
            price.tiers[0].cache_write_1h,
            Some(Usd::from_picos(7_000_000))
        );
    }
}
