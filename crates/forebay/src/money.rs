//! Money as whole pico-dollars, so that sums are exact.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use crate::fields::push_number;

/// Pico-dollars in a dollar.
const PICOS_PER_DOLLAR: i128 = 1_000_000_000_000;

/// An amount of US dollars, in whole pico-dollars (10⁻¹² USD).
///
/// A price of one token is at least a few thousand pico-dollars, so nothing is rounded away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(i128);

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);

    /// An amount in pico-dollars.
    pub const fn from_picos(picos: i128) -> Usd {
        Usd(picos)
    }

    /// The amount in pico-dollars.
    pub const fn picos(self) -> i128 {
        self.0
    }

    /// An amount from a floating number of dollars, rounded to the nearest pico-dollar.
    ///
    /// `None` when the number is not finite or too large.
    pub fn from_dollars(dollars: f64) -> Option<Usd> {
        let picos = dollars * PICOS_PER_DOLLAR as f64;
        (picos.is_finite() && picos.abs() < 1e30).then(|| Usd(picos.round() as i128))
    }

    /// The amount as a floating number of dollars, for estimates and display.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / PICOS_PER_DOLLAR as f64
    }

    /// This price for `n` units.
    pub fn times(self, n: u64) -> Usd {
        Usd(self.0.saturating_mul(i128::from(n)))
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        Usd(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

impl Usd {
    /// Appends the amount as it is shown, which is a JSON number too.
    pub fn push(self, out: &mut Vec<u8>) {
        let Ok(picos) = u64::try_from(self.0) else {
            // Negative, or more than eighteen million dollars.
            out.extend_from_slice(self.to_string().as_bytes());
            return;
        };
        let per_dollar = PICOS_PER_DOLLAR as u64;
        push_number(out, picos / per_dollar);
        let mut rest = picos % per_dollar;
        if rest > 0 {
            out.push(b'.');
        }
        let mut unit = per_dollar / 10;
        while rest > 0 {
            out.push(b'0' + (rest / unit) as u8);
            rest %= unit;
            unit /= 10;
        }
    }
}

/// Shows the exact amount in dollars without an exponent: `0.000123`, `12`, `-0.5`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / PICOS_PER_DOLLAR.unsigned_abs();
        let rest = self.0.unsigned_abs() % PICOS_PER_DOLLAR.unsigned_abs();
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:012}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_they_are_shown() {
        for picos in [
            0,
            1,
            10,
            42_000_000,
            103_500_000,
            PICOS_PER_DOLLAR,
            7 * PICOS_PER_DOLLAR + 50,
        ]
        .into_iter()
        .chain([-3, -PICOS_PER_DOLLAR / 2, i128::MAX, u64::MAX.into()])
        {
            let mut out = Vec::new();
            Usd::from_picos(picos).push(&mut out);
            let shown = Usd::from_picos(picos).to_string();
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }

    #[test]
    fn amounts_are_shown_exactly() {
        assert_eq!(Usd::from_picos(123_000_000).to_string(), "0.000123");
        assert_eq!(Usd::from_picos(12 * PICOS_PER_DOLLAR).to_string(), "12");
        assert_eq!(Usd::from_picos(-PICOS_PER_DOLLAR / 2).to_string(), "-0.5");
        assert_eq!(Usd::from_picos(1).to_string(), "0.000000000001");
        assert_eq!(Usd::ZERO.to_string(), "0");
    }

    #[test]
    fn token_prices_survive_the_way_from_floats() {
        assert_eq!(Usd::from_dollars(1.5e-7), Some(Usd::from_picos(150_000)));
        assert_eq!(Usd::from_dollars(f64::NAN), None);
        assert_eq!(Usd::from_dollars(f64::INFINITY), None);
    }
}
