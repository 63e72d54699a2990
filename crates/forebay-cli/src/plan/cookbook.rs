//! The command line of the OpenAI cookbook's script, as one of `forebay run`.
//!
//! Owns the script's defaults. Never prints: what is to be said is handed back.

use std::path::{Path, PathBuf};

use forebay::endpoint::Dialect;
use forebay::error::Error;

use crate::args::{OrderArg, RunArgs};

/// Requests per minute that the script keeps to by itself: half of 3,000.
const RPM: f64 = 1_500.0;
/// Tokens per minute that the script keeps to by itself: half of 250,000.
const TPM: f64 = 125_000.0;
/// Where the script sends requests by itself.
const URL: &str = "https://api.openai.com/v1/embeddings";

/// The ends of a URL and what is asked there.
const PATHS: [(&str, Dialect); 3] = [
    ("/chat/completions", Dialect::Chat),
    ("/responses", Dialect::Responses),
    ("/embeddings", Dialect::Embeddings),
];

/// What the script's flags say beyond those of `forebay run`.
#[derive(Debug)]
pub(super) struct Cookbook {
    /// The dialect that the URL names.
    pub(super) dialect: Dialect,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// Puts the script's flags and defaults in place of those that were not given.
///
/// # Errors
/// When a flag of the script comes without its format, or its URL is none that can be asked.
pub(super) fn resolve(args: &mut RunArgs) -> Result<Option<Cookbook>, Error> {
    if args.format.as_deref() != Some("cookbook") {
        return match args.cookbook.given() {
            None => Ok(None),
            Some(flag) => Err(
                Error::config(format!("{flag} is a flag of the cookbook's script"))
                    .with_hint("give --format cookbook with it"),
            ),
        };
    }
    let theirs = args.cookbook.clone();
    args.inputs.extend(theirs.requests_filepath);
    if args.output.is_none() {
        args.output = args.inputs.first().and_then(|path| results_of(path));
    }
    args.order = args.order.or(Some(OrderArg::Completed));
    args.rpm = args.rpm.or(Some(RPM));
    args.tpm = args.tpm.or(Some(TPM));
    let (base, dialect) = split(theirs.request_url.as_deref().unwrap_or(URL))?;
    let model = args.model.as_deref().unwrap_or_default();
    let is_elsewhere = args.to.provider.is_some() || model.contains('/');
    if theirs.request_url.is_some() || !is_elsewhere {
        let is_simulated = model.starts_with("sim/") || args.to.provider.as_deref() == Some("sim");
        args.to.base_url = args.to.base_url.take().or((!is_simulated).then_some(base));
    }
    args.to.secret = theirs.api_key.clone();
    let mut notes = Vec::new();
    let ignored = [
        (
            "--token_encoding_name",
            theirs.token_encoding_name.is_some(),
        ),
        ("--logging_level", theirs.logging_level.is_some()),
    ];
    let ignored: Vec<_> = ignored.iter().filter(|(_, given)| *given).collect();
    if !ignored.is_empty() {
        let names: Vec<_> = ignored.iter().map(|(flag, _)| *flag).collect();
        let verb = if names.len() > 1 { "have" } else { "has" };
        let names = names.join(" and ");
        notes.push(format!("forebay: {names} {verb} no effect here"));
    }
    if theirs.api_key.is_some() {
        notes.push(
            "warning: a key on the command line can be seen in the list of processes; \
             set OPENAI_API_KEY instead"
                .to_owned(),
        );
    }
    Ok(Some(Cookbook { dialect, notes }))
}

/// The output that the script chooses by itself.
fn results_of(input: &Path) -> Option<PathBuf> {
    let name = input.to_str()?.strip_suffix(".jsonl")?;
    Some(PathBuf::from(format!("{name}_results.jsonl")))
}

/// A URL as the base URL and the dialect behind its end.
fn split(url: &str) -> Result<(String, Dialect), Error> {
    let found = PATHS.iter().find_map(|(path, dialect)| {
        let base = url.strip_suffix(path)?;
        Some((base.to_owned(), *dialect))
    });
    found.ok_or_else(|| {
        let ends: Vec<_> = PATHS.iter().map(|(path, _)| *path).collect();
        Error::config("--request_url ends in nothing that can be asked")
            .with_hint(format!("it may end in {}", ends.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_base_and_a_dialect() {
        let split = |url| super::split(url).unwrap();
        assert_eq!(
            split("https://api.openai.com/v1/embeddings"),
            ("https://api.openai.com/v1".into(), Dialect::Embeddings)
        );
        assert_eq!(split("http://h:1/x/chat/completions").1, Dialect::Chat);
        assert!(super::split("https://api.openai.com/v1/completions").is_err());
    }

    #[test]
    fn results_stand_beside_their_requests() {
        let of = |path: &str| results_of(Path::new(path));
        assert_eq!(of("a/in.jsonl"), Some(PathBuf::from("a/in_results.jsonl")));
        assert_eq!(of("in.txt"), None);
    }
}
