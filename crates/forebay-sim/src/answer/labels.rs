//! Finds the labels a prompt asks to choose from.
//!
//! Owns a small scanner: a cue such as `classify`, then a list such as
//! `as billing, bug or other:`. Never chooses; `affinity` does.

use memchr::memmem;

/// Words that announce a choice between labels.
const CUES: [&str; 5] = ["classify", "label", "categorize", "categorise", "one of"];

/// What stands between a cue and its list.
const BRIDGES: [&str; 4] = [" as ", " into ", "one of", ":"];

/// Words that introduce a list and are no labels.
const INTRODUCTIONS: [&str; 11] = [
    "exactly",
    "one",
    "of",
    "the",
    "these",
    "following",
    "either",
    "labels",
    "label",
    "categories",
    "classes",
];

/// The longest label, in bytes, and its most words; a list with a longer one is prose.
const MAX_LABEL: (usize, usize) = (40, 4);

/// The bytes of a prompt that are scanned; an instruction is near the start or the end.
const SCANNED: usize = 4096;

/// A choice between labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question<'a> {
    /// At least two.
    pub(super) labels: Vec<&'a str>,
    /// The text to judge.
    pub(super) text: &'a str,
}

/// Finds the first list of labels after a cue.
pub(super) fn find(prompt: &str) -> Option<Question<'_>> {
    let tail = Some(tail(prompt)).filter(|_| prompt.len() > SCANNED);
    find_in(prompt, head(prompt)).or_else(|| find_in(prompt, tail?))
}

fn find_in<'a>(prompt: &'a str, part: &'a str) -> Option<Question<'a>> {
    // ASCII lowercase keeps every byte's place.
    let lower = part.to_ascii_lowercase();
    let mut cues: Vec<usize> = CUES
        .iter()
        .filter_map(|cue| memmem::find(lower.as_bytes(), cue.as_bytes()))
        .collect();
    cues.sort_unstable();
    for cue in cues {
        let line = lower[cue..].find('\n').map_or(lower.len(), |end| cue + end);
        let mut starts: Vec<usize> = BRIDGES
            .iter()
            .filter_map(|bridge| Some(cue + lower[cue..line].find(bridge)? + bridge.len()))
            .collect();
        starts.sort_unstable();
        for start in starts {
            let Some((labels, rest)) = list(&part[start..]) else {
                continue;
            };
            let text = match rest.trim().is_empty() {
                true => &prompt[..offset(prompt, part) + cue],
                false => &prompt[offset(prompt, rest)..],
            };
            return Some(Question { labels, text });
        }
    }
    None
}

/// Reads a list of labels and returns it with what follows.
fn list(text: &str) -> Option<(Vec<&str>, &str)> {
    let text = introduced(text);
    let end = text
        .find([':', '\n', '.', '?', ';', ')', ']'])
        .unwrap_or(text.len());
    let labels: Vec<&str> = text[..end]
        .split([',', '/', '|'])
        .flat_map(|part| part.split(" or "))
        .flat_map(|part| part.split(" and "))
        .map(label)
        .filter(|label| !label.is_empty())
        .collect();
    let (bytes, words) = MAX_LABEL;
    let fits = |label: &&str| label.len() <= bytes && label.split_whitespace().count() <= words;
    let rest = text[end..].trim_start_matches([':', '.', '?', ';', ')', ']']);
    (labels.len() >= 2 && labels.iter().all(fits)).then_some((labels, rest))
}

/// Skips words that introduce a list, and the colon and brackets around it.
fn introduced(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', ':', '(', '[', '\n']);
        let word_end = text
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let word = &text[..word_end];
        // A word before a comma is a label, whatever it says.
        let introduces = text[word_end..].starts_with([' ', ':'])
            && INTRODUCTIONS
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known));
        if !introduces {
            return text;
        }
        text = &text[word_end..];
    }
}

/// Strips what surrounds a label in a list.
fn label(part: &str) -> &str {
    let part = part.trim();
    let leads = ["or ", "and ", "a ", "an "];
    let part = leads
        .iter()
        .fold(part, |part, lead| part.strip_prefix(lead).unwrap_or(part));
    part.trim_matches([' ', '"', '\'', '`', '*', '“', '”', '(', '['])
}

fn head(prompt: &str) -> &str {
    &prompt[..prompt.floor_char_boundary(SCANNED)]
}

fn tail(prompt: &str) -> &str {
    &prompt[prompt.ceil_char_boundary(prompt.len().saturating_sub(SCANNED))..]
}

/// Where a part of the prompt starts.
fn offset(prompt: &str, part: &str) -> usize {
    part.as_ptr().addr() - prompt.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(prompt: &str) -> Vec<&str> {
        find(prompt).map_or_else(Vec::new, |question| question.labels)
    }

    #[test]
    fn finds_lists_however_they_are_asked_for() {
        let expected = ["billing", "bug", "other"];
        for prompt in [
            "Classify as billing, bug or other: the app crashed",
            "Classify this message as billing, bug, or other.\n\nthe app crashed",
            "Categorize into one of the following categories: \"billing\", \"bug\", \"other\".",
            "the app crashed\nAnswer with exactly one of: billing, bug, other",
            "Label the ticket (one of billing/bug/other)",
            "Label: billing | bug | other\nText: the app crashed",
        ] {
            assert_eq!(labels(prompt), expected, "in {prompt:?}");
        }
    }

    #[test]
    fn the_text_to_judge_is_what_follows_or_else_what_precedes() {
        let after = find("Classify as spam or ham: buy now").unwrap();
        assert_eq!(after.text.trim(), "buy now");
        let before = find("Buy now!\nClassify as spam or ham").unwrap();
        assert_eq!(before.text.trim(), "Buy now!");
    }

    #[test]
    fn prose_is_no_list() {
        assert!(labels("Tell me a story about one of the kings of old").is_empty());
        assert!(labels("The label says nothing").is_empty());
        assert!(labels("ünïcödé ✓ classify").is_empty());
    }
}
