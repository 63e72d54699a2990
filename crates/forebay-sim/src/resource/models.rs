//! The models there are.

use std::ops::Range;
use std::sync::Arc;

use super::paging::page;
use super::{Asked, NoPage, Page};
use crate::dialect::{ApiError, Dialect};
use crate::http::{Method, param, unescape};
use crate::sim::Shared;

/// The models of a page of Gemini's that does not say how many; Gemini API reference.
const GEMINI_PAGE: usize = 50;

pub(super) fn respond(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    name: Option<&str>,
) -> Result<Page, NoPage> {
    if !matches!(asked.method, Method::Get | Method::Head) {
        return Err(NoPage::Method("GET, HEAD"));
    }
    let models = &shared.config.models;
    let mut body = Vec::new();
    match name.map(unescape).as_deref() {
        None => {
            let (range, next) = range(asked, models).map_err(NoPage::Error)?;
            asked.dialect.models(&mut body, &models[range], next);
        }
        Some(name) => match models.iter().find(|model| *model == name) {
            Some(model) => asked.dialect.model(&mut body, model),
            // Any model is served; OpenAI's compatible servers tell so.
            None if asked.dialect == Dialect::OpenAi => asked.dialect.model(&mut body, name),
            None => return Err(asked.dialect.no_model(name).into()),
        },
    }
    Ok(Page::json(body))
}

/// Which models a page shows, and where the next begins.
fn range(
    asked: Asked<'_>,
    models: &[String],
) -> Result<(Range<usize>, Option<usize>), Box<ApiError>> {
    match asked.dialect {
        Dialect::OpenAi => Ok((0..models.len(), None)),
        Dialect::Anthropic => {
            let ids: Vec<&str> = models.iter().map(String::as_str).collect();
            let (range, more) = page(asked.query, &ids)?;
            let next = more.then_some(range.end);
            Ok((range, next))
        }
        Dialect::Gemini => {
            let number = |name: &str| param(asked.query, name)?.parse().ok();
            let size = number("pageSize").filter(|size| *size > 0);
            let start = number("pageToken").unwrap_or(0).min(models.len());
            let end = models.len().min(start + size.unwrap_or(GEMINI_PAGE));
            Ok((start..end, (end < models.len()).then_some(end)))
        }
    }
}
