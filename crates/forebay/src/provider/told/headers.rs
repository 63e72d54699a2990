//! Rate headers by provider profile.
//!
//! Owns the names of the families and what each profile makes of them. Never allocates: it looks
//! once at each header's name, and reads the values of those that it knows.

use std::cell::OnceCell;
use std::time::SystemTime;

use super::reset::{self, Reset};
use super::window::recognise;
use super::{DAY, HOUR, MINUTE, SECOND, believable};
use crate::catalogue::RateHeaders;
use crate::headers::{Headers, printable};
use crate::told::{Level, Told};

/// What the headers of an answer tell; empty when they tell nothing.
pub(super) fn read(profile: RateHeaders, headers: &Headers) -> Told {
    let mut told = Told::default();
    if profile == RateHeaders::None {
        return told;
    }
    let Some(found) = Found::among(headers) else {
        return told;
    };
    let sent = OnceCell::new();
    for unit in Unit::ALL {
        let triple = &found.triples[unit as usize];
        let sent = || *sent.get_or_init(|| sent_at(headers));
        if let Some((level, seconds)) = level(triple, unit.window(profile), sent) {
            put(&mut told, unit, level, seconds);
        }
    }
    if found.is_implied(&told) {
        told.tokens = None;
    }
    told
}

/// A limit's headers as they came.
#[derive(Clone, Copy, Default)]
struct Triple<'a> {
    limit: Option<&'a [u8]>,
    remaining: Option<&'a [u8]>,
    reset: Option<&'a [u8]>,
}

/// The known headers of an answer.
struct Found<'a> {
    triples: [Triple<'a>; Unit::ALL.len()],
}

impl<'a> Found<'a> {
    /// Those among these headers; `None` when there are none. Of two with the same name, the
    /// first counts.
    fn among(headers: &'a Headers) -> Option<Found<'a>> {
        let mut found: Option<Found<'a>> = None;
        for (name, value) in headers.iter() {
            let Some((unit, part)) = known(name) else {
                continue;
            };
            let found = found.get_or_insert_with(|| Found {
                triples: Default::default(),
            });
            let triple = &mut found.triples[unit as usize];
            let place = match part {
                Part::Limit => &mut triple.limit,
                Part::Remaining => &mut triple.remaining,
                Part::Reset => &mut triple.reset,
            };
            place.get_or_insert(value);
        }
        found
    }

    /// Whether the limit of all tokens says nothing beyond those of input and output tokens.
    ///
    /// Anthropic repeats the most restrictive one there, or their sum; as a limit of both kinds
    /// together, the former would hold one kind back by the other's limit.
    fn is_implied(&self, told: &Told) -> bool {
        let of_anthropic = self.triples[Unit::ClaudeTokens as usize].limit.is_some();
        let (Some(all), true) = (told.tokens, of_anthropic) else {
            return false;
        };
        let limit_of = |level: Option<Level>| level.map(|level| level.limit);
        let (input, output) = (limit_of(told.input_tokens), limit_of(told.output_tokens));
        let is_sum = input.zip(output).is_some_and(|(i, o)| all.limit >= i + o);
        is_sum || Some(all.limit) == input || Some(all.limit) == output
    }
}

/// One of the three headers of a limit.
#[derive(Clone, Copy)]
enum Part {
    Limit,
    Remaining,
    Reset,
}

impl Part {
    fn of(name: &str) -> Option<Part> {
        match name {
            "limit" => Some(Part::Limit),
            "remaining" => Some(Part::Remaining),
            "reset" => Some(Part::Reset),
            _ => None,
        }
    }
}

/// What a header counts, as its name has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// `x-ratelimit-*-requests`.
    Requests,
    /// `x-ratelimit-*-tokens`.
    Tokens,
    /// `x-ratelimit-*-requests-minute`, `x-ratelimit-*-req-minute`, and so on.
    RequestsMinute,
    RequestsHour,
    RequestsDay,
    TokensMinute,
    TokensHour,
    TokensDay,
    /// `x-ratelimit-*`.
    Plain,
    /// `x-tokenlimit-*`.
    PlainTokens,
    /// `x-ratelimit-*-dynamic`: the same two as they are now, where limits move.
    Moving,
    MovingTokens,
    /// `anthropic-ratelimit-requests-*`, and so on.
    ClaudeRequests,
    ClaudeTokens,
    ClaudeInput,
    ClaudeOutput,
}

/// What is known of a limit's window before its numbers are looked at.
enum Window {
    /// The header's name says it.
    Named(f64),
    /// The provider's usual one.
    Usual(f64),
    /// Nothing.
    Open,
}

impl Unit {
    const ALL: [Unit; 16] = [
        Unit::Requests,
        Unit::Tokens,
        Unit::RequestsMinute,
        Unit::RequestsHour,
        Unit::RequestsDay,
        Unit::TokensMinute,
        Unit::TokensHour,
        Unit::TokensDay,
        Unit::Plain,
        Unit::PlainTokens,
        Unit::Moving,
        Unit::MovingTokens,
        Unit::ClaudeRequests,
        Unit::ClaudeTokens,
        Unit::ClaudeInput,
        Unit::ClaudeOutput,
    ];

    /// What a profile knows of this unit's window.
    fn window(self, profile: RateHeaders) -> Window {
        match self {
            Unit::RequestsMinute | Unit::TokensMinute => Window::Named(MINUTE),
            Unit::RequestsHour | Unit::TokensHour => Window::Named(HOUR),
            Unit::RequestsDay | Unit::TokensDay => Window::Named(DAY),
            Unit::ClaudeRequests | Unit::ClaudeTokens | Unit::ClaudeInput | Unit::ClaudeOutput => {
                Window::Usual(MINUTE)
            }
            Unit::Requests if profile == RateHeaders::RequestsPerDay => Window::Usual(DAY),
            Unit::Requests | Unit::Tokens => match profile {
                RateHeaders::PerMinute | RateHeaders::RequestsPerDay | RateHeaders::Seconds => {
                    Window::Usual(MINUTE)
                }
                RateHeaders::PerSecond => Window::Usual(SECOND),
                RateHeaders::DayAndMinute
                | RateHeaders::Anthropic
                | RateHeaders::None
                | RateHeaders::Unknown => Window::Open,
            },
            // Gateways have these names too, for windows of their own.
            Unit::Plain | Unit::PlainTokens | Unit::Moving | Unit::MovingTokens => match profile {
                RateHeaders::PerSecond => Window::Usual(SECOND),
                RateHeaders::PerMinute
                | RateHeaders::RequestsPerDay
                | RateHeaders::Seconds
                | RateHeaders::DayAndMinute
                | RateHeaders::Anthropic
                | RateHeaders::None
                | RateHeaders::Unknown => Window::Open,
            },
        }
    }
}

/// What a header's name stands for, if it is a known one.
///
/// Names are compared as a whole: `x-ratelimit-limit-tokens_usage_based` and the headers of
/// Anthropic's priority tier (`anthropic-priority-*`) belong to other limits.
fn known(name: &[u8]) -> Option<(Unit, Part)> {
    // As all names below begin.
    if !matches!(name.first(), Some(b'x' | b'a')) {
        return None;
    }
    let name = printable(name)?;
    if let Some(rest) = name.strip_prefix("x-ratelimit-") {
        let (part, unit) = rest.split_once('-').unwrap_or((rest, ""));
        let unit = match unit {
            "" => Unit::Plain,
            "dynamic" => Unit::Moving,
            "requests" => Unit::Requests,
            "tokens" => Unit::Tokens,
            "requests-minute" | "req-minute" => Unit::RequestsMinute,
            "requests-hour" => Unit::RequestsHour,
            "requests-day" => Unit::RequestsDay,
            "tokens-minute" => Unit::TokensMinute,
            "tokens-hour" => Unit::TokensHour,
            "tokens-day" => Unit::TokensDay,
            _ => return None,
        };
        return Some((unit, Part::of(part)?));
    }
    if let Some(part) = name.strip_prefix("x-tokenlimit-") {
        return match part.strip_suffix("-dynamic") {
            Some(part) => Some((Unit::MovingTokens, Part::of(part)?)),
            None => Some((Unit::PlainTokens, Part::of(part)?)),
        };
    }
    match name.strip_prefix("anthropic-ratelimit-")? {
        "requests-limit" => Some((Unit::ClaudeRequests, Part::Limit)),
        "requests-remaining" => Some((Unit::ClaudeRequests, Part::Remaining)),
        "requests-reset" => Some((Unit::ClaudeRequests, Part::Reset)),
        "tokens-limit" => Some((Unit::ClaudeTokens, Part::Limit)),
        "tokens-remaining" => Some((Unit::ClaudeTokens, Part::Remaining)),
        "tokens-reset" => Some((Unit::ClaudeTokens, Part::Reset)),
        "input-tokens-limit" => Some((Unit::ClaudeInput, Part::Limit)),
        "input-tokens-remaining" => Some((Unit::ClaudeInput, Part::Remaining)),
        "input-tokens-reset" => Some((Unit::ClaudeInput, Part::Reset)),
        "output-tokens-limit" => Some((Unit::ClaudeOutput, Part::Limit)),
        "output-tokens-remaining" => Some((Unit::ClaudeOutput, Part::Remaining)),
        "output-tokens-reset" => Some((Unit::ClaudeOutput, Part::Reset)),
        _ => None,
    }
}

/// A limit's level and its window in seconds, if its headers make sense.
fn level(
    triple: &Triple<'_>,
    window: Window,
    sent: impl Fn() -> Option<SystemTime>,
) -> Option<(Level, f64)> {
    let limit = believable(number(triple.limit?)?)?;
    let remaining = triple.remaining.and_then(number);
    let remaining = remaining.map(|remaining| remaining.min(limit));
    let reset = || -> Option<Reset> {
        let text = printable(triple.reset?)?;
        reset::read(text, &sent)
    };
    let seconds = match window {
        Window::Named(seconds) => seconds,
        Window::Usual(seconds) => recognise(limit, remaining, reset, Some(seconds))?,
        Window::Open => recognise(limit, remaining, reset, None)?,
    };
    let level = Level {
        limit,
        per_s: limit / seconds,
        remaining,
    };
    Some((level, seconds))
}

/// A header's number; negative ones, and those with an exponent, are none.
fn number(value: &[u8]) -> Option<f64> {
    reset::number(printable(value)?.trim_ascii())
}

/// The time that the answer itself bears.
fn sent_at(headers: &Headers) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.text("date")?).ok()
}

/// Puts a level into its meter's place; of two for the same meter, the one that holds now counts,
/// else the slower one.
fn put(told: &mut Told, unit: Unit, level: Level, seconds: f64) {
    let is_daily = seconds >= DAY;
    let place = match unit {
        Unit::Requests
        | Unit::RequestsMinute
        | Unit::RequestsHour
        | Unit::RequestsDay
        | Unit::Plain
        | Unit::Moving
        | Unit::ClaudeRequests => match is_daily {
            true => &mut told.requests_per_day,
            false => &mut told.requests,
        },
        Unit::Tokens
        | Unit::TokensMinute
        | Unit::TokensHour
        | Unit::TokensDay
        | Unit::PlainTokens
        | Unit::MovingTokens
        | Unit::ClaudeTokens => match is_daily {
            true => &mut told.tokens_per_day,
            false => &mut told.tokens,
        },
        Unit::ClaudeInput => &mut told.input_tokens,
        Unit::ClaudeOutput => &mut told.output_tokens,
    };
    let holds_now = matches!(unit, Unit::Moving | Unit::MovingTokens);
    if holds_now || place.is_none_or(|there| level.per_s < there.per_s) {
        *place = Some(level);
    }
}
