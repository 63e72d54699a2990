//! How long a provider asks to wait, in the many ways of saying so.
//!
//! Owns the order of the sources and the scanner for waits in prose. Never waits, never reads a
//! clock, and never fails: what cannot be understood is absent.

use std::time::{Duration, SystemTime};

use super::Answer;
use crate::headers::{Headers, printable};

/// The longest wait that is told apart from longer ones: ten years of 365 days.
///
/// Absurd waits (1e308 s) come down to it, so that adding one to a time cannot overflow. Whoever
/// waits has a limit of minutes anyway.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The wait that an answer asks for.
///
/// The first source that names a valid wait counts: the header `retry-after-ms`, `retry-after` in
/// seconds, `retry-after` as a date less the answer's own `Date` (so that a wrong local clock
/// does no harm), the body's `retryDelay`, the words of the message. Zero, negative and
/// unreadable waits are absent; of two headers of the same name the larger valid one counts.
pub(super) fn retry_after(
    answer: &Answer<'_>,
    retry_delay: Option<&str>,
    message: Option<&str>,
) -> Option<Duration> {
    let headers = answer.headers;
    largest(headers, "retry-after-ms", |text| number(text, 0.001))
        .or_else(|| largest(headers, "retry-after", |text| number(text, 1.0)))
        .or_else(|| {
            let sent = date(headers).unwrap_or(answer.now);
            largest(headers, "retry-after", |text| until(text, sent))
        })
        .or_else(|| number(retry_delay?.trim().strip_suffix('s')?, 1.0))
        .or_else(|| in_words(message?))
}

/// The largest valid wait among the headers of a name.
fn largest(
    headers: &Headers,
    name: &str,
    read: impl Fn(&str) -> Option<Duration>,
) -> Option<Duration> {
    let values = headers.all(name);
    values.filter_map(|value| read(printable(value)?)).max()
}

/// The answer's own time.
fn date(headers: &Headers) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.text("date")?).ok()
}

/// The wait until an HTTP date.
fn until(text: &str, sent: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    positive(date.duration_since(sent).ok()?)
}

/// A wait written as a number of units of so many seconds.
fn number(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    // Rust reads "inf" and "nan" as numbers; headers have only digits.
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(is_plain) {
        return None;
    }
    seconds(text.parse::<f64>().ok()? * unit)
}

/// A wait of so many seconds.
fn seconds(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() {
        return None;
    }
    let capped = seconds.clamp(0.0, LONGEST.as_secs_f64());
    positive(Duration::try_from_secs_f64(capped).ok()?)
}

fn positive(wait: Duration) -> Option<Duration> {
    (wait > Duration::ZERO).then(|| wait.min(LONGEST))
}

/// The phrases before a wait in a message, in lower case.
const LEADS: [&str; 4] = [
    "try again in ",
    "try again after ",
    "retry after ",
    "retry in ",
];

/// The units of a wait in a message and their seconds; of two that fit, the longer first.
const UNITS: [(&str, f64); 16] = [
    ("milliseconds", 0.001),
    ("millisecond", 0.001),
    ("msec", 0.001),
    ("ms", 0.001),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("mins", 60.0),
    ("min", 60.0),
    ("m", 60.0),
    ("seconds", 1.0),
    ("second", 1.0),
    ("secs", 1.0),
    ("sec", 1.0),
    ("s", 1.0),
    ("hours", 3600.0),
    ("h", 3600.0),
];

/// How much of a message is searched, in bytes; waits stand in the first sentences.
const SEARCHED: usize = 4096;

/// The wait that a message names: `Please try again in 1m2.5s`, `retry after 12 seconds`.
fn in_words(message: &str) -> Option<Duration> {
    let head = &message[..message.floor_char_boundary(SEARCHED)];
    let lower = head.to_ascii_lowercase();
    LEADS.iter().find_map(|lead| {
        let mut ends = lower.match_indices(lead).map(|(at, _)| at + lead.len());
        ends.find_map(|end| duration(&lower[end..]))
    })
}

/// A duration at the beginning of a text: numbers, each with its unit.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while let Some((value, after)) = amount(rest) {
        total += value;
        rest = after;
    }
    seconds(total)
}

/// A number with its unit at the beginning of a text, in seconds, and what follows.
fn amount(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start_matches(' ');
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(text);
    if end > 0 && text[end..].starts_with('.') {
        let fraction = digits(&text[end + 1..]);
        end += if fraction > 0 { 1 + fraction } else { 0 };
    }
    let number: f64 = text[..end].parse().ok()?;
    let rest = text[end..].trim_start_matches(' ');
    UNITS.iter().find_map(|(unit, seconds)| {
        let after = rest.strip_prefix(unit)?;
        let ends = !after.starts_with(|c: char| c.is_ascii_alphabetic());
        ends.then_some((number * seconds, after))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn wait(
        headers: &[(&str, &str)],
        delay: Option<&str>,
        message: Option<&str>,
    ) -> Option<Duration> {
        let map: Headers = headers.iter().copied().collect();
        let answer = Answer {
            status: 429,
            headers: &map,
            body: b"",
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        };
        retry_after(&answer, delay, message)
    }

    fn date_in(seconds: i64) -> String {
        let at = NOW.saturating_add_signed(seconds);
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(at))
    }

    #[test]
    fn a_header_of_seconds_is_read_or_absent() {
        for (value, want) in [
            ("5", Some(5.0)),
            (" 0.5 ", Some(0.5)),
            ("1e2", Some(100.0)),
            ("1e308", Some(LONGEST.as_secs_f64())),
            ("1e999", Some(LONGEST.as_secs_f64())),
            ("99999999999999999999", Some(LONGEST.as_secs_f64())),
            ("315360001", Some(LONGEST.as_secs_f64())),
            ("0", None),
            ("-0", None),
            ("-5", None),
            ("-1e999", None),
            ("1e-99", None),
            ("NaN", None),
            ("inf", None),
            ("abc", None),
            ("", None),
            ("5s", None),
            ("é", None),
        ] {
            let want = want.map(Duration::from_secs_f64);
            assert_eq!(wait(&[("retry-after", value)], None, None), want, "{value}");
        }
    }

    #[test]
    fn sources_are_asked_in_order() {
        let all: [(&str, &str); 2] = [("retry-after-ms", "1500"), ("retry-after", "7")];
        let words = Some("try again in 9s");
        let wait = |headers: &[(&str, &str)], delay| wait(headers, delay, words);
        assert_eq!(wait(&all, Some("8s")), Some(Duration::from_millis(1500)));
        assert_eq!(wait(&all[1..], Some("8s")), Some(Duration::from_secs(7)));
        let bad = [("retry-after-ms", "-1"), ("retry-after", "x")];
        assert_eq!(wait(&bad, Some("8s")), Some(Duration::from_secs(8)));
        assert_eq!(wait(&bad, Some("x")), Some(Duration::from_secs(9)));
        let two = [
            ("retry-after", "3"),
            ("retry-after", "4"),
            ("retry-after", "-9"),
        ];
        assert_eq!(wait(&two, None), Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_date_is_measured_from_the_answers_own_date() {
        let (past, soon, later) = (date_in(-10), date_in(30), date_in(3600));
        assert_eq!(
            wait(&[("retry-after", &soon)], None, None),
            Some(Duration::from_secs(30))
        );
        let skewed = [("retry-after", &*later), ("date", &*soon)];
        assert_eq!(wait(&skewed, None, None), Some(Duration::from_secs(3570)));
        let unreadable = [("retry-after", &*soon), ("date", "yesterday")];
        assert_eq!(wait(&unreadable, None, None), Some(Duration::from_secs(30)));
        assert_eq!(wait(&[("retry-after", &past)], None, None), None);
        assert_eq!(
            wait(
                &[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")],
                None,
                None
            ),
            Some(LONGEST)
        );
    }

    #[test]
    fn waits_in_words_are_found() {
        for (message, want) in [
            (
                "Limit 3, Used 3. Please try again in 5.289s. Visit",
                Some(5.289),
            ),
            ("Please try again in 93ms.", Some(0.093)),
            ("Please try again in 1m2.5s.", Some(62.5)),
            ("Please try again in 1h16m0.667s", Some(4560.667)),
            ("Please try again in 6m0s.", Some(360.0)),
            ("Please retry after 12 seconds.", Some(12.0)),
            ("Please retry after 1 second.", Some(1.0)),
            ("Please retry in 57.238747106s.", Some(57.238_747_106)),
            ("TRY AGAIN IN 2 minutes", Some(120.0)),
            ("try again in a while, or try again in 20s", Some(20.0)),
            (
                "try again in 99999999999999999999h",
                Some(LONGEST.as_secs_f64()),
            ),
            ("try again in 0s", None),
            ("try again in 5", None),
            ("try again in 5 sheep", None),
            ("try again in .s", None),
            ("retry after", None),
            ("wait 5s", None),
            ("", None),
        ] {
            let want = want.map(Duration::from_secs_f64);
            assert_eq!(wait(&[], None, Some(message)), want, "{message}");
        }
        assert_eq!(
            wait(&[], Some("57.238747106s"), None),
            Some(Duration::from_secs_f64(57.238_747_106))
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_exceed_the_longest(
            header in "[ -~é]{0,40}",
            number in "-?[0-9]{0,30}(\\.[0-9]{0,30})?([eE][-+]?[0-9]{1,4})?",
            delay in "\\PC{0,30}",
            words in "(try again in |retry after )[0-9a-z. é]{0,40}",
        ) {
            for value in [&header, &number] {
                let found = wait(
                    &[("retry-after", value), ("retry-after-ms", value), ("date", value)],
                    Some(&delay),
                    Some(&words),
                );
                if let Some(found) = found {
                    prop_assert!(found > Duration::ZERO && found <= LONGEST);
                }
            }
        }
    }
}
