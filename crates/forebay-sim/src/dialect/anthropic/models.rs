//! Writes models: a page of them, or one.
//!
//! Owns their fields. Never decides which there are.

use serde::Serialize;

#[derive(Serialize)]
pub(in crate::dialect) struct Models<'a> {
    data: Vec<Model<'a>>,
    first_id: Option<&'a String>,
    has_more: bool,
    last_id: Option<&'a String>,
}

#[derive(Serialize)]
pub(in crate::dialect) struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
    lifecycle: &'static str,
    max_input_tokens: u64,
    max_tokens: u64,
}

pub(in crate::dialect) fn models(models: &[String], next: Option<usize>) -> Models<'_> {
    Models {
        data: models.iter().map(|id| model(id)).collect(),
        first_id: models.first(),
        has_more: next.is_some(),
        last_id: models.last(),
    }
}

pub(in crate::dialect) fn model(id: &str) -> Model<'_> {
    Model {
        kind: "model",
        id,
        display_name: id,
        created_at: "2025-01-01T00:00:00Z",
        lifecycle: "active",
        // What most models of this provider take and give.
        max_input_tokens: 200_000,
        max_tokens: 64_000,
    }
}
