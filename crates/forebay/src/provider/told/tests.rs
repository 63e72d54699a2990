//! Headers of every profile, as literals, and whatever else stands in them.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::read;
use crate::catalogue::RateHeaders;
use crate::told::{Level, Told};

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    map
}

/// A level of so much per so many seconds.
fn level(limit: f64, seconds: f64, remaining: f64) -> Option<Level> {
    Some(Level {
        limit,
        per_s: limit / seconds,
        remaining: Some(remaining),
    })
}

/// What `x-ratelimit-*-requests` with these values tell.
fn of_requests(profile: RateHeaders, values: [&str; 3]) -> Told {
    let [limit, remaining, reset] = values;
    read(
        profile,
        &map(&[
            ("x-ratelimit-limit-requests", limit),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", reset),
        ]),
    )
}

#[test]
fn the_window_of_requests_is_recognised_by_its_refill() {
    use RateHeaders::{PerMinute, RequestsPerDay, Seconds, Unknown};
    for (profile, values, minute, day) in [
        // The example of OpenAI's guide.
        (PerMinute, ["60", "59", "1s"], level(60.0, 60.0, 59.0), None),
        (Unknown, ["60", "59", "1s"], level(60.0, 60.0, 59.0), None),
        // A low tier of OpenAI; Groq.
        (
            PerMinute,
            ["200", "199", "7m12s"],
            None,
            level(200.0, 86_400.0, 199.0),
        ),
        (
            PerMinute,
            ["10000", "9999", "8.64s"],
            None,
            level(1e4, 86_400.0, 9_999.0),
        ),
        (
            RequestsPerDay,
            ["1000", "995", "7m12s"],
            None,
            level(1e3, 86_400.0, 995.0),
        ),
        (
            Unknown,
            ["1000", "995", "7m12s"],
            None,
            level(1e3, 86_400.0, 995.0),
        ),
        // Part of the request has come back already.
        (
            PerMinute,
            ["60", "59", "31ms"],
            level(60.0, 60.0, 59.0),
            None,
        ),
        (
            PerMinute,
            ["200", "199", "21.6s"],
            None,
            level(200.0, 86_400.0, 199.0),
        ),
        (
            PerMinute,
            ["500", "0", "1m0s"],
            level(500.0, 60.0, 0.0),
            None,
        ),
        (
            PerMinute,
            ["500", "0", "4m0s"],
            level(500.0, 60.0, 0.0),
            None,
        ),
        // Nothing is used, or nothing said.
        (PerMinute, ["60", "60", "0s"], level(60.0, 60.0, 60.0), None),
        (
            PerMinute,
            ["60", "60", "7m12s"],
            level(60.0, 60.0, 60.0),
            None,
        ),
        (
            PerMinute,
            ["60", "59", "soon"],
            level(60.0, 60.0, 59.0),
            None,
        ),
        (
            RequestsPerDay,
            ["60", "60", "0s"],
            None,
            level(60.0, 86_400.0, 60.0),
        ),
        (Unknown, ["60", "60", "0s"], None, None),
        (Unknown, ["60", "0", "soon"], None, None),
        // Groq's profile with a limit per minute.
        (
            RequestsPerDay,
            ["60", "30", "30s"],
            level(60.0, 60.0, 30.0),
            None,
        ),
        // A second and an hour, exactly.
        (Unknown, ["10", "5", "500ms"], level(10.0, 1.0, 5.0), None),
        (
            Unknown,
            ["100", "50", "30m0s"],
            level(100.0, 3_600.0, 50.0),
            None,
        ),
        // Whole seconds, as Azure has them; one of them says nothing.
        (
            Seconds,
            ["500", "499", "1"],
            level(500.0, 60.0, 499.0),
            None,
        ),
        (
            Seconds,
            ["500", "400", "12"],
            level(500.0, 60.0, 400.0),
            None,
        ),
        (
            Seconds,
            ["500", "499", "60"],
            level(500.0, 60.0, 499.0),
            None,
        ),
        (
            Unknown,
            ["500", "400", "12"],
            level(500.0, 60.0, 400.0),
            None,
        ),
    ] {
        let told = of_requests(profile, values);
        assert_eq!(
            (told.requests, told.requests_per_day),
            (minute, day),
            "{profile:?} {values:?}"
        );
    }
}
