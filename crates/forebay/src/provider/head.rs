//! The headers that all requests of an endpoint share, and the path of one.

use http::HeaderMap;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT,
};

use crate::endpoint::{ApiKey, Dialect, Endpoint, KeyHeader};
use crate::headers::{Headers, printable};
use crate::item::Request;

/// Forebay's name and version.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("forebay/", env!("CARGO_PKG_VERSION")));

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
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

/// Builds the headers that all requests of an endpoint share, without `host` and the body's
/// length, which the transport adds.
///
/// The endpoint's own headers replace those of the same name. Answers are asked for without
/// compression, which costs more time than it saves at the size of an answer. Values that are
/// secrets are marked sensitive, so that `Debug` hides them.
pub fn headers(endpoint: &Endpoint) -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::with_capacity(8 + endpoint.headers.len());
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, json);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, AGENT);
    if endpoint.dialect == Dialect::Anthropic {
        headers.insert(ANTHROPIC_VERSION, VERSION);
    }
    if let Some((name, value)) = endpoint
        .key
        .as_ref()
        .and_then(|key| authentication(endpoint.dialect, key))
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
    headers
}

/// The name that a provider gave an exchange: OpenAI's, then Anthropic's header.
pub fn request_id(headers: &Headers) -> Option<String> {
    let [first, second] = ["x-request-id", "request-id"];
    let id = headers.get(first).or_else(|| headers.get(second))?;
    printable(id).map(str::to_owned)
}

/// The path of a request in a dialect that the endpoint speaks, from the host on.
pub(super) fn path(endpoint: &Endpoint, dialect: Dialect, request: &Request) -> String {
    let base = endpoint.base_url.path.as_str();
    match dialect {
        Dialect::Chat => [base, "/chat/completions"].concat(),
        Dialect::Responses => format!("{base}/responses"),
        Dialect::Embeddings => format!("{base}/embeddings"),
        Dialect::Anthropic => {
            let version = anthropic_version(base);
            format!("{base}{version}/messages")
        }
        Dialect::Gemini => {
            let model = &request.shared.model;
            // Tuned models and the SDK's habit have a folder before the name.
            let folder = if model.contains('/') { "" } else { "models/" };
            let how = match request.shared.stream {
                true => "streamGenerateContent?alt=sse",
                false => "generateContent",
            };
            let model = PathPart::of(model);
            format!("{base}/{folder}{model}:{how}")
        }
    }
}

/// What stands between Anthropic's base URL and its paths: the habit is a base URL without `/v1`,
/// but people write it either way.
pub(super) fn anthropic_version(base: &str) -> &'static str {
    match base.ends_with("/v1") {
        true => "",
        false => "/v1",
    }
}

/// A text as part of a path; what has a meaning in a URL is escaped.
pub(super) struct PathPart<'a> {
    text: &'a str,
    keep_slashes: bool,
}

impl<'a> PathPart<'a> {
    /// A part that may have folders: slashes stay.
    fn of(text: &'a str) -> PathPart<'a> {
        PathPart {
            text,
            keep_slashes: true,
        }
    }

    /// A value of the query: slashes are escaped too.
    pub(super) fn value(text: &'a str) -> PathPart<'a> {
        PathPart {
            text,
            keep_slashes: false,
        }
    }
}

impl std::fmt::Display for PathPart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(f, "{}", char::from(byte))?;
                }
                b'/' if self.keep_slashes => f.write_str("/")?,
                other => write!(f, "%{other:02X}")?,
            }
        }
        Ok(())
    }
}

/// Whether a header's value is a secret.
pub(super) fn is_secret(name: &HeaderName) -> bool {
    SECRET_HEADERS.contains(&name.as_str())
}

/// The header that proves who the caller is.
fn authentication(dialect: Dialect, key: &ApiKey) -> Option<(HeaderName, HeaderValue)> {
    let usual = match dialect {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings => KeyHeader::Bearer,
        Dialect::Anthropic => KeyHeader::XApiKey,
        Dialect::Gemini => KeyHeader::XGoogApiKey,
    };
    let plain = || key.expose().to_owned();
    let (name, text) = match key.header().unwrap_or(usual) {
        KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        KeyHeader::XApiKey => (X_API_KEY, plain()),
        KeyHeader::ApiKey => (API_KEY, plain()),
        KeyHeader::XGoogApiKey => (X_GOOG_API_KEY, plain()),
    };
    // A key holds only visible ASCII, so this never fails.
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}
