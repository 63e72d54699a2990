//! Templates over an item's fields.
//!
//! Owns the template language's settings: an undefined field cannot be printed, nothing is
//! escaped, a value that is no string prints as JSON. Error texts repeat the template, which is
//! the user's own, and never a field's value.

use std::collections::BTreeMap;

use minijinja::value::{Value, ValueKind};
use minijinja::{
    AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior, escape_formatter,
};

use super::record::{Field, Record, reason};
use super::simple::{self, Part};
use crate::error::Error;

/// A template that compiled.
#[derive(Debug)]
pub(super) struct Template {
    /// What it is for: `prompt` or `system`.
    name: &'static str,
    source: String,
    engine: Environment<'static>,
    /// The fields that it names, in alphabetical order.
    fields: Vec<String>,
    /// Its parts, when it can be rendered without the engine.
    parts: Option<Vec<Part>>,
}

/// Why a template cannot be rendered for an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RenderFault {
    pub(super) message: String,
    /// The template is at fault, whatever the item.
    pub(super) always: bool,
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// When it is malformed; the text names line and column and repeats the line.
    pub(super) fn compile(name: &'static str, source: &str) -> Result<Template, Error> {
        let mut engine = engine();
        engine
            .add_template_owned(name, source.to_owned())
            .map_err(|error| syntax(name, source, &error))?;
        let globals: Vec<String> = engine.globals().map(|(name, _)| name.to_owned()).collect();
        let mut fields: Vec<String> = engine
            .get_template(name)
            .map(|template| template.undeclared_variables(false))
            .unwrap_or_default()
            .into_iter()
            .filter(|field| !globals.contains(field))
            .collect();
        fields.sort();
        let parts = simple::parts(source, |name| fields.iter().any(|field| field == name));
        Ok(Template {
            name,
            source: source.to_owned(),
            engine,
            fields,
            parts,
        })
    }

    /// What it is for: `prompt` or `system`.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The fields that it names.
    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether it names this field.
    pub(super) fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|name| name == field)
    }

    /// Whether an expression of it is this field and nothing else: `{{ field }}`.
    #[cfg(feature = "parquet")]
    pub(super) fn prints(&self, field: &str) -> bool {
        let expressions = self.source.split("{{").skip(1);
        expressions
            .filter_map(|rest| rest.split_once("}}"))
            .any(|(inner, _)| inner.trim_matches(['-', '+']).trim() == field)
    }

    /// Renders it over a record's fields.
    ///
    /// # Errors
    /// When a field is missing or of the wrong type.
    pub(super) fn render(&self, record: &Record<'_>) -> Result<String, RenderFault> {
        if let Some(text) = self
            .parts
            .as_ref()
            .and_then(|parts| simple::render(parts, record))
        {
            return Ok(text);
        }
        let mut context = BTreeMap::new();
        for name in &self.fields {
            if let Some(field) = record.field(name) {
                context.insert(name.as_str(), value_of(name, field)?);
            }
        }
        self.engine
            .get_template(self.name)
            .and_then(|template| template.render(Value::from(context)))
            .map_err(|error| self.fault(&error, record))
    }

    fn fault(&self, error: &minijinja::Error, record: &Record<'_>) -> RenderFault {
        if error.kind() == ErrorKind::UndefinedError
            && let Some(missing) = self.missing(error, record)
        {
            return RenderFault {
                message: format!(
                    "the template names the field `{missing}`, which this item does not have"
                ),
                always: false,
            };
        }
        let always = matches!(
            error.kind(),
            ErrorKind::UnknownFilter
                | ErrorKind::UnknownTest
                | ErrorKind::UnknownFunction
                | ErrorKind::UnknownMethod
        );
        let line = error.line().unwrap_or(1);
        // The engine's own detail may repeat a field's value, so it stays out, but for the name
        // of something that does not exist.
        let detail = match error.detail() {
            Some(detail) if always => format!("{}, {detail}", error.kind()),
            _ => error.kind().to_string(),
        };
        RenderFault {
            message: format!(
                "the {} template fails on its line {line}: {detail}: {}",
                self.name,
                line_of(&self.source, line)
            ),
            always,
        }
    }

    /// The field that the failing expression names and the record lacks.
    fn missing(&self, error: &minijinja::Error, record: &Record<'_>) -> Option<&str> {
        let lacking = |expression: &str| {
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let fields = || self.fields.iter();
            words
                .filter(|word| record.field(word).is_none())
                .find_map(|word| fields().find(|field| *field == word))
                .map(String::as_str)
        };
        let range = error.range()?;
        let before = self.source.get(..range.end)?;
        // The engine points at a filter rather than at what is filtered.
        let tag = before.rfind("{{").max(before.rfind("{%")).unwrap_or(0);
        before
            .get(range.start..)
            .and_then(lacking)
            .or_else(|| lacking(&before[tag..]))
    }
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_debug(false);
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(print);
    // The default delimiters are known to be valid.
    if let Ok(syntax) = minijinja::syntax::SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .build()
    {
        engine.set_syntax(syntax);
    }
    engine
}

/// Prints a value: strings and numbers as the engine does, the rest as JSON.
fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Seq | ValueKind::Map => {
            let json = serde_json::to_string(value).map_err(|_| {
                minijinja::Error::new(ErrorKind::BadSerialization, "not a JSON value")
            })?;
            out.write_str(&json).map_err(minijinja::Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}

fn value_of(name: &str, field: Field<'_>) -> Result<Value, RenderFault> {
    match field {
        Field::Text(text) => Ok(Value::from(text)),
        Field::Json(json) => serde_json::from_str(json.get()).map_err(|error| RenderFault {
            message: format!("the field `{name}` cannot be decoded: {}", reason(&error)),
            always: false,
        }),
    }
}

fn syntax(name: &str, source: &str, error: &minijinja::Error) -> Error {
    let line = error.line().unwrap_or(1);
    let column = error.range().map_or(1, |range| {
        let before = source.get(..range.start).unwrap_or_default();
        before.chars().rev().take_while(|c| *c != '\n').count() + 1
    });
    let detail = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::config(format!(
        "malformed {name} template at line {line}, column {column}: {detail}: {}",
        line_of(source, line)
    ))
    .with_hint("fields are written {{ name }}; for literal braces write {{ '{{' }}")
}

/// A line of the template, for people.
fn line_of(source: &str, line: usize) -> String {
    let text = source.lines().nth(line - 1).unwrap_or_default();
    format!("`{}`", text.trim())
}

#[cfg(test)]
mod tests;
