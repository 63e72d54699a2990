//! Answers of providers: replies, failures, how long they make one wait, and what they tell of
//! limits.

use std::time::{Duration, SystemTime};

use forebay::catalogue::RateHeaders;
use forebay::config::{EngineSettings, RetrySettings};
use forebay::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, TokenField};
use forebay::headers::Headers;
use forebay::limit::{Limiter, Need};
use forebay::outcome::{Failure, Outcome, Reply};
use forebay::provider::{self, Answer, Delta, StreamReader};
use forebay::retry::{self, Decision, Tries};
use forebay::row::{RawAnswer, RowBody, write_row};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;

const KEY: &str = "sk-fuzz-0123456789abcdef";

/// Ten years, the longest wait that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Every way in which rate headers are read.
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

/// Statuses of error answers that are treated differently.
const STATUSES: [u16; 16] = [
    400, 401, 402, 403, 404, 408, 413, 422, 425, 429, 498, 500, 503, 529, 302, 999,
];

/// Reads an answer with status 200 of the OpenAI dialect.
///
/// The first byte chooses the content type: of an event stream when it is odd.
pub fn openai_answer(input: &[u8]) {
    good_answer(Dialect::Chat, input);
}

/// Reads an answer with status 200 of the Anthropic dialect; the first byte as in the other.
pub fn anthropic_answer(input: &[u8]) {
    good_answer(Dialect::Anthropic, input);
}

/// Reads an answer with status 200 of the responses dialect; the first byte as in the others.
pub fn responses_answer(input: &[u8]) {
    good_answer(Dialect::Responses, input);
}

/// Reads an answer with status 200 of the Gemini dialect; the first byte as in the others.
pub fn gemini_answer(input: &[u8]) {
    good_answer(Dialect::Gemini, input);
}

fn good_answer(provider: Dialect, input: &[u8]) {
    let Some((form, body)) = input.split_first() else {
        return;
    };
    let mut headers = Vec::new();
    if form % 2 == 1 {
        headers.push(("content-type", "text/event-stream"));
    }
    let headers = headers.into_iter().collect();
    let endpoint = endpoint(provider);
    let outcome = decoded(&endpoint, 200, &headers, body);
    if let Ok(reply) = &outcome {
        check_size(reply, body);
    }
    check_row(&outcome, body);
    let whole = streamed(&endpoint, body, std::iter::once(body));
    assert_eq!(
        streamed(&endpoint, body, body.chunks(1)),
        whole,
        "byte by byte"
    );
    assert_eq!(
        streamed(&endpoint, body, body.chunks(7)),
        whole,
        "in chunks"
    );
}

/// What comes of a stream in these pieces, and what it tells on its way, joined by kind.
fn streamed<'a>(
    endpoint: &Endpoint,
    body: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (String, [String; 3]) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    let mut reader = StreamReader::new(endpoint, 200, Headers::default(), now);
    let mut told: [String; 3] = Default::default();
    let mut tell = |delta: Delta<'_>| match delta {
        Delta::Text(text) => told[0] += text,
        Delta::Reasoning(text) => told[1] += text,
        Delta::ToolCall {
            index,
            id,
            name,
            arguments,
        } => told[2] += &format!("{index} {id} {name} {arguments};"),
        _ => {}
    };
    let mut early = None;
    for piece in pieces {
        if let Err(failure) = reader.push(piece, &mut tell) {
            early = Some(failure);
            break;
        }
    }
    let outcome = match early {
        Some(failure) => Err(failure),
        None => reader.finish(&mut tell).0,
    };
    match &outcome {
        Ok(reply) => check_size(reply, body),
        Err(failure) => check_failure(failure),
    }
    check_row(&outcome, body);
    (format!("{outcome:?}"), told)
}

/// Reads an answer that is an error.
///
/// The first byte chooses the status, then come lines of headers, a blank line, and the body.
pub fn error_answer(input: &[u8]) {
    let Some((form, rest)) = input.split_first() else {
        return;
    };
    let status = STATUSES[usize::from(form % 16)];
    let provider = match form / 16 % 4 {
        0 => Dialect::Chat,
        1 => Dialect::Anthropic,
        2 => Dialect::Responses,
        _ => Dialect::Gemini,
    };
    let (head, body) = split_head(rest);
    let endpoint = endpoint(provider);
    let outcome = decoded(&endpoint, status, &headers_of(head), body);
    check_row(&outcome, body);
    let failure = outcome.expect_err("an error status is no reply");
    assert_eq!(failure.status, Some(status));
    check_wait(&failure);
}

fn endpoint(provider: Dialect) -> Endpoint {
    Endpoint {
        name: "fuzz".to_owned(),
        dialect: provider,
        base_url: BaseUrl::parse("https://api.example.com/v1").expect("a good URL"),
        key: Some(ApiKey::new(KEY).expect("a good key")),
        headers: Vec::new(),
        token_field: TokenField::MaxCompletionTokens,
        rate_headers: RateHeaders::Unknown,
        seed: forebay::catalogue::Seed::None,
        http: forebay::endpoint::HttpVersion::Auto,
    }
}

fn decoded(endpoint: &Endpoint, status: u16, headers: &Headers, body: &[u8]) -> Outcome {
    let answer = Answer {
        status,
        headers,
        body,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    };
    let outcome = provider::decode(endpoint, &answer);
    if let Err(failure) = &outcome {
        check_failure(failure);
    }
    check_told(endpoint, &answer, outcome.as_ref().err());
    outcome
}

/// Whatever headers and words say of limits, in any profile: what is told can be counted with.
fn check_told(endpoint: &Endpoint, answer: &Answer<'_>, failure: Option<&Failure>) {
    for rate_headers in PROFILES {
        let endpoint = Endpoint {
            rate_headers,
            ..endpoint.clone()
        };
        let told = provider::told(&endpoint, answer, failure).unwrap_or_default();
        let levels = [
            told.requests,
            told.requests_per_day,
            told.tokens,
            told.tokens_per_day,
            told.input_tokens,
            told.output_tokens,
        ];
        for level in levels.into_iter().flatten() {
            let is_good = |number: f64| number.is_finite() && number > 0.0;
            assert!(is_good(level.limit) && is_good(level.per_s), "{level:?}");
            let left = level.remaining.unwrap_or_default();
            assert!((0.0..=level.limit).contains(&left), "{level:?}");
        }
    }
}

/// Lines up to a blank one, and what follows.
fn split_head(input: &[u8]) -> (&[u8], &[u8]) {
    let blank = input.windows(2).position(|pair| pair == b"\n\n");
    match blank {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, b""),
    }
}

fn headers_of(head: &[u8]) -> Headers {
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    Headers::from(&headers)
}

fn check_size(reply: &Reply, body: &[u8]) {
    let text = reply.text.as_deref().unwrap_or_default();
    assert!(text.len() <= body.len(), "a text comes from its answer");
    // A byte takes at most six as an escape; a call without members is written with all of them.
    let calls = reply.tool_calls.as_ref().map_or(0, |raw| raw.get().len());
    assert!(calls <= 100 + 8 * body.len(), "{calls} of {}", body.len());
}

fn check_failure(failure: &Failure) {
    let shown = format!("{failure} {:?}", failure.provider_code);
    assert!(!shown.contains(KEY), "the key is shown");
    assert!(!failure.message.is_empty());
    assert!(failure.message.chars().count() <= 500);
    let is_bad = |c: char| c.is_control();
    assert!(!failure.message.contains(is_bad), "{:?}", failure.message);
    if let Some(wait) = failure.retry_after {
        assert!(wait > Duration::ZERO && wait <= LONGEST, "{wait:?}");
    }
}

/// The row of an outcome is one line of JSON, with the body in it when asked.
fn check_row(outcome: &Outcome, body: &[u8]) {
    for raw in [None, Some(body)] {
        let (mut row, mut line) = (Vec::new(), Vec::new());
        RowBody {
            fields: r#""text":"hello""#,
            outcome,
            cost: None,
            duration: Some(Duration::from_millis(1)),
            first_chunk: None,
            attempts: 1,
            recalled: false,
            raw: raw.map(|body| RawAnswer {
                body,
                status: 200,
                request_id: Some("req_1"),
            }),
        }
        .write(&mut row);
        write_row(&mut line, None, 0, &row);
        assert_eq!(
            line.iter().position(|byte| *byte == b'\n'),
            Some(line.len() - 1)
        );
        let read: Result<&RawValue, _> = serde_json::from_slice(&line);
        read.unwrap_or_else(|error| panic!("{error}: {}", line.escape_ascii()));
        // Numbers that no machine has and escapes of half a character are passed on as they came.
        if let Err(error) = serde_json::from_slice::<serde_json::Value>(&line) {
            let error = error.to_string();
            assert!(!error.contains("recursion"), "{}", line.escape_ascii());
        }
    }
}

/// Whatever a provider asks for, nobody waits longer than is allowed, and nothing overflows.
fn check_wait(failure: &Failure) {
    let settings = EngineSettings::default();
    let retry: RetrySettings = settings.retry;
    let now = Duration::from_secs(1_000);
    let mut limiter = Limiter::new(&settings);
    let need = Need::default();
    let permit = limiter.admit(now, &need).expect("nothing limits");
    limiter.failed(now, permit, failure, None);
    assert_eq!(limiter.in_flight(), 0);
    let longest = retry.max_wait + Duration::from_secs(1);
    let parked = limiter.parked_until(now);
    if let Err(refusal) = limiter.admit(now, &need) {
        let until = refusal.until.expect("nothing is in flight");
        assert!(parked == Some(until) || until <= now + longest, "{until:?}");
    }
    let mut tries = Tries::default();
    retry::count(&mut tries, failure, false, false);
    let mut rng = fastrand_of(failure);
    if let Decision::Retry { after, .. } = retry::decide(&retry, failure, &tries, false, &mut rng) {
        assert!(after <= longest, "{after:?}");
    }
}

fn fastrand_of(failure: &Failure) -> fastrand::Rng {
    fastrand::Rng::with_seed(failure.message.len() as u64)
}
