//! Writes a JSON text that a schema allows.
//!
//! Owns the choice of values, from the prompt alone. Never checks a schema: what it does not
//! understand it answers with the nearest thing.

use serde_json::{Map, Value};

/// A schema that refers to itself ends here.
const DEEPEST: usize = 12;

/// Words of text values.
const WORDS: [&str; 8] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron",
];

/// An instance of a schema in JSON Schema's words or in OpenAPI's, as providers take them.
pub(super) fn instance(schema: &str, rng: &mut fastrand::Rng) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let mut writer = Writer { root: &schema, rng };
    writer.value(&schema, 0).to_string()
}

struct Writer<'a> {
    root: &'a Value,
    rng: &'a mut fastrand::Rng,
}

impl Writer<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(Value::Array(choices)) = schema.get("enum")
            && !choices.is_empty()
        {
            return choices[self.rng.usize(..choices.len())].clone();
        }
        if let Some(at) = schema["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix('#'))
            && let Some(there) = self.root.pointer(at)
        {
            return self.value(&there.clone(), depth + 1);
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema[choice].get(0) {
                return self.value(first, depth + 1);
            }
        }
        match kind(schema).as_str() {
            "object" => self.object(schema, depth),
            "array" => {
                let least = schema["minItems"].as_u64().unwrap_or(1).min(64);
                let item = schema.get("items").unwrap_or(&Value::Null);
                (0..least).map(|_| self.value(item, depth + 1)).collect()
            }
            "integer" => Value::from(self.number(schema).round() as i64),
            "number" => Value::from(self.number(schema)),
            "boolean" => Value::from(self.rng.bool()),
            "null" => Value::Null,
            _ => self.text(schema),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        Value::Object(object)
    }

    /// A number between the bounds; between 0 and 100 if there are none.
    fn number(&mut self, schema: &Value) -> f64 {
        let least = schema["minimum"].as_f64();
        let most = schema["maximum"].as_f64();
        let low = least.unwrap_or_else(|| most.map_or(0.0, |most| most.min(0.0)));
        let high = most.unwrap_or(low + 100.0).max(low);
        (low + self.rng.f64() * (high - low)).floor().max(low)
    }

    fn text(&mut self, schema: &Value) -> Value {
        match schema["format"].as_str() {
            Some("date") => return Value::from("2025-01-01"),
            Some("date-time") => return Value::from("2025-01-01T00:00:00Z"),
            Some("email") => return Value::from("someone@example.com"),
            _ => {}
        }
        let least = schema["minLength"].as_u64().unwrap_or(0).min(4096) as usize;
        let most = schema["maxLength"].as_u64().unwrap_or(4096) as usize;
        let mut text = WORDS[self.rng.usize(..WORDS.len())].to_owned();
        while text.len() < least {
            text.push(' ');
            text.push_str(WORDS[self.rng.usize(..WORDS.len())]);
        }
        text.truncate(most);
        Value::from(text)
    }
}

/// The type, in lower case; of several the first that is not null.
fn kind(schema: &Value) -> String {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    match kind.is_empty() && schema.get("properties").is_some() {
        true => "object".to_owned(),
        false => kind.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(schema: &str) -> Value {
        let mut rng = fastrand::Rng::with_seed(1);
        serde_json::from_str(&instance(schema, &mut rng)).unwrap()
    }

    #[test]
    fn instances_keep_to_the_schema() {
        let value = written(
            r##"{"type":"object","$defs":{"tag":{"enum":["a"]}},"properties":{
                "city":{"type":"string","minLength":12},"days":{"type":["null","integer"],"minimum":3,"maximum":3},
                "tag":{"$ref":"#/$defs/tag"},"list":{"type":"ARRAY","items":{"type":"BOOLEAN"},"minItems":2}}}"##,
        );
        assert!(value["city"].as_str().unwrap().len() >= 12);
        assert_eq!((&value["days"], &value["tag"]), (&3.into(), &"a".into()));
        let list = value["list"].as_array().unwrap();
        assert!(list.len() == 2 && list.iter().all(Value::is_boolean));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let value = written(r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##);
        assert!(value["next"]["next"].is_object());
    }
}
