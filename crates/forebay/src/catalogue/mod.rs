//! The providers that are known by name: where they are, what they speak, whose key they take.
//!
//! Owns the table and what follows from one of its rows. Never reads the environment: whoever
//! asks hands in a look-up. Never decides what a model's name means; that is the route's work.

mod table;

#[cfg(test)]
mod tests;

pub use table::PROVIDERS;

use crate::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, KeyHeader, TokenField};
use crate::error::Error;

/// How far a name may be off to be proposed instead, as Jaro-Winkler similarity.
///
/// Chosen so that `grok` leads to `groq` and `antropic` to `anthropic`, and `box` nowhere.
const SIMILAR: f64 = 0.8;

/// A provider that is known by name: one row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Its name in flags, model prefixes and rows.
    pub name: &'static str,
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// Its base URL; `None` when every account has its own.
    pub base_url: Option<&'static str>,
    /// The variable that replaces the base URL, and what makes a base URL of its value.
    pub url_variable: Option<UrlVariable>,
    /// The variables that hold the key; the first that is set counts.
    pub key_variables: &'static [KeyVariable],
    /// Whether it may be asked without a key: servers of one's own.
    pub is_local: bool,
    /// The header that carries the key; `None` for the dialect's usual one.
    pub key_header: Option<KeyHeader>,
    /// How it names the cap on output tokens.
    pub token_field: TokenField,
    /// How its headers about rate limits are to be read.
    pub rate_headers: RateHeaders,
    /// What is known of the requests that it serves at once.
    pub seed: Seed,
    /// The variables that become headers of each request.
    pub header_variables: &'static [HeaderVariable],
    /// Where embeddings are made.
    pub embeddings: Embeddings,
    /// Its name in the price table.
    pub price_name: &'static str,
    /// What is worth knowing about it.
    pub notes: &'static str,
}

/// An environment variable that holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyVariable {
    /// The variable.
    pub name: &'static str,
    /// The header for this key, when it is another than the provider's.
    pub header: Option<KeyHeader>,
}

/// An environment variable that says where a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlVariable {
    /// The variable.
    pub name: &'static str,
    /// How its value is written.
    pub holds: UrlShape,
}

/// What the value of a [`UrlVariable`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlShape {
    /// A base URL.
    BaseUrl,
    /// A URL that this path is appended to, unless it ends with it already.
    Before(&'static str),
    /// A host, with or without scheme and port, to which this port and path belong.
    Host(u16, &'static str),
}

/// An environment variable that becomes a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderVariable {
    /// The variable.
    pub name: &'static str,
    /// The header; `None` when the variable holds lines of the form `Name: value`.
    pub header: Option<&'static str>,
}

/// Where a provider makes embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embeddings {
    /// Below its base URL, in OpenAI's way.
    Here,
    /// In OpenAI's way, below another base URL, with the key as bearer.
    At(&'static str),
    /// Nowhere.
    None,
}

/// How the headers about rate limits are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateHeaders {
    /// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`: both limits are per minute, and
    /// resets are Go durations such as `6m0s`, until the bucket is full again.
    PerMinute,
    /// The same names, but the limit of requests is per day.
    RequestsPerDay,
    /// The same names; resets are whole seconds, and a limit of 0 or -1 is unknown.
    Seconds,
    /// `x-ratelimit-*-requests-day` and `x-ratelimit-*-tokens-minute`; resets are seconds.
    DayAndMinute,
    /// `x-ratelimit-*` and `x-tokenlimit-*`, per second; the limits move with the load.
    PerSecond,
    /// `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-*`: limits are per
    /// minute, resets are RFC 3339.
    Anthropic,
    /// None are sent.
    None,
    /// Not known: names that say what a limit is for are believed, others only when the window
    /// shows by how fast it refills.
    Unknown,
}

/// What is known of the requests that an endpoint serves at once, before anything is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seed {
    /// Nothing.
    #[default]
    None,
    /// As many as this, by its documentation.
    InFlight(u32),
    /// llama.cpp's `/props` tells its slots.
    LlamaProps,
    /// vLLM's `/metrics` tells what runs and what waits.
    VllmMetrics,
}

impl Seed {
    /// The requests at once that need not be asked for.
    pub fn known(self) -> Option<f64> {
        match self {
            Seed::InFlight(n) => Some(f64::from(n)),
            Seed::None | Seed::LlamaProps | Seed::VllmMetrics => None,
        }
    }
}

impl RateHeaders {
    /// Its name as shown.
    pub fn name(self) -> &'static str {
        match self {
            RateHeaders::PerMinute => "per-minute",
            RateHeaders::RequestsPerDay => "requests-per-day",
            RateHeaders::Seconds => "seconds",
            RateHeaders::DayAndMinute => "day-and-minute",
            RateHeaders::PerSecond => "per-second",
            RateHeaders::Anthropic => "anthropic",
            RateHeaders::None => "none",
            RateHeaders::Unknown => "unknown",
        }
    }
}

/// The provider of this name, if there is one.
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The provider of this name.
///
/// # Errors
/// When there is none; the hint proposes a similar name, or lists all.
pub fn get(name: &str) -> Result<&'static Provider, Error> {
    find(name).ok_or_else(|| {
        let fault = Error::config(format!("there is no provider {name:?}"));
        let all = names();
        match similar(name, all.iter().copied()) {
            Some(known) => fault.with_hint(format!("did you mean {known}?")),
            None => fault.with_hint(format!("known are {}", all.join(", "))),
        }
    })
}

/// The names of all providers, in the table's order.
pub fn names() -> Vec<&'static str> {
    PROVIDERS.iter().map(|provider| provider.name).collect()
}

/// The one of these names that is most like `name`, if one is like it at all.
pub fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The endpoint of a provider, with this key and, if given, at another base URL.
///
/// # Errors
/// When there is no such provider, when it needs a key or a base URL that is not given, and when
/// the base URL is none.
pub fn endpoint_of(
    provider: &str,
    key: Option<ApiKey>,
    base_url: Option<&str>,
) -> Result<Endpoint, Error> {
    get(provider)?.endpoint(key, base_url)
}

impl Provider {
    /// Its endpoint, with this key and, if given, at another base URL.
    ///
    /// # Errors
    /// When it needs a key or a base URL that is not given, and when the base URL is none.
    pub fn endpoint(&self, key: Option<ApiKey>, base_url: Option<&str>) -> Result<Endpoint, Error> {
        let base_url = match base_url.or(self.base_url) {
            Some(url) => BaseUrl::parse(url)?,
            None => return Err(self.no_base_url()),
        };
        if key.is_none() && !self.is_local && !base_url.is_local() {
            return Err(self.no_key());
        }
        Ok(Endpoint {
            name: self.name.to_owned(),
            dialect: self.dialect,
            token_field: self.token_field_at(&base_url),
            rate_headers: self.rate_headers_at(&base_url),
            seed: self.seed_at(&base_url),
            http: crate::endpoint::HttpVersion::Auto,
            key: key.map(|key| self.with_header(key, None)),
            headers: Vec::new(),
            base_url,
        })
    }

    /// Its endpoint as the environment has it: key and base URL of its own variables.
    ///
    /// `read` gives the value of a variable; an empty one must count as not set.
    ///
    /// # Errors
    /// As [`Provider::endpoint`], and when a variable holds no key.
    pub fn endpoint_from(&self, read: impl Fn(&str) -> Option<String>) -> Result<Endpoint, Error> {
        let base_url = self.base_url_from(&read);
        self.endpoint(self.key_from(&read)?, base_url.as_deref())
    }

    /// The key in the first of its variables that is set.
    ///
    /// # Errors
    /// When the variable holds what is no key; the message names it and not its value.
    pub fn key_from(&self, read: impl Fn(&str) -> Option<String>) -> Result<Option<ApiKey>, Error> {
        let mut variables = self.key_variables.iter();
        let Some((variable, value)) = variables.find_map(|v| Some((v, read(v.name)?))) else {
            return Ok(None);
        };
        let key =
            ApiKey::new(&value).map_err(|fault| fault.at(&format!("in {}", variable.name)))?;
        Ok(Some(self.with_header(key, variable.header)))
    }

    /// The base URL that its variable names, if that is set.
    pub fn base_url_from(&self, read: impl Fn(&str) -> Option<String>) -> Option<String> {
        let variable = self.url_variable?;
        read(variable.name).map(|value| variable.holds.base_url(&value))
    }

    /// This key in the header that belongs to it: its own, else that of its variable, else the
    /// provider's.
    pub fn with_header(&self, key: ApiKey, of_variable: Option<KeyHeader>) -> ApiKey {
        match key.header().or(of_variable).or(self.key_header) {
            Some(header) => key.sent_in(header),
            None => key,
        }
    }

    /// How the server at this base URL names the cap on output tokens.
    ///
    /// A server that only speaks the provider's dialect takes `max_tokens`.
    pub fn token_field_at(&self, base_url: &BaseUrl) -> TokenField {
        match self.is_elsewhere(base_url) {
            true => TokenField::MaxTokens,
            false => self.token_field,
        }
    }

    /// How the headers about rate limits of the server at this base URL are to be read.
    ///
    /// Those of a server that only speaks the provider's dialect are not known; that servers of
    /// one's own send none holds wherever they are.
    pub fn rate_headers_at(&self, base_url: &BaseUrl) -> RateHeaders {
        match !self.is_local && self.is_elsewhere(base_url) {
            true => RateHeaders::Unknown,
            false => self.rate_headers,
        }
    }

    /// Whether this base URL is another host's than the provider's; never so when every account
    /// has its own.
    fn is_elsewhere(&self, base_url: &BaseUrl) -> bool {
        let own = self.base_url.and_then(|url| BaseUrl::parse(url).ok());
        // Regional hosts stand before the common name.
        own.is_some_and(|own| !base_url.host.ends_with(&own.host))
    }

    /// What is known of the server at this base URL.
    ///
    /// A server that only speaks the provider's dialect has limits of its own.
    pub fn seed_at(&self, base_url: &BaseUrl) -> Seed {
        match !self.is_local && self.is_elsewhere(base_url) {
            true => Seed::None,
            false => self.seed,
        }
    }

    /// The same provider for embeddings; `None` when it makes none.
    #[must_use]
    pub fn for_embeddings(&self) -> Option<Provider> {
        let dialect = Dialect::Embeddings;
        match self.embeddings {
            Embeddings::Here => Some(Provider { dialect, ..*self }),
            Embeddings::At(url) => Some(Provider {
                dialect,
                base_url: Some(url),
                url_variable: None,
                key_header: Some(KeyHeader::Bearer),
                ..*self
            }),
            Embeddings::None => None,
        }
    }

    /// The fault of a missing key: names the variables that may hold it.
    pub fn no_key(&self) -> Error {
        let names: Vec<_> = self.key_variables.iter().map(|v| v.name).collect();
        let what = match names.as_slice() {
            [] => format!("{} needs a key", self.name),
            [one] => format!("the environment variable {one} is not set"),
            [one, other] => format!("neither {one} nor {other} is set in the environment"),
            many => format!("none of {} is set in the environment", many.join(", ")),
        };
        Error::config(what)
    }

    /// The fault of a base URL that only the user can know.
    pub fn no_base_url(&self) -> Error {
        let fault = Error::config(format!("the base URL of {} is not known", self.name));
        match self.url_variable {
            Some(variable) => fault.with_hint(format!(
                "set {} to the URL of your resource, or give a base URL",
                variable.name
            )),
            None => fault.with_hint("give a base URL"),
        }
    }
}

impl UrlShape {
    /// The base URL that a variable's value stands for.
    fn base_url(self, value: &str) -> String {
        let value = value.trim().trim_end_matches('/');
        match self {
            UrlShape::BaseUrl => value.to_owned(),
            UrlShape::Before(path) if value.ends_with(path) => value.to_owned(),
            UrlShape::Before(path) => format!("{value}{path}"),
            UrlShape::Host(port, path) => host_url(value, port, path),
        }
    }
}

/// The base URL of a host that may lack scheme and port.
fn host_url(value: &str, port: u16, path: &str) -> String {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("http", value),
    };
    let (authority, own_path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (host, own_port) = match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an address.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    // A server that listens everywhere is asked on this machine.
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let port = match (own_port, value.contains("://"), scheme) {
        (Some(port), _, _) => port.to_owned(),
        // A URL without a port means its scheme's own.
        (None, true, "https") => "443".to_owned(),
        (None, true, "http") => "80".to_owned(),
        (None, _, _) => port.to_string(),
    };
    let path = match own_path.ends_with(path) {
        true => own_path.to_owned(),
        false => format!("{own_path}{path}"),
    };
    format!("{scheme}://{host}:{port}{path}")
}
