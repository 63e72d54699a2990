//! The flags of `forebay ask`; a catalogue.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{EndpointArgs, values};

#[derive(Debug, Args)]
#[command(after_help = crate::help::ASK_AFTER, allow_negative_numbers = true)]
pub(crate) struct AskArgs {
    /// What is asked; what comes through a pipe follows it
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    /// Model, such as gpt-4o-mini, groq/llama-3.3-70b-versatile, sim/gpt-4o;
    /// repeat it to ask several at once
    #[arg(short, long = "model", value_name = "NAME")]
    pub(crate) models: Vec<String>,
    /// System prompt
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Text file that follows the prompt; repeatable
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Picture, PNG, JPEG, GIF or WebP: a file, or an address that the provider
    /// fetches; repeatable
    #[arg(short, long = "image", value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// JSON Schema that the answer has to fit; prints the JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Most output tokens of an answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// Sampling temperature
    #[arg(long, value_name = "T", value_parser = values::temperature)]
    pub(crate) temperature: Option<f64>,
    /// Further member of the request body, such as top_p=0.9; repeatable
    #[arg(long = "param", value_name = "KEY=JSON", value_parser = values::parameter)]
    pub(crate) params: Vec<(String, String)>,
    /// Print a JSON object per answer, with the members of a row
    #[arg(long)]
    pub(crate) json: bool,
    /// Take the answer whole instead of as a stream
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Deadline of one attempt [default: 1800s]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) to: EndpointArgs,
}
