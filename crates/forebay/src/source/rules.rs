//! A record becomes an item: its key, its fields, its request.
//!
//! Owns what makes an item invalid. Never reads and never numbers.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::columns::PROMPT_NAMES;
use super::image;
use super::record::{CUSTOM_ID, Field, Plain, Record};
use super::template::Template;
use super::{BodyModel, Prompting};
use crate::error::Error;
use crate::item::{Content, Parameters, Request};
use crate::message::{Message, Part, Role};

/// How items come from records, compiled.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) prompt: Option<Template>,
    pub(super) system: Option<Template>,
    images: Vec<Template>,
    pub(super) id_field: Option<String>,
    parameters: Arc<Parameters>,
    body_model: BodyModel,
}

/// An item without its number.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) custom_id: Option<String>,
    pub(super) fields: String,
    /// The request, or what is wrong with the record.
    pub(super) request: Result<Request, String>,
    /// The item's own `messages` took the place of the prompt template.
    pub(super) kept_messages: bool,
}

impl Draft {
    /// An item of which nothing could be read.
    pub(super) fn unreadable(reason: String) -> Draft {
        Draft {
            custom_id: None,
            fields: String::new(),
            request: Err(reason),
            kept_messages: false,
        }
    }
}

impl Rules {
    /// Compiles the templates.
    ///
    /// # Errors
    /// When one is malformed.
    pub(super) fn new(prompting: Prompting) -> Result<Rules, Error> {
        let compile = |name, source: Option<String>| {
            source
                .map(|source| Template::compile(name, &source))
                .transpose()
        };
        Ok(Rules {
            prompt: compile("prompt", prompting.prompt)?,
            system: compile("system", prompting.system)?,
            images: prompting
                .images
                .iter()
                .map(|source| Template::compile("image", source))
                .collect::<Result<_, _>>()?,
            id_field: prompting.id_field,
            parameters: prompting.parameters,
            body_model: prompting.body_model,
        })
    }

    /// What all requests have in common.
    pub(super) fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// What whole requests have to say of their model.
    pub(super) fn body_model(&self) -> &BodyModel {
        &self.body_model
    }

    /// The templates that there are.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.prompt.iter().chain(&self.system).chain(&self.images)
    }

    /// Makes an item of a record; `prompt_field` is the place's own, when it has one.
    pub(super) fn draft(&self, record: &Record<'_>, prompt_field: Option<&str>) -> Draft {
        let (custom_id, id_fault) = match self.custom_id(record) {
            Ok(id) => (id, None),
            Err(fault) => (None, Some(fault)),
        };
        let is_id = self.id_field.as_deref().is_none_or(|id| id == CUSTOM_ID);
        let messages = self.own_messages(record);
        let request = match id_fault.or_else(|| misfit(record)) {
            Some(fault) => Err(fault),
            None => self.request(record, messages, prompt_field),
        };
        Draft {
            fields: record.written(is_id.then_some(CUSTOM_ID)),
            custom_id,
            kept_messages: request.is_ok() && messages.is_some() && self.prompt.is_some(),
            request,
        }
    }

    pub(super) fn custom_id(&self, record: &Record<'_>) -> Result<Option<String>, String> {
        let name = self.id_field.as_deref().unwrap_or(CUSTOM_ID);
        let required = self.id_field.is_some();
        let plain = record.field(name).map(Field::plain);
        match plain {
            Some(Plain::Text(text)) if !text.is_empty() => Ok(Some(text.into_owned())),
            Some(Plain::Compound) => Err(format!("the id field `{name}` is an array or an object")),
            Some(Plain::LoneSurrogate) => Err(lone_surrogate(name)),
            None if required => Err(format!("the id field `{name}` is missing")),
            Some(_) if required => Err(format!("the id field `{name}` is empty")),
            None | Some(_) => Ok(None),
        }
    }

    /// The messages that the record brings, unless the prompt template makes use of them.
    fn own_messages<'a>(&self, record: &Record<'a>) -> Option<&'a RawValue> {
        let used = self.prompt.as_ref().is_some_and(|t| t.names("messages"));
        if used { None } else { record.messages() }
    }

    fn request(
        &self,
        record: &Record<'_>,
        messages: Option<&RawValue>,
        prompt_field: Option<&str>,
    ) -> Result<Request, String> {
        let content = match (messages, &self.prompt) {
            (Some(_), _) if !self.images.is_empty() => {
                return Err("an image cannot be added to the item's own `messages`".to_owned());
            }
            (Some(messages), _) => Content::Messages(checked(messages)?.to_owned()),
            (None, Some(template)) => Content::Prompt(filled(render(template, record)?)?),
            (None, None) => Content::Prompt(field_prompt(record, prompt_field)?),
        };
        let content = match content {
            Content::Prompt(text) if !self.images.is_empty() => self.illustrated(text, record)?,
            content => content,
        };
        let system = match &self.system {
            Some(template) => Some(render(template, record)?),
            None => None,
        };
        Ok(Request {
            shared: Arc::clone(&self.parameters),
            system: system.filter(|text| !text.trim().is_empty()),
            content,
        })
    }
}

impl Rules {
    /// The prompt with the item's images before it, as models read them best.
    fn illustrated(&self, prompt: String, record: &Record<'_>) -> Result<Content, String> {
        let mut parts = Vec::with_capacity(self.images.len() + 1);
        for template in &self.images {
            parts.push(Part::Image(image::load(&render(template, record)?)?));
        }
        parts.push(Part::Text(prompt));
        let role = Role::User;
        Ok(Content::Conversation(vec![Message { role, parts }]))
    }
}

/// What is wrong with the shape of a CSV record.
fn misfit(record: &Record<'_>) -> Option<String> {
    let Record::Csv { header, cells } = record else {
        return None;
    };
    (header.len() != cells.len())
        .then(|| format!("expected {} fields, found {}", header.len(), cells.len()))
}

fn render(template: &Template, record: &Record<'_>) -> Result<String, String> {
    template.render(record).map_err(|fault| fault.message)
}

fn field_prompt(record: &Record<'_>, prompt_field: Option<&str>) -> Result<String, String> {
    let name = match prompt_field {
        Some(name) => name,
        None => PROMPT_NAMES
            .into_iter()
            .find(|name| record.field(name).is_some())
            .ok_or("this item has neither `messages` nor `prompt`, `text` or `input`")?,
    };
    match record.field(name).map(Field::plain) {
        Some(Plain::Text(text)) => filled(text.into_owned()),
        Some(Plain::Null) => Err("the prompt is empty".to_owned()),
        Some(Plain::Compound) => Err(format!(
            "the prompt field `{name}` is an array or an object"
        )),
        Some(Plain::LoneSurrogate) => Err(lone_surrogate(name)),
        None => Err(format!(
            "the prompt is empty: the field `{name}` is missing"
        )),
    }
}

fn filled(prompt: String) -> Result<String, String> {
    if prompt.trim().is_empty() {
        return Err("the prompt is empty".to_owned());
    }
    Ok(prompt)
}

/// Messages that can be sent as they are.
fn checked(messages: &RawValue) -> Result<&RawValue, String> {
    let text = messages.get();
    if text[1..text.len() - 1].trim_ascii().is_empty() {
        return Err("`messages` is empty".to_owned());
    }
    // Escapes of surrogates are rare; only they can make a well-formed value unreadable.
    let may_hold_surrogates = text.contains("\\ud") || text.contains("\\uD");
    if may_hold_surrogates && serde_json::from_str::<serde_json::Value>(text).is_err() {
        return Err(lone_surrogate("messages"));
    }
    Ok(messages)
}

fn lone_surrogate(name: &str) -> String {
    format!("the field `{name}` holds a lone surrogate, which is no Unicode text")
}

#[cfg(test)]
mod tests;
