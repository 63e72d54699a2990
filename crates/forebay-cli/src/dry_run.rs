//! `forebay run --dry-run`: what a run would take, without sending anything.

use std::fmt::Write as _;
use std::time::Duration;

use forebay::answers::Answers;
use forebay::config::{Concurrency, Limits, Packing};
use forebay::engine::{prepare, recall};
use forebay::error::Error;
use forebay::message::{AnswerSchema, SchemaMode};
use forebay::money::Usd;
use forebay::price::PriceTable;
use forebay::source::Source;

use crate::exit_code::Exit;
use crate::plan::Plan;
use crate::report::units;

/// Output tokens assumed per answer when nothing is known: a short paragraph.
const ASSUMED_OUTPUT: u64 = 200;
/// Unusable items that are shown.
const EXAMPLES: usize = 5;

/// What the whole input adds up to.
#[derive(Debug, Default)]
struct Totals {
    items: u64,
    invalid: u64,
    examples: Vec<String>,
    /// Items that would be answered from the cache.
    recalled: u64,
    input_tokens: f64,
    /// The most output tokens, when every request says so by itself.
    most: Option<u64>,
}

/// Reads everything, estimates, and prints to standard output.
///
/// # Errors
/// When the input cannot be read.
pub(crate) fn dry_run(plan: &Plan, answers: Option<&dyn Answers>) -> Result<Exit, Error> {
    let mut totals = Totals {
        most: Some(0),
        ..Totals::default()
    };
    for item in Source::open(plan.input.clone(), plan.prompting.clone())? {
        let prepared = prepare(plan.endpoint(), item?);
        totals.items += 1;
        if answers.is_some_and(|answers| recall(plan.endpoint(), &prepared, answers).is_some()) {
            totals.recalled += 1;
            continue;
        }
        totals.input_tokens += prepared.guess;
        match prepared.request {
            Ok(request) => {
                let most = totals.most.zip(request.max_output);
                totals.most = most.map(|(sum, most)| sum.saturating_add(most));
            }
            Err(failure) => {
                totals.invalid += 1;
                if totals.examples.len() < EXAMPLES {
                    totals.examples.push(failure.message);
                }
            }
        }
    }
    Ok(crate::print(describe(plan, &totals)))
}

fn describe(plan: &Plan, totals: &Totals) -> String {
    let mut text = String::new();
    let usable = totals.items - totals.invalid - totals.recalled;
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<15}{value}");
    };
    line("items", units::count(totals.items));
    if totals.invalid > 0 {
        line("unusable", units::count(totals.invalid));
        for example in &totals.examples {
            line("", example.clone());
        }
    }
    if totals.recalled > 0 {
        line("from the cache", units::count(totals.recalled));
    }
    if let Some(schema) = &plan.prompting.parameters.schema {
        line("schema", told(schema));
    }
    let server = &plan.server;
    if let Some(proxy) = server.proxies().shown(&server.endpoint().base_url) {
        line("proxy", proxy);
    }
    let input = totals.input_tokens.ceil() as u64;
    line("input tokens", format!("about {}", units::count(input)));
    line("in flight", in_flight(plan.settings.concurrency));
    if let Some(packing) = &plan.settings.embed {
        let requests = requests(packing, usable, input);
        let most = packing.max_inputs;
        let travel = format!("about {} of at most {most} texts", units::count(requests));
        line("requests", travel);
        line("cost", cost(plan, input, 0, None));
        line("time", time(&plan.settings.limits, requests, (input, 0)));
        line("nothing sent", "this was a dry run".into());
        return text;
    }
    let cap = plan.settings.max_tokens.map(u64::from);
    let own = totals.most.filter(|_| usable > 0);
    let assumed = ASSUMED_OUTPUT.min(cap.unwrap_or(u64::MAX)) * usable;
    let assumed = assumed.min(own.unwrap_or(u64::MAX));
    let each = assumed / usable.max(1);
    line(
        "output tokens",
        format!("about {} at {each} an answer", units::count(assumed)),
    );
    if let Some(cap) = cap {
        let most = units::count(cap * usable);
        line("", format!("at most {most} at --max-tokens {cap}"));
    }
    if let Some(own) = own {
        line(
            "",
            format!("at most {} as the requests say", units::count(own)),
        );
    }
    let most = own.or(cap.map(|cap| cap * usable));
    line("cost", cost(plan, input, assumed, most));
    line(
        "time",
        time(&plan.settings.limits, usable, (input, assumed)),
    );
    line("nothing sent", "this was a dry run".into());
    text
}

/// How many requests embeddings take.
fn requests(packing: &Packing, items: u64, tokens: u64) -> u64 {
    let by_items = items.div_ceil(packing.max_inputs.get() as u64);
    let by_tokens = tokens.div_ceil(packing.max_tokens.max(1));
    by_items.max(by_tokens).min(items)
}

fn cost(plan: &Plan, input: u64, assumed: u64, most: Option<u64>) -> String {
    let Some(model) = &plan.model else {
        return "unknown: no price for this model".into();
    };
    let price = &model.price;
    let dollars = |output: u64| -> Usd { price.input.times(input) + price.output.times(output) };
    let upper = match most {
        // Vectors cost nothing.
        _ if plan.settings.embed.is_some() => String::new(),
        Some(most) => format!(", at most {}", units::dollars(dollars(most))),
        None => ", no upper bound without --max-tokens".into(),
    };
    format!(
        "about {}{upper} (estimate, prices of {})",
        units::dollars(dollars(assumed)),
        PriceTable::SNAPSHOT
    )
}

/// How the provider is told the shape of the answers.
fn told(schema: &AnswerSchema) -> String {
    let how = match (schema.mode, schema.strict) {
        (SchemaMode::Prompt, _) => "in the system prompt",
        (SchemaMode::Native, true) => "in the dialect's own member",
        (SchemaMode::Native, false) => {
            "in the dialect's own member, as an aim where the dialect has a strict mode"
        }
    };
    format!("{}, told {how}", schema.name)
}

/// How many attempts there would be at once.
fn in_flight(concurrency: Concurrency) -> String {
    match concurrency {
        Concurrency::Fixed(n) => format!("{} at a time", units::count(n.get() as u64)),
        Concurrency::Auto { max } => {
            let max = units::count(max.get() as u64);
            format!("as many as the provider serves well, at most {max}")
        }
        Concurrency::Rule(_) => "as a rule says".into(),
    }
}

/// The longest of what each limit makes it take.
fn time(limits: &Limits, items: u64, (input, output): (u64, u64)) -> String {
    let minutes = |units: u64, limit: Option<f64>| limit.map(|limit| units as f64 / limit * 60.0);
    let by_limit = [
        ("rps", limits.rps.map(|rps| items as f64 / rps)),
        ("rpm", minutes(items, limits.rpm)),
        ("tpm", minutes(input + output, limits.tpm)),
        ("itpm", minutes(input, limits.itpm)),
        ("otpm", minutes(output, limits.otpm)),
        ("rpd", limits.rpd.map(|rpd| (items / rpd) as f64 * 86_400.0)),
    ];
    let longest = by_limit
        .into_iter()
        .filter_map(|(name, seconds)| Some((name, seconds?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    match longest {
        Some((name, seconds)) => {
            let time = units::duration(Duration::from_secs_f64(seconds.min(1e10)));
            format!("at least {time}, limited by {name}")
        }
        None => "no limits are given (--rpm, --tpm, …)".into(),
    }
}
