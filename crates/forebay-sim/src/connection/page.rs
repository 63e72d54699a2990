//! Serves what is not a call: the list of models, health, and what does not exist.
//!
//! Owns these few pages. Never counts or logs a request; only calls are.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Connection, Flow, Stamp, write};
use crate::dialect::{ApiError, Dialect};
use crate::http::{Head, Method, Request, Route, reason_phrase};
use crate::plan::Answer;

/// How long a client that sent something unreadable may take to stop sending and read why.
const LINGER: Duration = Duration::from_secs(1);

impl<IO> Connection<'_, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Serves a request that is not a call.
    pub(super) async fn page(&mut self, request: &Request) -> Flow {
        let head = &request.head;
        let dialect = match head.route {
            Route::ChatCompletions => Dialect::OpenAi,
            Route::Messages => Dialect::Anthropic,
            Route::Models | Route::Health | Route::Unknown => Dialect::guess(head),
        };
        let answer = match self.page_body(head, dialect) {
            Ok(()) => Answer::new(200, Some(dialect), Vec::new()),
            Err(error) => self.page_error(dialect, error),
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

    fn page_body(&mut self, head: &Head, dialect: Dialect) -> Result<(), ApiError> {
        let reads = matches!(head.method, Method::Get | Method::Head);
        match head.route {
            Route::Models if reads => {
                let required_key = self.shared.config.required_key.as_deref();
                if let Some(bad_key) = dialect.check_key(head, &self.input, required_key) {
                    return Err(bad_key);
                }
                dialect.models(&mut self.body, &self.shared.config.models);
                Ok(())
            }
            Route::Health if reads => {
                self.body.clear();
                self.body.extend_from_slice(br#"{"status":"ok"}"#);
                Ok(())
            }
            Route::Unknown => Err(self.no_page(head, dialect, 404)),
            Route::ChatCompletions | Route::Messages => {
                Err(self.wrong_method(head, dialect, "POST"))
            }
            Route::Models | Route::Health => Err(self.wrong_method(head, dialect, "GET, HEAD")),
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
                Dialect::OpenAi => "invalid_request_error",
                Dialect::Anthropic => "",
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
