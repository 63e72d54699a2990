//! Makes a provider's words fit to show: one line, short, without secrets.
//!
//! Providers repeat keys in their errors, whole or partly masked. What looks like a key is hidden
//! whether it is ours or not; hiding a harmless word too much is no harm.

use std::borrow::Cow;

use super::head::is_secret;
use crate::endpoint::Endpoint;

/// What stands in place of a secret.
const HIDDEN: &str = "[redacted]";

/// How much of a text is looked at, in bytes; far more than is shown of one.
const LOOKED_AT: usize = 8192;

/// How keys begin: OpenAI, Anthropic and others; Google; Groq; xAI; Cerebras; Hugging Face;
/// Perplexity.
const KEY_STARTS: [&str; 7] = ["sk-", "AIza", "gsk_", "xai-", "csk-", "hf_", "pplx-"];

/// The fewest characters after such a beginning that make a key; providers show at least as many
/// of a masked one.
const MIN_KEY_REST: usize = 3;

/// The stars in a row that show a masked secret.
const MASK: &str = "***";

/// A key of at least this length is hidden wherever it occurs; a shorter one (`EMPTY`, say) is
/// too likely to be part of a word, and is hidden only as a word.
const LONG_KEY: usize = 8;

/// Words that follow "Bearer" in prose; anything else there is taken for a secret.
const BEARER_PROSE: [&str; 10] = [
    "token",
    "tokens",
    "auth",
    "authentication",
    "authorization",
    "scheme",
    "header",
    "key",
    "or",
    "is",
];

/// The secrets of an endpoint: its key, and the values of its headers that are secret.
pub(super) fn secrets(endpoint: &Endpoint) -> Vec<&str> {
    let headers = endpoint
        .headers
        .iter()
        .filter(|(name, value)| value.is_sensitive() || is_secret(name))
        .filter_map(|(_, value)| value.to_str().ok())
        .map(|value| value.rsplit(' ').next().unwrap_or(value));
    let key = endpoint.key.as_ref().map(|key| key.expose());
    key.into_iter()
        .chain(headers)
        .filter(|secret| !secret.is_empty())
        .collect()
}

/// The text on one line of at most so many characters, without secrets.
pub(super) fn line(text: &str, secrets: &[&str], max_chars: usize) -> String {
    let text = &text[..text.floor_char_boundary(LOOKED_AT)];
    let mut shown: Cow<'_, str> = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| secret.len() >= LONG_KEY) {
        if shown.contains(*secret) {
            shown = Cow::Owned(shown.replace(*secret, HIDDEN));
        }
    }
    let words = hide_words(&one_line(&shown), secrets);
    match words.char_indices().nth(max_chars) {
        None => words,
        Some(_) => words
            .chars()
            .take(max_chars.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// The text with each run of spaces, line breaks and control characters as one space.
fn one_line(text: &str) -> String {
    let is_gap = |c: char| c.is_whitespace() || c.is_control();
    let mut line = String::with_capacity(text.len());
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// The line with each word hidden that is or may be a secret.
fn hide_words(line: &str, secrets: &[&str]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut after_bearer = false;
    while !rest.is_empty() {
        let gap = rest.find(is_word_char).unwrap_or(rest.len());
        out.push_str(&rest[..gap]);
        after_bearer &= rest[..gap].bytes().all(|b| b" :'\"<`".contains(&b));
        rest = &rest[gap..];
        let end = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
        let (word, tail) = split_tail(&rest[..end]);
        let is_bearer = word.eq_ignore_ascii_case("bearer");
        let hidden = after_bearer && !is_prose(word);
        match hidden || is_secret_word(word, secrets) {
            true => out.push_str(HIDDEN),
            false => out.push_str(word),
        }
        out.push_str(tail);
        after_bearer = is_bearer;
        rest = &rest[end..];
    }
    out
}

/// Characters of keys and of their masked forms.
fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || "-_*.~+/=•…".contains(c)
}

/// A word without the stops at its end, and those.
fn split_tail(word: &str) -> (&str, &str) {
    word.split_at(word.trim_end_matches(['.', '…']).len())
}

fn is_prose(word: &str) -> bool {
    word.is_empty()
        || BEARER_PROSE
            .iter()
            .any(|prose| word.eq_ignore_ascii_case(prose))
}

/// Whether a word is a secret, a part of one, or has the look of one.
fn is_secret_word(word: &str, secrets: &[&str]) -> bool {
    let begins_like_a_key = KEY_STARTS.iter().any(|start| {
        word.match_indices(start).any(|(at, _)| {
            let is_start = !word[..at].ends_with(char::is_alphanumeric);
            is_start && word.len() - at - start.len() >= MIN_KEY_REST
        })
    });
    let is_masked = word.contains(MASK) && word.contains(char::is_alphanumeric);
    let is_ours = secrets.iter().any(|secret| match secret.get(..LONG_KEY) {
        Some(start) => word.contains(start),
        None => word == *secret,
    });
    begins_like_a_key || is_masked || is_ours
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_of_known_forms_are_hidden() {
        for (text, want) in [
            ("key sk-abc123, sir", "key [redacted], sir"),
            ("provided: sk-abc***xyz. You", "provided: [redacted]. You"),
            ("sk-proj-********************abcd.", "[redacted]."),
            ("sk-ant-api03-aa_bb-cc", "[redacted]"),
            ("'AIzaSyA1234567890'", "'[redacted]'"),
            ("key=gsk_abcdef", "[redacted]"),
            ("xai-a***z", "[redacted]"),
            (
                "Authorization: Bearer abc.def-ghi",
                "Authorization: Bearer [redacted]",
            ),
            ("bearer: \"abcdef\"", "bearer: \"[redacted]\""),
            ("a Bearer token is missing", "a Bearer token is missing"),
            ("a9***f2 is wrong", "[redacted] is wrong"),
            (
                "a risk-based disk-full sk- task",
                "a risk-based disk-full sk- task",
            ),
            ("*** note ***", "*** note ***"),
        ] {
            assert_eq!(line(text, &[], 500), want);
        }
    }

    #[test]
    fn the_endpoints_own_key_is_hidden_whole_and_in_part() {
        let key = "0123456789abcdef";
        for text in ["x0123456789abcdefx", "01234567...cdef", "(0123456789)"] {
            let shown = line(text, &[key], 500);
            assert!(shown.contains(HIDDEN) && !shown.contains("0123"), "{shown}");
        }
        assert_eq!(
            line("EMPTY or not-EMPTY: 'EMPTY'", &["EMPTY"], 500),
            "[redacted] or not-EMPTY: '[redacted]'"
        );
    }

    #[test]
    fn lines_are_single_and_short() {
        assert_eq!(line(" a\r\n\tb\u{0}c\u{1b}[0m ", &[], 500), "a b c [0m");
        assert_eq!(line("ääää", &[], 3), "ää…");
        assert_eq!(line("äää", &[], 3), "äää");
        assert_eq!(line("", &[], 3), "");
        assert_eq!(line(&"ä".repeat(10_000), &[], 500).chars().count(), 500);
    }

    proptest! {
        #[test]
        fn a_key_is_never_shown(
            before in "\\PC{0,20}",
            after in "\\PC{0,20}",
            key in "[!-~]{8,40}",
            rest in "[A-Za-z0-9_*-]{3,30}",
            max in 0_usize..80,
        ) {
            let shown = line(&format!("{before}{key}{after}"), &[&key], max);
            prop_assert!(!shown.contains(&key) || HIDDEN.contains(&key));
            prop_assert!(shown.chars().count() <= max.max(1));
            let known = format!("sk-{rest}");
            let shown = line(&format!("{before} {known} {after}"), &[], max);
            prop_assert!(!shown.contains(&known));
        }
    }
}
