//! A row as other tools see it: the provider's own answer, or why there is none.
//!
//! Owns which answers count as answers to a tool that judges by the HTTP status alone. Never
//! writes anything.

use std::borrow::Cow;
use std::io;

use serde_json::value::RawValue;

use crate::fields::{Member, as_str, members};
use crate::outcome::FailureKind;

/// What other tools want to know of a row.
#[derive(Debug, Default)]
pub(super) struct Answered<'a> {
    /// The failure, when the row has one.
    pub(super) failure: Option<Failed<'a>>,
    /// The HTTP status, when an answer came.
    pub(super) status: Option<u16>,
    /// The name that the provider gave the exchange.
    pub(super) request_id: Option<Cow<'a, str>>,
    /// The provider's body: JSON as it came, or a string of what is no JSON.
    pub(super) raw: Option<&'a RawValue>,
    /// The request as it was sent, of rows that repeat it.
    pub(super) request: Option<&'a RawValue>,
    /// What goes with the request and was not sent.
    pub(super) metadata: Option<&'a RawValue>,
}

/// Why a row failed.
#[derive(Debug)]
pub(super) struct Failed<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) message: Cow<'a, str>,
}

impl<'a> Answered<'a> {
    /// Reads the body of a row.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub(super) fn read(body: &'a str) -> io::Result<Answered<'a>> {
        let mut row = Answered::default();
        let mut status_of_failure = None;
        for (name, value) in members(body).map_err(io::Error::other)? {
            match &*name {
                "error" if value.get() != "null" => {
                    let error = members(value.get()).map_err(io::Error::other)?;
                    row.failure = Some(Failed {
                        kind: text(&error, "kind"),
                        message: text(&error, "message"),
                    });
                    let status = error.iter().find(|(name, _)| name == "status");
                    status_of_failure = status.and_then(|(_, status)| status.get().parse().ok());
                }
                "http_status" => row.status = value.get().parse().ok(),
                "request_id" => row.request_id = as_str(value),
                "raw" => row.raw = Some(value),
                "request" => row.request = Some(value),
                "metadata" => row.metadata = Some(value),
                _ => {}
            }
        }
        row.status = row.status.or(status_of_failure);
        Ok(row)
    }

    /// Whether the provider answered in the eyes of a tool that looks no further than at the
    /// status. Such a tool has no word for an answer that was filtered, cut, or of another shape
    /// than asked for.
    pub(super) fn is_answer(&self) -> bool {
        let Some(failure) = &self.failure else {
            return true;
        };
        let whole = [
            FailureKind::ContentFiltered,
            FailureKind::Length,
            FailureKind::SchemaMismatch,
        ];
        !self.is_http_error()
            && self.raw.is_some_and(|raw| raw.get().starts_with('{'))
            && whole.iter().any(|kind| kind.label() == failure.kind)
    }

    /// Whether an answer came whose status says that it is an error.
    pub(super) fn is_http_error(&self) -> bool {
        self.status
            .is_some_and(|status| !(200..300).contains(&status))
    }
}

fn text<'a>(members: &[Member<'a>], name: &str) -> Cow<'a, str> {
    let found = members.iter().find(|(member, _)| member == name);
    found
        .and_then(|(_, value)| as_str(value))
        .unwrap_or_default()
}
