//! `forebay models`: what an endpoint serves.
//!
//! Owns the listing, and the hint for a model that is not served. Never decides whether a model
//! may be asked for: the endpoint does.

use std::io::Write as _;
use std::time::Duration;

use forebay::config::Timeouts;
use forebay::engine;
use forebay::error::Error;
use forebay::money::Usd;
use forebay::outcome::{Failure, FailureKind};
use forebay::price::{ModelInfo, PriceTable, name_matches};
use forebay::provider::ServedModel;
use forebay::route;
use forebay::transport::Transport;
use serde::Serialize;

use crate::args::ModelsArgs;
use crate::config_file::ConfigFile;
use crate::exit_code::Exit;
use crate::nearest::nearest;
use crate::plan::{self, Server};
use crate::report::columns::{Side, aligned};
use crate::report::{PROXY_HINT, is_of_proxy, one_line, pretty, units, what_happened};
use crate::{network, print};

/// The deadline of the list: servers answer it from memory.
const PATIENCE: Duration = Duration::from_secs(60);
/// The deadline of the list when it is only for a hint.
const HINT_PATIENCE: Duration = Duration::from_secs(5);
/// Names that a hint gives when none is like the wanted one.
const SHOWN: usize = 5;
/// The columns' names.
const HEADER: [&str; 5] = ["model", "context", "max output", "input", "output"];
/// The name to the left, numbers to the right.
const SIDES: [Side; 5] = [
    Side::Left,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
];

/// Lists them.
///
/// # Errors
/// When the endpoint cannot be told or has no key.
pub(crate) fn models(args: &ModelsArgs) -> Result<Exit, Error> {
    let config = ConfigFile::find(args.to.config.as_deref())?;
    let target = route::target(provider(args)?, &plan::named(&config))?;
    let mut server = plan::server(&args.to, &config, &target)?;
    network::start_simulator(&mut server, args.json)?;
    let served = match network::block_on(ask(&server, PATIENCE))?? {
        Ok(served) => served,
        Err(failure) => {
            complain(&server, &failure);
            return Ok(Exit::SomeFailed);
        }
    };
    let is_wanted = |model: &&ServedModel| match &args.filter {
        Some(pattern) => name_matches(pattern, &model.id),
        None => true,
    };
    let mut wanted: Vec<_> = served.iter().filter(is_wanted).collect();
    wanted.sort_by(|a, b| a.id.cmp(&b.id));
    let table = config.price_table();
    let priced = wanted.into_iter();
    let priced = priced.map(|model| (model, table.find(server.price_name(), &model.id)));
    let models: Vec<_> = priced.collect();
    let text = match args.json {
        true => json(&server, &models),
        false => text(&server, served.len(), &models),
    };
    Ok(print(text))
}

/// The provider whose models are wanted.
fn provider(args: &ModelsArgs) -> Result<&str, Error> {
    let named = args.of.as_deref().or(args.to.provider.as_deref());
    match named {
        Some(name) => Ok(name),
        // A base URL alone is that of a compatible server.
        None if args.to.base_url.is_some() => Ok("openai"),
        None => Err(Error::config("no provider is named").with_hint(
            "write forebay models PROVIDER, such as openai, ollama or sim; `forebay providers` \
             lists them",
        )),
    }
}

/// Asks for the list; the outer error is ours, the inner one the endpoint's.
async fn ask(
    server: &Server,
    patience: Duration,
) -> Result<Result<Vec<ServedModel>, Failure>, Error> {
    let defaults = Timeouts::default();
    let timeouts = Timeouts {
        total: patience,
        connect: defaults.connect.min(patience),
        first_byte: patience,
        idle: patience,
    };
    let endpoint = server.endpoint();
    let connector = network::connector()?;
    let transport = Transport::new(endpoint.base_url.clone(), connector, timeouts)?
        .speaking(endpoint.http)
        .through(server.proxies());
    Ok(engine::models(&transport, endpoint).await)
}

fn complain(server: &Server, failure: &Failure) {
    let endpoint = server.endpoint();
    let what = one_line(&what_happened(failure));
    let mut out = std::io::stderr().lock();
    let _ = writeln!(
        out,
        "error: {} did not list its models: {what}",
        endpoint.name
    );
    let _ = writeln!(
        out,
        " hint: {}",
        hint(failure, &endpoint.base_url.to_string())
    );
}

/// What to do about a list that did not come.
fn hint(failure: &Failure, base_url: &str) -> String {
    match failure.kind {
        FailureKind::Auth => {
            "check the API key: its environment variable, --api-key-env or --api-key-file".into()
        }
        FailureKind::Connect if is_of_proxy(failure) => PROXY_HINT.into(),
        FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::ServerError => {
            "try again in a moment".into()
        }
        FailureKind::NotFound | FailureKind::Malformed => {
            format!("check the base URL {base_url}; some servers have no such list")
        }
        _ => format!("check the base URL {base_url} and the network"),
    }
}

/// What to say when an endpoint does not know a model: what it serves instead.
///
/// `None` when it does not tell in time, or lists the model after all.
pub(crate) async fn not_served(server: &Server, model: &str) -> Option<String> {
    let served = ask(server, HINT_PATIENCE).await.ok()?.ok()?;
    if served.is_empty() || served.iter().any(|known| known.id == model) {
        return None;
    }
    let ids: Vec<_> = served.iter().map(|model| model.id.as_str()).collect();
    Some(instead(&server.endpoint().name, model, &ids))
}

/// The names that are like the model's, else the first ones.
fn instead(endpoint: &str, model: &str, ids: &[&str]) -> String {
    let near = nearest(model, ids.iter().copied());
    let offer = match near.is_empty() {
        false => format!("did you mean {}?", near.join(", ")),
        true => {
            let first = &ids[..ids.len().min(SHOWN)];
            let more = match ids.len() - first.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("it serves {}{more}", first.join(", "))
        }
    };
    one_line(&format!("{endpoint} does not list {model}; {offer}"))
}

type Priced<'a> = (&'a ServedModel, Option<ModelInfo>);

fn text(server: &Server, served: usize, models: &[Priced<'_>]) -> String {
    let endpoint = server.endpoint();
    let count = match models.len() == served {
        true => units::counted(served as u64, "model"),
        false => format!("{} of {served} models", models.len()),
    };
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(models.iter().map(cells));
    let head = format!("{} at {}: {count}", endpoint.name, endpoint.base_url);
    match models.is_empty() {
        true => format!("{head}\n"),
        false => format!(
            "{head}\nTokens; US dollars per million tokens by the price table of {}, - is not \
             known.\n\n{}",
            PriceTable::SNAPSHOT,
            aligned(&rows, SIDES)
        ),
    }
}

fn cells((model, info): &Priced<'_>) -> [String; 5] {
    let tokens = |n: Option<u64>| n.map_or_else(|| "-".into(), units::count);
    let price = |of: fn(&ModelInfo) -> Usd| {
        let price = info.as_ref().map(of);
        price.map_or_else(|| "-".into(), units::per_million)
    };
    [
        one_line(&model.id),
        tokens(context(model, info)),
        tokens(output(model, info)),
        price(|info| info.price.input),
        price(|info| info.price.output),
    ]
}

/// The endpoint's word, else the table's.
fn context(model: &ServedModel, info: &Option<ModelInfo>) -> Option<u64> {
    let listed = info.as_ref().and_then(|info| info.max_input_tokens);
    model.max_input_tokens.or(listed)
}

fn output(model: &ServedModel, info: &Option<ModelInfo>) -> Option<u64> {
    let listed = info.as_ref().and_then(|info| info.max_output_tokens);
    model.max_output_tokens.or(listed)
}

/// The listing as JSON; prices are dollars per million tokens, `null` is not known.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    provider: &'a str,
    base_url: String,
    models: Vec<Model<'a>>,
}

#[derive(Debug, Serialize)]
struct Model<'a> {
    model: &'a str,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    input: Option<f64>,
    output: Option<f64>,
}

fn json(server: &Server, models: &[Priced<'_>]) -> String {
    let million = |price: Usd| price.times(1_000_000).dollars();
    let endpoint = server.endpoint();
    pretty(&Listing {
        provider: &endpoint.name,
        base_url: endpoint.base_url.to_string(),
        models: (models.iter())
            .map(|(model, info)| Model {
                model: &model.id,
                max_input_tokens: context(model, info),
                max_output_tokens: output(model, info),
                input: info.as_ref().map(|info| million(info.price.input)),
                output: info.as_ref().map(|info| million(info.price.output)),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_served_is_answered_with_what_is() {
        let ids = [
            "llama3.2:1b",
            "llama3.2:3b",
            "qwen3",
            "gemma3",
            "phi4",
            "mistral",
        ];
        assert_eq!(
            instead("ollama", "llama3.2", &ids),
            "ollama does not list llama3.2; did you mean llama3.2:1b, llama3.2:3b?"
        );
        assert_eq!(
            instead("ollama", "zzz", &ids),
            "ollama does not list zzz; it serves llama3.2:1b, llama3.2:3b, qwen3, gemma3, phi4 \
             and 1 more"
        );
        assert_eq!(
            instead("box", "zzz", &ids[2..3]),
            "box does not list zzz; it serves qwen3"
        );
    }
}
