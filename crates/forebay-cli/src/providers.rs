//! `forebay providers`: the providers that are known by name, and which of them have a key.
//!
//! Owns the listing in text and JSON. Never shows a key and never asks a provider.

use forebay::catalogue::{Embeddings, PROVIDERS, Provider, UrlShape};
use forebay::endpoint::{Dialect, TokenField};
use forebay::error::Error;
use serde::Serialize;

use crate::args::ProvidersArgs;
use crate::config_file::{ConfigFile, EndpointEntry};
use crate::report::columns::{Side, aligned};
use crate::report::pretty;
use crate::{env_vars, plan};

/// The columns' names.
const HEADER: [&str; 7] = [
    "provider",
    "dialect",
    "key",
    "key variables",
    "base URL",
    "rate headers",
    "notes",
];

/// Lists the user's own endpoints and all providers.
///
/// # Errors
/// When the configuration file cannot be used.
pub(crate) fn providers(args: &ProvidersArgs) -> Result<String, Error> {
    let config = ConfigFile::find(args.config.as_deref())?;
    let own = plan::named(&config).into_iter();
    let own = own.filter_map(|name| Row::of_entry(name, config.endpoints.get(name)?));
    let known = PROVIDERS.iter();
    let known = known.map(|provider| Row::of(provider, config.endpoints.get(provider.name)));
    let rows: Vec<Row> = own.chain(known).collect();
    if args.json {
        return Ok(pretty(&rows));
    }
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    Ok(aligned(&lines, [Side::Left; 7]))
}

/// One provider, or one endpoint of the user's.
#[derive(Debug, Serialize)]
struct Row {
    provider: String,
    dialect: &'static str,
    /// Where requests go as things are; `null` when that is not known.
    base_url: Option<String>,
    base_url_variable: Option<&'static str>,
    /// Whether there is a key, needed or not.
    has_key: bool,
    needs_key: bool,
    key_variables: Vec<String>,
    token_field: &'static str,
    rate_headers: &'static str,
    embeddings_base_url: Option<String>,
    notes: String,
}

impl Row {
    fn of(provider: &Provider, entry: Option<&EndpointEntry>) -> Row {
        let by_env = provider.base_url_from(env_vars::read);
        let by_file = entry.and_then(|entry| entry.base_url.clone());
        let own = provider.base_url.map(str::to_owned);
        let base_url = by_env.or(by_file).or(own);
        let keys = provider.key_variables.iter().map(|v| v.name.to_owned());
        let mut key_variables: Vec<String> = keys.collect();
        key_variables.extend(entry.and_then(|entry| entry.api_key_env.clone()));
        let has_file = entry.is_some_and(|entry| entry.api_key_file.is_some());
        Row {
            provider: provider.name.to_owned(),
            dialect: provider.dialect.name(),
            base_url_variable: provider.url_variable.map(|variable| variable.name),
            has_key: has_file || any_is_set(&key_variables),
            needs_key: !provider.is_local,
            key_variables,
            token_field: token_field(provider.token_field),
            rate_headers: provider.rate_headers.name(),
            embeddings_base_url: match provider.embeddings {
                Embeddings::Here => base_url.clone(),
                Embeddings::At(url) => Some(url.to_owned()),
                Embeddings::None => None,
            },
            base_url,
            notes: provider.notes.to_owned(),
        }
    }

    /// An endpoint of the file; `None` when it has no address, which the file's check refuses.
    fn of_entry(name: &str, entry: &EndpointEntry) -> Option<Row> {
        let base_url = entry.base_url.clone()?;
        let dialect = entry.dialect.map(Dialect::from);
        let like = entry.provider.as_deref().map(str::to_owned);
        let like = like.unwrap_or_else(|| dialect.unwrap_or(Dialect::Chat).name().to_owned());
        let habits = forebay::catalogue::find(&like)?;
        let key_variables: Vec<String> = entry.api_key_env.iter().cloned().collect();
        Some(Row {
            provider: name.to_owned(),
            dialect: dialect.unwrap_or(habits.dialect).name(),
            base_url: Some(base_url.clone()),
            base_url_variable: None,
            has_key: entry.api_key_file.is_some() || any_is_set(&key_variables),
            needs_key: entry.api_key_env.is_some() || entry.api_key_file.is_some(),
            key_variables,
            token_field: token_field(
                entry
                    .token_field
                    .map_or(habits.token_field, TokenField::from),
            ),
            rate_headers: habits.rate_headers.name(),
            embeddings_base_url: Some(base_url),
            notes: "of the configuration file".to_owned(),
        })
    }

    fn cells(&self) -> [String; 7] {
        let key = match (self.has_key, self.needs_key) {
            (true, _) => "set",
            (false, true) => "missing",
            (false, false) => "not needed",
        };
        let variables = match self.key_variables.is_empty() {
            true => "-".to_owned(),
            false => self.key_variables.join(", "),
        };
        let base_url = match (&self.base_url, self.base_url_variable) {
            (Some(url), _) => url.clone(),
            (None, Some(variable)) => format!("${variable}{}", path_after(variable)),
            (None, None) => "-".to_owned(),
        };
        [
            self.provider.clone(),
            self.dialect.to_owned(),
            key.to_owned(),
            variables,
            base_url,
            self.rate_headers.to_owned(),
            self.notes.clone(),
        ]
    }
}

/// What is appended to the value of this variable.
fn path_after(variable: &str) -> &'static str {
    let mut variables = PROVIDERS
        .iter()
        .filter_map(|provider| provider.url_variable);
    match variables
        .find(|known| known.name == variable)
        .map(|known| known.holds)
    {
        Some(UrlShape::Before(path) | UrlShape::Host(_, path)) => path,
        Some(UrlShape::BaseUrl) | None => "",
    }
}

fn any_is_set(variables: &[String]) -> bool {
    variables.iter().any(|name| env_vars::read(name).is_some())
}

fn token_field(field: TokenField) -> &'static str {
    match field {
        TokenField::MaxTokens => "max_tokens",
        TokenField::MaxCompletionTokens => "max_completion_tokens",
    }
}
