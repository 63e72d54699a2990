//! Numbers as people read them: counts, durations, rates, dollars.
//!
//! Never rounds what a program reads; JSON has the plain numbers.

use std::time::Duration;

use forebay::money::Usd;

/// Seconds in a minute, and minutes in an hour.
const SIXTY: u64 = 60;

/// A count with a comma between thousands: `31,204`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 row`, `2 rows`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// A duration to two or three digits: `41 ms`, `0.41 s`, `12.4 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let s = duration.as_secs_f64();
    // Each bound is where the form below it would round up into the next one.
    if s < 0.0995 {
        return format!("{:.0} ms", s * 1e3);
    }
    if s < 9.995 {
        return format!("{s:.2} s");
    }
    if s < 59.95 {
        return format!("{s:.1} s");
    }
    let whole = s.round() as u64;
    if whole < SIXTY * SIXTY {
        return format!("{} min {:02} s", whole / SIXTY, whole % SIXTY);
    }
    let minutes = (s / 60.0).round() as u64;
    format!("{} h {:02} min", count(minutes / SIXTY), minutes % SIXTY)
}

/// A duration as a clock shows it: `0:07`, `3:20`, `2:05:00`.
pub(crate) fn clock(duration: Duration) -> String {
    let s = duration.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (s / (SIXTY * SIXTY), s / SIXTY % SIXTY, s % SIXTY);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// An amount of dollars: cents from a dollar on, more digits below: `$12.34`, `$0.0421`.
pub(crate) fn dollars(amount: Usd) -> String {
    let value = amount.dollars().abs();
    let sign = if amount < Usd::ZERO { "-" } else { "" };
    if value == 0.0 {
        return "$0".into();
    }
    if value >= 0.995 {
        let cents = (value * 100.0).round() as u64;
        return format!("{sign}${}.{:02}", count(cents / 100), cents % 100);
    }
    let decimals = if value >= 0.01 {
        4
    } else {
        // Two digits after the leading zeros; a pico-dollar has twelve decimals.
        (1.0 - value.log10().floor()).min(12.0) as usize
    };
    format!("{sign}${}", trimmed(&format!("{value:.decimals$}"), 2))
}

/// A rate per second without its unit: `0.25`, `4.03`, `40.3`, `1,234`.
pub(crate) fn rate(per_s: f64) -> String {
    if per_s < 9.995 {
        format!("{per_s:.2}")
    } else if per_s < 99.95 {
        format!("{per_s:.1}")
    } else {
        count(per_s.round() as u64)
    }
}

/// A limit: whole from a hundred on, with what decimals it has below: `0.5`, `37.5`, `1,200`.
pub(crate) fn number(n: f64) -> String {
    if n < 0.1 {
        return n.to_string();
    }
    if n >= 99.995 {
        return count(n.round() as u64);
    }
    let text = format!("{n:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A large number in short: `980`, `5.2k`, `31k`, `1.2M`.
pub(crate) fn short(n: f64) -> String {
    for (unit, size) in [("G", 1e9), ("M", 1e6), ("k", 1e3)] {
        // 999.5 k would be shown as `1000k`.
        if n >= size * 0.9995 {
            let scaled = n / size;
            let decimals = usize::from(scaled < 9.95);
            return format!("{scaled:.decimals$}{unit}");
        }
    }
    format!("{n:.0}")
}

/// The price of a million units at this price of one, in dollars without the sign: `0.15`.
pub(crate) fn per_million(price: Usd) -> String {
    let exact = price.times(1_000_000).to_string();
    if exact.contains('.') {
        let cents = exact.split_once('.').map_or(0, |(_, cents)| cents.len());
        format!("{exact}{}", "0".repeat(2usize.saturating_sub(cents)))
    } else {
        format!("{exact}.00")
    }
}

/// A decimal number without zeros at its end, but with at least so many decimals.
fn trimmed(number: &str, decimals: usize) -> &str {
    let at_least = number.find('.').map_or(0, |dot| dot + 1 + decimals);
    let end = number.trim_end_matches('0').len();
    &number[..end.max(at_least).min(number.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (31_204, "31,204"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2000, "row"), "2,000 rows");
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        for (s, text) in [
            (0.0, "0 ms"),
            (0.0412, "41 ms"),
            (0.0996, "0.10 s"),
            (0.41, "0.41 s"),
            (9.996, "10.0 s"),
            (12.44, "12.4 s"),
            (59.96, "1 min 00 s"),
            (200.0, "3 min 20 s"),
            (3599.6, "1 h 00 min"),
            (7500.0, "2 h 05 min"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(s)), text);
        }
        for (s, text) in [(7, "0:07"), (200, "3:20"), (7500, "2:05:00")] {
            assert_eq!(clock(Duration::from_secs(s)), text);
        }
    }

    #[test]
    fn dollars_have_digits_that_say_something() {
        for (amount, text) in [
            (0.0, "$0"),
            (0.000_000_3, "$0.0000003"),
            (0.000_123_4, "$0.00012"),
            (0.0421, "$0.0421"),
            (0.21, "$0.21"),
            (0.999_96, "$1.00"),
            (12.345_6, "$12.35"),
            (1234.5, "$1,234.50"),
            (-0.5, "-$0.50"),
        ] {
            assert_eq!(dollars(Usd::from_dollars(amount).unwrap()), text);
        }
        assert_eq!(dollars(Usd::from_picos(1)), "$0.000000000001");
    }

    #[test]
    fn rates_and_large_numbers_are_short() {
        for (n, text) in [
            (0.254, "0.25"),
            (9.996, "10.0"),
            (40.31, "40.3"),
            (1234.4, "1,234"),
        ] {
            assert_eq!(rate(n), text);
        }
        for (n, text) in [
            (980.0, "980"),
            (999.9, "1.0k"),
            (5234.0, "5.2k"),
            (31_204.0, "31k"),
        ] {
            assert_eq!(short(n), text);
        }
        assert_eq!(short(1_200_000.0), "1.2M");
    }

    #[test]
    fn limits_have_the_decimals_that_they_need() {
        for (n, text) in [
            (0.001, "0.001"),
            (0.5, "0.5"),
            (37.5, "37.5"),
            (100.0, "100"),
            (30.0, "30"),
            (99.999, "100"),
            (1_200.4, "1,200"),
        ] {
            assert_eq!(number(n), text);
        }
    }

    #[test]
    fn prices_are_exact_and_have_cents() {
        for (picos, text) in [(150_000, "0.15"), (75_000, "0.075"), (2_500_000, "2.50")] {
            assert_eq!(per_million(Usd::from_picos(picos)), text);
        }
        assert_eq!(per_million(Usd::from_picos(12_000_000)), "12.00");
        assert_eq!(per_million(Usd::ZERO), "0.00");
    }
}
