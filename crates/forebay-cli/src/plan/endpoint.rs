//! Where requests go: endpoint, base URL, key, headers.

use std::path::Path;

use forebay::catalogue::{self, Provider};
use forebay::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, HttpVersion, TokenField};
use forebay::error::Error;
use forebay::route::{self, Route, Target};
use forebay::transport::Proxies;
use http::header::{HeaderName, HeaderValue};

use crate::args::EndpointArgs;
use crate::config_file::{ConfigFile, EndpointEntry};
use crate::env_vars;

/// Headers that a connection needs to be its own.
const FORBIDDEN_HEADERS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// The server that requests go to.
#[derive(Debug)]
pub(crate) struct Server {
    endpoint: Endpoint,
    proxies: Proxies,
    simulated: bool,
}

impl Server {
    /// The endpoint.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The proxies before it.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Whether the answers come from the embedded simulated provider.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Says in which of its dialects the endpoint is asked.
    pub(super) fn speak(&mut self, dialect: Dialect) {
        self.endpoint.dialect = dialect;
    }

    /// Says where the embedded simulated provider listens.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.endpoint.base_url.port = port;
    }

    /// The provider under which the price table knows the models.
    pub(crate) fn price_name(&self) -> &str {
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

/// The endpoint that was chosen, before anything about it is looked up.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Its name in rows and messages.
    name: &'a str,
    /// The provider whose habits it has.
    habits: Provider,
    dialect: Dialect,
    /// What the configuration file says about it.
    entry: Option<&'a EndpointEntry>,
    /// Whether the user named it: the environment is for the catalogue's own.
    is_named: bool,
}

/// Finds the endpoint of the model.
pub(crate) fn route(model: &str, to: &EndpointArgs, config: &ConfigFile) -> Result<Route, Error> {
    route::route(model, to.provider.as_deref(), &named(config))
}

/// The endpoints that the user named; those of the catalogue's names adjust them.
pub(crate) fn named(config: &ConfigFile) -> Vec<&str> {
    let names = config.endpoints.keys().map(String::as_str);
    names
        .filter(|name| catalogue::find(name).is_none())
        .collect()
}

/// Resolves the endpoint.
pub(crate) fn server(
    to: &EndpointArgs,
    config: &ConfigFile,
    target: &Target,
) -> Result<Server, Error> {
    let by_flag = to.dialect.map(Dialect::from);
    let place = match target {
        Target::Simulated(dialect) => return simulated(to, by_flag.unwrap_or(*dialect)),
        Target::Provider(provider) => Place::of(provider.name, Some(provider), config)?,
        Target::Named(name) => Place::of(name, None, config)?,
    };
    real(
        to,
        config,
        Place {
            dialect: by_flag.unwrap_or(place.dialect),
            ..place
        },
    )
}

/// Resolves the endpoint for embeddings.
pub(crate) fn embedder(
    to: &EndpointArgs,
    config: &ConfigFile,
    target: &Target,
) -> Result<Server, Error> {
    let place = match target {
        Target::Simulated(_) => return simulated(to, Dialect::Embeddings),
        Target::Provider(provider) => Place::of(provider.name, Some(provider), config)?,
        Target::Named(name) => Place::of(name, None, config)?,
    };
    let Some(habits) = place.habits.for_embeddings() else {
        return Err(Error::config(format!(
            "--embed cannot go with {}: it makes no embeddings",
            place.name
        ))
        .with_hint(
            "name a model that does, such as text-embedding-3-small, or give --provider openai \
             and --base-url for a server that speaks OpenAI's way",
        ));
    };
    real(
        to,
        config,
        Place {
            dialect: habits.dialect,
            habits,
            ..place
        },
    )
}

impl<'a> Place<'a> {
    /// The place of this name, with the habits of the provider that the file names for it.
    fn of(
        name: &'a str,
        provider: Option<&'static Provider>,
        config: &'a ConfigFile,
    ) -> Result<Place<'a>, Error> {
        let entry = config.endpoints.get(name);
        let dialect = entry.and_then(|entry| entry.dialect).map(Dialect::from);
        let by_file = entry.and_then(|entry| entry.provider.as_deref());
        let like = match by_file {
            Some(name) => catalogue::get(name)?,
            None => match provider {
                Some(provider) => provider,
                None => catalogue::get(dialect.unwrap_or(Dialect::Chat).name())?,
            },
        };
        Ok(Place {
            name,
            habits: *provider.unwrap_or(like),
            dialect: dialect.unwrap_or(like.dialect),
            entry,
            is_named: provider.is_none(),
        })
    }
}

fn simulated(to: &EndpointArgs, dialect: Dialect) -> Result<Server, Error> {
    if to.base_url.is_some() {
        return Err(
            Error::config("--base-url cannot go with a sim/ model").with_hint(
                "leave one of them out; `forebay sim` serves the simulated provider alone",
            ),
        );
    }
    let mut headers = Headers::default();
    headers.put_flags(to)?;
    Ok(Server {
        endpoint: Endpoint {
            name: "sim".into(),
            dialect,
            // The port is chosen when the simulated provider starts.
            base_url: BaseUrl {
                tls: false,
                host: "127.0.0.1".into(),
                port: 0,
                path: match dialect {
                    Dialect::Chat | Dialect::Responses | Dialect::Embeddings => "/v1".into(),
                    Dialect::Anthropic => String::new(),
                    Dialect::Gemini => "/v1beta".into(),
                },
            },
            key: Some(ApiKey::new("simulated")?),
            headers: headers.0,
            token_field: TokenField::MaxCompletionTokens,
            rate_headers: forebay::catalogue::RateHeaders::Unknown,
            seed: forebay::catalogue::Seed::None,
            http: to.http.map_or(HttpVersion::Auto, HttpVersion::from),
        },
        // It is in this process.
        proxies: Proxies::default(),
        simulated: true,
    })
}

fn real(to: &EndpointArgs, config: &ConfigFile, place: Place<'_>) -> Result<Server, Error> {
    let base_url = base_url(to, place)?;
    if !base_url.tls && !base_url.is_local() && !to.insecure_http {
        return Err(Error::config(format!(
            "{base_url} is plain http: key and prompts could be read on the way"
        ))
        .with_hint("use https, or --insecure-http if you must"));
    }
    let token_field = match place.entry.and_then(|entry| entry.token_field) {
        Some(field) => field.into(),
        None => place.habits.token_field_at(&base_url),
    };
    let endpoint = Endpoint {
        name: place.name.to_owned(),
        dialect: place.dialect,
        key: key(to, place, &base_url)?,
        headers: headers(to, place)?,
        rate_headers: place.habits.rate_headers_at(&base_url),
        seed: place.habits.seed_at(&base_url),
        base_url,
        token_field,
        http: http(to, place),
    };
    Ok(Server {
        endpoint,
        proxies: proxies(to, config)?,
        simulated: false,
    })
}

/// The flag, else the file, else none: what the environment names counts when one of them says
/// so.
fn proxies(to: &EndpointArgs, config: &ConfigFile) -> Result<Proxies, Error> {
    let (text, place) = match (&to.proxy, &config.proxy) {
        (Some(flag), _) => (&flag.0, "--proxy"),
        (None, Some(file)) => (&file.0, "proxy in the configuration file"),
        (None, None) => return Ok(Proxies::default()),
    };
    match text.trim() {
        "none" => Ok(Proxies::default()),
        "env" => Proxies::from_variables(env_vars::read),
        url => Proxies::all(url).map_err(|error| error.at(place)),
    }
}

/// The flag, else the file, else what the server picks.
fn http(to: &EndpointArgs, place: Place<'_>) -> HttpVersion {
    let by_file = place.entry.and_then(|entry| entry.http);
    to.http
        .or(by_file)
        .map_or(HttpVersion::Auto, HttpVersion::from)
}

/// The flag, else the environment (of the providers' own endpoints), else the file, else the
/// provider's own.
fn base_url(to: &EndpointArgs, place: Place<'_>) -> Result<BaseUrl, Error> {
    let by_env = match place.is_named {
        true => None,
        false => place.habits.base_url_from(env_vars::read),
    };
    let by_file = place.entry.and_then(|entry| entry.base_url.clone());
    let text = to.base_url.clone().or(by_env).or(by_file);
    match text.as_deref().or(place.habits.base_url) {
        Some(url) => BaseUrl::parse(url),
        None => Err(place.habits.no_base_url()),
    }
}

/// Where the key is: a flag, else the variables of the provider's own endpoint, else the file.
fn key(to: &EndpointArgs, place: Place<'_>, base_url: &BaseUrl) -> Result<Option<ApiKey>, Error> {
    let habits = place.habits;
    if let Some(secret) = &to.secret {
        let key = ApiKey::new(&secret.0)?;
        return Ok(Some(habits.with_header(key, None)));
    }
    if let Some(variable) = &to.api_key_env {
        return from_variable(variable, &habits).map(Some);
    }
    if let Some(path) = &to.api_key_file {
        return from_file(path, &habits).map(Some);
    }
    // A key that the file names beside a base URL belongs to that URL: it is sent nowhere else,
    // and no other key is sent there.
    let own_url = place.entry.and_then(|entry| entry.base_url.as_deref());
    let is_own_url =
        own_url.is_some_and(|url| BaseUrl::parse(url).is_ok_and(|url| url == *base_url));
    let entry = place.entry.filter(|_| own_url.is_none() || is_own_url);
    let has_key =
        entry.is_some_and(|entry| entry.api_key_env.is_some() || entry.api_key_file.is_some());
    let beside_url = is_own_url && has_key;
    if !place.is_named
        && !beside_url
        && let Some(key) = habits.key_from(env_vars::read)?
    {
        return Ok(Some(key));
    }
    if let Some(variable) = entry.and_then(|entry| entry.api_key_env.as_ref()) {
        return from_variable(variable, &habits).map(Some);
    }
    if let Some(path) = entry.and_then(|entry| entry.api_key_file.as_ref()) {
        return from_file(path, &habits).map(Some);
    }
    if base_url.is_local() || (habits.is_local && !place.is_named) {
        // Servers on this machine or network seldom ask for one.
        return Ok(None);
    }
    if place.is_named {
        return Err(Error::config("the endpoint names no key")
            .with_hint("give it api-key-env or api-key-file in forebay.toml, or --api-key-env"));
    }
    let which = match habits.key_variables.len() {
        1 => "it",
        _ => "one of them",
    };
    Err(habits.no_key().with_hint(format!(
        "set {which} to your API key, name another with --api-key-env, or try a sim/ model without"
    )))
}

fn from_variable(name: &str, habits: &Provider) -> Result<ApiKey, Error> {
    let value = env_vars::read(name).ok_or_else(|| {
        Error::config(format!("the environment variable {name} is not set"))
            .with_hint("set it to your API key")
    })?;
    let key = ApiKey::new(&value).map_err(|error| error.at(&format!("in {name}")))?;
    let known = habits.key_variables.iter().find(|known| known.name == name);
    Ok(habits.with_header(key, known.and_then(|known| known.header)))
}

fn from_file(path: &Path, habits: &Provider) -> Result<ApiKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!(
            "cannot read the key file {}: {error}",
            path.display()
        ))
        .with_hint("check its name and that you may read it")
    })?;
    let key = ApiKey::new(text.trim_end_matches(['\r', '\n']))
        .map_err(|error| error.at(&format!("in {}", path.display())))?;
    Ok(habits.with_header(key, None))
}

/// The file's headers, then the environment's, then the flags'.
fn headers(to: &EndpointArgs, place: Place<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut headers = Headers::default();
    for (name, value) in place.entry.iter().flat_map(|entry| &entry.headers) {
        headers.put(name, value)?;
    }
    if !place.is_named {
        headers.put_environment(&place.habits)?;
    }
    headers.put_flags(to)?;
    Ok(headers.0)
}

/// Headers of which a later one replaces an earlier one of the same name.
#[derive(Default)]
struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    fn put(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let (name, value) = header(name, value)?;
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
        Ok(())
    }

    fn put_environment(&mut self, provider: &Provider) -> Result<(), Error> {
        for variable in provider.header_variables {
            let Some(text) = env_vars::read(variable.name) else {
                continue;
            };
            if let Some(name) = variable.header {
                self.put(name, &text)?;
                continue;
            }
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let (name, value) = split_header(line).ok_or_else(|| {
                    let variable = variable.name;
                    Error::config(format!(
                        "{variable} needs lines of the form \"Name: value\""
                    ))
                })?;
                self.put(name, value)?;
            }
        }
        Ok(())
    }

    fn put_flags(&mut self, to: &EndpointArgs) -> Result<(), Error> {
        for text in &to.headers {
            let (name, value) = split_header(text)
                .ok_or_else(|| Error::config("--header needs the form \"Name: value\""))?;
            self.put(name, value)?;
        }
        Ok(())
    }
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
