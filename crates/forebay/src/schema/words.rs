//! What is said of a schema that is none, and of an answer that does not fit.
//!
//! Owns the rule that a row tells places and rules, and never an answer's own text.

use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::Mismatch;
use crate::error::Error;

/// The longest place or rule that is told, in characters.
const LONGEST: usize = 120;

/// Why a text is no schema.
pub(super) fn not_a_schema(error: &ValidationError<'_>) -> Error {
    if let ValidationErrorKind::Referencing(why) = error.kind() {
        let why = clip(&why.to_string());
        return Error::config(format!(
            "a $ref cannot be resolved inside of the schema: {why}"
        ))
        .with_hint("other files and addresses are not read; put what is referred to into $defs");
    }
    let place = place(error);
    let said = clip(&error.to_string());
    Error::config(format!("not a JSON Schema: at {place}: {said}"))
}

/// An answer that cannot be JSON.
pub(super) fn not_json(why: &str) -> Mismatch {
    let message = format!("the answer is not JSON: {why}");
    Mismatch {
        for_model: message.clone(),
        message,
    }
}

/// An answer that is broken JSON; the reader's words name a line and a column.
pub(super) fn broken(error: &serde_json::Error) -> Mismatch {
    not_json(&error.to_string())
}

/// What these errors amount to.
pub(super) fn mismatch<'e>(errors: impl Iterator<Item = ValidationError<'e>>) -> Mismatch {
    let mut told = Mismatch {
        message: "the answer does not fit the schema".into(),
        for_model: String::new(),
    };
    for (n, error) in errors.enumerate() {
        let sign = if n == 0 { ": " } else { "; " };
        let place = place(&error);
        let _ = write!(told.message, "{sign}{place} {}", rule(error.kind()));
        if n > 0 {
            told.for_model.push_str("; ");
        }
        let _ = write!(told.for_model, "{place} {}", rule(error.kind()));
        if let ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } = error.kind()
        {
            let _ = write!(told.for_model, ": {}", clip(&unexpected.join(", ")));
        }
    }
    told
}

/// Where an error is: a JSON pointer, or the whole.
fn place(error: &ValidationError<'_>) -> String {
    let pointer = error.instance_path().to_string();
    if pointer.is_empty() {
        "the whole".into()
    } else {
        clip(&pointer)
    }
}

/// The rule that is broken, in words that hold nothing of the answer.
fn rule(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind } => format!("is not of type {}", types(kind)),
        Kind::Required { property } => format!("lacks {}", clip(&property.to_string())),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "has members that are not allowed".into()
        }
        Kind::Enum { options } => format!("is none of {}", clip(&options.to_string())),
        Kind::Constant { expected_value } => {
            format!("is not {}", clip(&expected_value.to_string()))
        }
        Kind::Minimum { limit } => format!("is less than {limit}"),
        Kind::Maximum { limit } => format!("is more than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("is not more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("is not less than {limit}"),
        Kind::MinLength { limit } => format!("is shorter than {limit} characters"),
        Kind::MaxLength { limit } => format!("is longer than {limit} characters"),
        Kind::MinItems { limit } => format!("has fewer than {limit} elements"),
        Kind::MaxItems { limit } => format!("has more than {limit} elements"),
        Kind::MinProperties { limit } => format!("has fewer than {limit} members"),
        Kind::MaxProperties { limit } => format!("has more than {limit} members"),
        Kind::Pattern { pattern } => format!("does not match the pattern {}", clip(pattern)),
        Kind::Format { format } => format!("is no {}", clip(format)),
        Kind::UniqueItems => "has an element twice".into(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "fits none of the alternatives".into(),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the alternatives".into(),
        Kind::FalseSchema => "must not be there".into(),
        other => format!("breaks the rule {:?}", other.keyword()),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

/// A JSON value's type with its article.
pub(super) fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn clip(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
