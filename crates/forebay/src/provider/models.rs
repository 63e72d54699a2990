//! The list of models that an endpoint serves: where it is and how it is read.
//!
//! Owns the shapes that such lists have. Never asks for one and never decides whether a model may
//! be used.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Answer;
use super::errors::Context;
use super::head::{PathPart, anthropic_version};
use super::json::Scalar;
use crate::endpoint::{Dialect, Endpoint};
use crate::fields;
use crate::outcome::{Failure, FailureKind};

/// The most models of a page; both Anthropic and Gemini allow 1,000.
const PAGE: usize = 1000;

/// Names under which servers tell the most tokens that a model takes, in order of preference:
/// vLLM, OpenRouter and Together, Groq, Mistral, Anthropic, Gemini.
const CONTEXT: [&str; 6] = [
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
];
/// Names for the most tokens that it writes: Groq, Anthropic, Gemini.
const OUTPUT: [&str; 3] = ["max_completion_tokens", "max_tokens", "outputTokenLimit"];

/// A model as an endpoint lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// The name by which it is asked for.
    pub id: String,
    /// The most input tokens, or the size of its window; `None` when the endpoint does not say.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens; `None` when the endpoint does not say.
    pub max_output_tokens: Option<u64>,
}

/// A part of an endpoint's list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelsPage {
    /// The models.
    pub models: Vec<ServedModel>,
    /// What [`models_path`] wants to be told for the next part; `None` when this is the last.
    pub next: Option<String>,
}

/// The path, from the host on, of the list of models, or of its part after this one.
pub fn models_path(endpoint: &Endpoint, after: Option<&str>) -> String {
    let base = endpoint.base_url.path.as_str();
    let after = |name: &str| match after {
        Some(after) => format!("&{name}={}", PathPart::value(after)),
        None => String::new(),
    };
    match endpoint.dialect {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings => format!("{base}/models"),
        Dialect::Anthropic => {
            let version = anthropic_version(base);
            format!("{base}{version}/models?limit={PAGE}{}", after("after_id"))
        }
        Dialect::Gemini => format!("{base}/models?pageSize={PAGE}{}", after("pageToken")),
    }
}

/// Reads a list of models, or a part of one.
///
/// # Errors
/// When the answer is an error, or no list of models.
pub fn read_models(endpoint: &Endpoint, answer: &Answer<'_>) -> Result<ModelsPage, Failure> {
    let context = Context { endpoint, answer };
    if !(200..300).contains(&answer.status) {
        return Err(context.error_answer());
    }
    let list: List<'_> = match answer.body.trim_ascii_start().first() {
        // Together's list stands alone.
        Some(b'[') if !fields::is_too_deep(answer.body) => List {
            data: serde_json::from_slice(answer.body).ok(),
            ..List::default()
        },
        _ => context.object()?,
    };
    let Some(entries) = list.data.or(list.models) else {
        let text = "the answer is no list of models";
        return Err(context.failed(FailureKind::Malformed, None, text, None));
    };
    let next = match endpoint.dialect {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings => None,
        Dialect::Anthropic if list.has_more == Some(true) => list.last_id.into_text(),
        Dialect::Anthropic => None,
        Dialect::Gemini => list.next_page_token.into_text(),
    };
    Ok(ModelsPage {
        models: entries.iter().filter_map(ServedModel::of).collect(),
        next: next.filter(|next| !next.is_empty()).map(Into::into),
    })
}

#[derive(Default, Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    data: Option<Vec<Entry<'a>>>,
    #[serde(borrow, default)]
    models: Option<Vec<Entry<'a>>>,
    #[serde(default)]
    has_more: Option<bool>,
    #[serde(borrow, default)]
    last_id: Scalar<'a>,
    #[serde(borrow, default, rename = "nextPageToken")]
    next_page_token: Scalar<'a>,
}

/// The members of a model.
type Entry<'a> = BTreeMap<String, Scalar<'a>>;

impl ServedModel {
    /// `None` for an entry without a name.
    fn of(entry: &Entry<'_>) -> Option<ServedModel> {
        let name = ["id", "name"]
            .iter()
            .find_map(|name| entry.get(*name)?.text());
        let name = name?;
        let number = |names: &[&str]| names.iter().find_map(|name| entry.get(*name)?.count());
        Some(ServedModel {
            // Gemini's names stand in a folder that requests need not name.
            id: name.strip_prefix("models/").unwrap_or(name).to_owned(),
            max_input_tokens: number(&CONTEXT),
            max_output_tokens: number(&OUTPUT),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use crate::headers::Headers;

    use super::*;
    use crate::catalogue::endpoint_of;
    use crate::endpoint::ApiKey;

    fn read(provider: &str, status: u16, body: &str) -> Result<ModelsPage, Failure> {
        let endpoint = endpoint_of(provider, ApiKey::new("k-123456789").ok(), None).unwrap();
        let answer = Answer {
            status,
            headers: &Headers::default(),
            body: body.as_bytes(),
            now: SystemTime::UNIX_EPOCH,
        };
        read_models(&endpoint, &answer)
    }

    fn path(provider: &str, after: Option<&str>) -> String {
        let endpoint = endpoint_of(provider, ApiKey::new("k").ok(), None).unwrap();
        models_path(&endpoint, after)
    }

    fn model(id: &str, input: Option<u64>, output: Option<u64>) -> ServedModel {
        ServedModel {
            id: id.to_owned(),
            max_input_tokens: input,
            max_output_tokens: output,
        }
    }

    #[test]
    fn lists_have_their_paths() {
        assert_eq!(path("openai", None), "/v1/models");
        assert_eq!(path("groq", Some("x")), "/openai/v1/models");
        assert_eq!(path("anthropic", None), "/v1/models?limit=1000");
        let next = path("anthropic", Some("claude-x&y"));
        assert_eq!(next, "/v1/models?limit=1000&after_id=claude-x%26y");
        assert_eq!(path("gemini", None), "/v1beta/models?pageSize=1000");
        let next = path("gemini", Some("a/b=="));
        assert_eq!(next, "/v1beta/models?pageSize=1000&pageToken=a%2Fb%3D%3D");
    }

    #[test]
    fn lists_are_read_in_every_shape() {
        let openai = r#"{"object":"list","data":[{"id":"a","object":"model","created":1},{"id":"b","max_model_len":4096,"permission":[{"x":1}]},{"object":"model"}]}"#;
        let page = read("openai", 200, openai).unwrap();
        assert_eq!(
            page.models,
            [model("a", None, None), model("b", Some(4096), None)]
        );
        assert_eq!(page.next, None);
        let together = r#"[{"id":"m/x","context_length":8192}]"#;
        let page = read("together", 200, together).unwrap();
        assert_eq!(page.models, [model("m/x", Some(8192), None)]);
        let anthropic = r#"{"data":[{"type":"model","id":"claude-a","max_input_tokens":200000,"max_tokens":64000}],"has_more":true,"first_id":"claude-a","last_id":"claude-a"}"#;
        let page = read("anthropic", 200, anthropic).unwrap();
        assert_eq!(
            page.models,
            [model("claude-a", Some(200_000), Some(64_000))]
        );
        assert_eq!(page.next.as_deref(), Some("claude-a"));
        let last = anthropic.replace("true", "false");
        assert_eq!(read("anthropic", 200, &last).unwrap().next, None);
        let gemini = r#"{"models":[{"name":"models/gemini-a","inputTokenLimit":1048576,"outputTokenLimit":65536}],"nextPageToken":"t"}"#;
        let page = read("gemini", 200, gemini).unwrap();
        assert_eq!(
            page.models,
            [model("gemini-a", Some(1_048_576), Some(65_536))]
        );
        assert_eq!(page.next.as_deref(), Some("t"));
        assert_eq!(read("openai", 200, r#"{"data":[]}"#).unwrap().models, []);
    }

    #[test]
    fn what_is_no_list_is_a_failure() {
        for (status, body, kind, word) in [
            (
                401,
                r#"{"error":{"message":"bad key k-123456789"}}"#,
                FailureKind::Auth,
                "bad key",
            ),
            (
                404,
                "404 page not found",
                FailureKind::NotFound,
                "not found",
            ),
            (
                200,
                "<html>hello</html>",
                FailureKind::Malformed,
                "not JSON",
            ),
            (200, "", FailureKind::Malformed, "empty"),
            (
                200,
                r#"{"object":"list"}"#,
                FailureKind::Malformed,
                "no list",
            ),
            (200, "[1,2]", FailureKind::Malformed, "no list"),
        ] {
            let failure = read("openai", status, body).unwrap_err();
            assert_eq!(failure.kind, kind, "{body}");
            assert!(
                failure.message.contains(word),
                "{body}: {}",
                failure.message
            );
            assert!(
                !failure.message.contains("k-123456789"),
                "{}",
                failure.message
            );
        }
    }
}
