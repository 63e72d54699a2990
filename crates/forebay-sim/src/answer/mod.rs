//! Writes the text of an answer.
//!
//! Owns the choice of text from the seed and the prompt alone, so that the same prompt gets
//! the same answer. Never looks at the clock, the connection or the request's number.

mod affinity;
mod labels;
mod prose;
mod schema;

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::{Answers, Config, OutputLength};
use crate::dialect::tokens;
use crate::latency::log_normal;

/// The longest answer, in tokens: what today's largest models may generate.
const LONGEST: f64 = 128_000.0;

/// The text of an answer, its size, and whether the token cap cut it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) tokens: u64,
    pub(crate) cut: bool,
}

/// Answers a prompt within a cap on output tokens.
pub(crate) fn answer<'s>(config: &'s Config, prompt: &str, cap: Option<u64>) -> Text<'s> {
    let text = match &config.answers {
        Answers::Plausible => Cow::Owned(plausible(config, prompt)),
        Answers::Echo => Cow::Owned(prompt.to_owned()),
        Answers::Fixed(text) => Cow::Borrowed(&**text),
    };
    let text = capped(text, cap);
    match (&config.output_length, last_number(prompt)) {
        (OutputLength::Asked, Some(asked)) => counted(text, asked, cap),
        (OutputLength::Asked | OutputLength::AsWritten | OutputLength::LogNormal { .. }, _) => text,
    }
}

/// Says that a text took so many tokens, within a cap.
fn counted(text: Text<'_>, asked: u64, cap: Option<u64>) -> Text<'_> {
    let cap = cap.unwrap_or(u64::MAX);
    Text {
        tokens: asked.clamp(1, LONGEST as u64).min(cap),
        cut: asked > cap,
        ..text
    }
}

/// The last number that a text has.
fn last_number(text: &str) -> Option<u64> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = text[..end].rfind(|c: char| !c.is_ascii_digit());
    let start = start.map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    text[start..end].parse().ok()
}

/// Answers with JSON that a schema allows, within a cap on output tokens.
pub(crate) fn structured<'s>(
    config: &Config,
    prompt: &str,
    schema: &str,
    cap: Option<u64>,
) -> Text<'s> {
    let hash = xxh3_64_with_seed(prompt.as_bytes(), config.seed);
    let mut rng = fastrand::Rng::with_seed(hash);
    capped(Cow::Owned(schema::instance(schema, &mut rng)), cap)
}

/// Ends a text before the first of these sequences that it has, and returns which.
pub(crate) fn stopped<'t>(
    text: Text<'t>,
    sequences: &[Cow<'_, str>],
) -> (Text<'t>, Option<String>) {
    let found = sequences
        .iter()
        .filter(|sequence| !sequence.is_empty())
        .filter_map(|sequence| Some((text.text.find(&**sequence)?, sequence)))
        .min_by_key(|(at, _)| *at);
    let Some((at, sequence)) = found else {
        return (text, None);
    };
    let mut before = text.text.into_owned();
    before.truncate(at);
    let text = capped(Cow::Owned(before), None);
    (text, Some(sequence.to_string()))
}

/// Cuts a text to a cap on tokens of four characters each.
pub(crate) fn capped(text: Cow<'_, str>, cap: Option<u64>) -> Text<'_> {
    let most = cap.map_or(usize::MAX, |cap| (cap as usize).saturating_mul(4));
    let cut_at = match text.len() <= most {
        true => None,
        false => text.char_indices().nth(most).map(|(at, _)| at),
    };
    let text = match (cut_at, text) {
        (None, text) => text,
        (Some(at), Cow::Borrowed(text)) => Cow::Borrowed(&text[..at]),
        (Some(at), Cow::Owned(mut text)) => {
            text.truncate(at);
            Cow::Owned(text)
        }
    };
    Text {
        tokens: match text.is_empty() {
            true => 0,
            false => tokens(&text),
        },
        cut: cut_at.is_some(),
        text,
    }
}

fn plausible(config: &Config, prompt: &str) -> String {
    let hash = xxh3_64_with_seed(prompt.as_bytes(), config.seed);
    let mut rng = fastrand::Rng::with_seed(hash);
    let mut text = match labels::find(prompt) {
        Some(question) => affinity::choose(&question, &mut rng).to_owned(),
        None => prose::reply(prompt, &mut rng),
    };
    if let OutputLength::LogNormal { median, sigma } = config.output_length {
        let length = log_normal(&mut rng, median, sigma).clamp(1.0, LONGEST);
        prose::pad(&mut text, length.round() as usize * 4, &mut rng);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_cuts_at_a_character() {
        let text = capped(Cow::Borrowed("ääääääää!"), Some(2));
        assert_eq!((&*text.text, text.tokens, text.cut), ("ääääääää", 2, true));
        let whole = capped(Cow::Borrowed("ääääääää"), Some(2));
        assert_eq!((whole.tokens, whole.cut), (2, false));
        assert_eq!(capped(Cow::Borrowed("x"), Some(0)).tokens, 0);
    }

    #[test]
    fn the_same_prompt_gets_the_same_answer_and_another_seed_another() {
        let config = |seed| Config {
            seed,
            ..Config::default()
        };
        let text = |seed, prompt: &str| plausible(&config(seed), prompt);
        assert_eq!(text(1, "hello"), text(1, "hello"));
        let differing = (0..20).filter(|n| {
            let prompt = format!("tell me about {n}");
            text(1, &prompt) != text(2, &prompt)
        });
        assert!(differing.count() > 10);
    }

    #[test]
    fn a_prompt_can_say_how_many_tokens_its_answer_takes() {
        let config = Config {
            answers: Answers::Fixed("ok".to_owned()),
            output_length: OutputLength::Asked,
            ..Config::default()
        };
        let asked = |prompt, cap| {
            let text = answer(&config, prompt, cap);
            (text.text.into_owned(), text.tokens, text.cut)
        };
        assert_eq!(asked("row 7 asks for 250", None), ("ok".into(), 250, false));
        assert_eq!(asked("ä250!", Some(100)), ("ok".into(), 100, true));
        assert_eq!(asked("no number", None), ("ok".into(), 1, false));
    }

    #[test]
    fn answers_are_padded_to_the_output_length() {
        let config = Config {
            output_length: OutputLength::LogNormal {
                median: 200.0,
                sigma: 0.0,
            },
            ..Config::default()
        };
        let written = answer(&config, "hello", None);
        assert_eq!((written.tokens, written.cut), (200, false));
        let cut = answer(&config, "hello", Some(50));
        assert_eq!((cut.tokens, cut.cut), (50, true));
    }
}
