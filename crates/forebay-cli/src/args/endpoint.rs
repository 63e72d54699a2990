//! The flags that say where requests go; shared by all commands that send some.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use forebay::endpoint::{Dialect, HttpVersion};

use super::Secret;

const ENDPOINT: &str = "Endpoint";

#[derive(Debug, Default, Clone, Args)]
pub(crate) struct EndpointArgs {
    // A key that a flag of another tool gave.
    #[arg(skip)]
    pub(crate) secret: Option<Secret>,
    /// Provider, when the model's name does not tell: see `forebay providers`
    #[arg(long, value_name = "NAME", help_heading = ENDPOINT)]
    pub(crate) provider: Option<String>,
    /// Wire dialect, when it is not the provider's own
    #[arg(long, value_name = "DIALECT", help_heading = ENDPOINT)]
    pub(crate) dialect: Option<DialectArg>,
    /// Base URL of a compatible server, such as http://localhost:8000/v1
    #[arg(long, value_name = "URL", help_heading = ENDPOINT)]
    pub(crate) base_url: Option<String>,
    /// Environment variable that holds the API key
    #[arg(long, value_name = "NAME", help_heading = ENDPOINT, conflicts_with = "api_key_file")]
    pub(crate) api_key_env: Option<String>,
    /// File that holds the API key
    #[arg(long, value_name = "FILE", help_heading = ENDPOINT)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Further header of each request, "Name: value"; repeatable
    #[arg(long = "header", value_name = "HEADER", help_heading = ENDPOINT)]
    pub(crate) headers: Vec<String>,
    /// Allow plain http to a host that is not local
    #[arg(long, help_heading = ENDPOINT)]
    pub(crate) insecure_http: bool,
    /// Version of HTTP: what the server picks under TLS, 1.1, or 2 [default: auto]
    #[arg(long, value_name = "VERSION", help_heading = ENDPOINT)]
    pub(crate) http: Option<HttpArg>,
    /// Proxy: http, https, socks5 or socks5h URL; env for HTTPS_PROXY and the like [default: none]
    #[arg(long, value_name = "URL", help_heading = ENDPOINT)]
    pub(crate) proxy: Option<Secret>,
    /// Configuration file [default: forebay.toml, if there is one]
    #[arg(long, value_name = "FILE", help_heading = ENDPOINT)]
    pub(crate) config: Option<PathBuf>,
}

// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
pub(crate) enum HttpArg {
    // HTTP/2 under TLS if the server can, else 1.1
    #[serde(rename = "auto")]
    Auto,
    // HTTP/1.1
    #[value(name = "1.1")]
    #[serde(rename = "1.1")]
    Http1,
    // HTTP/2, without TLS too
    #[value(name = "2")]
    #[serde(rename = "2")]
    Http2,
}

impl From<HttpArg> for HttpVersion {
    fn from(name: HttpArg) -> HttpVersion {
        match name {
            HttpArg::Auto => HttpVersion::Auto,
            HttpArg::Http1 => HttpVersion::Http1,
            HttpArg::Http2 => HttpVersion::Http2,
        }
    }
}

// A wire dialect in which models answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DialectArg {
    // OpenAI chat completions
    #[value(name = "openai")]
    #[serde(rename = "openai")]
    OpenAi,
    // OpenAI responses
    #[value(name = "openai-responses")]
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    // Anthropic messages
    Anthropic,
    // Gemini generateContent
    Gemini,
}

impl From<DialectArg> for Dialect {
    fn from(name: DialectArg) -> Dialect {
        match name {
            DialectArg::OpenAi => Dialect::Chat,
            DialectArg::OpenAiResponses => Dialect::Responses,
            DialectArg::Anthropic => Dialect::Anthropic,
            DialectArg::Gemini => Dialect::Gemini,
        }
    }
}
