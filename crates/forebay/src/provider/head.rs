//! The head that all requests of an endpoint share.

use http::HeaderMap;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
};

use crate::endpoint::{ApiKey, Endpoint, Provider};

/// Forebay's name and version.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("forebay/", env!("CARGO_PKG_VERSION")));

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The version that Anthropic's documentation shows and that gateways accept; 2026-10-21 rejects
/// sampling parameters.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Headers whose values are secrets: the usual ones, and those of Azure, Google and proxies.
const SECRET_HEADERS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
];

/// What every request of an endpoint begins with; built once.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The path of each request, from the host on.
    pub path: String,
    /// The headers, without `host` and the body's length, which the transport adds.
    ///
    /// Values that are secrets are marked sensitive, so that `Debug` hides them.
    pub headers: HeaderMap,
}

/// Builds the head of an endpoint's requests.
///
/// The endpoint's own headers replace those of the same name. Answers are asked for without
/// compression, which costs more time than it saves at the size of an answer.
pub fn head(endpoint: &Endpoint) -> RequestHead {
    let base = endpoint.base_url.path.as_str();
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::with_capacity(8 + endpoint.headers.len());
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, json);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, AGENT);
    let path = match endpoint.provider {
        Provider::OpenAi => format!("{base}/chat/completions"),
        Provider::Anthropic => {
            headers.insert(ANTHROPIC_VERSION, VERSION);
            // The habit is a base URL without /v1, but people write it either way.
            let version = if base.ends_with("/v1") { "" } else { "/v1" };
            format!("{base}{version}/messages")
        }
    };
    if let Some((name, value)) = endpoint
        .key
        .as_ref()
        .and_then(|key| authentication(endpoint.provider, key))
    {
        headers.insert(name, value);
    }
    for (name, _) in &endpoint.headers {
        headers.remove(name);
    }
    for (name, value) in &endpoint.headers {
        let mut value = value.clone();
        value.set_sensitive(value.is_sensitive() || is_secret(name));
        headers.append(name, value);
    }
    RequestHead { path, headers }
}

/// Whether a header's value is a secret.
pub(super) fn is_secret(name: &HeaderName) -> bool {
    SECRET_HEADERS.contains(&name.as_str())
}

/// The header that proves who the caller is.
fn authentication(provider: Provider, key: &ApiKey) -> Option<(HeaderName, HeaderValue)> {
    let bearer = match provider {
        Provider::OpenAi => true,
        Provider::Anthropic => key.is_bearer(),
    };
    let (name, text) = match bearer {
        true => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        false => (X_API_KEY, key.expose().to_owned()),
    };
    // A key holds only visible ASCII, so this never fails.
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}
