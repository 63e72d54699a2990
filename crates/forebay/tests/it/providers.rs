//! The page of providers, and README's short table, made of the catalogue.
//!
//! Run this test with `FOREBAY_UPDATE=1` to write both anew.

use std::fmt::Write as _;
use std::fs;

use forebay::catalogue::{Embeddings, PROVIDERS, Provider, RateHeaders, Seed, UrlShape};
use forebay::endpoint::{KeyHeader, TokenField};

use crate::tidy::root;

const PAGE: &str = "docs/reference/providers.md";
/// Between these lines of README stands the short table.
const MARKS: [&str; 2] = ["<!-- providers -->", "<!-- end of providers -->"];

const INTRO: &str = "\
# Providers

<!-- Made of the catalogue by `FOREBAY_UPDATE=1 cargo test -p forebay --test it providers`. -->

`--model PROVIDER/NAME` asks the provider of that name for the model NAME.
`--provider PROVIDER` does the same and leaves the model's name as it is, slashes included.
Some bare names are enough: `gpt-*`, `chatgpt-*`, `o<digit>*` and `text-embedding-*` are OpenAI's, `claude-*` Anthropic's, `gemini-*` Google's.
`--base-url` moves a provider somewhere else; any server that speaks one of the dialects can be asked with `--provider openai`, `anthropic` or `gemini` and a base URL.
`forebay providers` shows the same table with the keys that are set.
";

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn keys(provider: &Provider) -> String {
    let names = provider.key_variables.iter().map(|variable| {
        let token = match variable.header {
            Some(KeyHeader::Bearer) => " (sent as bearer)",
            Some(_) | None => "",
        };
        format!("`{}`{token}", variable.name)
    });
    let names = names.collect::<Vec<_>>().join(", ");
    match (names.is_empty(), provider.is_local) {
        (true, _) => "none".to_owned(),
        (false, true) => format!("{names}, if wanted"),
        (false, false) => names,
    }
}

fn place(provider: &Provider) -> String {
    let moved = provider.url_variable.map(|variable| match variable.holds {
        UrlShape::BaseUrl => code(variable.name),
        UrlShape::Before(path) => format!("`{}` + `{path}`", variable.name),
        UrlShape::Host(port, path) => format!("`{}` + `:{port}{path}`", variable.name),
    });
    match (provider.base_url, moved) {
        (Some(url), Some(moved)) => format!("`{url}`, or {moved}"),
        (Some(url), None) => code(url),
        (None, Some(moved)) => moved,
        (None, None) => panic!("{} is nowhere", provider.name),
    }
}

fn rates(rates: RateHeaders) -> &'static str {
    match rates {
        RateHeaders::PerMinute => "`x-ratelimit-*` per minute, resets as durations (`6m0s`)",
        RateHeaders::RequestsPerDay => "`x-ratelimit-*`: requests per day, tokens per minute",
        RateHeaders::Seconds => "`x-ratelimit-*` per minute, resets in seconds, -1 is unknown",
        RateHeaders::DayAndMinute => "`x-ratelimit-*-requests-day`, `-tokens-minute`, in seconds",
        RateHeaders::PerSecond => "`x-ratelimit-*` and `x-tokenlimit-*` per second, moving",
        RateHeaders::Anthropic => "`anthropic-ratelimit-*` per minute, resets as dates",
        RateHeaders::None => "none",
        RateHeaders::Unknown => "not verified",
    }
}

fn seed(seed: Seed) -> String {
    match seed {
        Seed::None => "not known".to_owned(),
        Seed::InFlight(n) => n.to_string(),
        Seed::LlamaProps => "`/props` is asked".to_owned(),
        Seed::VllmMetrics => "`/metrics` is looked at".to_owned(),
    }
}

fn page() -> String {
    let mut page = INTRO.to_owned();
    page.push_str("\n| name | dialect | base URL | key |\n|---|---|---|---|\n");
    for row in &PROVIDERS {
        let cells = [
            code(row.name),
            code(row.dialect.name()),
            place(row),
            keys(row),
        ];
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push_str(
        "\nOf several variables, the first that is set counts.\n\
         A provider whose key is \"none\" or \"if wanted\" is a server of one's own and is asked without one.\n\n\
         ## What differs\n\n\
         | name | cap on output tokens | headers about rates | served at once | embeddings | notes |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in &PROVIDERS {
        let cap = match row.token_field {
            TokenField::MaxTokens => "`max_tokens`",
            TokenField::MaxCompletionTokens => "`max_completion_tokens`",
        };
        let embeddings = match row.embeddings {
            Embeddings::Here => "yes".to_owned(),
            Embeddings::At(url) => format!("below `{url}`"),
            Embeddings::None => "no".to_owned(),
        };
        let name = row.name;
        let rates = rates(row.rate_headers);
        let seed = seed(row.seed);
        let _ = writeln!(
            page,
            "| `{name}` | {cap} | {rates} | {seed} | {embeddings} | {} |",
            row.notes
        );
    }
    page.push_str(
        "\nThe cap on output tokens is that of the OpenAI dialect; a server elsewhere that only \
         speaks it gets `max_tokens`.\n\
         \"not verified\" means that no recorded answer was at hand; only `retry-after` and a \
         remaining number of 0 can be relied on there.\n\
         \"served at once\" is where `--concurrency auto` begins: a number by the provider's \
         documentation, at its own address; or what the server tells of itself before the first \
         request, if it does within two seconds. A run that goes on begins with what it had \
         learnt instead. vLLM's `/metrics` is looked at every few seconds during a run too, for \
         the requests that wait there.\n",
    );
    page
}

fn short_table() -> String {
    let mut table = "| provider | key |\n|---|---|\n".to_owned();
    for row in &PROVIDERS {
        let _ = writeln!(table, "| `{}` | {} |", row.name, keys(row));
    }
    table
}

/// A file's text with the short table between the marks.
fn with_table(text: &str) -> String {
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin).expect("README has the first mark");
    let (_, after) = rest.split_once(end).expect("README has the second mark");
    format!("{before}{begin}\n{}{end}{after}", short_table())
}

#[test]
fn the_page_and_the_readme_show_the_catalogue() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (name, text) in [(PAGE, page()), ("README.md", with_table(&readme))] {
        let path = root().join(name);
        if std::env::var_os("FOREBAY_UPDATE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{name} is not what the catalogue says: run with FOREBAY_UPDATE=1"
        );
    }
}
