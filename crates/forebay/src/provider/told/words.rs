//! What a refusal says of limits: in its sentence, or in Google's list of quotas.
//!
//! Owns the phrases of the providers. Never decides whether an answer is a refusal, and never
//! looks at a body that is none.

use super::super::Answer;
use super::super::errors::{Quota, Report};
use super::{DAY, HOUR, MINUTE, SECOND, believable};
use crate::outcome::{Failure, FailureKind};
use crate::told::{Level, Meter, Told};

/// What a refusal tells.
///
/// The failure's message is read, which is one short line; of the body only Google's quotas.
pub(super) fn read(answer: &Answer<'_>, failure: &Failure) -> Words {
    let said: Vec<Said> = match in_sentence(&failure.message) {
        Some(said) => vec![said],
        None => in_quotas(answer.body),
    };
    // A request that is larger than the limit says nothing of what is left.
    let is_used_up = failure.kind != FailureKind::BadRequest;
    let mut told = Told::default();
    for said in &said {
        said.tell(&mut told, is_used_up);
    }
    Words(told)
}

/// Limits by words.
pub(super) struct Words(Told);

impl Words {
    /// Fills in what is not told yet.
    pub(super) fn fill(self, told: &mut Told) {
        let Words(words) = self;
        let Told {
            requests,
            requests_per_day,
            tokens,
            tokens_per_day,
            input_tokens,
            output_tokens,
            refused,
        } = words;
        told.requests = told.requests.or(requests);
        told.requests_per_day = told.requests_per_day.or(requests_per_day);
        told.tokens = told.tokens.or(tokens);
        told.tokens_per_day = told.tokens_per_day.or(tokens_per_day);
        told.input_tokens = told.input_tokens.or(input_tokens);
        told.output_tokens = told.output_tokens.or(output_tokens);
        told.refused = told.refused.or(refused);
    }
}

/// A limit that is spoken of.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Said {
    meter: Meter,
    /// Its window in seconds; `None` for one that has none, or none that is known.
    window: Option<f64>,
    limit: Option<f64>,
    used: Option<f64>,
}

impl Said {
    fn of(meter: Meter) -> Said {
        Said {
            meter,
            window: None,
            limit: None,
            used: None,
        }
    }

    /// Writes it down. A limit that refuses has nothing left, unless it says what was used.
    fn tell(&self, told: &mut Told, is_used_up: bool) {
        if is_used_up {
            // Of several, the one that lasts longest counts.
            let is_longer = match self.meter {
                Meter::RequestsPerDay | Meter::TokensPerDay => true,
                Meter::Requests
                | Meter::Tokens
                | Meter::InputTokens
                | Meter::OutputTokens
                | Meter::InFlight => false,
            };
            if told.refused.is_none() || is_longer {
                told.refused = Some(self.meter);
            }
        }
        let place = match self.meter {
            Meter::Requests => &mut told.requests,
            Meter::RequestsPerDay => &mut told.requests_per_day,
            Meter::Tokens => &mut told.tokens,
            Meter::TokensPerDay => &mut told.tokens_per_day,
            Meter::InputTokens => &mut told.input_tokens,
            Meter::OutputTokens => &mut told.output_tokens,
            Meter::InFlight => return,
        };
        let (Some(window), Some(limit)) = (self.window, self.limit.and_then(believable)) else {
            return;
        };
        let left = self.used.map_or(0.0, |used| (limit - used).max(0.0));
        place.get_or_insert(Level {
            limit,
            per_s: limit / window,
            remaining: is_used_up.then_some(left),
        });
    }
}

/// The meter of a noun in a window of so many seconds.
fn meter_of(noun: Meter, window: f64) -> Meter {
    match noun {
        Meter::Requests | Meter::RequestsPerDay if window >= DAY => Meter::RequestsPerDay,
        Meter::Tokens | Meter::InputTokens | Meter::OutputTokens if window >= DAY => {
            Meter::TokensPerDay
        }
        Meter::Requests
        | Meter::RequestsPerDay
        | Meter::Tokens
        | Meter::TokensPerDay
        | Meter::InputTokens
        | Meter::OutputTokens
        | Meter::InFlight => noun,
    }
}

/// What is counted, as it ends the words before `per`; of two that fit, the longer first.
///
/// Those of OpenAI, Groq and Azure, Anthropic, Together (queries) and OpenRouter (models).
const NOUNS: [(&str, Meter); 9] = [
    ("output tokens", Meter::OutputTokens),
    ("completion tokens", Meter::OutputTokens),
    ("input tokens", Meter::InputTokens),
    ("prompt tokens", Meter::InputTokens),
    ("tokens", Meter::Tokens),
    ("requests", Meter::Requests),
    ("queries", Meter::Requests),
    ("calls", Meter::Requests),
    ("models", Meter::Requests),
];

/// Windows as they begin the words after `per`, in seconds.
const PERIODS: [(&str, f64); 4] = [
    ("sec", SECOND),
    ("min", MINUTE),
    ("hour", HOUR),
    ("day", DAY),
];

/// Phrases that name what is used up and no number: Anthropic's and others' for requests at the
/// same time, Azure's and Mistral's for rates.
const PHRASES: [(&str, Meter); 5] = [
    ("concurren", Meter::InFlight),
    ("token rate limit", Meter::Tokens),
    ("call rate limit", Meter::Requests),
    ("request rate limit", Meter::Requests),
    ("requests rate limit", Meter::Requests),
];

/// The limit that a sentence speaks of.
fn in_sentence(message: &str) -> Option<Said> {
    let plain = |c: char| match c {
        '-' => ' ',
        c => c.to_ascii_lowercase(),
    };
    let text: String = message.chars().map(plain).collect();
    if let Some(said) = text.match_indices(" per ").find_map(|(at, per)| {
        let (before, after) = (&text[..at], &text[at + per.len()..]);
        rate(before, after)
    }) {
        return Some(said);
    }
    let mut phrases = PHRASES.iter();
    let (_, meter) = phrases.find(|(phrase, _)| text.contains(phrase))?;
    Some(Said::of(*meter))
}

/// The rate that stands around a `per`: `1,000 requests per minute`, or `requests per min (RPM):
/// Limit 500, Used 500`.
fn rate(before: &str, after: &str) -> Option<Said> {
    let mut periods = PERIODS.iter();
    let (_, window) = periods.find(|(period, _)| after.starts_with(period))?;
    let mut nouns = NOUNS.iter();
    let (counted, noun) = nouns.find_map(|(noun, meter)| {
        let counted = before.strip_suffix(noun)?;
        Some((counted, meter))
    })?;
    let limit = number_before(counted).or_else(|| number_after(after, "limit"));
    let used = number_after(after, "used").or_else(|| number_after(after, "current"));
    Some(Said {
        meter: meter_of(*noun, *window),
        window: Some(*window),
        limit,
        used,
    })
}

/// The number that ends a text, with commas between thousands or not.
fn number_before(text: &str) -> Option<f64> {
    let text = text.trim_end();
    let start = text.rfind(|c| !is_of_number(c)).map_or(0, |at| {
        at + text[at..].chars().next().map_or(0, char::len_utf8)
    });
    amount(&text[start..])
}

/// The number behind a word: `limit 500`, `limit: 3 / min`.
fn number_after(text: &str, word: &str) -> Option<f64> {
    let mut places = text.match_indices(word);
    places.find_map(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches([':', ' ']);
        let end = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
        amount(&rest[..end])
    })
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == ',' || c == '.'
}

/// A number without the signs around it.
fn amount(text: &str) -> Option<f64> {
    let text = text.trim_matches(['.', ',']);
    match text.contains(',') {
        true => text.replace(',', "").parse().ok(),
        false => text.parse().ok(),
    }
}

/// The limits in Google's list of quotas.
fn in_quotas(body: &[u8]) -> Vec<Said> {
    let report = Report::of_body(body).unwrap_or_default();
    report.quotas.iter().filter_map(of_quota).collect()
}

/// The limit that a quota's name tells, such as
/// `GenerateContentInputTokensPerModelPerMinute-FreeTier`.
fn of_quota(quota: &Quota<'_>) -> Option<Said> {
    let has = |word| quota.id.contains(word);
    if has("Concurrent") {
        return Some(Said::of(Meter::InFlight));
    }
    let noun = match () {
        () if has("InputToken") => Meter::InputTokens,
        () if has("OutputToken") => Meter::OutputTokens,
        () if has("Token") => Meter::Tokens,
        () if has("Request") => Meter::Requests,
        () => return None,
    };
    let windows = [
        ("PerDay", DAY),
        ("PerHour", HOUR),
        ("PerMinute", MINUTE),
        ("PerSecond", SECOND),
    ];
    let (_, window) = windows.into_iter().find(|(name, _)| has(*name))?;
    Some(Said {
        meter: meter_of(noun, window),
        window: Some(window),
        limit: quota.value,
        used: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(meter: Meter, window: f64, limit: f64, used: Option<f64>) -> Option<Said> {
        Some(Said {
            meter,
            window: Some(window),
            limit: Some(limit),
            used,
        })
    }

    #[test]
    fn the_limit_that_a_sentence_speaks_of_is_found() {
        use Meter::{InputTokens, OutputTokens, Requests, RequestsPerDay, Tokens, TokensPerDay};
        let openai = |on, limit, used| {
            format!(
                "Rate limit reached for gpt-4o in organization org-1a2b on {on}: Limit {limit}, \
                 Used {used}, Requested 1. Please try again in 120ms. Visit \
                 https://platform.openai.com/account/rate-limits to learn more."
            )
        };
        let claude = |rate| {
            format!(
                "This request would exceed the rate limit for your organization (a1b2-c3) of \
                 {rate}. For details, refer to: https://docs.claude.com/en/api/rate-limits."
            )
        };
        for (message, want) in [
            (
                openai("requests per min (RPM)", 500, 500),
                said(Requests, MINUTE, 500.0, Some(500.0)),
            ),
            (
                openai("tokens per min (TPM)", 30000, 29500),
                said(Tokens, MINUTE, 3e4, Some(29_500.0)),
            ),
            (
                openai("requests per day (RPD)", 200, 200),
                said(RequestsPerDay, DAY, 200.0, Some(200.0)),
            ),
            (
                openai("tokens per day (TPD)", 90, 80),
                said(TokensPerDay, DAY, 90.0, Some(80.0)),
            ),
            (
                openai("requests per sec (RPS)", 8, 8),
                said(Requests, SECOND, 8.0, Some(8.0)),
            ),
            (
                openai("input tokens per min (ITPM)", 9, 9),
                said(InputTokens, MINUTE, 9.0, Some(9.0)),
            ),
            (
                openai("output tokens per min (OTPM)", 9, 9),
                said(OutputTokens, MINUTE, 9.0, Some(9.0)),
            ),
            (
                claude("1,000,000 input tokens per minute"),
                said(InputTokens, MINUTE, 1e6, None),
            ),
            (
                claude("8,000 output tokens per minute"),
                said(OutputTokens, MINUTE, 8e3, None),
            ),
            (
                claude("50 requests per minute"),
                said(Requests, MINUTE, 50.0, None),
            ),
            (
                "Rate limit reached for x in organization org-1 on requests per min. \
                 Limit: 3 / min. Please try again in 20s."
                    .to_owned(),
                said(Requests, MINUTE, 3.0, None),
            ),
            (
                "You have been rate limited. Your rate limit is 60 queries per minute.".to_owned(),
                said(Requests, MINUTE, 60.0, None),
            ),
            (
                "The maximum rate limit for this model is 0.3 queries per second".to_owned(),
                said(Requests, SECOND, 0.3, None),
            ),
        ] {
            assert_eq!(in_sentence(&message), want, "{message}");
        }
    }

    #[test]
    fn a_sentence_without_a_number_still_says_what_is_used_up() {
        for (message, meter) in [
            (
                "Tokens per minute limit exceeded - too many tokens processed.",
                Meter::Tokens,
            ),
            ("Requests per day limit exceeded", Meter::RequestsPerDay),
            (
                "Rate limit exceeded: free-models-per-day.",
                Meter::RequestsPerDay,
            ),
            ("Rate limit exceeded: free-models-per-min.", Meter::Requests),
            (
                "Number of concurrent connections has exceeded your rate limit.",
                Meter::InFlight,
            ),
            (
                "Rate limit reached for x on concurrent requests: Limit 200, Used 200, Requested 1.",
                Meter::InFlight,
            ),
            (
                "Requests have exceeded token rate limit of your current tier.",
                Meter::Tokens,
            ),
            (
                "Requests have exceeded call rate limit of your current tier.",
                Meter::Requests,
            ),
            ("Requests rate limit exceeded", Meter::Requests),
        ] {
            let said = in_sentence(message).unwrap();
            assert_eq!((said.meter, said.limit), (meter, None), "{message}");
        }
    }

    #[test]
    fn other_sentences_say_nothing() {
        for message in [
            "",
            " per ",
            "Slow down: your request rate grows too fast.",
            "This request would exceed your organization's acceleration limit.",
            "tokens per sheep",
            "five per minute",
            "Resource has been exhausted (e.g. check quota).",
            "Too many requests",
        ] {
            assert_eq!(in_sentence(message), None, "{message}");
        }
    }
}
