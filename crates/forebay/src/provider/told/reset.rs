//! When a limit is whole again, in the ways of saying so.
//!
//! Owns durations as Go writes them, plain seconds, and dates. Never reads a clock: a date counts
//! only beside the answer's own, so that a wrong clock on this machine does no harm.

use std::time::{SystemTime, UNIX_EPOCH};

/// How long a limit needs to be whole again, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reset {
    /// The least time that the words can stand for; at least 0.
    pub(super) least: f64,
    /// The most time that they can stand for.
    pub(super) most: f64,
    /// Whether it is known to be the time in which a bucket fills up. Else it may be the end of a
    /// fixed window, whatever was used of it.
    pub(super) refills: bool,
}

/// The longest reset that is believed, in seconds: 31 days, as limits per month are the longest.
/// Larger numbers are points in time, which some write in this place.
const LONGEST: f64 = 31.0 * 86_400.0;

/// The days from 1 March of the year 0 to 1 January 1970 in today's calendar.
const DAYS_TO_1970: i64 = 719_468;

/// The digits that any number may have and still fit in 64 bits.
const MOST_DIGITS: usize = 19;

/// The rounding of durations with units: OpenAI and Groq write milliseconds.
const MILLISECOND: f64 = 0.001;

/// Reads a reset. `sent` is the time that the answer itself bears.
pub(super) fn read(text: &str, sent: impl FnOnce() -> Option<SystemTime>) -> Option<Reset> {
    let text = text.trim_ascii();
    let reset = if text.as_bytes().get(4) == Some(&b'-') {
        let until = until(text, sent()?)?;
        // The date has whole seconds, and so does the reset, which may be rounded to either side.
        Reset::around(until, 2.0, 1.0)
    } else if text.ends_with(['s', 'm', 'h']) {
        let mut reset = Reset::around(go_duration(text)?, MILLISECOND, MILLISECOND);
        reset.refills = true;
        reset
    } else {
        let rounded = if text.contains('.') { MILLISECOND } else { 1.0 };
        Reset::around(number(text)?, rounded, rounded)
    };
    (reset.most <= LONGEST).then_some(reset)
}

impl Reset {
    /// A time that is off by at most so much to either side; 0 stays 0.
    fn around(seconds: f64, below: f64, above: f64) -> Reset {
        Reset {
            least: (seconds - below).max(0.0),
            most: if seconds > 0.0 { seconds + above } else { 0.0 },
            refills: false,
        }
    }
}

/// A number of digits, with or without a fraction.
pub(super) fn number(text: &str) -> Option<f64> {
    let (mut whole, mut is_whole) = (0_u64, true);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => whole = whole.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' => is_whole = false,
            _ => return None,
        }
    }
    // What fits in 64 bits needs no more than this.
    match is_whole && (1..=MOST_DIGITS).contains(&text.len()) {
        true => Some(whole as f64),
        false => text.parse().ok(),
    }
}

/// A duration as Go writes it, such as `1h16m0.667s`, `6m0s` or `12ms`, in seconds.
fn go_duration(text: &str) -> Option<f64> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (amount, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit());
        let (unit, next) = after.split_at(letters.unwrap_or(after.len()));
        total += number(amount)? * seconds_of(unit)?;
        rest = next;
    }
    Some(total)
}

/// The seconds of a unit of Go's durations.
fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "h" => Some(3_600.0),
        "m" => Some(60.0),
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" => Some(1e-6),
        "ns" => Some(1e-9),
        _ => None,
    }
}

/// The seconds from a time to a date of RFC 3339; 0 when it has passed.
fn until(text: &str, sent: SystemTime) -> Option<f64> {
    let date = match plain_date(text.as_bytes()) {
        Some(seconds) => seconds as f64,
        None => {
            let date: jiff::Timestamp = text.parse().ok()?;
            date.as_second() as f64 + f64::from(date.subsec_nanosecond()) / 1e9
        }
    };
    let sent = sent.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some((date - sent).max(0.0))
}

/// The seconds since the epoch of a date in the form that Anthropic writes,
/// `2025-08-21T12:41:03Z`, which is read four times an answer; `None` for any other form.
fn plain_date(text: &[u8]) -> Option<i64> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *text
    else {
        return None;
    };
    let two = |tens: u8, ones: u8| {
        let are_digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        are_digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    };
    let (year, month, day) = (
        two(y1, y2)? * 100 + two(y3, y4)?,
        two(m1, m2)?,
        two(d1, d2)?,
    );
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    // Dates that no calendar has are left to a reader that knows the months.
    let is_plain = (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_plain {
        return None;
    }
    // Years begin in March here, so that a leap day is the last one of its year.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 1;
    Some((days - DAYS_TO_1970) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, want) in [
            ("0s", Some(0.0)),
            ("1s", Some(1.0)),
            ("12ms", Some(0.012)),
            ("6m0s", Some(360.0)),
            ("1h16m0.667s", Some(4_560.667)),
            ("577.5ms", Some(0.577_5)),
            ("24h0m0s", Some(86_400.0)),
            ("1us", Some(1e-6)),
            ("1m 5s", None),
            ("-5s", None),
            ("ms", None),
            ("1d", None),
        ] {
            assert_eq!(go_duration(text), want, "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        for (text, want) in [
            ("0", Some(0.0)),
            ("2000000", Some(2e6)),
            ("9999999999999999999", Some(1e19)),
            ("123456789012345678901", Some(123_456_789_012_345_678_901.0)),
            ("33011.382867", Some(33_011.382_867)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("-1", None),
            ("1e3", None),
            ("1,000", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn plain_dates_are_read_as_the_calendar_has_them(seconds in -2_000_000_000_i64..40_000_000_000) {
            let text = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            prop_assume!(text.len() == 20 && text.starts_with(['1', '2', '3']));
            let day: i64 = text[8..10].parse().unwrap();
            let want = (day <= 28).then_some(seconds);
            prop_assert_eq!(plain_date(text.as_bytes()), want);
        }
    }
}
