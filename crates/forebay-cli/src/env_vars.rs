//! Every environment variable that `forebay` reads, named once.

/// OpenAI's key, as the official SDK reads it.
pub(crate) const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
/// OpenAI's base URL.
pub(crate) const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";
/// OpenAI's organisation, sent as a header.
pub(crate) const OPENAI_ORG_ID: &str = "OPENAI_ORG_ID";
/// OpenAI's project, sent as a header.
pub(crate) const OPENAI_PROJECT_ID: &str = "OPENAI_PROJECT_ID";
/// Anthropic's key, as the official SDK reads it.
pub(crate) const ANTHROPIC_API_KEY: &str = "ANTHROPIC_API_KEY";
/// Anthropic's token, sent as `Authorization: Bearer`, when there is no key.
pub(crate) const ANTHROPIC_AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
/// Anthropic's base URL, without `/v1`.
pub(crate) const ANTHROPIC_BASE_URL: &str = "ANTHROPIC_BASE_URL";
/// Further headers for Anthropic, one `Name: value` a line.
pub(crate) const ANTHROPIC_CUSTOM_HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";
/// The configuration file, when `--config` names none.
pub(crate) const FOREBAY_CONFIG: &str = "FOREBAY_CONFIG";
/// A file of further certificate authorities, as OpenSSL and Python read it.
pub(crate) const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// The value of a variable; an empty one counts as not set.
pub(crate) fn read(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_variable() {
        for name in [
            OPENAI_API_KEY,
            OPENAI_BASE_URL,
            OPENAI_ORG_ID,
            OPENAI_PROJECT_ID,
            ANTHROPIC_API_KEY,
            ANTHROPIC_AUTH_TOKEN,
            ANTHROPIC_BASE_URL,
            ANTHROPIC_CUSTOM_HEADERS,
            FOREBAY_CONFIG,
            SSL_CERT_FILE,
        ] {
            assert!(crate::help::RUN_AFTER.contains(name), "{name}");
        }
    }
}
