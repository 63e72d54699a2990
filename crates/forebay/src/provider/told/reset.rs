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

/// The rounding of durations with units: OpenAI and Groq write milliseconds.
const MILLISECOND: f64 = 0.001;

/// Reads a reset. `sent` is the time that the answer itself bears.
pub(super) fn read(text: &str, sent: impl FnOnce() -> Option<SystemTime>) -> Option<Reset> {
    let text = text.trim();
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
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if !text.bytes().all(is_plain) {
        return None;
    }
    text.parse().ok()
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
    let date: jiff::Timestamp = text.parse().ok()?;
    let date = date.as_nanosecond() as f64 / 1e9;
    let sent = sent.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some((date - sent).max(0.0))
}
