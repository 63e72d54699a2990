//! An input unit and the request that it asks for.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::endpoint::Dialect;
use crate::fields;
use crate::message::{AnswerSchema, Message, Tool, ToolChoice};
use crate::outcome::Failure;

/// One input unit, read and resolved.
#[derive(Debug, Clone)]
pub struct Item {
    /// Position among the run's items, from 0.
    pub index: u64,
    /// The item's own key, when the input names one; see [`Item::id`].
    pub custom_id: Option<String>,
    /// The input fields as JSON object members without the braces, to be repeated in the row.
    pub fields: String,
    /// The request to make, or why the input is unusable.
    pub request: Result<Request, Failure>,
}

impl Item {
    /// The item's key in rows: its own, or `item-<index>`.
    pub fn id(&self) -> String {
        item_id(self.custom_id.as_deref(), self.index)
    }
}

/// What stands before the index of an item that has no key of its own.
pub(crate) const NO_KEY: &str = "item-";

/// The key that rows show for an item: its own, or `item-<index>`.
pub fn item_id(custom_id: Option<&str>, index: u64) -> String {
    match custom_id {
        Some(id) => id.to_owned(),
        None => [NO_KEY, itoa::Buffer::new().format(index)].concat(),
    }
}

/// The logical call of an item, in neutral terms; a dialect encodes it.
#[derive(Debug, Clone)]
pub struct Request {
    /// What all requests of a run have in common.
    pub shared: Arc<Parameters>,
    /// The system prompt, when there is one.
    pub system: Option<String>,
    /// What the user says.
    pub content: Content,
}

/// What a request says.
#[derive(Debug, Clone)]
pub enum Content {
    /// One user message.
    Prompt(String),
    /// Messages in neutral terms.
    Conversation(Vec<Message>),
    /// A JSON array of messages as people write them: of the endpoint's own dialect, or of
    /// another one, which is then translated.
    Messages(Box<RawValue>),
    /// A whole request body, sent byte for byte.
    Raw(RawRequest),
}

/// A whole request as somebody else made it.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// The path that the body is for, such as `/v1/chat/completions`; a version that the base URL
    /// ends with is not repeated. `None` for the dialect's usual one.
    pub path: Option<String>,
    /// The dialect of the body and of its answer, when it is not the endpoint's.
    pub dialect: Option<Dialect>,
    /// The body.
    pub body: Box<RawValue>,
}

impl RawRequest {
    /// The model that a body names; of several members of that name the last counts.
    pub fn model_of(body: &str) -> Option<Cow<'_, str>> {
        let members = fields::members(body).ok()?;
        let (_, value) = members.iter().rfind(|(name, _)| name == "model")?;
        fields::as_str(value).filter(|name| !name.trim().is_empty())
    }
}

/// Parameters that all requests of a run have in common.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// The model's name as sent.
    pub model: String,
    /// The most output tokens the provider may write.
    pub max_tokens: Option<u32>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability that is drawn from, 0 to 1.
    pub top_p: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Seed of sampling, where the dialect has one.
    pub seed: Option<i64>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it has to call.
    pub tool_choice: Option<ToolChoice>,
    /// The shape that the answer has to have.
    pub schema: Option<AnswerSchema>,
    /// Whether the answer is to come as a stream.
    pub stream: bool,
    /// Further members of the request body, in order: name and JSON value.
    pub extra: Vec<(String, Box<RawValue>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_its_model() {
        let model = |body| RawRequest::model_of(body).map(Cow::into_owned);
        assert_eq!(model(r#"{"model":"a","model":"b"}"#).as_deref(), Some("b"));
        for body in ["{}", r#"{"model":7}"#, r#"{"model":" "}"#, "[]"] {
            assert_eq!(model(body), None, "{body}");
        }
    }
}
