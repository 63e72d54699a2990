//! The flags about the shape and the length of answers; a catalogue.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use forebay::config::OnLength;
use forebay::message::SchemaMode;

/// Further questions per item that may be asked for: each is paid for.
pub(crate) const MOST_SCHEMA_RETRIES: u32 = 20;

const REQUEST: &str = "Request";

#[derive(Debug, Clone, Args)]
pub(crate) struct ShapeArgs {
    /// JSON Schema that each answer has to fit; `parsed` in the row is the
    /// answer as JSON
    #[arg(long, value_name = "FILE", help_heading = REQUEST, conflicts_with = "embed")]
    pub(crate) schema: Option<PathBuf>,
    /// The schema's name for the provider [default: its title or file name]
    #[arg(long, value_name = "NAME", help_heading = REQUEST)]
    pub(crate) schema_name: Option<String>,
    /// How the provider is told the schema: in the dialect's own member, or in
    /// the system prompt, for servers without one [default: native]
    #[arg(long, value_name = "HOW", help_heading = REQUEST)]
    pub(crate) schema_mode: Option<SchemaModeArg>,
    /// Further questions to a model whose answer does not fit [default: 2]
    #[arg(long, value_name = "N", help_heading = REQUEST, value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_SCHEMA_RETRIES)))]
    pub(crate) schema_retries: Option<u32>,
    /// What becomes of answers that the token limit cut: a row, a failed row,
    /// or another try with twice the limit [default: ok; with --schema error]
    #[arg(long, value_name = "WHAT", help_heading = REQUEST, conflicts_with = "embed")]
    pub(crate) on_length: Option<OnLengthArg>,
}

// How a schema is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SchemaModeArg {
    // In the dialect's own member
    Native,
    // In the system prompt
    Prompt,
}

impl From<SchemaModeArg> for SchemaMode {
    fn from(mode: SchemaModeArg) -> SchemaMode {
        match mode {
            SchemaModeArg::Native => SchemaMode::Native,
            SchemaModeArg::Prompt => SchemaMode::Prompt,
        }
    }
}

// What becomes of cut answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnLengthArg {
    // They are rows
    Ok,
    // They are failed rows
    Error,
    // They are asked for again
    Retry,
}

impl From<OnLengthArg> for OnLength {
    fn from(what: OnLengthArg) -> OnLength {
        match what {
            OnLengthArg::Ok => OnLength::Ok,
            OnLengthArg::Error => OnLength::Error,
            OnLengthArg::Retry => OnLength::Retry,
        }
    }
}
