//! The environment: the one place of the library that reads it, and only for clients that were
//! told to.

use http::header::{HeaderName, HeaderValue};

use crate::catalogue::Provider;
use crate::error::Error;

/// A file of further certificate authorities, as OpenSSL and Python read it.
pub(super) const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// Headers that a connection needs to be its own.
const FORBIDDEN: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// The value of a variable; an empty one counts as not set.
pub(super) fn read(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

/// The headers that a provider's variables ask for.
///
/// # Errors
/// When a variable holds what is no header.
pub(super) fn headers(provider: &Provider) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut headers = Vec::new();
    for variable in provider.header_variables {
        let Some(text) = read(variable.name) else {
            continue;
        };
        let bad = |what: &str| Error::config(format!("{} {what}", variable.name));
        if let Some(name) = variable.header {
            headers.push(header(name, &text).map_err(bad)?);
            continue;
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| bad("needs lines of the form \"Name: value\""))?;
            headers.push(header(name.trim(), value.trim()).map_err(bad)?);
        }
    }
    Ok(headers)
}

/// A header. Its value may be a secret and is not repeated.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "holds what is no header name")?;
    if FORBIDDEN.contains(&name.as_str()) {
        return Err("names a header that belongs to the connection");
    }
    let value = value.parse();
    let value = value.map_err(|_| "holds a value that a header cannot carry")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_and_their_values_kept_secret() {
        assert!(header("anthropic-beta", "a-1").is_ok());
        for (name, value) in [("Host", "h"), ("no name", "v"), ("x", "sec\nret")] {
            let why = header(name, value).unwrap_err();
            assert!(!why.contains("sec"), "{why}");
        }
    }
}
