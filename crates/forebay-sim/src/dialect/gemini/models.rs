//! Writes models: a page of them, or one.
//!
//! Owns their fields. Never decides which there are.

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect) struct Models<'a> {
    models: Vec<Model<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect) struct Model<'a> {
    name: String,
    version: &'static str,
    display_name: &'a str,
    description: &'static str,
    input_token_limit: u64,
    output_token_limit: u64,
    supported_generation_methods: [&'static str; 2],
    temperature: f64,
    top_p: f64,
    top_k: u64,
    max_temperature: f64,
}

pub(in crate::dialect) fn models(models: &[String], next: Option<usize>) -> Models<'_> {
    Models {
        models: models.iter().map(|name| model(name)).collect(),
        next_page_token: next.map(|next| next.to_string()),
    }
}

pub(in crate::dialect) fn model(name: &str) -> Model<'_> {
    Model {
        name: format!("models/{name}"),
        version: "001",
        display_name: name,
        description: "A simulated model",
        // What most models of this provider take and give.
        input_token_limit: 1_048_576,
        output_token_limit: 65_536,
        supported_generation_methods: ["generateContent", "countTokens"],
        temperature: 1.0,
        top_p: 0.95,
        top_k: 64,
        max_temperature: 2.0,
    }
}

pub(in crate::dialect) fn no_model(name: &str) -> String {
    format!(
        "Model is not found: models/{name} for api version v1beta, or is not supported for \
         generateContent. Call ListModels to see the list of available models and their \
         supported methods."
    )
}
