//! Headers of every profile, as literals, and whatever else stands in them.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::headers::read;
use super::told;
use crate::catalogue::RateHeaders;
use crate::endpoint::{BaseUrl, Dialect, Endpoint, TokenField};
use crate::headers::Headers;
use crate::provider::{Answer, decode, told_in_headers};
use crate::told::{Level, Meter, Told};

const PROFILES: [RateHeaders; 8] = [
    RateHeaders::PerMinute,
    RateHeaders::RequestsPerDay,
    RateHeaders::Seconds,
    RateHeaders::DayAndMinute,
    RateHeaders::PerSecond,
    RateHeaders::Anthropic,
    RateHeaders::None,
    RateHeaders::Unknown,
];

fn endpoint(dialect: Dialect, rate_headers: RateHeaders) -> Endpoint {
    Endpoint {
        name: "test".into(),
        dialect,
        base_url: BaseUrl::parse("https://api.example.com/v1").unwrap(),
        key: None,
        headers: Vec::new(),
        token_field: TokenField::MaxTokens,
        rate_headers,
        seed: crate::catalogue::Seed::None,
        http: crate::endpoint::HttpVersion::Auto,
    }
}

/// What a refusal with status 429 tells.
fn of_refusal(dialect: Dialect, lines: &[(&str, &str)], body: &str) -> Option<Told> {
    let endpoint = endpoint(dialect, RateHeaders::Unknown);
    let answer = Answer {
        status: 429,
        headers: &map(lines),
        body: body.as_bytes(),
        now: SystemTime::UNIX_EPOCH,
    };
    let failure = decode(&endpoint, &answer).unwrap_err();
    told(&endpoint, &answer, Some(&failure))
}

fn map(lines: &[(&str, &str)]) -> Headers {
    lines.iter().copied().collect()
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

#[test]
fn both_limits_of_the_common_form_are_read() {
    let headers = map(&[
        ("content-type", "application/json"),
        ("x-request-id", "req_1"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-limit-tokens_usage_based", "500"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999976"),
        ("x-ratelimit-remaining-tokens_usage_based", "1"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "0s"),
        ("x-ratelimit-reset-tokens_usage_based", "1m0s"),
    ]);
    let want = Told {
        requests: level(10_000.0, 60.0, 9_999.0),
        tokens: level(2_000_000.0, 60.0, 1_999_976.0),
        ..Told::default()
    };
    assert_eq!(read(RateHeaders::PerMinute, &headers), want);
    assert_eq!(read(RateHeaders::None, &headers), Told::default());
    let want = Told {
        requests: want.requests,
        ..Told::default()
    };
    assert_eq!(read(RateHeaders::Unknown, &headers), want);
}

#[test]
fn groq_tells_requests_per_day_and_tokens_per_minute() {
    let headers = map(&[
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-limit-tokens", "8000"),
        ("x-ratelimit-remaining-requests", "995"),
        ("x-ratelimit-remaining-tokens", "7923"),
        ("x-ratelimit-reset-requests", "7m12s"),
        ("x-ratelimit-reset-tokens", "577.5ms"),
    ]);
    let want = Told {
        requests_per_day: level(1_000.0, 86_400.0, 995.0),
        tokens: level(8_000.0, 60.0, 7_923.0),
        ..Told::default()
    };
    assert_eq!(read(RateHeaders::RequestsPerDay, &headers), want);
    assert_eq!(read(RateHeaders::Unknown, &headers), want);
}

#[test]
fn noise_of_milliseconds_leaves_the_usual_window() {
    let values = map(&[
        ("x-ratelimit-limit-tokens", "40000"),
        ("x-ratelimit-remaining-tokens", "39940"),
        ("x-ratelimit-reset-tokens", "6ms"),
    ]);
    let told = read(RateHeaders::PerMinute, &values);
    assert_eq!(told.tokens, level(40_000.0, 60.0, 39_940.0));
    assert!(read(RateHeaders::Unknown, &values).is_empty());
}

#[test]
fn cerebras_says_in_its_names_what_its_limits_are_for() {
    let headers = map(&[
        ("x-ratelimit-limit-requests-day", "14400"),
        ("x-ratelimit-limit-tokens-minute", "60000"),
        ("x-ratelimit-remaining-requests-day", "14399"),
        ("x-ratelimit-remaining-tokens-minute", "59000"),
        ("x-ratelimit-reset-requests-day", "33011.382867"),
        ("x-ratelimit-reset-tokens-minute", "11.382867"),
    ]);
    let want = Told {
        requests_per_day: level(14_400.0, 86_400.0, 14_399.0),
        tokens: level(60_000.0, 60.0, 59_000.0),
        ..Told::default()
    };
    assert_eq!(read(RateHeaders::DayAndMinute, &headers), want);
    assert_eq!(read(RateHeaders::Unknown, &headers), want);
    let more = map(&[
        ("x-ratelimit-limit-requests-minute", "30"),
        ("x-ratelimit-limit-requests-hour", "900"),
        ("x-ratelimit-limit-tokens-day", "1000000"),
        ("x-ratelimit-remaining-tokens-day", "oops"),
    ]);
    let told = read(RateHeaders::DayAndMinute, &more);
    let slower = told.requests.unwrap();
    assert_eq!((slower.limit, slower.per_s), (900.0, 0.25));
    assert_eq!(told.tokens_per_day.unwrap().remaining, None);
}

#[test]
fn together_tells_what_it_allows_in_a_second_now() {
    let plain = [
        ("x-ratelimit-limit", "10"),
        ("x-ratelimit-remaining", "9"),
        ("x-ratelimit-reset", "0.0001"),
        ("x-tokenlimit-limit", "3000"),
        ("x-tokenlimit-remaining", "2500"),
    ];
    let want = Told {
        requests: level(10.0, 1.0, 9.0),
        tokens: level(3_000.0, 1.0, 2_500.0),
        ..Told::default()
    };
    assert_eq!(read(RateHeaders::PerSecond, &map(&plain)), want);
    // Gateways have these names for other windows.
    assert!(read(RateHeaders::Unknown, &map(&plain)).is_empty());
    let moving = [
        ("x-ratelimit-limit-dynamic", "25.5"),
        ("x-ratelimit-remaining-dynamic", "20"),
        ("x-tokenlimit-limit-dynamic", "9000"),
    ];
    let told = read(
        RateHeaders::PerSecond,
        &map(&[&plain[..], &moving].concat()),
    );
    assert_eq!(told.requests, level(25.5, 1.0, 20.0));
    assert_eq!(told.tokens.unwrap().per_s, 9_000.0);
}

/// Headers of Anthropic with this date of the answer.
fn of_anthropic(profile: RateHeaders, date: Option<&str>, reset: &str) -> Told {
    let mut lines = vec![
        ("anthropic-ratelimit-requests-limit", "1000"),
        ("anthropic-ratelimit-requests-remaining", "950"),
        ("anthropic-ratelimit-requests-reset", reset),
        ("anthropic-ratelimit-input-tokens-limit", "80000"),
        ("anthropic-ratelimit-input-tokens-remaining", "80000"),
        ("anthropic-ratelimit-input-tokens-reset", reset),
        ("anthropic-ratelimit-output-tokens-limit", "16000"),
        ("anthropic-ratelimit-output-tokens-remaining", "15000"),
        ("anthropic-ratelimit-output-tokens-reset", reset),
        ("anthropic-ratelimit-tokens-limit", "96000"),
        ("anthropic-ratelimit-tokens-remaining", "95000"),
        ("anthropic-ratelimit-tokens-reset", reset),
        ("anthropic-priority-input-tokens-limit", "7"),
        ("anthropic-priority-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-unified-limit", "3"),
    ];
    lines.extend(date.map(|date| ("date", date)));
    read(profile, &map(&lines))
}

#[test]
fn anthropic_tells_three_limits_and_no_clock_changes_them() {
    let want = Told {
        requests: level(1_000.0, 60.0, 950.0),
        input_tokens: level(80_000.0, 60.0, 80_000.0),
        output_tokens: level(16_000.0, 60.0, 15_000.0),
        ..Told::default()
    };
    let date = Some("Thu, 21 Aug 2025 12:41:00 GMT");
    for profile in [RateHeaders::Anthropic, RateHeaders::Unknown] {
        for (date, reset) in [
            (date, "2025-08-21T12:41:03Z"),
            (date, "2025-08-21T12:41:03.25+00:00"),
            // In the past; without the answer's time; at a time that is none.
            (date, "2025-08-21T12:40:59Z"),
            (None, "2025-08-21T12:41:03Z"),
            (None, "2035-08-21T12:41:03Z"),
            (date, "2025-99-99T12:41:03Z"),
            (date, "9999-12-31T23:59:59Z"),
            (date, "soon"),
            (Some("yesterday"), "2025-08-21T12:41:03Z"),
        ] {
            let told = of_anthropic(profile, date, reset);
            assert_eq!(told, want, "{profile:?} {date:?} {reset}");
        }
    }
    // 50 of 1,000 that take 4,320 s to come back are per day.
    let told = of_anthropic(RateHeaders::Anthropic, date, "2025-08-21T13:53:00Z");
    assert_eq!(told.requests_per_day, level(1_000.0, 86_400.0, 950.0));
}

#[test]
fn the_limit_of_all_tokens_counts_where_it_says_something() {
    let of = |all: &str| {
        let headers = map(&[
            ("anthropic-ratelimit-tokens-limit", all),
            ("anthropic-ratelimit-input-tokens-limit", "80000"),
            ("anthropic-ratelimit-output-tokens-limit", "16000"),
        ]);
        read(RateHeaders::Anthropic, &headers).tokens
    };
    assert_eq!(["80000", "16000", "96000"].map(of), [None; 3]);
    assert_eq!(of("50000").unwrap().limit, 50_000.0);
    let alone = map(&[("anthropic-ratelimit-tokens-limit", "80000")]);
    let told = read(RateHeaders::Anthropic, &alone);
    assert_eq!(told.tokens.unwrap().remaining, None);
}

#[test]
fn numbers_that_are_none_are_absent() {
    for bad in [
        "-1",
        "0",
        "",
        "many",
        "NaN",
        "inf",
        "1e308",
        "1,000",
        "9999999999999999",
        "é",
        ".",
    ] {
        let told = of_requests(RateHeaders::PerMinute, [bad, bad, bad]);
        assert!(told.is_empty(), "{bad}");
    }
    for (left, want) in [
        ("-1", None),
        ("many", None),
        ("1e3", None),
        ("", None),
        ("0", Some(0.0)),
        ("12.5", Some(12.5)),
        // More than all.
        ("700", Some(600.0)),
        ("99999999999999999999", Some(600.0)),
    ] {
        let told = of_requests(RateHeaders::PerMinute, ["600", left, "1s"]);
        let requests = told.requests.unwrap();
        assert_eq!((requests.per_s, requests.remaining), (10.0, want), "{left}");
    }
    for reset in [
        "-1s",
        "1",
        "s",
        "1x",
        "1m1",
        "1e9s",
        "1790000000",
        "1790000000000",
        "µs",
        "1h-1m",
    ] {
        let told = of_requests(RateHeaders::PerMinute, ["600", "599", reset]);
        assert_eq!(told.requests, level(600.0, 60.0, 599.0), "{reset}");
    }
}

#[test]
fn the_first_of_two_headers_counts() {
    let name = "x-ratelimit-limit-requests";
    let told = read(RateHeaders::PerMinute, &map(&[(name, "60"), (name, "600")]));
    assert_eq!(told.requests.unwrap().limit, 60.0);
}

#[test]
fn a_refusal_tells_its_limit_in_words() {
    let body = |message: &str| {
        format!(r#"{{"error":{{"message":"{message}","type":"t","code":"rate_limit_exceeded"}}}}"#)
    };
    let tokens = "Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, \
                  Used 29500, Requested 1200. Please try again in 1.4s.";
    let want = Told {
        tokens: level(30_000.0, 60.0, 500.0),
        refused: Some(Meter::Tokens),
        ..Told::default()
    };
    let told = of_refusal(Dialect::Chat, &[], &body(tokens));
    assert_eq!(told, Some(want));
    // Headers know better.
    let headers = [
        ("x-ratelimit-limit-tokens", "40000"),
        ("x-ratelimit-remaining-tokens", "100"),
        ("x-ratelimit-reset-tokens", "59.85s"),
    ];
    let told = of_refusal(Dialect::Chat, &headers, &body(tokens)).unwrap();
    assert_eq!(told.tokens, level(40_000.0, 60.0, 100.0));
    assert_eq!(told.refused, Some(Meter::Tokens));
    let large = "Request too large for m in organization o on tokens per min (TPM): Limit 30000, \
                 Requested 40000.";
    let told = of_refusal(Dialect::Chat, &[], &body(large)).unwrap();
    assert_eq!((told.tokens.unwrap().remaining, told.refused), (None, None));
    let at_once = body("Number of concurrent connections has exceeded your rate limit.");
    let told = of_refusal(Dialect::Anthropic, &[], &at_once).unwrap();
    assert_eq!(told.refused, Some(Meter::InFlight));
    assert_eq!(of_refusal(Dialect::Chat, &[], &body("Slow down")), None);
    assert_eq!(of_refusal(Dialect::Chat, &[], "<html>busy</html>"), None);
}

#[test]
fn google_names_its_quotas() {
    let body = |violations: &str| {
        format!(
            r#"{{"error":{{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{{"violations":[{violations}]}}]}}}}"#
        )
    };
    let quota = |id: &str, value: &str| format!(r#"{{"quotaId":"{id}","quotaValue":{value}}}"#);
    let minute = quota(
        "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        r#""10""#,
    );
    let day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "50");
    let input = quota(
        "GenerateContentInputTokensPerModelPerMinute-FreeTier",
        r#""x""#,
    );
    let told = of_refusal(Dialect::Gemini, &[], &body(&minute)).unwrap();
    assert_eq!(told.requests, level(10.0, 60.0, 0.0));
    assert_eq!(told.refused, Some(Meter::Requests));
    let told = of_refusal(Dialect::Gemini, &[], &body(&input)).unwrap();
    assert_eq!(
        (told.input_tokens, told.refused),
        (None, Some(Meter::InputTokens))
    );
    let all = body(&[minute, day, input].join(","));
    let told = of_refusal(Dialect::Gemini, &[], &format!("[{all}]")).unwrap();
    assert_eq!(told.requests_per_day, level(50.0, 86_400.0, 0.0));
    assert_eq!(told.requests, level(10.0, 60.0, 0.0));
    assert_eq!(told.refused, Some(Meter::RequestsPerDay));
    let growth = quota("GenerateRequestsGrowthPerProjectPerModel", "0");
    assert_eq!(of_refusal(Dialect::Gemini, &[], &body(&growth)), None);
}

/// Whether everything that is told can be counted with.
fn check_told(told: &Told) -> Result<(), TestCaseError> {
    let Told {
        requests,
        requests_per_day,
        tokens,
        tokens_per_day,
        input_tokens,
        output_tokens,
        refused: _,
    } = *told;
    let all = [
        requests,
        requests_per_day,
        tokens,
        tokens_per_day,
        input_tokens,
        output_tokens,
    ];
    for level in all.into_iter().flatten() {
        let is_good = |number: f64| number.is_finite() && number > 0.0;
        prop_assert!(is_good(level.limit) && is_good(level.per_s), "{level:?}");
        let left = level.remaining.unwrap_or_default();
        prop_assert!((0.0..=level.limit).contains(&left), "{level:?}");
    }
    Ok(())
}

/// Names of which most are of a family.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "x-ratelimit-(limit|remaining|reset)(-(requests|tokens)(-(minute|hour|day))?|-dynamic)?",
        "x-tokenlimit-(limit|remaining|reset)(-dynamic)?",
        "anthropic-ratelimit-((input-|output-)?tokens|requests)-(limit|remaining|reset)",
        "(x-ratelimit-|x-tokenlimit-|anthropic-ratelimit-)[a-z-]{0,12}",
        Just("date".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{0,25}(\\.[0-9]{0,25})?",
        "([0-9]{1,4}(\\.[0-9]{1,3})?(h|m|s|ms)){0,4}",
        "(19|20|99)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][01][0-9]:00)",
        "(Mon|Thu), [0-3][0-9] (Aug|Dec) (1970|2025|9999) 12:41:00 GMT",
        "[ -~]{0,20}",
        "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn nothing_makes_headers_tell_what_cannot_be(
        lines in prop::collection::vec((name(), value()), 0..12),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            let value = HeaderValue::from_bytes(value.as_bytes());
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value) {
                headers.append(name, value);
            }
        }
        for profile in PROFILES {
            let told = told_in_headers(&endpoint(Dialect::Chat, profile), &Headers::from(&headers));
            check_told(&told.unwrap_or_default())?;
            prop_assert!(profile != RateHeaders::None || told.is_none());
        }
    }

    #[test]
    fn nothing_makes_words_tell_what_cannot_be(
        before in "\\PC{0,20}[0-9,.]{0,30} ?",
        noun in "((input |output )?tokens|requests|queries|\\PC{0,5})",
        per in "( per |-per-|per)(min|minute|sec|day|hour|\\PC{0,5})",
        after in "(\\PC{0,10}(limit|used|current):? ?-?[0-9,.]{0,30}){0,4}",
    ) {
        let message = format!("{before}{noun}{per}{after}");
        let error = serde_json::json!({"error": {"message": message, "type": "tokens"}});
        let told = of_refusal(Dialect::Chat, &[], &error.to_string());
        check_told(&told.unwrap_or_default())?;
    }

    /// A bucket of any size tells its window, wherever it stands, unless its usual one is another
    /// that agrees too.
    #[test]
    fn a_bucket_tells_its_window(
        limit in 20_u32..100_000,
        share in 0.0_f64..1.0,
        is_daily in any::<bool>(),
    ) {
        let window = if is_daily { 86_400.0 } else { 60.0 };
        let limit = f64::from(limit);
        // What is left is told as a whole number, and the time to the millisecond.
        let left = limit * share;
        let until_full = ((limit - left) / limit * window * 1e3).ceil() / 1e3;
        let told = of_requests(
            RateHeaders::PerMinute,
            [&limit.to_string(), &left.floor().to_string(), &format!("{until_full}s")],
        );
        let found = told.requests.or(told.requests_per_day);
        prop_assume!(limit - left > 1.0);
        prop_assert_eq!(found.map(|level| level.per_s), Some(limit / window));
    }
}
