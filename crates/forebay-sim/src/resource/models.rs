//! The models there are.

use std::sync::Arc;

use super::{Asked, NoPage, Page};
use crate::http::Method;
use crate::sim::Shared;

pub(super) fn respond(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    name: Option<&str>,
) -> Result<Page, NoPage> {
    if !matches!(asked.method, Method::Get | Method::Head) {
        return Err(NoPage::Method("GET, HEAD"));
    }
    let mut body = Vec::new();
    match name {
        None => asked.dialect.models(&mut body, &shared.config.models),
        Some(_) => return Err(NoPage::NotFound),
    }
    Ok(Page::json(body))
}
