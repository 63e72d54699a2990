//! Numbers that rules choose by, as their files write them.
//!
//! Owns their forms and what is said of others.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// The longest time a rule may name: a year, in seconds.
const MAX_SECONDS: f64 = 31_536_000.0;

/// Which of many, counted from 1: `3`, `"2..4"` with both ends, `"2.."`, `"..4"` or `"every 7"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nth {
    /// From the first to the second, both included.
    Range(u64, u64),
    /// Each whose number this divides.
    Every(u64),
}

impl Nth {
    /// Whether a number is among them.
    pub fn holds(self, n: u64) -> bool {
        match self {
            Nth::Range(from, to) => (from..=to).contains(&n),
            Nth::Every(step) => n.is_multiple_of(step),
        }
    }

    fn read(text: &str) -> Option<Nth> {
        let number = |text: &str| text.trim().parse().ok().filter(|n| *n >= 1);
        if let Some(step) = text.trim().strip_prefix("every ") {
            return number(step).map(Nth::Every);
        }
        let Some((from, to)) = text.split_once("..") else {
            return number(text).map(|n| Nth::Range(n, n));
        };
        let from = match from.trim() {
            "" => 1,
            from => number(from)?,
        };
        let to = match to.trim() {
            "" => u64::MAX,
            to => number(to)?,
        };
        (from <= to).then_some(Nth::Range(from, to))
    }
}

/// A probability, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// A probability, if the number is one.
    pub fn new(p: f64) -> Option<Probability> {
        (0.0..=1.0).contains(&p).then_some(Probability(p))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A time: seconds as a number, or text such as `"500ms"`, `"30s"`, `"2m"` or `"1h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

impl Seconds {
    fn read(text: &str) -> Option<Seconds> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Seconds::of(digits.trim().parse::<f64>().ok()? * factor)
    }

    fn of(seconds: f64) -> Option<Seconds> {
        let sound = (0.0..=MAX_SECONDS).contains(&seconds);
        sound.then(|| Seconds(Duration::from_secs_f64(seconds)))
    }
}

/// Reads numbers and texts by two functions.
struct Form<T> {
    expected: &'static str,
    number: fn(f64) -> Option<T>,
    text: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Form<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<T, E> {
        let value = (self.number)(n as f64);
        value.ok_or_else(|| E::invalid_value(Unexpected::Signed(n), &self))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<T, E> {
        let value = (self.number)(n as f64);
        value.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(n), &self))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<T, E> {
        let value = (self.number)(n);
        value.ok_or_else(|| E::invalid_value(Unexpected::Float(n), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let value = (self.text)(text);
        value.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Nth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Nth, D::Error> {
        from.deserialize_any(Form {
            expected: "a number from 1, a range such as \"1..3\" or \"2..\", or \"every 7\"",
            number: |n| (n >= 1.0 && n.fract() == 0.0).then_some(Nth::Range(n as u64, n as u64)),
            text: Nth::read,
        })
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Probability, D::Error> {
        from.deserialize_any(Form {
            expected: "a probability from 0 to 1",
            number: Probability::new,
            text: |_| None,
        })
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Seconds, D::Error> {
        from.deserialize_any(Form {
            expected: "a time of up to a year, such as 30, \"500ms\", \"2m\" or \"1h\"",
            number: Seconds::of,
            text: Seconds::read,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_forms() {
        let held = |text: &str| -> Vec<u64> {
            let nth = Nth::read(text).unwrap();
            (1..9).filter(|n| nth.holds(*n)).collect()
        };
        assert_eq!(held("3"), [3]);
        assert_eq!(held("2..4"), [2, 3, 4]);
        assert_eq!(held("7.."), [7, 8]);
        assert_eq!(held("..2"), [1, 2]);
        assert_eq!(held("every 3"), [3, 6]);
        for bad in ["", "0", "-1", "4..2", "every 0", "every", "a..b", "1...2"] {
            assert_eq!(Nth::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_have_units() {
        let ms = |text| Seconds::read(text).map(|seconds| seconds.0.as_millis());
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("1.5m"), Some(90_000));
        assert_eq!(ms("0"), Some(0));
        for bad in ["", "-1s", "1d", "1e99", "NaN", "s"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
