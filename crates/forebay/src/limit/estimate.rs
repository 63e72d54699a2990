//! How many tokens an attempt is going to take.

use crate::outcome::Usage;

/// Bytes per token in plain English text, OpenAI's rule of thumb.
const BYTES_PER_TOKEN: f64 = 4.0;
/// Tokens per character outside ASCII: between Latin accents (less) and Chinese (about one).
const TOKENS_PER_WIDE_CHAR: f64 = 0.7;
/// Output tokens expected before anything was learnt and when no cap is given.
const FIRST_OUTPUT_GUESS: f64 = 200.0;
/// Weight of the newest answer in the running means; some thirty answers are remembered.
const WEIGHT: f64 = 1.0 / 32.0;

/// Tokens of an image: those of one of a megapixel, between OpenAI's 765 and Anthropic's 1,400.
const TOKENS_OF_IMAGE: f64 = 1_000.0;
/// Bytes of text that take as many tokens; a shorter image is counted as text.
const SMALLEST_IMAGE: usize = 4_000;
/// What a JSON string with an image in it begins with, quote included: a data: URL, or PNG, JPEG,
/// GIF and WebP in base64.
const IMAGES: [&[u8]; 5] = [
    b"\"data:image/",
    b"\"iVBORw0KGgo",
    b"\"/9j/",
    b"\"R0lGOD",
    b"\"UklGR",
];

/// Estimated input tokens of a request's body, before anything was learnt.
pub fn input_tokens_of(text: &[u8]) -> f64 {
    if text.len() <= SMALLEST_IMAGE {
        return tokens_of_language(text);
    }
    let (mut tokens, mut counted, mut start) = (0.0, 0, 0);
    for end in memchr::memchr_iter(b'"', text) {
        let string = &text[start..end];
        let is_large = string.len() > SMALLEST_IMAGE;
        if is_large && IMAGES.iter().any(|image| string.starts_with(image)) {
            tokens += tokens_of_language(&text[counted..start]) + TOKENS_OF_IMAGE;
            counted = end;
        }
        start = end;
    }
    tokens + tokens_of_language(&text[counted..])
}

fn tokens_of_language(text: &[u8]) -> f64 {
    let wide_bytes = bytecount_wide(text);
    let ascii = text.len() - wide_bytes.0;
    ascii as f64 / BYTES_PER_TOKEN + wide_bytes.1 as f64 * TOKENS_PER_WIDE_CHAR
}

/// Bytes and characters outside ASCII.
fn bytecount_wide(text: &[u8]) -> (usize, usize) {
    if text.is_ascii() {
        return (0, 0);
    }
    let bytes = text.iter().filter(|byte| !byte.is_ascii()).count();
    // Every UTF-8 character outside ASCII has exactly one byte that begins with 11.
    let chars = text.iter().filter(|byte| **byte >= 0xC0).count();
    (bytes, chars)
}

/// Expected tokens, learnt from the usage of earlier answers.
#[derive(Debug)]
pub struct Estimator {
    /// Real input tokens over estimated ones.
    input_ratio: f64,
    output_mean: f64,
    output_cap: Option<f64>,
    samples: u32,
}

impl Estimator {
    /// Nothing learnt; answers have at most `max_tokens` tokens.
    pub fn new(max_tokens: Option<u32>) -> Estimator {
        let output_cap = max_tokens.map(f64::from);
        Estimator {
            input_ratio: 1.0,
            output_mean: FIRST_OUTPUT_GUESS.min(output_cap.unwrap_or(f64::INFINITY)),
            output_cap,
            samples: 0,
        }
    }

    /// Expected input tokens of a request that was estimated at `guess`.
    pub fn input(&self, guess: f64) -> u64 {
        (guess * self.input_ratio).ceil().max(1.0) as u64
    }

    /// Expected output tokens of the next answer.
    pub fn output(&self) -> u64 {
        let mean = self
            .output_mean
            .min(self.output_cap.unwrap_or(f64::INFINITY));
        mean.ceil().max(1.0) as u64
    }

    /// Expected output tokens of an answer that has a bound of its own.
    pub fn output_of(&self, most: Option<u64>) -> u64 {
        self.output().min(most.unwrap_or(u64::MAX))
    }

    /// Learns from an answer to a request that was estimated at `guess`.
    pub fn learn(&mut self, guess: f64, usage: &Usage) {
        self.samples = self.samples.saturating_add(1);
        // The first answers weigh equally, so that the initial guess is soon forgotten.
        let weight = WEIGHT.max(1.0 / f64::from(self.samples));
        if guess > 0.0 && usage.input_tokens > 0 {
            let ratio = usage.input_tokens as f64 / guess;
            self.input_ratio += weight * (ratio - self.input_ratio);
        }
        self.output_mean += weight * (usage.output_tokens as f64 - self.output_mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_and_wide_text_are_estimated() {
        assert_eq!(input_tokens_of(b"abcdefgh"), 2.0);
        let chinese = input_tokens_of("你好世界".as_bytes());
        assert!((2.0..5.0).contains(&chinese), "{chinese}");
    }

    #[test]
    fn images_count_as_images_and_not_as_text() {
        let long = "x".repeat(5_000_000);
        let tokens = |start: &str| {
            let body = format!(r#"{{"text":"abcdefgh","data":"{start}{long}","more":"abcd"}}"#);
            input_tokens_of(body.as_bytes())
        };
        for start in ["data:image/png;base64,", "/9j/"] {
            let tokens = tokens(start);
            assert!((1_000.0..1_020.0).contains(&tokens), "{tokens}");
        }
        assert!(tokens("") > 1_250_000.0);
    }

    #[test]
    fn estimates_follow_what_answers_use() {
        let mut estimator = Estimator::new(None);
        assert_eq!(estimator.output(), 200);
        for _ in 0..200 {
            estimator.learn(
                100.0,
                &Usage {
                    input_tokens: 150,
                    output_tokens: 10,
                    ..Usage::default()
                },
            );
        }
        assert_eq!(estimator.output(), 10);
        assert_eq!(estimator.input(10.0), 15);
        assert_eq!(Estimator::new(Some(16)).output(), 16);
        assert_eq!(Estimator::new(None).output_of(Some(7)), 7);
        assert_eq!(Estimator::new(None).output_of(None), 200);
    }
}
