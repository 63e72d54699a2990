//! Which fields the input has, and which one is the prompt.
//!
//! Owns the choice of the prompt field and the words for a field that does not exist. Never
//! reads anything.

use super::record::CUSTOM_ID;
use crate::error::Error;

/// The names that a prompt field has by itself, the first one that exists counts.
pub(super) const PROMPT_NAMES: [&str; 3] = ["prompt", "text", "input"];

/// The most columns that a hint lists.
const LISTED: usize = 20;

/// Adds names that are not there yet.
pub(super) fn add(columns: &mut Vec<String>, names: impl IntoIterator<Item = impl AsRef<str>>) {
    for (n, name) in names.into_iter().enumerate() {
        let name = name.as_ref();
        // Most rows have the same names in the same order.
        let is_known = columns.get(n).is_some_and(|column| column == name)
            || columns.iter().any(|column| column == name);
        if !is_known {
            columns.push(name.to_owned());
        }
    }
}

/// The field that is the prompt when there is no template; `None` when items bring `messages`.
///
/// # Errors
/// When no field can be told to be the prompt.
pub(super) fn prompt_field(
    columns: &[String],
    id_field: Option<&str>,
    has_messages: bool,
    place: &str,
) -> Result<Option<String>, Error> {
    for name in PROMPT_NAMES {
        if columns.iter().any(|column| column == name) {
            return Ok(Some(name.to_owned()));
        }
    }
    if has_messages || columns.is_empty() {
        return Ok(None);
    }
    let is_id = |name: &str| name == CUSTOM_ID || Some(name) == id_field;
    let mut others = columns.iter().filter(|column| !is_id(column));
    match (others.next(), others.next()) {
        (Some(only), None) => Ok(Some(only.clone())),
        (first, _) => {
            let example = first.map_or("text", String::as_str);
            Err(Error::config(format!(
                "cannot tell which field of {place} is the prompt: {}",
                listed(columns)
            ))
            .with_hint(format!(
                "say how to build it, for example --prompt 'Summarise: {{{{ {example} }}}}'"
            )))
        }
    }
}

/// Checks that a field exists.
///
/// # Errors
/// When it does not; `who` names it: "the prompt template", say.
pub(super) fn check(
    who: &str,
    name: &str,
    columns: &[String],
    place: Option<&str>,
) -> Result<(), Error> {
    if columns.iter().any(|column| column == name) {
        return Ok(());
    }
    let place = place.unwrap_or("the input");
    let columns_hint = format!("columns: {}", listed(columns));
    let hint = match closest(name, columns) {
        Some(column) => format!("did you mean `{column}`? {columns_hint}"),
        None => columns_hint,
    };
    let message = format!("{who} names the field `{name}`, which {place} does not have");
    Err(Error::config(message).with_hint(hint))
}

/// The column that a misspelt name most likely means: one edit for every three letters, the
/// usual measure (rustc uses the same).
fn closest<'a>(name: &str, columns: &'a [String]) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    columns
        .iter()
        .map(|column| {
            let distance = strsim::damerau_levenshtein(&wanted, &column.to_lowercase());
            (distance, column.as_str())
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, column)| column)
}

fn listed(columns: &[String]) -> String {
    let mut text = columns
        .iter()
        .take(LISTED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if columns.len() > LISTED {
        text.push_str(&format!(" and {} more", columns.len() - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    fn chosen(names: &str, id_field: Option<&str>, has_messages: bool) -> Option<String> {
        prompt_field(&columns(names), id_field, has_messages, "a.csv").unwrap()
    }

    #[test]
    fn the_prompt_field_is_found_by_name_or_by_being_alone() {
        assert_eq!(
            chosen("a input text prompt", None, false).unwrap(),
            "prompt"
        );
        assert_eq!(chosen("a input text", None, false).unwrap(), "text");
        assert_eq!(chosen("a input", None, true).unwrap(), "input");
        assert_eq!(chosen("question", None, false).unwrap(), "question");
        assert_eq!(chosen("custom_id q", None, false).unwrap(), "q");
        assert_eq!(chosen("key q", Some("key"), false).unwrap(), "q");
        assert_eq!(chosen("messages tag", None, true), None);
        assert_eq!(chosen("", None, false), None);
    }

    #[test]
    fn an_unclear_choice_lists_the_columns() {
        let error = prompt_field(&columns("a b"), None, false, "a.csv").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot tell which field of a.csv is the prompt: a, b"
        );
        assert_eq!(
            error.hint(),
            Some("say how to build it, for example --prompt 'Summarise: {{ a }}'")
        );
        assert!(prompt_field(&columns("custom_id"), None, false, "a.csv").is_err());
    }

    #[test]
    fn a_misspelt_field_gets_a_suggestion() {
        let check = |name| super::check("the prompt template", name, &columns("text label"), None);
        assert!(check("text").is_ok());
        let error = check("txet").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the prompt template names the field `txet`, which the input does not have"
        );
        assert_eq!(
            error.hint(),
            Some("did you mean `text`? columns: text, label")
        );
        assert_eq!(
            check("Label").unwrap_err().hint(),
            Some("did you mean `label`? columns: text, label")
        );
        assert_eq!(
            check("question").unwrap_err().hint(),
            Some("columns: text, label")
        );
        let many: Vec<String> = (0..30).map(|n| format!("column{n}")).collect();
        let error = super::check("--id-field", "q", &many, Some("a.csv")).unwrap_err();
        assert!(error.hint().unwrap().ends_with("column19 and 10 more"));
    }
}
