//! Whether OpenAI's strict mode takes a schema.
//!
//! Owns the rules of that mode. What does not keep them is sent without it, and the answer is
//! checked all the same.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The deepest nesting of objects that strict mode takes. Source: OpenAI's guide to structured
/// outputs.
const DEEPEST: usize = 10;
/// The most properties of all objects together. Source: the same.
const MOST_PROPERTIES: usize = 5_000;

/// Keywords that strict mode refuses. Source: the same.
const REFUSED: [&str; 16] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "minProperties",
    "maxProperties",
];

/// Whether OpenAI's strict mode takes this schema: an object at the top, in each object every
/// property required and no others allowed, and none of the keywords that the mode refuses.
///
/// When in doubt it says no: without strict mode the schema is still sent, as an aim.
pub fn fits_strict_mode(schema: &RawValue) -> bool {
    let Ok(Value::Object(root)) = serde_json::from_str(schema.get()) else {
        return false;
    };
    let mut properties = 0;
    root.get("type").and_then(Value::as_str) == Some("object")
        && fits(&root, 0, &mut properties)
        && properties <= MOST_PROPERTIES
}

fn fits(schema: &Map<String, Value>, depth: usize, properties: &mut usize) -> bool {
    if REFUSED.iter().any(|word| schema.contains_key(*word)) || !says_something(schema) {
        return false;
    }
    // Definitions and alternatives are no deeper than what refers to them.
    let mut inside = true;
    let mut below = |value: &Value, deeper: usize| {
        let fine = value.as_object().is_some_and(|inner| {
            depth + deeper <= DEEPEST && fits(inner, depth + deeper, properties)
        });
        inside &= fine;
        1
    };
    let members = |name: &str| schema.get(name).and_then(Value::as_object);
    let mut own = 0;
    for value in members("properties").into_iter().flat_map(Map::values) {
        own += below(value, 1);
    }
    for name in ["$defs", "definitions"] {
        for value in members(name).into_iter().flat_map(Map::values) {
            below(value, 0);
        }
    }
    if let Some(items) = schema.get("items") {
        below(items, 1);
    }
    for value in schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        below(value, 0);
    }
    *properties += own;
    inside && (!is_object(schema) || is_closed(schema))
}

/// Strict mode wants to know the kind of every value.
fn says_something(schema: &Map<String, Value>) -> bool {
    ["type", "enum", "const", "$ref", "anyOf"]
        .iter()
        .any(|word| schema.contains_key(*word))
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => schema.contains_key("properties"),
    }
}

/// Whether an object has all of its properties and no others.
fn is_closed(schema: &Map<String, Value>) -> bool {
    let no_others = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let empty = Map::new();
    let properties = match schema.get("properties") {
        Some(Value::Object(properties)) => properties,
        _ => &empty,
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    no_others
        && properties
            .keys()
            .all(|name| required.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(schema: &str) -> bool {
        fits_strict_mode(&RawValue::from_string(schema.to_owned()).unwrap())
    }

    #[test]
    fn closed_objects_fit_strict_mode() {
        for schema in [
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{},"additionalProperties":false}"#,
            r##"{"type":"object","$defs":{"tag":{"enum":["x"]}},"properties":{"a":{"type":["array","null"],
                "items":{"$ref":"#/$defs/tag"}},"b":{"anyOf":[{"type":"number"},{"const":null}]}},
                "required":["b","a"],"additionalProperties":false}"##,
        ] {
            assert!(strict(schema), "{schema}");
        }
    }

    #[test]
    fn what_strict_mode_refuses_is_known() {
        for schema in [
            "true",
            "[]",
            "{}",
            r#"{"type":"array","items":{"type":"string"}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":true},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"object"}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","not":{"const":"x"}}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{},"additionalProperties":false,"$defs":{"x":{"type":"object"}}}"#,
        ] {
            assert!(!strict(schema), "{schema}");
        }
        let mut deep = r#"{"type":"string"}"#.to_owned();
        for _ in 0..=DEEPEST {
            deep = format!(
                r#"{{"type":"object","properties":{{"a":{deep}}},"required":["a"],"additionalProperties":false}}"#
            );
        }
        assert!(!strict(&deep));
    }
}
