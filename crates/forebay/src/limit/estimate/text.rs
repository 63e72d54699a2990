//! How many input tokens a request has, by rule of thumb.

/// Bytes per token in plain English text, OpenAI's rule of thumb.
const BYTES_PER_TOKEN: f64 = 4.0;
/// Tokens per character outside ASCII: between Latin accents (less) and Chinese (about one).
const TOKENS_PER_WIDE_CHAR: f64 = 0.7;

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
}
