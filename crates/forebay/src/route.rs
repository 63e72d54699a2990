//! From a model's name to the endpoint that serves it.

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
    /// A provider's own endpoint, or one given by base URL, in this dialect.
    Provider(Dialect),
    /// The simulated provider, in this dialect.
    Simulated(Dialect),
    /// An endpoint that the user named.
    Named(String),
}

/// Finds the endpoint of a model.
///
/// `sim/NAME` and the user's own names come first, then an explicit dialect, which takes the
/// rest of the name as it is; then `openai/NAME` and `anthropic/NAME`; then well-known bare
/// names.
///
/// # Errors
/// When the name leads nowhere; the hint lists the ways.
pub fn route(name: &str, provider: Option<Dialect>, named: &[&str]) -> Result<Route, Error> {
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
    let (prefix, rest) = name.split_once('/').unwrap_or(("", name));
    if prefix == "sim" {
        let dialect = provider
            .or_else(|| dialect_of(rest))
            .unwrap_or(Dialect::Chat);
        return to(Target::Simulated(dialect), rest);
    }
    if named.contains(&prefix) {
        return to(Target::Named(prefix.to_owned()), rest);
    }
    if let Some(provider) = provider {
        return to(Target::Provider(provider), name);
    }
    match prefix {
        "openai" => return to(Target::Provider(Dialect::Chat), rest),
        "anthropic" => return to(Target::Provider(Dialect::Anthropic), rest),
        _ => {}
    }
    match dialect_of(name) {
        Some(provider) => to(Target::Provider(provider), name),
        None => Err(unknown(name, named)),
    }
}

/// The provider of a well-known bare name.
fn dialect_of(model: &str) -> Option<Dialect> {
    let is_o_series = model
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if model.starts_with("gpt-") || model.starts_with("chatgpt-") || is_o_series {
        Some(Dialect::Chat)
    } else if model.starts_with("claude-") {
        Some(Dialect::Anthropic)
    } else {
        None
    }
}

fn unknown(name: &str, named: &[&str]) -> Error {
    let mut ways =
        "write openai/NAME, anthropic/NAME or sim/NAME; a bare gpt-*, chatgpt-*, o<digit>* \
                    or claude-*; or any NAME with --provider openai|anthropic and --base-url URL"
            .to_owned();
    if named.is_empty() {
        ways.push_str("; or name an endpoint in forebay.toml and write ENDPOINT/NAME");
    } else {
        let names: Vec<_> = named.iter().map(|name| format!("{name}/NAME")).collect();
        ways.push_str(&format!("; or, of forebay.toml, {}", names.join(", ")));
    }
    Error::config(format!("cannot tell which provider serves model {name:?}")).with_hint(ways)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_endpoints() {
        use Dialect::{Anthropic, Chat};
        use Target::{Named, Provider as At, Simulated};
        for (name, provider, target, model) in [
            ("gpt-4o-mini", None, At(Chat), "gpt-4o-mini"),
            ("chatgpt-4o-latest", None, At(Chat), "chatgpt-4o-latest"),
            ("o3-mini", None, At(Chat), "o3-mini"),
            (
                "claude-sonnet-4-5",
                None,
                At(Anthropic),
                "claude-sonnet-4-5",
            ),
            ("openai/o3", None, At(Chat), "o3"),
            ("anthropic/claude-x", None, At(Anthropic), "claude-x"),
            ("sim/claude-x", None, Simulated(Anthropic), "claude-x"),
            ("sim/gpt-x", None, Simulated(Chat), "gpt-x"),
            ("sim/llama", None, Simulated(Chat), "llama"),
            ("sim/llama", Some(Anthropic), Simulated(Anthropic), "llama"),
            ("claude-x", Some(Chat), At(Chat), "claude-x"),
            (
                "anthropic/claude-x",
                Some(Chat),
                At(Chat),
                "anthropic/claude-x",
            ),
            ("meta-llama/L3", Some(Chat), At(Chat), "meta-llama/L3"),
            ("box/a/b", None, Named("box".into()), "a/b"),
        ] {
            let route = route(name, provider, &["box"]).unwrap();
            assert_eq!((route.target, &*route.model), (target, model), "{name}");
        }
    }

    #[test]
    fn other_names_are_errors_that_list_the_ways() {
        for name in ["llama3", "", "mistral/x", "opus", "o-x"] {
            let error = route(name, None, &[]).unwrap_err();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
            assert!(error.hint().unwrap().contains("--provider"), "{name}");
        }
        assert!(route("openai/", None, &[]).is_err());
    }
}
