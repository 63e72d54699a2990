//! Where requests go: dialect, base URL, key, headers.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};

use crate::catalogue::{RateHeaders, Seed};
use crate::error::Error;

/// A wire dialect: the path, the request's and the answer's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions, and everything compatible with them.
    Chat,
    /// OpenAI responses.
    Responses,
    /// OpenAI embeddings, and everything compatible with them.
    Embeddings,
    /// Anthropic messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
}

impl Dialect {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Dialect; 5] = [
        Dialect::Chat,
        Dialect::Responses,
        Dialect::Embeddings,
        Dialect::Anthropic,
        Dialect::Gemini,
    ];

    /// The dialect's name in flags, config and journals.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Chat => "openai",
            Dialect::Responses => "openai-responses",
            Dialect::Embeddings => "openai-embeddings",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
        }
    }

    /// Whether a provider of this dialect charges a request's cap on output tokens to the limit of
    /// tokens as soon as it arrives, and what was really written only afterwards.
    ///
    /// Source: OpenAI's and Azure's guides to rate limits; Anthropic's says that only tokens that
    /// were written count.
    pub fn charges_cap(self) -> bool {
        match self {
            Dialect::Chat | Dialect::Responses => true,
            Dialect::Embeddings | Dialect::Anthropic | Dialect::Gemini => false,
        }
    }
}

/// The version of HTTP that is spoken with an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// What the server picks in the TLS handshake, HTTP/2 if it can; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS the server has to know it beforehand ("prior knowledge").
    Http2,
}

impl HttpVersion {
    /// All of them, in the order in which they are shown.
    pub const ALL: [HttpVersion; 3] = [HttpVersion::Auto, HttpVersion::Http1, HttpVersion::Http2];

    /// The name in flags and config: `auto`, `1.1` or `2`.
    pub fn name(self) -> &'static str {
        match self {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "1.1",
            HttpVersion::Http2 => "2",
        }
    }
}

/// The name of the body member that caps output tokens in the OpenAI dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenField {
    /// `max_completion_tokens`, as OpenAI itself wants it.
    MaxCompletionTokens,
    /// `max_tokens`, as most compatible servers want it.
    MaxTokens,
}

/// A base URL, its key and what goes into each request's head.
#[derive(Clone)]
pub struct Endpoint {
    /// Name in model prefixes, rows and messages: `openai`, `sim`, or one of the user's.
    pub name: String,
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// Where it is.
    pub base_url: BaseUrl,
    /// How a caller proves who it is; `None` sends no key at all.
    pub key: Option<ApiKey>,
    /// Further headers of each request; they replace Forebay's own of the same name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How the OpenAI dialect names the cap on output tokens.
    pub token_field: TokenField,
    /// Which headers tell of its limits.
    pub rate_headers: RateHeaders,
    /// What is known of the requests that it serves at once.
    pub seed: Seed,
    /// The version of HTTP.
    pub http: HttpVersion,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A header may carry a secret under any name, so that only names are shown.
        let headers: Vec<&HeaderName> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("dialect", &self.dialect)
            .field("base_url", &self.base_url)
            .field("key", &self.key)
            .field("headers", &headers)
            .field("token_field", &self.token_field)
            .field("rate_headers", &self.rate_headers)
            .field("http", &self.http)
            .finish()
    }
}

/// The header that carries a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`, as most have it.
    Bearer,
    /// `x-api-key`, Anthropic's.
    XApiKey,
    /// `api-key`, Azure's.
    ApiKey,
    /// `x-goog-api-key`, Gemini's.
    XGoogApiKey,
}

/// A secret that is never shown.
#[derive(Clone)]
pub struct ApiKey {
    secret: Arc<str>,
    header: Option<KeyHeader>,
}

impl ApiKey {
    /// A key, sent in the dialect's usual header.
    ///
    /// # Errors
    /// When the key is empty or holds a character that a header cannot carry; the message does
    /// not repeat the key.
    pub fn new(secret: &str) -> Result<ApiKey, Error> {
        let secret = secret.trim_matches(|c: char| c == ' ' || c == '\t');
        if secret.is_empty() {
            return Err(Error::config("the API key is empty"));
        }
        if let Some(bad) = secret.chars().find(|c| !('!'..='~').contains(c)) {
            return Err(Error::config(format!(
                "the API key holds a character that a header cannot carry: {bad:?}"
            ))
            .with_hint("copy the key again, without line breaks or spaces inside"));
        }
        Ok(ApiKey {
            secret: secret.into(),
            header: None,
        })
    }

    /// The same key, sent in this header whatever the dialect's habit is.
    #[must_use]
    pub fn sent_in(mut self, header: KeyHeader) -> ApiKey {
        self.header = Some(header);
        self
    }

    /// The header that it is sent in; `None` for the dialect's usual one.
    pub fn header(&self) -> Option<KeyHeader> {
        self.header
    }

    /// The secret itself, for building a header and for redaction; show it nowhere.
    pub fn expose(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// An absolute `http` or `https` URL without query, to which paths are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path without a slash at its end; may be empty.
    pub path: String,
}

impl BaseUrl {
    /// Reads a base URL such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// When it is not an absolute http(s) URL, or holds a query, a fragment or user info.
    pub fn parse(text: &str) -> Result<BaseUrl, Error> {
        let bad = |why: &str| {
            Error::config(format!("base URL {:?} {why}", without_userinfo(text)))
                .with_hint("write it like https://host/v1 or http://localhost:8000/v1")
        };
        let uri: http::Uri = text.trim().parse().map_err(|_| bad("is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(bad("has a scheme other than http and https")),
            None => return Err(bad("has no scheme")),
        };
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("holds a user name or password"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(bad("holds a query or a fragment"));
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(bad("has no host"));
        }
        // What is behind the host, colon included; a port that is no port must not become
        // another one.
        let after_host = match authority.as_str().rsplit_once(']') {
            Some((_, rest)) => rest,
            None => &authority.as_str()[host.len()..],
        };
        let port = match after_host.strip_prefix(':') {
            None if tls => 443,
            None => 80,
            Some(digits) => match digits.parse() {
                Ok(0) => return Err(bad("has port 0")),
                Ok(port) => port,
                Err(_) => return Err(bad("has a port that is not a number from 1 to 65535")),
            },
        };
        Ok(BaseUrl {
            tls,
            host: host.to_owned(),
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Whether the host is this machine or a private network, where plain http is common.
    pub fn is_local(&self) -> bool {
        if self.host == "localhost" || self.host.ends_with(".localhost") {
            return true;
        }
        match self.host.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(ip)) => {
                ip.is_loopback() || ip.is_private() || ip.is_link_local()
            }
            Ok(std::net::IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
            Err(_) => !self.host.contains('.') || self.host.ends_with(".local"),
        }
    }

    /// The value of the `Host` header.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// The URL as typed, with anything before an `@` hidden: it may be a password.
fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host_header(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_read_and_shown() {
        for (text, shown) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
            ("https://h:443/", "https://h"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn bad_base_urls_say_what_is_wrong() {
        for (text, why) in [
            ("api.openai.com/v1", "URL"),
            ("ftp://h/v1", "scheme"),
            ("https://h/v1?key=1", "query"),
            ("https://me:secret@h/v1", "user name"),
            ("https://h:0/v1", "port 0"),
            ("https://h:70000/v1", "1 to 65535"),
            ("https://[::1]:70000/v1", "1 to 65535"),
            ("https://h:/v1", "1 to 65535"),
            ("", "URL"),
        ] {
            let error = BaseUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn private_hosts_are_told_from_public_ones() {
        let local = |url| BaseUrl::parse(url).unwrap().is_local();
        assert!(local("http://127.0.0.1:1/v1"));
        assert!(local("http://localhost/v1"));
        assert!(local("http://10.1.2.3/v1"));
        assert!(local("http://vllm:8000/v1"));
        assert!(!local("http://api.example.com/v1"));
        assert!(!local("http://8.8.8.8/v1"));
    }

    #[test]
    fn a_key_is_checked_and_never_shown() {
        assert!(ApiKey::new("").is_err());
        let error = ApiKey::new("sk-abc\ndef").unwrap_err().to_string();
        assert!(error.contains("'\\n'") && !error.contains("abc"), "{error}");
        let key = ApiKey::new(" sk-abc ").unwrap();
        assert_eq!(key.expose(), "sk-abc");
        assert!(!format!("{key:?}").contains("abc"));
    }
}
