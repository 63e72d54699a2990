//! From a model's name to the endpoint that serves it.
//!
//! Owns what a name means. Never looks at keys, files or the network: the user's own names are
//! an argument, and the providers are those of the [`catalogue`].

use crate::catalogue::{self, Provider};
use crate::endpoint::Dialect;
use crate::error::Error;

/// Where a model's name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The endpoint.
    pub target: Target,
    /// The model's name as sent.
    pub model: String,
}

/// An endpoint by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A provider of the catalogue, at its own place or at a base URL that the user gives.
    Provider(&'static Provider),
    /// The simulated provider, in this dialect.
    Simulated(Dialect),
    /// An endpoint that the user named.
    Named(String),
}

/// Finds the endpoint of a model.
///
/// `sim/NAME` and the user's own names come first, then an explicit provider (one of the user's
/// names or of the catalogue's), which takes the rest of the name as it is; then `PROVIDER/NAME`
/// for every provider of the catalogue; then well-known bare names.
///
/// # Errors
/// When the name leads nowhere, or there is no such provider; the hint lists the ways.
pub fn route(name: &str, provider: Option<&str>, named: &[&str]) -> Result<Route, Error> {
    let to = |target, model: &str| {
        if model.is_empty() {
            return Err(Error::config(format!(
                "model {name:?} has no name after the slash"
            )));
        }
        Ok(Route {
            target,
            model: model.to_owned(),
        })
    };
    let explicit = provider.map(|name| target(name, named)).transpose()?;
    let (prefix, rest) = name.split_once('/').unwrap_or(("", name));
    if prefix == "sim" {
        let by_name = provider_of(rest).map_or(Dialect::Chat, |provider| provider.dialect);
        let dialect = match explicit {
            Some(Target::Provider(provider)) => provider.dialect,
            Some(Target::Simulated(_) | Target::Named(_)) | None => by_name,
        };
        return to(Target::Simulated(dialect), rest);
    }
    if named.contains(&prefix) {
        return to(Target::Named(prefix.to_owned()), rest);
    }
    if let Some(explicit) = explicit {
        return to(explicit, name);
    }
    if let Some(provider) = catalogue::find(prefix) {
        return to(Target::Provider(provider), rest);
    }
    match provider_of(name) {
        Some(provider) => to(Target::Provider(provider), name),
        None => Err(unknown(name, named)),
    }
}

/// The endpoint of this name: the simulated provider, one of the user's, or one of the catalogue.
///
/// # Errors
/// When there is none; the hint proposes a similar name, or lists all.
pub fn target(name: &str, named: &[&str]) -> Result<Target, Error> {
    if name == "sim" {
        return Ok(Target::Simulated(Dialect::Chat));
    }
    if named.contains(&name) {
        return Ok(Target::Named(name.to_owned()));
    }
    let fault = match catalogue::get(name) {
        Ok(provider) => return Ok(Target::Provider(provider)),
        Err(fault) => fault,
    };
    Err(match catalogue::similar(name, named.iter().copied()) {
        Some(known) => fault.with_hint(format!("did you mean {known}?")),
        None => fault,
    })
}

/// The provider of a well-known bare name.
fn provider_of(model: &str) -> Option<&'static Provider> {
    let is_o_series = model
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| model.starts_with(prefix));
    if is_o_series || starts(&["gpt-", "chatgpt-", "text-embedding-"]) {
        catalogue::find("openai")
    } else if starts(&["claude-"]) {
        catalogue::find("anthropic")
    } else if starts(&["gemini-"]) {
        catalogue::find("gemini")
    } else {
        None
    }
}

fn unknown(name: &str, named: &[&str]) -> Error {
    let fault = Error::config(format!("cannot tell which provider serves model {name:?}"));
    let known = catalogue::names();
    let all = || named.iter().chain(&known).copied().chain(["sim"]);
    if let Some((prefix, rest)) = name.split_once('/')
        && let Some(near) = catalogue::similar(prefix, all())
    {
        return fault.with_hint(format!("did you mean {near}/{rest}?"));
    }
    let mut ways = format!(
        "write PROVIDER/NAME with one of {} or sim; a bare gpt-*, chatgpt-*, o<digit>*, \
         text-embedding-*, claude-* or gemini-*; or any NAME with --provider PROVIDER",
        known.join(", ")
    );
    if named.is_empty() {
        ways.push_str("; or name an endpoint in forebay.toml and write ENDPOINT/NAME");
    } else {
        let names: Vec<_> = named.iter().map(|name| format!("{name}/NAME")).collect();
        ways.push_str(&format!("; or, of forebay.toml, {}", names.join(", ")));
    }
    fault.with_hint(ways)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a name leads, in words: the provider's name, `sim:DIALECT` or `[NAME]`.
    fn led(name: &str, provider: Option<&str>) -> (String, String) {
        let route = route(name, provider, &["box"]).unwrap();
        let target = match route.target {
            Target::Provider(provider) => provider.name.to_owned(),
            Target::Simulated(dialect) => format!("sim:{}", dialect.name()),
            Target::Named(name) => format!("[{name}]"),
        };
        (target, route.model)
    }

    #[test]
    fn names_lead_to_endpoints() {
        for (name, provider, target, model) in [
            ("gpt-4o-mini", None, "openai", "gpt-4o-mini"),
            ("chatgpt-4o-latest", None, "openai", "chatgpt-4o-latest"),
            ("o3-mini", None, "openai", "o3-mini"),
            (
                "text-embedding-3-small",
                None,
                "openai",
                "text-embedding-3-small",
            ),
            ("claude-sonnet-4-5", None, "anthropic", "claude-sonnet-4-5"),
            ("gemini-2.0-flash", None, "gemini", "gemini-2.0-flash"),
            ("openai/o3", None, "openai", "o3"),
            (
                "openai-responses/gpt-4o",
                None,
                "openai-responses",
                "gpt-4o",
            ),
            ("anthropic/claude-x", None, "anthropic", "claude-x"),
            (
                "groq/openai/gpt-oss-20b",
                None,
                "groq",
                "openai/gpt-oss-20b",
            ),
            ("llama.cpp/any", None, "llama.cpp", "any"),
            ("ollama/llama3.2:1b", None, "ollama", "llama3.2:1b"),
            ("sim/claude-x", None, "sim:anthropic", "claude-x"),
            ("sim/gemini-x", None, "sim:gemini", "gemini-x"),
            ("sim/gpt-x", None, "sim:openai", "gpt-x"),
            ("sim/llama", None, "sim:openai", "llama"),
            ("sim/llama", Some("anthropic"), "sim:anthropic", "llama"),
            ("sim/llama", Some("groq"), "sim:openai", "llama"),
            ("sim/claude-x", Some("box"), "sim:anthropic", "claude-x"),
            ("claude-x", Some("openai"), "openai", "claude-x"),
            (
                "anthropic/claude-x",
                Some("openai"),
                "openai",
                "anthropic/claude-x",
            ),
            (
                "meta-llama/L3",
                Some("openrouter"),
                "openrouter",
                "meta-llama/L3",
            ),
            ("meta-llama/L3", Some("box"), "[box]", "meta-llama/L3"),
            ("box/a/b", None, "[box]", "a/b"),
            ("box/a", Some("groq"), "[box]", "a"),
        ] {
            let expected = (target.to_owned(), model.to_owned());
            assert_eq!(led(name, provider), expected, "{name}");
        }
    }

    #[test]
    fn every_provider_is_a_prefix_and_a_name() {
        for name in catalogue::names() {
            let expected = (name.to_owned(), "a/b".to_owned());
            assert_eq!(led(&format!("{name}/a/b"), None), expected);
            assert_eq!(led("a/b", Some(name)), expected);
        }
    }

    #[test]
    fn the_user_s_names_come_before_the_catalogue_s() {
        let route = route("groq/x", None, &["groq"]).unwrap();
        assert_eq!(route.target, Target::Named("groq".into()));
    }

    #[test]
    fn other_names_are_errors_that_list_the_ways() {
        for name in ["llama3", "", "meta-llama/x", "opus", "o-x"] {
            let error = route(name, None, &[]).unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
            assert!(error.hint().unwrap().contains("--provider"), "{name}");
        }
        assert!(route("openai/", None, &[]).is_err());
    }

    #[test]
    fn a_misspelt_provider_is_told_from_an_unknown_one() {
        let hint = |name, provider| {
            let error = route(name, provider, &["gateway"]).unwrap_err();
            error.hint().unwrap().to_owned()
        };
        assert_eq!(hint("grok/x", None), "did you mean groq/x?");
        assert_eq!(hint("gatway/x", None), "did you mean gateway/x?");
        assert_eq!(hint("x", Some("openrouter.ai")), "did you mean openrouter?");
        assert_eq!(hint("x", Some("gatewya")), "did you mean gateway?");
        assert!(hint("x", Some("zzz")).contains("huggingface"));
    }
}
