//! Which path asks for what.
//!
//! Owns the paths of all dialects. Never looks at a header or a body.

use crate::dialect::{Dialect, Operation};

/// What a request's path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// Generates something; only by POST.
    Call(Operation, Model<'p>),
    /// Something that is there to be listed, read, made or cancelled.
    Resource(Resource<'p>),
    /// Whether the server is up.
    Health,
    /// What the server measures of itself.
    Metrics,
    /// What the server was started with.
    Props,
    /// Nothing.
    Unknown,
}

/// The model, where the path names it.
pub(crate) type Model<'p> = Option<&'p str>;

/// A resource; the text is the name or id in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource<'p> {
    /// `/v1/models` and `/v1/models/NAME`; whose is told by the headers.
    Models(Option<&'p str>),
    /// `/v1beta/models` and `/v1beta/models/NAME`.
    GeminiModels(Option<&'p str>),
    /// `/v1/files` and `/v1/files/ID`.
    Files(Option<&'p str>),
    /// `/v1/files/ID/content`.
    FileContent(&'p str),
    /// `/v1/batches` and `/v1/batches/ID`.
    Batches(Option<&'p str>),
    /// `/v1/batches/ID/cancel`.
    CancelBatch(&'p str),
    /// `/v1/messages/batches` and `/v1/messages/batches/ID`.
    MessageBatches(Option<&'p str>),
    /// `/v1/messages/batches/ID/cancel`.
    CancelMessageBatch(&'p str),
    /// `/v1/messages/batches/ID/results`.
    MessageBatchResults(&'p str),
}

impl<'p> Route<'p> {
    /// Reads a path without its query.
    pub(crate) fn of(path: &'p str) -> Route<'p> {
        match path {
            "/health" => return Route::Health,
            "/metrics" => return Route::Metrics,
            "/props" => return Route::Props,
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/v1beta/") {
            return Route::gemini(rest);
        }
        let rest = path.strip_prefix("/v1").unwrap_or(path);
        let Some(rest) = rest.strip_prefix('/') else {
            return Route::Unknown;
        };
        Route::plain(rest).unwrap_or(Route::Unknown)
    }

    /// The paths of OpenAI and Anthropic, with or without `/v1`.
    fn plain(path: &'p str) -> Option<Route<'p>> {
        let call = |operation| Some(Route::Call(operation, None));
        match path {
            "chat/completions" => return call(Operation::ChatCompletions),
            "responses" => return call(Operation::Responses),
            "embeddings" => return call(Operation::Embeddings),
            "messages" => return call(Operation::Messages),
            "messages/count_tokens" => return call(Operation::CountTokens),
            _ => {}
        }
        let (path, messages) = match path.strip_prefix("messages/") {
            Some(rest) => (rest, true),
            None => (path, false),
        };
        let (kind, rest) = match path.split_once('/') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (path, None),
        };
        let resource = match (kind, rest) {
            // A model's name may contain slashes.
            ("models", id) if !messages => match id.and_then(Route::gemini_call) {
                Some(call) => return Some(call),
                None => Resource::Models(id),
            },
            ("files", id) if !messages => match id.and_then(|id| id.strip_suffix("/content")) {
                Some(id) => Resource::FileContent(id),
                None => Resource::Files(id),
            },
            ("batches", id) => {
                let (id, verb) = match id.and_then(|id| id.split_once('/')) {
                    Some((id, verb)) => (Some(id), Some(verb)),
                    None => (id, None),
                };
                match (messages, id, verb) {
                    (false, id, None) => Resource::Batches(id),
                    (true, id, None) => Resource::MessageBatches(id),
                    (false, Some(id), Some("cancel")) => Resource::CancelBatch(id),
                    (true, Some(id), Some("cancel")) => Resource::CancelMessageBatch(id),
                    (true, Some(id), Some("results")) => Resource::MessageBatchResults(id),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Route::Resource(resource))
    }

    /// The paths of Gemini, below `/v1beta/`; its newest clients use `/v1/`.
    fn gemini(path: &'p str) -> Route<'p> {
        let Some(rest) = path.strip_prefix("models") else {
            return Route::Unknown;
        };
        let Some(name) = rest.strip_prefix('/') else {
            return match rest {
                "" => Route::Resource(Resource::GeminiModels(None)),
                _ => Route::Unknown,
            };
        };
        Route::gemini_call(name).unwrap_or(Route::Resource(Resource::GeminiModels(Some(name))))
    }

    /// A model's name with what it is to do, `NAME:generateContent`.
    fn gemini_call(name: &'p str) -> Option<Route<'p>> {
        // A model's name may contain colons.
        let (model, verb) = name.rsplit_once(':')?;
        let operation = match verb {
            "generateContent" => Operation::GenerateContent,
            "streamGenerateContent" => Operation::StreamGenerateContent,
            "countTokens" => Operation::GeminiCountTokens,
            _ => return None,
        };
        Some(Route::Call(operation, Some(model)))
    }

    /// Whose words a path is answered in, if the path tells.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        match self {
            Route::Call(operation, _) => Some(operation.dialect()),
            Route::Resource(resource) => match resource {
                Resource::Models(_) => None,
                Resource::GeminiModels(_) => Some(Dialect::Gemini),
                Resource::Files(_)
                | Resource::FileContent(_)
                | Resource::Batches(_)
                | Resource::CancelBatch(_) => Some(Dialect::OpenAi),
                Resource::MessageBatches(_)
                | Resource::CancelMessageBatch(_)
                | Resource::MessageBatchResults(_) => Some(Dialect::Anthropic),
            },
            Route::Health | Route::Metrics | Route::Props | Route::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialects_paths_are_known() {
        let call = |operation| Route::Call(operation, None);
        for (path, route) in [
            ("/v1/chat/completions", call(Operation::ChatCompletions)),
            ("/chat/completions", call(Operation::ChatCompletions)),
            ("/v1/responses", call(Operation::Responses)),
            ("/v1/embeddings", call(Operation::Embeddings)),
            ("/v1/messages", call(Operation::Messages)),
            ("/v1/messages/count_tokens", call(Operation::CountTokens)),
            ("/health", Route::Health),
            ("/metrics", Route::Metrics),
            ("/props", Route::Props),
            ("/v1", Route::Unknown),
            ("/v1/messages/files", Route::Unknown),
            ("/v1beta/modelsx", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn names_and_ids_are_taken_from_the_path() {
        let model = Some("sim/a:b");
        for (path, route) in [
            (
                "/v1beta/models/sim/a:b:streamGenerateContent",
                Route::Call(Operation::StreamGenerateContent, model),
            ),
            (
                "/v1/models/sim/a:b:countTokens",
                Route::Call(Operation::GeminiCountTokens, model),
            ),
            (
                "/v1/models/sim/a:b",
                Route::Resource(Resource::Models(model)),
            ),
            ("/v1/files", Route::Resource(Resource::Files(None))),
            (
                "/v1/files/file-1/content",
                Route::Resource(Resource::FileContent("file-1")),
            ),
            (
                "/v1/batches/b_1/cancel",
                Route::Resource(Resource::CancelBatch("b_1")),
            ),
            (
                "/v1/messages/batches/m_1/results",
                Route::Resource(Resource::MessageBatchResults("m_1")),
            ),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
