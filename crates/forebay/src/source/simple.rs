//! Templates of literal text and plain `{{ name }}` are rendered by hand.
//!
//! Owns telling such a template from others, and rendering it exactly as the template engine
//! would. Never renders a value about which there is any doubt; the engine does those.

use serde_json::value::RawValue;

use super::record::{Field, Record};
use crate::fields;

/// Digits of an integer that certainly fits 64 bits and is printed as it is written.
const MAX_DIGITS: usize = 18;

/// A piece of a simple template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    /// The value of a field.
    Field(String),
}

/// The parts of a template, when it is simple: every expression is a name that `is_field`.
pub(super) fn parts(source: &str, is_field: impl Fn(&str) -> bool) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("{{") {
        push_literal(&mut parts, &rest[..at])?;
        let inner = &rest[at + 2..];
        let end = inner.find("}}")?;
        let name = inner[..end].trim_ascii();
        if !is_field(name) {
            return None;
        }
        parts.push(Part::Field(name.to_owned()));
        rest = &inner[end + 2..];
    }
    push_literal(&mut parts, rest)?;
    Some(parts)
}

fn push_literal(parts: &mut Vec<Part>, text: &str) -> Option<()> {
    if text.contains("{%") || text.contains("{#") {
        return None;
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
    Some(())
}

/// Renders a simple template; `None` when a value is missing or not simple.
pub(super) fn render(parts: &[Part], record: &Record<'_>) -> Option<String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Field(name) => match record.field(name)? {
                Field::Text(text) => out.push_str(text),
                Field::Json(value) if value.get().starts_with('"') => {
                    out.push_str(&fields::as_str(value)?);
                }
                Field::Json(value) if prints_as_written(value) => out.push_str(value.get()),
                Field::Json(_) => return None,
            },
        }
    }
    Some(out)
}

/// Whether the engine prints a value just as it is written.
fn prints_as_written(value: &RawValue) -> bool {
    let text = value.get();
    if matches!(text, "true" | "false" | "null" | "0") {
        return true;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() <= MAX_DIGITS
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts_of(source: &str) -> Option<Vec<Part>> {
        parts(source, |name| name == "a" || name == "b_2")
    }

    #[test]
    fn literals_and_names_are_simple() {
        let literal = |text: &str| Part::Literal(text.to_owned());
        let field = |name: &str| Part::Field(name.to_owned());
        assert_eq!(parts_of(""), Some(vec![]));
        assert_eq!(
            parts_of("x } {{a}}{{ b_2\n}} }}\n"),
            Some(vec![
                literal("x } "),
                field("a"),
                field("b_2"),
                literal(" }}\n")
            ])
        );
    }

    #[test]
    fn everything_else_is_not() {
        for source in [
            "{{ a|upper }}",
            "{{- a }}",
            "{{ a -}}",
            "{{ a.b }}",
            "{{ c }}",
            "{% if a %}{% endif %}",
            "{# a #}{{ a }}",
            "{{ '}}' }}",
            "{{ a",
            "{{ 'x' }}",
            "{{ }}",
        ] {
            assert_eq!(parts_of(source), None, "{source}");
        }
    }
}
