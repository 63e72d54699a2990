//! Writes extracts, stand-in translations and plain sentences.
//!
//! Owns the sentences. Never writes labels.

/// Sentences that pass for an answer to nearly anything.
const SENTENCES: [&str; 16] = [
    "The short answer is yes, with two conditions worth checking first.",
    "It depends mostly on how often the data changes.",
    "A simple approach is usually enough, and it is easier to maintain.",
    "Start with the smallest case and measure before you change anything.",
    "The main risk is that a partial result looks like a complete one.",
    "Both options work; the second is cheaper when the volume is high.",
    "In practice the difference is small unless the input is very large.",
    "Keep the steps separate, so that each one can be tested alone.",
    "The figures support this, although the sample is not large.",
    "Most of the time goes into waiting rather than into work.",
    "A clear name would make the purpose obvious to the next reader.",
    "This follows from the first point and needs no further assumption.",
    "There are exceptions, but they are rare and easy to recognise.",
    "The safest order is to write first, then confirm, then remove.",
    "If that is not possible, record why and come back to it later.",
    "Overall the result is sound and can be used as it is.",
];

/// Stand-in translations, by the stem of the language's English name.
const TRANSLATIONS: [(&str, &str); 6] = [
    (
        "german",
        "Vielen Dank für Ihre Nachricht, wir melden uns in Kürze.",
    ),
    (
        "french",
        "Merci pour votre message, nous vous répondrons bientôt.",
    ),
    (
        "spanish",
        "Gracias por su mensaje, le responderemos en breve.",
    ),
    (
        "italian",
        "Grazie per il suo messaggio, le risponderemo a breve.",
    ),
    (
        "portuguese",
        "Obrigado pela sua mensagem, responderemos em breve.",
    ),
    (
        "dutch",
        "Bedankt voor uw bericht, we nemen snel contact met u op.",
    ),
];

/// The longest extract, in bytes.
const EXTRACT: usize = 240;

/// The bytes at the start of a prompt in which an instruction is looked for.
const INSTRUCTION: usize = 512;

/// Replies to a prompt that asks for no label.
pub(super) fn reply(prompt: &str, rng: &mut fastrand::Rng) -> String {
    let start = prompt[..prompt.floor_char_boundary(INSTRUCTION)].to_ascii_lowercase();
    if start.contains("summar") {
        return extract(prompt);
    }
    if start.contains("translate") {
        return translation(&start).to_owned();
    }
    let mut text = sentence(rng).to_owned();
    for _ in 0..rng.usize(..3) {
        text.push(' ');
        text.push_str(sentence(rng));
    }
    text
}

/// Adds sentences until a text has at least so many characters, then cuts what it added.
pub(super) fn pad(text: &mut String, chars: usize, rng: &mut fastrand::Rng) {
    let mut length = text.chars().count();
    if length >= chars {
        return;
    }
    while length < chars {
        let sentence = sentence(rng);
        text.push(' ');
        text.push_str(sentence);
        length += 1 + sentence.len();
    }
    // The sentences are ASCII, so each character of the excess is a byte.
    text.truncate(text.len() - (length - chars));
}

fn sentence(rng: &mut fastrand::Rng) -> &'static str {
    SENTENCES[rng.usize(..SENTENCES.len())]
}

/// The first one or two sentences of what follows the instruction.
fn extract(prompt: &str) -> String {
    let text = prompt
        .split_once([':', '\n'])
        .map_or(prompt, |(_, text)| text);
    let text = match text.trim() {
        "" => prompt.trim(),
        text => text,
    };
    let short = &text[..text.floor_char_boundary(EXTRACT)];
    let ends = short.match_indices(['.', '!', '?']).map(|(at, _)| at + 1);
    match ends.take(2).last() {
        Some(end) => short[..end].replace('\n', " "),
        None => short.replace('\n', " ").trim_end().to_owned() + ".",
    }
}

fn translation(instruction: &str) -> &'static str {
    TRANSLATIONS
        .iter()
        .find(|(language, _)| instruction.contains(language))
        .map_or(
            "Thank you for your message, we will get back to you soon.",
            |(_, text)| text,
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_first_sentences() {
        let prompt = "Summarise in a sentence: It rained. The match was off. We went home.";
        let reply = reply(prompt, &mut fastrand::Rng::with_seed(1));
        assert_eq!(reply, "It rained. The match was off.");
        assert_eq!(extract("Summarize: short text"), "short text.");
        assert_eq!(extract("Summarize"), "Summarize.");
    }

    #[test]
    fn a_translation_is_in_the_language_asked_for() {
        let reply = reply(
            "Translate into French: hello",
            &mut fastrand::Rng::with_seed(1),
        );
        assert!(reply.starts_with("Merci"));
    }

    #[test]
    fn padding_is_exact_and_keeps_longer_texts() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut text = "naïve".to_owned();
        pad(&mut text, 100, &mut rng);
        assert_eq!(text.chars().count(), 100);
        assert!(text.starts_with("naïve "));
        pad(&mut text, 10, &mut rng);
        assert_eq!(text.chars().count(), 100);
    }
}
