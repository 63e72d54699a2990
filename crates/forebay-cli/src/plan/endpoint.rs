//! Where requests go: endpoint, base URL, key, headers.

use std::path::Path;

use forebay::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, KeyHeader, TokenField};
use forebay::error::Error;
use forebay::route::{self, Route, Target};
use http::header::{HeaderName, HeaderValue};

use crate::args::{ProviderArg, RunArgs};
use crate::config_file::{ConfigFile, EndpointEntry};
use crate::env_vars;

/// OpenAI's own base URL.
const OPENAI_URL: &str = "https://api.openai.com/v1";
/// Anthropic's own base URL.
const ANTHROPIC_URL: &str = "https://api.anthropic.com";
/// Headers that a connection needs to be its own.
const FORBIDDEN_HEADERS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// The server that requests go to.
#[derive(Debug)]
pub(crate) struct Server {
    endpoint: Endpoint,
    simulated: bool,
}

impl Server {
    /// The endpoint.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the answers come from the embedded simulated provider.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Says where the embedded simulated provider listens.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.endpoint.base_url.port = port;
    }

    /// The provider under which the price table knows the models.
    pub(super) fn price_name(&self) -> &str {
        if self.simulated {
            self.endpoint.dialect.name()
        } else {
            &self.endpoint.name
        }
    }

    /// What the configuration file says about the endpoint.
    pub(super) fn entry<'a>(&self, config: &'a ConfigFile) -> Option<&'a EndpointEntry> {
        config.endpoints.get(&self.endpoint.name)
    }
}

/// Finds the endpoint of the model.
pub(super) fn route(args: &RunArgs, config: &ConfigFile) -> Result<Route, Error> {
    let model = args
        .model
        .as_ref()
        .or(config.run.model.as_ref())
        .ok_or_else(|| {
            Error::config("no model is named").with_hint(
                "give --model NAME, such as gpt-4o-mini, claude-haiku-4-5, or sim/gpt-4o to try \
             without a key",
            )
        })?;
    let provider = args.provider.map(|provider| match provider {
        ProviderArg::OpenAi => Dialect::Chat,
        ProviderArg::Anthropic => Dialect::Anthropic,
    });
    let named: Vec<&str> = config
        .endpoints
        .keys()
        .map(String::as_str)
        .filter(|name| !matches!(*name, "openai" | "anthropic"))
        .collect();
    route::route(model, provider, &named)
}

/// Resolves the endpoint.
pub(super) fn server(args: &RunArgs, config: &ConfigFile, route: &Route) -> Result<Server, Error> {
    match &route.target {
        Target::Simulated(provider) => simulated(args, *provider),
        Target::Provider(provider) => {
            let name = provider.name();
            real(args, config.endpoints.get(name), name, *provider)
        }
        Target::Named(name) => {
            let entry = config.endpoints.get(name);
            let provider = entry
                .and_then(|entry| entry.provider)
                .map_or(Dialect::Chat, Dialect::from);
            real(args, entry, name, provider)
        }
    }
}

fn simulated(args: &RunArgs, provider: Dialect) -> Result<Server, Error> {
    if args.base_url.is_some() {
        return Err(
            Error::config("--base-url cannot go with a sim/ model").with_hint(
                "leave one of them out; `forebay sim` serves the simulated provider alone",
            ),
        );
    }
    Ok(Server {
        endpoint: Endpoint {
            name: "sim".into(),
            dialect: provider,
            // The port is chosen when the simulated provider starts.
            base_url: BaseUrl {
                tls: false,
                host: "127.0.0.1".into(),
                port: 0,
                path: match provider {
                    Dialect::Chat | Dialect::Responses | Dialect::Embeddings => "/v1".into(),
                    Dialect::Anthropic => String::new(),
                    Dialect::Gemini => "/v1beta".into(),
                },
            },
            key: Some(ApiKey::new("simulated")?),
            headers: headers(args, None, provider, true)?,
            token_field: TokenField::MaxCompletionTokens,
        },
        simulated: true,
    })
}

fn real(
    args: &RunArgs,
    entry: Option<&EndpointEntry>,
    name: &str,
    provider: Dialect,
) -> Result<Server, Error> {
    let is_named = !matches!(name, "openai" | "anthropic");
    let base_url = base_url(args, entry, provider, is_named)?;
    if !base_url.tls && !base_url.is_local() && !args.insecure_http {
        return Err(Error::config(format!(
            "{base_url} is plain http: key and prompts could be read on the way"
        ))
        .with_hint("use https, or --insecure-http if you must"));
    }
    let official = base_url.host.ends_with("api.openai.com");
    let token_field = match entry.and_then(|entry| entry.token_field) {
        Some(field) => field.into(),
        None if official => TokenField::MaxCompletionTokens,
        None => TokenField::MaxTokens,
    };
    let endpoint = Endpoint {
        name: name.to_owned(),
        dialect: provider,
        key: key(args, entry, provider, (is_named, &base_url))?,
        headers: headers(args, entry, provider, is_named)?,
        base_url,
        token_field,
    };
    Ok(Server {
        endpoint,
        simulated: false,
    })
}

/// The flag, else the environment (of the providers' own endpoints), else the file, else the
/// provider's own.
fn base_url(
    args: &RunArgs,
    entry: Option<&EndpointEntry>,
    provider: Dialect,
    is_named: bool,
) -> Result<BaseUrl, Error> {
    let (variable, own) = match provider {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings | Dialect::Gemini => {
            (env_vars::OPENAI_BASE_URL, OPENAI_URL)
        }
        Dialect::Anthropic => (env_vars::ANTHROPIC_BASE_URL, ANTHROPIC_URL),
    };
    let by_env = if is_named {
        None
    } else {
        env_vars::read(variable)
    };
    let text = args
        .base_url
        .clone()
        .or(by_env)
        .or_else(|| entry.and_then(|entry| entry.base_url.clone()))
        .unwrap_or_else(|| own.to_owned());
    BaseUrl::parse(&text)
}

/// Where the key is: a flag, else the variables of the provider's own endpoint, else the file.
fn key(
    args: &RunArgs,
    entry: Option<&EndpointEntry>,
    provider: Dialect,
    (is_named, base_url): (bool, &BaseUrl),
) -> Result<Option<ApiKey>, Error> {
    if let Some(variable) = &args.api_key_env {
        return from_variable(variable).map(Some);
    }
    if let Some(path) = &args.api_key_file {
        return from_file(path).map(Some);
    }
    let (own, bearer) = match provider {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings | Dialect::Gemini => {
            (env_vars::OPENAI_API_KEY, None)
        }
        Dialect::Anthropic => (
            env_vars::ANTHROPIC_API_KEY,
            Some(env_vars::ANTHROPIC_AUTH_TOKEN),
        ),
    };
    // A key that the file names beside a base URL belongs to that URL: it is sent nowhere else,
    // and no other key is sent there.
    let own_url = entry.and_then(|entry| entry.base_url.as_deref());
    let is_own_url =
        own_url.is_some_and(|url| BaseUrl::parse(url).is_ok_and(|url| url == *base_url));
    let entry = entry.filter(|_| own_url.is_none() || is_own_url);
    let has_key =
        entry.is_some_and(|entry| entry.api_key_env.is_some() || entry.api_key_file.is_some());
    let beside_url = is_own_url && has_key;
    if !is_named && !beside_url {
        if env_vars::read(own).is_some() {
            return from_variable(own).map(Some);
        }
        if let Some(bearer) = bearer.filter(|name| env_vars::read(name).is_some()) {
            return Ok(Some(from_variable(bearer)?.sent_in(KeyHeader::Bearer)));
        }
    }
    if let Some(variable) = entry.and_then(|entry| entry.api_key_env.as_ref()) {
        return from_variable(variable).map(Some);
    }
    if let Some(path) = entry.and_then(|entry| entry.api_key_file.as_ref()) {
        return from_file(path).map(Some);
    }
    if base_url.is_local() {
        // Servers on this machine or network seldom ask for one.
        return Ok(None);
    }
    if is_named {
        return Err(Error::config("the endpoint names no key")
            .with_hint("give it api-key-env or api-key-file in forebay.toml, or --api-key-env"));
    }
    Err(
        Error::config(format!("the environment variable {own} is not set")).with_hint(
            "set it to your API key, name another with --api-key-env, or try a sim/ model without",
        ),
    )
}

fn from_variable(name: &str) -> Result<ApiKey, Error> {
    let value = env_vars::read(name).ok_or_else(|| {
        Error::config(format!("the environment variable {name} is not set"))
            .with_hint("set it to your API key")
    })?;
    ApiKey::new(&value).map_err(|error| in_place(&error, &format!("in {name}")))
}

fn from_file(path: &Path) -> Result<ApiKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!(
            "cannot read the key file {}: {error}",
            path.display()
        ))
        .with_hint("check its name and that you may read it")
    })?;
    ApiKey::new(text.trim_end_matches(['\r', '\n']))
        .map_err(|error| in_place(&error, &format!("in {}", path.display())))
}

fn in_place(error: &Error, place: &str) -> Error {
    let said = Error::config(format!("{place}: {error}"));
    match error.hint() {
        Some(hint) => said.with_hint(hint),
        None => said,
    }
}

/// The file's headers, then the environment's, then the flags'; a later one replaces an earlier
/// one of the same name.
fn headers(
    args: &RunArgs,
    entry: Option<&EndpointEntry>,
    provider: Dialect,
    is_named: bool,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut headers = Vec::new();
    let mut put = |name: &str, value: &str| -> Result<(), Error> {
        let (name, value) = header(name, value)?;
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
        Ok(())
    };
    for (name, value) in entry.iter().flat_map(|entry| &entry.headers) {
        put(name, value)?;
    }
    if !is_named {
        for (name, value) in environment_headers(provider)? {
            put(&name, &value)?;
        }
    }
    for text in &args.headers {
        let (name, value) = split_header(text)
            .ok_or_else(|| Error::config("--header needs the form \"Name: value\""))?;
        put(name, value)?;
    }
    Ok(headers)
}

fn environment_headers(provider: Dialect) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    match provider {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings | Dialect::Gemini => {
            for (variable, name) in [
                (env_vars::OPENAI_ORG_ID, "openai-organization"),
                (env_vars::OPENAI_PROJECT_ID, "openai-project"),
            ] {
                if let Some(value) = env_vars::read(variable) {
                    headers.push((name.to_owned(), value));
                }
            }
        }
        Dialect::Anthropic => {
            let variable = env_vars::ANTHROPIC_CUSTOM_HEADERS;
            let text = env_vars::read(variable).unwrap_or_default();
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let (name, value) = split_header(line).ok_or_else(|| {
                    Error::config(format!(
                        "{variable} needs lines of the form \"Name: value\""
                    ))
                })?;
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    Ok(headers)
}

fn split_header(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim(), value.trim()))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let bad = |why: &str| Error::config(format!("header {name:?} {why}"));
    let parsed: HeaderName = name.parse().map_err(|_| bad("is not a header name"))?;
    if FORBIDDEN_HEADERS.contains(&parsed.as_str()) {
        return Err(bad("belongs to the connection and cannot be set"));
    }
    // The value may be a secret and is not repeated.
    let value = value
        .parse()
        .map_err(|_| bad("has a value that a header cannot carry"))?;
    Ok((parsed, value))
}
