//! A compiled schema and the check of an answer against it.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Mismatch, words};
use crate::error::Error;
use crate::fields::{TOO_DEEP, is_too_deep};

/// The most problems that are told of one answer.
const MOST_PROBLEMS: usize = 3;

/// Keywords of which a schema that says anything has at least one.
const KEYWORDS: [&str; 29] = [
    "$schema",
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "type",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "required",
    "dependentRequired",
    "items",
    "prefixItems",
    "contains",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
];

/// A JSON Schema, ready to check answers. Cheap to clone.
#[derive(Clone)]
pub struct Schema {
    validator: Arc<Validator>,
    text: Arc<RawValue>,
    title: Option<String>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

impl Schema {
    /// Reads a JSON Schema; of the drafts 4 to 2020-12, the one that its `$schema` names, else
    /// the last.
    ///
    /// # Errors
    /// When the text is not JSON, is not a JSON Schema, or refers to another document; the
    /// message says where.
    pub fn compile(text: &str) -> Result<Schema, Error> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if is_too_deep(text.as_bytes()) {
            return Err(Error::config(format!("not a JSON Schema: {TOO_DEEP}")));
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::config(format!("not JSON: {error}")))?;
        has_meaning(&value)?;
        let validator = jsonschema::options()
            .offline()
            .build(&value)
            .map_err(|error| words::not_a_schema(&error))?;
        let raw = RawValue::from_string(compact(text))
            .map_err(|error| Error::config(format!("not JSON: {error}")))?;
        Ok(Schema {
            validator: Arc::new(validator),
            text: raw.into(),
            title: value["title"].as_str().map(str::to_owned),
        })
    }

    /// The schema as it was written, without the white space between its parts: that would be
    /// paid for with each request.
    pub fn json(&self) -> &Arc<RawValue> {
        &self.text
    }

    /// The schema's own title.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Checks an answer's text: JSON that fits, alone or in a Markdown fence.
    ///
    /// What comes back is the JSON as the model wrote it, numbers included.
    ///
    /// # Errors
    /// Where it breaks the schema, and which rule; at most three problems, in a few hundred
    /// characters.
    pub fn check(&self, text: &str) -> Result<Box<RawValue>, Mismatch> {
        let json = unfenced(text);
        if json.is_empty() {
            return Err(words::not_json("empty"));
        }
        if is_too_deep(json.as_bytes()) {
            return Err(words::not_json(TOO_DEEP));
        }
        let value: Value = serde_json::from_str(json).map_err(|error| words::broken(&error))?;
        let mut errors = self.validator.iter_errors(&value).peekable();
        if errors.peek().is_some() {
            return Err(words::mismatch(errors.by_ref().take(MOST_PROBLEMS)));
        }
        RawValue::from_string(json.to_owned()).map_err(|error| words::broken(&error))
    }
}

/// An example, or a schema in somebody's wrapping, is read as a schema that allows anything.
fn has_meaning(schema: &Value) -> Result<(), Error> {
    let Some(members) = schema.as_object() else {
        return match schema {
            Value::Bool(_) => Ok(()),
            other => Err(Error::config(format!(
                "not a JSON Schema: it is {}, and a schema is an object",
                words::article(other)
            ))),
        };
    };
    if members.is_empty() || KEYWORDS.iter().any(|word| members.contains_key(*word)) {
        return Ok(());
    }
    Err(
        Error::config("not a JSON Schema: none of its members is a word of JSON Schema")
            .with_hint("give the schema itself, such as {\"type\":\"object\",\"properties\":{…}}"),
    )
}

/// JSON without the white space outside of its strings.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            if in_string {
                in_string = escaped || *c != '"';
                escaped = !escaped && *c == '\\';
                return true;
            }
            in_string = *c == '"';
            !matches!(c, ' ' | '\n' | '\r' | '\t')
        })
        .collect()
}

/// The text without white space around it, and without a Markdown fence.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inside) = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
    else {
        return text;
    };
    // The rest of the fence's line names the language.
    match inside.split_once('\n') {
        Some((language, json)) if language.trim().chars().all(char::is_alphanumeric) => json.trim(),
        _ => text,
    }
}
