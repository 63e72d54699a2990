//! Serves what is not a call: the list of models, health, and what does not exist.
//!
//! Owns these few pages. Never counts or logs a request; only calls are.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Connection, Flow, Stamp, write};
use crate::dialect::{ApiError, Dialect};
use crate::http::{Head, Method, Request, reason_phrase};
use crate::plan::Answer;
use crate::resource::{Asked, NoPage, Page, respond};
use crate::route::Route;

/// How long a client that sent something unreadable may take to stop sending and read why.
const LINGER: Duration = Duration::from_secs(1);

impl<IO> Connection<'_, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Serves a request that is not a call.
    pub(super) async fn page(&mut self, request: &Request) -> Flow {
        let head = &request.head;
        let route = Route::of(self.input.text(head.path)).dialect();
        let dialect = route.unwrap_or_else(|| Dialect::guess(head));
        let answer = match self.find_page(request, dialect) {
            Ok(page) => {
                self.body = page.body;
                let kind = ("content-type".to_owned(), page.content_type.to_owned());
                Answer::new(200, Some(dialect), vec![kind])
            }
            Err(NoPage::Error(error)) => self.page_error(dialect, *error),
            Err(NoPage::NotFound) => {
                let error = self.no_page(head, dialect, 404);
                self.page_error(dialect, error)
            }
            Err(NoPage::Method(allowed)) => {
                let error = self.wrong_method(head, dialect, allowed);
                self.page_error(dialect, error)
            }
        };
        self.build(&answer, self.page_stamp(), head.keep_alive);
        let bytes = self.output.bytes();
        let len = match head.method {
            Method::Head => bytes.len() - self.body.len(),
            _ => bytes.len(),
        };
        let written = write(&mut self.io, &bytes[..len]).await;
        match written.is_ok() && head.keep_alive {
            true => Flow::KeepAlive,
            false => Flow::Close,
        }
    }

    fn find_page(&self, request: &Request, dialect: Dialect) -> Result<Page, NoPage> {
        let head = &request.head;
        let resource = match Route::of(self.input.text(head.path)) {
            Route::Resource(resource) => resource,
            Route::Call(..) => return Err(NoPage::Method("POST")),
            Route::Health if reads(head) => {
                return Ok(Page::json(br#"{"status":"ok"}"#.to_vec()));
            }
            Route::Health => return Err(NoPage::Method("GET, HEAD")),
            Route::Metrics if reads(head) => {
                return self.metrics().ok_or(NoPage::NotFound);
            }
            Route::Props if reads(head) => {
                return self.props().ok_or(NoPage::NotFound);
            }
            Route::Metrics | Route::Props => return Err(NoPage::Method("GET, HEAD")),
            Route::Unknown => return Err(NoPage::NotFound),
        };
        let required_key = self.shared.config.required_key.as_deref();
        if let Some(bad_key) = dialect.check_key(head, &self.input, required_key) {
            return Err(bad_key.into());
        }
        let asked = Asked {
            resource,
            method: head.method,
            dialect,
            query: self.input.text(head.query),
            content_type: head.content_type.map_or("", |span| self.input.text(span)),
            host: head.host.map_or("localhost", |span| self.input.text(span)),
            anthropic_version: head.anthropic_version.map(|span| self.input.bytes(span)),
            body: self.input.body(request),
        };
        respond(self.shared, asked)
    }

    /// The slots of a server that has some, as llama.cpp's tells them.
    fn props(&self) -> Option<Page> {
        let config = &self.shared.config;
        let batching = config.batching.as_ref().filter(|engine| engine.slots)?;
        let page = serde_json::json!({
            "default_generation_settings": { "n_ctx": batching.max_model_len },
            "total_slots": batching.max_num_seqs,
            "model_path": config.models.first().map_or("model.gguf", String::as_str),
        });
        Some(Page::json(page.to_string().into_bytes()))
    }

    /// The figures of the engine, where there is one; like health, they need no key.
    fn metrics(&self) -> Option<Page> {
        let engine = self.shared.engine.as_ref()?;
        if self.shared.config.batching.as_ref()?.slots {
            return None;
        }
        let models = &self.shared.config.models;
        let mut text = String::new();
        engine.write_metrics(&mut text, models.first().map_or("", String::as_str));
        Some(Page {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: text.into_bytes(),
        })
    }

    /// Answers a client that sent no request, then closes without losing the answer.
    pub(super) async fn reject(&mut self, status: u16, message: &'static str) {
        let error = ApiError {
            status,
            ..ApiError::invalid(message)
        };
        let answer = self.page_error(Dialect::OpenAi, error);
        self.build(&answer, self.page_stamp(), false);
        if write(&mut self.io, self.output.bytes()).await.is_ok()
            && self.io.shutdown().await.is_ok()
        {
            // Closing a socket with unread bytes would reset it.
            let _ = tokio::time::timeout(LINGER, self.input.drain(&mut self.io)).await;
        }
    }

    fn page_error(&mut self, dialect: Dialect, error: ApiError) -> Answer {
        let id = self.page_stamp().id;
        dialect.error(&mut self.body, &error, id);
        Answer::new(error.status, Some(dialect), error.headers)
    }

    fn wrong_method(&self, head: &Head, dialect: Dialect, allowed: &str) -> ApiError {
        ApiError {
            headers: vec![("allow".to_owned(), allowed.to_owned())],
            ..self.no_page(head, dialect, 405)
        }
    }

    fn no_page(&self, head: &Head, dialect: Dialect, status: u16) -> ApiError {
        let text = |span| String::from_utf8_lossy(self.input.bytes(span));
        let (method, path) = (text(head.method_text), text(head.path));
        let message = match status {
            404 => format!("Invalid URL ({method} {path})"),
            _ => format!("{}: {method} {path}", reason_phrase(status)),
        };
        ApiError {
            // Otherwise OpenAI's own code for 404 would blame the model.
            kind: match dialect {
                Dialect::OpenAi => "invalid_request_error".into(),
                Dialect::Anthropic | Dialect::Gemini => "".into(),
            },
            message: message.into(),
            ..ApiError::of(status)
        }
    }

    fn page_stamp(&self) -> Stamp {
        Stamp {
            // Far from the numbers of calls.
            id: self.shared.id((self.id << 32) | self.requests),
            now: self.shared.since_start(),
            took: Duration::ZERO,
        }
    }
}

fn reads(head: &Head) -> bool {
    matches!(head.method, Method::Get | Method::Head)
}
