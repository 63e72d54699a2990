//! The names under which a model may stand in the table, and patterns over names.
//!
//! Never looks into the table.

/// Cloud regions that the table's names begin with (Amazon Bedrock's inference profiles).
const REGIONS: [&str; 8] = [
    "us.", "eu.", "apac.", "global.", "us-gov.", "au.", "jp.", "in.",
];

/// The names to try for a model, in order, without repeats; `provider/model` and `model` first.
///
/// `provider` is the provider's name in the table.
/// The order is that of LiteLLM, whose table it is.
pub(super) fn candidates(provider: &str, model: &str) -> Vec<String> {
    let mut names = vec![format!("{provider}/{model}"), model.to_owned()];
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    if let Some(rest) = without_region(model) {
        add(rest.to_owned());
    }
    let after_slash = model.split_once('/').map(|(_, rest)| rest);
    if let Some(rest) = after_slash {
        add(rest.to_owned());
    }
    for name in [Some(model), after_slash].into_iter().flatten() {
        if let Some(short) = without_version(name) {
            add(format!("{provider}/{short}"));
            add(short.to_owned());
        }
    }
    names
}

/// The name without the cloud region at its start.
fn without_region(model: &str) -> Option<&str> {
    REGIONS
        .iter()
        .find_map(|region| model.strip_prefix(region))
        .filter(|rest| !rest.is_empty())
}

/// The name without what a snapshot or a fine-tune adds to it at the end.
///
/// That is `-YYYY-MM-DD`, `-YYYYMMDD` or `-001`. Of `ft:base:org:name:id` it leaves `ft:base`:
/// a fine-tuned model costs more than its base, so the base's own price would be wrong.
fn without_version(name: &str) -> Option<&str> {
    if let Some(tuned) = name.strip_prefix("ft:") {
        let end = tuned.find(':')?;
        return Some(&name[.."ft:".len() + end]);
    }
    ["-dddd-dd-dd", "-dddddddd", "-ddd"]
        .iter()
        .find_map(|shape| without_shape(name, shape))
}

/// The name without an end of this shape, in which `d` stands for a digit.
fn without_shape<'a>(name: &'a str, shape: &str) -> Option<&'a str> {
    let start = name.len().checked_sub(shape.len()).filter(|n| *n > 0)?;
    let (rest, end) = name.split_at_checked(start)?;
    end.bytes()
        .zip(shape.bytes())
        .all(|(byte, want)| match want {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
        .then_some(rest)
}

/// A case-insensitive pattern over names.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The lower-case texts between the pattern's stars.
    parts: Vec<String>,
}

impl Pattern {
    /// A pattern with stars matches whole names, one without stars matches anywhere.
    pub(super) fn new(pattern: &str) -> Pattern {
        let lower = pattern.to_lowercase();
        let lower = match lower.contains('*') {
            true => lower,
            false => format!("*{lower}*"),
        };
        Pattern {
            parts: lower.split('*').map(str::to_owned).collect(),
        }
    }

    /// Whether the name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return false;
        };
        let Some(mut rest) = name.strip_prefix(first.as_str()) else {
            return false;
        };
        // Taking each part where it first fits leaves the most room for the later ones.
        for part in middle {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_from_the_exact_to_the_general() {
        assert_eq!(
            candidates("router", "openai/gpt-4o-2031-01-02"),
            [
                "router/openai/gpt-4o-2031-01-02",
                "openai/gpt-4o-2031-01-02",
                "gpt-4o-2031-01-02",
                "router/openai/gpt-4o",
                "openai/gpt-4o",
                "router/gpt-4o",
                "gpt-4o",
            ]
        );
        assert_eq!(candidates("p", "m"), ["p/m", "m"]);
        assert_eq!(
            candidates("b", "eu.anthropic.claude")[2],
            "anthropic.claude"
        );
    }

    #[test]
    fn versions_are_cut_off_only_when_they_are_versions() {
        for (name, short) in [
            ("gpt-4o-2024-05-13", Some("gpt-4o")),
            ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
            ("gemini-2.0-flash-001", Some("gemini-2.0-flash")),
            ("ft:gpt-4o:org::id", Some("ft:gpt-4o")),
            ("ft:gpt-4o", None),
            ("gpt-4-0613", None),
            ("gpt-4o", None),
            ("-001", None),
            ("é001", None),
            ("", None),
        ] {
            assert_eq!(without_version(name), short, "{name}");
        }
    }

    #[test]
    fn patterns_match_parts_or_whole_names() {
        for (pattern, name, matches) in [
            ("4O", "gpt-4o-mini", true),
            ("", "anything", true),
            ("4o*", "gpt-4o-mini", false),
            ("gpt*mini", "gpt-4o-mini", true),
            ("*", "x", true),
            ("a*a", "a", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), matches, "{pattern}");
        }
    }
}
