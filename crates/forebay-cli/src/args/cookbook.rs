//! The flags of the OpenAI cookbook's script for parallel requests, in its own spelling.
//!
//! They are hidden: who has a command line of the script replaces its first words and is done.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Default, Clone, Args)]
pub(crate) struct CookbookArgs {
    #[arg(
        long = "requests_filepath",
        value_name = "FILE",
        hide = true,
        conflicts_with = "inputs"
    )]
    pub(crate) requests_filepath: Option<PathBuf>,
    #[arg(long = "request_url", value_name = "URL", hide = true)]
    pub(crate) request_url: Option<String>,
    #[arg(long = "token_encoding_name", value_name = "NAME", hide = true)]
    pub(crate) token_encoding_name: Option<String>,
    #[arg(long = "logging_level", value_name = "LEVEL", hide = true)]
    pub(crate) logging_level: Option<u32>,
    #[arg(long = "api_key", value_name = "KEY", hide = true, conflicts_with_all = ["api_key_env", "api_key_file"])]
    pub(crate) api_key: Option<Secret>,
}

/// A secret from the command line or a file; it is never shown.
#[derive(Clone, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Secret, Self::Err> {
        Ok(Secret(text.to_owned()))
    }
}

impl CookbookArgs {
    /// The first flag that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            ("--requests_filepath", self.requests_filepath.is_some()),
            ("--request_url", self.request_url.is_some()),
            ("--token_encoding_name", self.token_encoding_name.is_some()),
            ("--logging_level", self.logging_level.is_some()),
            ("--api_key", self.api_key.is_some()),
        ]
        .into_iter()
        .find(|(_, given)| *given)
        .map(|(flag, _)| flag)
    }
}
