//! Values of flags: numbers with bounds, durations, dollars, pairs.

use std::num::NonZeroUsize;
use std::time::Duration;

use forebay::config::{Change, Concurrency};
use forebay::money::Usd;
use forebay_sim::faults::{Fault, Probability, UnknownFault};

/// The most attempts in flight that make sense: one needs a socket each.
const MAX_CONCURRENCY: usize = 50_000;
/// The most texts of one request for embeddings; OpenAI's limit, and no other's is higher.
const MAX_TEXTS: usize = 2_048;
/// The largest rate: far above every provider's.
const MAX_RATE: f64 = 1e12;
/// The longest duration: a year.
const MAX_SECONDS: f64 = 31_536_000.0;

/// A number, `auto`, or `auto:MAX`.
pub(crate) fn concurrency(text: &str) -> Result<Concurrency, String> {
    if text == "auto" {
        return Ok(Concurrency::DEFAULT);
    }
    let (most, make): (&str, fn(NonZeroUsize) -> Concurrency) = match text.strip_prefix("auto:") {
        Some(most) => (most, |max| Concurrency::Auto { max }),
        None => (text, Concurrency::Fixed),
    };
    match most.parse::<NonZeroUsize>() {
        Ok(n) if n.get() <= MAX_CONCURRENCY => Ok(make(n)),
        _ => Err(format!(
            "give auto, auto:MAX such as auto:200, or a whole number from 1 to {MAX_CONCURRENCY}"
        )),
    }
}

/// A share above 0, or a percentage.
pub(crate) fn utilization(text: &str) -> Result<f64, String> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text, 1.0),
    };
    match number.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= whole => Ok(n / whole),
        _ => Err("give a share above 0 and up to 1, such as 0.5, or 50%".into()),
    }
}

/// A rate, or `none` for no limit.
pub(crate) fn rate_change(text: &str) -> Result<Change<f64>, String> {
    match text {
        "none" => Ok(Change::Lift),
        _ => rate(text)
            .map(Change::To)
            .map_err(|_| "give a number above 0, or none".into()),
    }
}

/// Requests per day, or `none` for no limit.
pub(crate) fn day_change(text: &str) -> Result<Change<u64>, String> {
    match text {
        "none" => Ok(Change::Lift),
        _ => at_least_one(text)
            .map(Change::To)
            .map_err(|_| "give a whole number of at least 1, or none".into()),
    }
}

pub(crate) fn texts(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(n) if n.get() <= MAX_TEXTS => Ok(n),
        _ => Err(format!("give a whole number from 1 to {MAX_TEXTS}")),
    }
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(n) if n > 0.0 && n <= MAX_RATE => Ok(n),
        _ => Err("give a number above 0".into()),
    }
}

pub(crate) fn whole(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    digits
        .parse()
        .map_err(|_| "give a whole number of at least 0".into())
}

pub(crate) fn at_least_one(text: &str) -> Result<u64, String> {
    match text.replace('_', "").parse() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err("give a whole number of at least 1".into()),
    }
}

/// A share of the whole.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("give a number from 0 to 1".into()),
    }
}

/// A whole number, below zero too.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| "give a whole number, such as 7".into())
}

/// A text that ends an answer.
pub(crate) fn stop(text: &str) -> Result<String, String> {
    match text.is_empty() {
        true => Err("give a text of at least one character".into()),
        false => Ok(text.to_owned()),
    }
}

/// The median length of an answer; the simulator's profiles have the same bound.
pub(crate) fn output_tokens(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(n) if (1.0..=1e6).contains(&n) => Ok(n),
        _ => Err("give a number from 1 to 1000000".into()),
    }
}

/// A text that has at least one character.
pub(crate) fn some_text(text: &str) -> Result<String, String> {
    match text {
        "" => Err("give at least one character".into()),
        text => Ok(text.to_owned()),
    }
}

/// Seconds, or a number with `ms`, `s`, `m` or `h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("give seconds, or a number with ms, s, m or h".into()),
    };
    match digits.parse::<f64>() {
        Ok(n) if n > 0.0 && n * factor <= MAX_SECONDS => Ok(Duration::from_secs_f64(n * factor)),
        _ => Err("give a duration above 0 and up to a year, such as 30, 500ms, 2m or 1h".into()),
    }
}

pub(crate) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0ms") {
        return Ok(Duration::ZERO);
    }
    duration(text)
}

/// A duration, or a number of days with `d`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    /// The longest age: a hundred years.
    const MAX_DAYS: f64 = 36_500.0;
    let Some(days) = text.strip_suffix('d') else {
        return duration(text).map_err(|_| "give an age such as 7d, 12h or 30m".into());
    };
    match days.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= MAX_DAYS => Ok(Duration::from_secs_f64(n * 86_400.0)),
        _ => Err("give an age such as 7d, 12h or 30m".into()),
    }
}

/// A number of bytes, or of kB, MB, GB or TB.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    /// The largest size: a petabyte.
    const MAX: f64 = 1e15;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" | "k" => 1e3,
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "tb" | "t" => 1e12,
        _ => return Err("give a size such as 500MB or 2GB".into()),
    };
    match digits.trim().parse::<f64>() {
        Ok(n) if n > 0.0 && n * factor >= 1.0 && n * factor <= MAX => Ok((n * factor) as u64),
        _ => Err("give a size such as 500MB or 2GB".into()),
    }
}

pub(crate) fn dollars(text: &str) -> Result<Usd, String> {
    let number = text.trim_start_matches('$').parse::<f64>();
    match number.ok().filter(|n| *n > 0.0).and_then(Usd::from_dollars) {
        Some(amount) => Ok(amount),
        None => Err("give an amount of US dollars above 0, such as 2.50".into()),
    }
}

pub(crate) fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.0..=2.0).contains(&n) => Ok(n),
        _ => Err("give a number from 0 to 2".into()),
    }
}

pub(crate) fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.0..=1.0).contains(&n) => Ok(n),
        _ => Err("give a probability from 0 to 1".into()),
    }
}

/// `KEY=JSON`; what is not JSON counts as a string, so that `user=bob` works.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or("write KEY=JSON, such as top_p=0.9 or stop='[\"END\"]'")?;
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(value).is_ok();
    let looks_like_json = value.starts_with(['{', '[', '"']);
    match (is_json, looks_like_json) {
        (true, _) => Ok((key.to_owned(), value.trim().to_owned())),
        (false, true) => Err(format!("the value of {key} is not valid JSON")),
        (false, false) => {
            let string = serde_json::to_string(value).map_err(|error| error.to_string())?;
            Ok((key.to_owned(), string))
        }
    }
}

/// `STATUS=PROBABILITY`.
pub(crate) fn error_rate(text: &str) -> Result<(u16, f64), String> {
    let pair = text.split_once('=').and_then(|(status, p)| {
        let status = status
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status))?;
        Some((status, probability(p).ok()?))
    });
    pair.ok_or_else(|| "write STATUS=PROBABILITY, such as 500=0.05".into())
}

/// `NAME=PROBABILITY` of a fault.
pub(crate) fn fault_rate(text: &str) -> Result<(Fault, Probability), String> {
    let (name, p) = text
        .rsplit_once('=')
        .ok_or("write NAME=PROBABILITY, such as 529=0.05")?;
    let fault = name
        .parse()
        .map_err(|unknown: UnknownFault| unknown.to_string())?;
    let p = Probability::new(probability(p)?);
    Ok((fault, p.ok_or("give a probability from 0 to 1")?))
}

/// `BYTES,TIME`.
pub(crate) fn slice(text: &str) -> Result<(usize, Duration), String> {
    let (size, delay) = text
        .split_once(',')
        .ok_or("write BYTES,TIME, such as 10,5ms")?;
    match size.parse() {
        Ok(size @ 1..) => Ok((size, duration_or_zero(delay)?)),
        Ok(_) | Err(_) => Err("give a whole number of bytes of at least 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        for bad in ["", "0", "-1", "1d", "s", "1e99", "NaN"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn absurd_numbers_are_refused() {
        for bad in ["0", "-1", "1e99", "x", "", "999999999", "1.5", "none"] {
            assert!(concurrency(bad).is_err(), "{bad}");
            assert!(concurrency(&format!("auto:{bad}")).is_err(), "{bad}");
        }
        for bad in ["0", "-1", "NaN", "inf", "1e13", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        for bad in ["0", "-1", "NaN", "free"] {
            assert!(dollars(bad).is_err(), "{bad}");
        }
        assert_eq!(rate("10_000"), Ok(10_000.0));
    }

    #[test]
    fn attempts_in_flight_are_a_number_or_found_out() {
        for (text, shown) in [
            ("50", "Fixed(50)"),
            ("auto", "Auto { max: 2000 }"),
            ("auto:300", "Auto { max: 300 }"),
        ] {
            assert_eq!(format!("{:?}", concurrency(text).unwrap()), shown);
        }
        for bad in ["Auto", "AUTO:5", "auto5", "auto: 5", "auto:auto"] {
            assert!(concurrency(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_a_fraction_or_a_percentage() {
        for (text, share) in [("0.5", 0.5), ("50%", 0.5), ("1", 1.0), ("100 %", 1.0)] {
            assert_eq!(utilization(text), Ok(share), "{text}");
        }
        for bad in ["0", "0%", "50", "101%", "-1", "NaN", "inf", "", "%", "half"] {
            assert!(utilization(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_changes_to_a_number_or_to_none() {
        assert_eq!(rate_change("900"), Ok(Change::To(900.0)));
        assert_eq!(rate_change("none"), Ok(Change::Lift));
        assert_eq!(day_change("1_000"), Ok(Change::To(1_000)));
        for bad in ["0", "-1", "None", "", "inf"] {
            assert!(
                rate_change(bad).is_err() && day_change(bad).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn parameters_are_json_or_plain_words() {
        let ok = |text| parameter(text).unwrap();
        assert_eq!(ok("top_p=0.9"), ("top_p".into(), "0.9".into()));
        assert_eq!(ok("user=bob"), ("user".into(), "\"bob\"".into()));
        assert_eq!(ok("stop=[\"a=b\"]"), ("stop".into(), "[\"a=b\"]".into()));
        assert!(parameter("stop=[\"a\"").is_err());
        assert!(parameter("top_p").is_err());
        assert!(parameter("=1").is_err());
    }
}
